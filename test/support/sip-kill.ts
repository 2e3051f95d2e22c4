/** One run of a flow in which something happens to the primary at one moment; and all moments of a flow. */
import type { Conditions, MemoryPacket } from './memory-network.ts';
import { type Actors, complaintsOf, everybody, type Flow } from './sip-flows.ts';
import { domain, hosts, type SipWorld, usualWorld } from './sip-world.ts';

export const deaths = ['crash', 'silent', 'restart', 'stall', 'cut', 'cut one way'] as const;

/**
 * crash: the process is killed, ICMP tells. silent: the host is gone. restart: killed, and back without any memory 300 ms later.
 * stall: silent for three seconds, then it goes on where it was. cut: nothing passes between caller's edge and primary any more,
 * both ways or only from the primary.
 */
export type Death = (typeof deaths)[number] | Leaving;

export const leavings = ['drain', 'drain, no ICMP', 'drain, deaf', 'drain and restart'] as const;

/**
 * The primary is drained, ends when that is over, and: datagrams to it are refused; or vanish with the host; or its last 30 ms are spent
 * deaf, as a process that is being closed; or it is back without any memory 300 ms later.
 */
export type Leaving = (typeof leavings)[number];

export type Moment = 'sent' | 'arrived';

export interface RunOptions {
  readonly death?: Death | undefined;
  /** Which message of the flow, from 1. */
  readonly at?: number;
  readonly moment?: Moment;
  readonly conditions?: Partial<Conditions>;
  readonly seed?: number;
  readonly copiesParams?: boolean;
  readonly transport?: 'udp' | 'tcp';
  /** Callees without an edge before them. */
  readonly isDirect?: boolean;
  readonly trace?: (line: string) => void;
  /** Another world than the usual one. */
  readonly scene?: Scene | undefined;
}

export interface Scene {
  make(flow: Flow): Promise<Actors>;
  /** What happens in place of the death of the primary. */
  strike(): void;
  /** Whose transactions must end. */
  programs(): readonly string[];
}

export interface RunResult {
  readonly complaints: readonly string[];
  /** Messages of the flow itself. */
  readonly messages: number;
  readonly killedAfter: string;
  /** From placing the next call to its ringing, after the flow is over. */
  readonly nextCallMs: number;
}

export async function runFlow(flow: Flow, options: RunOptions = {}): Promise<RunResult> {
  const {
    death,
    at = 0,
    moment = 'sent',
    conditions = {},
    seed = 1,
    copiesParams = true,
    transport = 'udp',
    isDirect = false,
    trace,
    scene,
  } = options;
  const actors =
    scene === undefined
      ? await usualWorld({
          seed,
          copiesParams,
          transport,
          isDirect,
          ...(flow.callees === undefined ? {} : { callees: flow.callees }),
        })
      : await scene.make(flow);
  const { world, caller, callees } = actors;
  const { network, clock } = world;
  for (const phone of [caller, ...callees]) phone.finals.length = 0;
  const before = network.sent;
  let killedAfter = '';
  let isDead = false;
  const hit = (packet: MemoryPacket): void => {
    if (death === undefined || isDead || packet.sequence !== before + at) return;
    isDead = true;
    killedAfter = `${packet.from.host} > ${packet.to.host} ${firstLine(packet)}`;
    trace?.(`--- ${death} when ${moment}`);
    if (scene !== undefined) scene.strike();
    else if (isLeaving(death))
      leave(actors.world, death).catch((error: unknown) => {
        throw error;
      });
    else strike(actors, death);
  };
  if (trace !== undefined)
    network.onPacket((packet) =>
      trace(
        `${(clock.now() - startMs).toFixed(0).padStart(6)} #${packet.sequence - before} ${packet.from.host} > ${packet.to.host} ${firstLine(packet)}`,
      ),
    );
  if (moment === 'sent') network.onPacket(hit);
  else network.onArrival(hit);
  const startMs = clock.now();
  network.conditions = { ...network.conditions, ...conditions };
  flow.start(actors);
  const programs = (): readonly string[] => scene?.programs() ?? alive(death);
  const isOver = (): boolean =>
    world.transactions(...programs()) === 0 && [caller, ...callees].every(({ busy }) => busy === 0);
  let messages = 0;
  for (let passed = 0; passed < 420_000; passed += 2_000) {
    if (flow.isAsync === true || death === 'restart' || isLeaving(death)) await clock.advanceAsync(2_000);
    else clock.advance(2_000);
    if (passed === 8_000) messages = network.sent - before;
    if (passed >= 8_000 && isOver()) break;
  }
  const complaints = complaintsOf(flow, actors);
  const left = world.transactions(...programs());
  if (left > 0) complaints.push(`${left} transactions left`);
  network.conditions = { ...network.conditions, loss: 0, duplication: 0, reordering: 0 };
  return { complaints, messages, killedAfter, nextCallMs: nextCall(actors) };
}

