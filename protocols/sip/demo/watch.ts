/** `altpath demo --watch`: a pair with dashboards and calls without end; whoever watches kills the primary and starts it again. */
import { formatSocketAddress, systemClock, type WatchRequest } from '../../../src/internal.ts';
import type { CallRecord, Kind } from './call-record.ts';
import { freePort } from './failover-run.ts';
import { LoadAgent } from './load-agent.ts';
import { domain, type Members, members } from './members.ts';

export async function watchPair({ adminPort, print, next }: WatchRequest): Promise<void> {
  const cast = members({ port: await freePort(), holdMs, adminPort });
  const agents: LoadAgent[] = [];
  const records = new Map<string, CallRecord>();
  let isCalling = true;
  const pages = [cast.primary, cast.backup].map(
    ({ host }) => `http://${formatSocketAddress({ host, port: adminPort })}/`,
  );
  // Whoever ends the demo in any way leaves no process behind.
  const onExit = (): void => void cast.close();
  process.once('exit', onExit);
  try {
    print('starting primary and backup, and an edge proxy on each side');
    await cast.start();
    const place = await people(cast, records, agents);
    const calling = (async () => {
      for (let turn = 0; isCalling; turn += 1) {
        place(turn % 2 === 0 ? 'plain' : 'aware');
        await pause(everyMs);
        forgetOld(records);
      }
    })();
    print(`four calls a second; primary: ${pages[0]}   backup: ${pages[1]}   (open the backup's)`);
    print('Enter: kill -9 of the primary. Ctrl-C: end.');
    for (let isAlive = true; await next(); isAlive = !isAlive) {
      if (isAlive) {
        await cast.strike('kill');
        print('killed. Enter: start it again.');
      } else {
        await cast.revive();
        print(`it is back, and gets new work after ${holdMs / 1_000} s. Enter: kill -9 again.`);
      }
    }
    isCalling = false;
    await calling;
  } finally {
    isCalling = false;
    for (const agent of agents) await agent.stop();
    await cast.close();
    process.removeListener('exit', onExit);
  }
}

/** Callers and callees of both kinds, registered. */
async function people(
  cast: Members,
  records: Map<string, CallRecord>,
  agents: LoadAgent[],
): Promise<(kind: Kind) => CallRecord> {
  const { primary, backup, callerEdge, calleeEdge } = cast;
  const common = { domain, backup, records, ringMs: 2_000, holdMs };
  const agent = (kind: Kind, user: string, host: string, edge: typeof primary): LoadAgent => {
    const made = new LoadAgent({
      ...common,
      kind,
      user,
      host,
      proxy: kind === 'plain' ? edge : primary,
      ...(kind === 'plain' ? { path: edge } : {}),
    });
    agents.push(made);
    return made;
  };
  const callers = {
    plain: agent('plain', 'plain-caller', '127.0.0.5', callerEdge),
    aware: agent('aware', 'aware-caller', '127.0.0.7', primary),
  };
  agent('plain', 'plain-callee', '127.0.0.6', calleeEdge);
  agent('aware', 'aware-callee', '127.0.0.8', primary);
  for (const each of agents) await each.start();
  const answers = await Promise.all(agents.map((each) => each.register()));
  const refused = answers.find((status) => status !== 200);
  if (refused !== undefined) throw new Error(`a registration was refused with ${refused}`);
  let count = 0;
  return (kind) => {
    count += 1;
    return callers[kind].call(`${kind}-callee`, talkMs, count % 4 < 2 ? 'caller' : 'callee');
  };
}

function forgetOld(records: Map<string, CallRecord>): void {
  const oldMs = systemClock.now() - keptMs;
  for (const [callId, { invitedMs }] of records) {
    if (invitedMs > oldMs) break;
    records.delete(callId);
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => systemClock.after(ms, resolve));

const everyMs = 250;
const talkMs = 6_000;
const holdMs = 3_000;
const keptMs = 60_000;