/** Time until the next call rings, all else being over. */
function nextCall({ world, caller, callees }: Actors): number {
  const startMs = world.clock.now();
  let ringingMs = Number.POSITIVE_INFINITY;
  for (const callee of callees) callee.answering = 'busy';
  caller.call(`sip:bob@${domain}`, () => {
    ringingMs = Math.min(ringingMs, world.clock.now() - startMs);
  });
  world.clock.advance(5_000);
  return ringingMs;
}

function strike({ world }: Actors, death: Exclude<Death, Leaving>): void {
  const { network, clock } = world;
  const { primary, callerEdge } = hosts;
  switch (death) {
    case 'crash':
      network.crash(primary);
      break;
    case 'silent':
      network.silence(primary);
      network.crash(primary);
      break;
    case 'restart':
      network.crash(primary);
      clock.after(300, () => {
        network.revive(primary);
        world.primary().catch((error: unknown) => {
          throw error;
        });
      });
      break;
    case 'stall':
      network.silence(primary);
      clock.after(3_000, () => network.revive(primary));
      break;
    case 'cut':
      network.partition(callerEdge, primary);
      break;
    case 'cut one way':
      network.partition(primary, callerEdge, 'oneWay');
      break;
  }
}

const isLeaving = (death: Death | undefined): death is Leaving => leavings.some((each) => each === death);

/** As long as a telephone of these flows may be rung, and its answer repeated. */
const patienceMs = 60_000;

/** As `altpath drain`, and then the end of the process. */
async function leave(world: SipWorld, how: Leaving): Promise<void> {
  const { network, clock } = world;
  const leaving = world.roleAt(hosts.primary)?.role;
  await leaving?.drain(patienceMs);
  if (how === 'drain, deaf') {
    network.silence(hosts.primary);
    await new Promise<void>((resolve) => clock.after(30, resolve));
  }
  await leaving?.stop();
  network.crash(hosts.primary);
  if (how === 'drain, no ICMP') network.silence(hosts.primary);
  if (how === 'drain, deaf') network.revive(hosts.primary);
  if (how !== 'drain and restart') return;
  await new Promise<void>((resolve) => clock.after(300, resolve));
  network.revive(hosts.primary);
  await world.primary();
}

const alive = (death: Death | undefined): readonly string[] =>
  death === 'crash' || death === 'silent' || (isLeaving(death) && death !== 'drain and restart')
    ? everybody.filter((host) => host !== hosts.primary)
    : everybody;

const firstLine = ({ bytes }: MemoryPacket): string => {
  const text = bytes.toString('latin1', 0, 200);
  const line = text.slice(0, text.indexOf('\r\n'));
  return line.startsWith('SIP/') ? line.slice(8) : line.replace(/ SIP\/2\.0$/, '');
};

/** All moments of one flow and one death. */
export interface CaseRow {
  readonly flow: string;
  readonly death: Death;
  readonly network: 'clean' | 'lossy' | 'TCP';
  readonly routes: 'whole' | 'URI only';
  readonly cases: number;
  readonly saved: number;
  readonly failures: readonly string[];
  readonly nextCallMs: number;
}

export interface MomentOptions {
  /** Every how-many-th message. */
  readonly stride: number;
  readonly seed?: number;
  readonly conditions?: Partial<Conditions>;
  readonly copiesParams?: boolean;
  readonly transport?: 'udp' | 'tcp';
  readonly isDirect?: boolean;
}

export async function runAllMoments(flow: Flow, death: Death, options: MomentOptions): Promise<CaseRow> {
  const { stride, seed = 1, conditions = {}, copiesParams = true, transport = 'udp', isDirect = false } = options;
  const same = { seed, conditions, copiesParams, transport, isDirect };
  const base = await runFlow(flow, same);
  const failures = base.complaints.map((complaint) => `without any death: ${complaint}`);
  let cases = 0;
  let nextCallMs = 0;
  for (const moment of ['sent', 'arrived'] as const)
    for (let at = 1 + (seed % stride); at <= base.messages; at += stride) {
      cases += 1;
      const result = await runFlow(flow, { ...same, death, at, moment });
      nextCallMs = Math.max(nextCallMs, result.nextCallMs);
      if (result.complaints.length > 0)
        failures.push(`seed ${seed}, #${at} ${moment} (${result.killedAfter}): ${result.complaints.join('; ')}`);
    }
  return {
    flow: flow.name,
    death,
    network: transport === 'tcp' ? 'TCP' : Object.keys(conditions).length === 0 ? 'clean' : 'lossy',
    routes: copiesParams ? 'whole' : 'URI only',
    cases,
    saved: cases - failures.length,
    failures,
    nextCallMs,
  };
}

/** How those failures look that are not ours to prevent (docs/sip-failover-cases.md says why). */
export const isLostByNature = (flow: Flow, death: Death): RegExp | undefined =>
  flow.name === 're-INVITE by the callee' && (death === 'cut' || death === 'cut one way')
    ? /: callee was told: \["BYE 200","INVITE 408"\] instead of \["BYE 200","INVITE 200"\]$/
    : undefined;
