/**
 * One run: a pair and its edges as processes, calls at a rate, the death of the primary at a chosen moment of a watched call
 * between two telephones, and its return. What the demo shows and the bench measures comes from here.
 */
import { createSocket } from 'node:dgram';
import {
  createNetwork,
  Metrics,
  type SocketAddress,
  silentLog,
  systemClock,
  systemRandom,
} from '../../../src/internal.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { type Call, Telephone, type TelephoneEvent } from '../telephone/index.ts';
import { CallRecord, type Kind } from './call-record.ts';
import { LoadAgent } from './load-agent.ts';
import { domain, type Members, members } from './members.ts';
import { type Probed, Prober } from './prober.ts';

export const moments = ['random', 'setup', 'ringing', 'answered', 'bye'] as const;

export type Moment = (typeof moments)[number];

export interface RunOptions {
  readonly how: 'kill' | 'stop';
  readonly moment: Moment;
  readonly calls: number;
  /** Per second. */
  readonly rate: number;
  readonly ringMs: number;
  readonly talkMs: number;
  readonly holdMs: number;
  /** Calls through the backup before the others begin, and as many through the edges: how warm the programs are at the strike. */
  readonly warmUpCalls?: number;
  /** Bring the primary back and wait until calls go through it again? */
  readonly failback: boolean;
  /** The control run: the same, but no message names a backup. */
  readonly isControl?: boolean;
  onEvent(event: RunEvent): void;
}

export type RunEvent =
  | { readonly kind: 'step'; readonly text: string }
  | {
      readonly kind: 'message';
      readonly atMs: number;
      readonly at: 'alice' | 'bob';
      readonly direction: 'in' | 'out';
      readonly what: string;
      readonly remote: SocketAddress;
    }
  | { readonly kind: 'strike'; readonly atMs: number };

export interface RunResult {
  readonly records: readonly CallRecord[];
  readonly strikeMs: number;
  readonly watched: CallRecord;
  /** When the killed process was gone: until then its sockets swallow what is sent to it. Undefined where it was only stopped. */
  readonly exitMs: number | undefined;
  /** What callers saw that called from the strike on until a call succeeded; NaN in the control run, where nobody asks. */
  readonly probed: Readonly<Record<Kind, Probed>>;
  /** From the strike to the next call that alone went through the primary again; undefined: it did not. */
  readonly failbackMs: number | undefined;
}

const signals = ['SIGINT', 'SIGTERM'] as const;

const kinds: readonly Kind[] = ['plain', 'aware'];

const callees: Readonly<Record<Kind, string>> = { plain: 'plain-callee', aware: 'aware-callee' };

export async function runFailover(options: RunOptions): Promise<RunResult> {
  const port = await freePort();
  const cast = members({ port, holdMs: options.holdMs, isUnnamed: options.isControl === true });
  const stops: (() => Promise<void>)[] = [() => cast.close()];
  // Whoever interrupts the demo leaves no process behind.
  const onExit = (): void => void cast.close();
  const onSignal = (): void => {
    void cast.close().then(() => process.exit(130));
  };
  process.once('exit', onExit);
  for (const signal of signals) process.once(signal, onSignal);
  try {
    options.onEvent({
      kind: 'step',
      text: `starting primary and backup on port ${port}, and an edge proxy on each side`,
    });
    await cast.start();
    return await new Run(options, cast, stops).go();
  } finally {
    for (const stop of stops.reverse()) await stop();
    process.removeListener('exit', onExit);
    for (const signal of signals) process.removeListener(signal, onSignal);
  }
}

class Run {
  readonly #options: RunOptions;
  readonly #cast: Members;
  readonly #stops: (() => Promise<void>)[];
  readonly #records = new Map<string, CallRecord>();
  readonly #callers = new Map<Kind, LoadAgent>();
  readonly #watched = new CallRecord('aware', 0);
  #watchedCall: Call | undefined;
  #strikeMs = 0;
  readonly #probers = new Map<Kind, Prober>();
  #exitMs: number | undefined;
  #turn = 0;

  constructor(options: RunOptions, cast: Members, stops: (() => Promise<void>)[]) {
    this.#options = options;
    this.#cast = cast;
    this.#stops = stops;
  }

  async go(): Promise<RunResult> {
    const { calls, rate, moment, ringMs, talkMs } = this.#options;
    const [alice] = await this.#people();
    this.#say(`${calls} calls at ${rate} a second, half of them between plain telephones behind the edges`);
    const everyMs = 1_000 / rate;
    const watchedFrom = Math.floor(Math.min(calls / 2, 2 * rate));
    const startedMs = systemClock.now();
    let watching = false;
    for (let placed = 0; placed < calls; ) {
      const due = Math.min(calls, Math.floor((systemClock.now() - startedMs) / everyMs) + 1);
      for (; placed < due; placed += 1) this.#place();
      if (!watching && placed >= watchedFrom) {
        watching = true;
        this.#watch(alice);
        if (moment === 'random') systemClock.after(systemRandom.fraction() * (ringMs + talkMs), () => this.#strike());
      }
      await pause(Math.min(everyMs, 20));
    }
    await this.#settled();
    const failbackMs = this.#options.failback ? await this.#failback() : undefined;
    return {
      records: [...this.#records.values()],
      strikeMs: this.#strikeMs,
      watched: this.#watched,
      exitMs: this.#exitMs,
      probed: { plain: this.#probed('plain'), aware: this.#probed('aware') },
      failbackMs,
    };
  }

  async #people(): Promise<readonly [alice: Telephone, bob: Telephone]> {
    const { ringMs, holdMs } = this.#options;
    const { primary, backup, callerEdge, calleeEdge } = this.#cast;
    const common = { domain, backup, records: this.#records, ringMs, holdMs };
    const agents = [
      new LoadAgent({
        ...common,
        kind: 'plain',
        user: 'plain-caller',
        host: '127.0.0.5',
        proxy: callerEdge,
        path: callerEdge,
      }),
      new LoadAgent({
        ...common,
        kind: 'plain',
        user: callees.plain,
        host: '127.0.0.6',
        proxy: calleeEdge,
        path: calleeEdge,
      }),
      new LoadAgent({ ...common, kind: 'aware', user: 'aware-caller', host: '127.0.0.7', proxy: primary }),
      new LoadAgent({ ...common, kind: 'aware', user: callees.aware, host: '127.0.0.8', proxy: primary }),
    ];
    const [plain, , aware] = agents;
    if (plain !== undefined) this.#callers.set('plain', plain);
    if (aware !== undefined) this.#callers.set('aware', aware);
    for (const agent of agents) {
      this.#stops.push(() => agent.stop());
      await agent.start();
    }
    const alice = await this.#telephone('alice', '127.0.0.3');
    const bob = await this.#telephone('bob', '127.0.0.4');
    const answers = await Promise.all([...agents, alice, bob].map((each) => each.register()));
    const refused = answers
      .map((each) => (typeof each === 'number' ? each : each.status))
      .find((status) => status !== 200);
    if (refused !== undefined) throw new Error(`a registration was refused with ${refused}`);
    // The backup looks for commits of the primary in the common store.
    await pause(400);
    await this.#warmUp();
    return [alice, bob];
  }

  /** The backup is no cold spare: it has calls of its own (active-active). They are not part of the figures. */
  async #warmUp(): Promise<void> {
    const { holdMs } = this.#options;
    const { primary, backup } = this.#cast;
    const agent = new LoadAgent({
      kind: 'aware',
      user: 'other-caller',
      host: '127.0.0.9',
      proxy: backup,
      backup: primary,
      domain,
      ringMs: 0,
      holdMs,
      records: this.#records,
    });
    this.#stops.push(() => agent.stop());
    await agent.start();
    const calls: CallRecord[] = [];
    const { warmUpCalls = usualWarmUpCalls } = this.#options;
    for (let n = 0; n < warmUpCalls; n += 1) {
      const hangUp = n % 4 < 2 ? 'caller' : 'callee';
      calls.push(agent.call(n % 2 === 0 ? callees.plain : callees.aware, 0, hangUp));
      if (warmUpCalls > usualWarmUpCalls) calls.push(this.#callOf(n % 2 === 0 ? 'plain' : 'aware', hangUp));
      await pause(10);
    }
    const deadline = systemClock.now() + limitMs;
    while (calls.some((record) => !record.isOver) && systemClock.now() < deadline) await pause(10);
    const failed = calls.find((record) => record.isLost);
    if (failed !== undefined) throw new Error(`a call failed while nothing was wrong: ${failed.complaint}`);
    this.#records.clear();
  }

  async #telephone(user: 'alice' | 'bob', host: string): Promise<Telephone> {
    const metrics = new Metrics();
    const parts = { clock: systemClock, log: silentLog, metrics };
    const telephone = new Telephone(
      { ...parts, random: systemRandom, network: createNetwork(parts) },
      {
        user,
        domain,
        listen: { transport: 'udp', host, port: 0 },
        servers: [this.#cast.primary],
        incoming: { ringMs: this.#options.ringMs },
        timers: { holdMs: this.#options.holdMs, downProbeMs: 250 },
        onEvent: (event) => this.#onTelephone(user, event),
        tap: (direction, message, remote) => this.#onWire(user, direction, message, remote),
      },
    );
    this.#stops.push(() => telephone.stop());
    await telephone.start();
    return telephone;
  }

  #place(): void {
    this.#turn += 1;
    const kind: Kind = this.#turn % 2 === 0 ? 'plain' : 'aware';
    this.#callOf(kind, this.#turn % 4 < 2 ? 'caller' : 'callee');
  }

  #callOf(kind: Kind, hangUp: 'caller' | 'callee'): CallRecord {
    const caller = this.#callers.get(kind);
    if (caller === undefined) throw new Error(`nobody calls ${kind}`);
    return caller.call(callees[kind], this.#options.talkMs, hangUp);
  }

  // --- the watched call -----------------------------------------------------------------------------------------------------

  #watch(alice: Telephone): void {
    Object.assign(this.#watched, { invitedMs: systemClock.now() });
    const call = alice.call('bob');
    this.#watchedCall = call;
    void call.ended.then(({ by, status, reason }) => {
      if (by === 'us' && status === 200) this.#watched.endedMs = systemClock.now();
      else this.#watched.failure = `ended with ${status} ${reason}`;
    });
  }

  #onTelephone(user: string, event: TelephoneEvent): void {
    const record = this.#watched;
    const now = systemClock.now();
    if (event.kind !== 'call') return;
    if (user === 'bob') {
      if (event.call.state === 'ringing') record.invitations += 1;
      if (event.call.state === 'answered') record.acceptedMs = now;
      return;
    }
    if (event.call.state === 'ringing') record.rangMs ??= now;
    if (event.call.state !== 'answered') return;
    record.answeredMs = now;
    systemClock.after(this.#options.talkMs, () => {
      record.byeMs = systemClock.now();
      event.call.hangUp();
    });
  }

  #onWire(at: 'alice' | 'bob', direction: 'in' | 'out', message: SipMessage, remote: SocketAddress): void {
    if (message.method === 'REGISTER' || message.method === 'OPTIONS') return;
    const what = message.isRequest ? message.method : `${message.status} ${message.reason} (${message.method})`;
    this.#options.onEvent({ kind: 'message', atMs: systemClock.now(), at, direction, what, remote });
    if (
      remote.host === this.#cast.backup.host ||
      message.header(H.recordRoute)?.startsWith(`<sip:${this.#cast.backup.host}`) === true
    )
      this.#watched.switched = true;
    // The telephone itself says so a moment later, after the strike that this message may call down.
    if (at === 'alice' && direction === 'in' && message.status === 180) this.#watched.rangMs ??= systemClock.now();
    if (at === 'alice' && direction === 'out' && message.isRequest && message.method === 'BYE')
      this.#watched.byeMs ??= systemClock.now();
    if (at === 'bob' && direction === 'in' && message.method === 'ACK')
      this.#watched.acknowledgedMs ??= systemClock.now();
    if (this.#strikeMs === 0 && strikes(this.#options.moment, at, direction, message)) this.#strike();
  }

  #strike(): void {
    this.#strikeMs = systemClock.now();
    void this.#cast.strike(this.#options.how)?.then((exitMs) => {
      this.#exitMs = exitMs;
    });
    this.#options.onEvent({ kind: 'strike', atMs: this.#strikeMs });
    if (this.#options.isControl === true) return;
    for (const kind of kinds) {
      const prober = this.#prober(kind);
      this.#probers.set(kind, prober);
      this.#stops.push(async () => prober.stop());
      prober.start();
    }
  }

  #prober(kind: Kind): Prober {
    return new Prober(probeEveryMs[this.#options.how], () => this.#callOf(kind, 'caller'));
  }

  #probed(kind: Kind): Probed {
    if (this.#strikeMs === 0) throw new Error('nobody was killed');
    return (this.#probers.get(kind) ?? this.#prober(kind)).result(this.#strikeMs, this.#exitMs);
  }

  /** Until every call has ended, or something is lost for good. */
  async #settled(): Promise<void> {
    const deadline = systemClock.now() + (this.#options.isControl === true ? controlLimitMs : limitMs);
    const isOpen = (): boolean =>
      this.#strikeMs === 0 ||
      [...this.#probers.values()].some(({ isDone }) => !isDone) ||
      !this.#watched.isOver ||
      [...this.#records.values()].some((record) => !record.isOver);
    while (isOpen() && systemClock.now() < deadline) await pause(10);
    if (this.#watchedCall !== undefined && !this.#watched.isOver) this.#watched.failure = this.#watched.complaint;
  }

  /** RFC 3261 knows no way back; ours is: answers probes for the hold time, then new work goes to it again. */
  async #failback(): Promise<number | undefined> {
    const { how, holdMs, ringMs, talkMs } = this.#options;
    this.#say(how === 'kill' ? 'the primary is started again' : 'the primary goes on (SIGCONT)');
    const revivedMs = systemClock.now();
    await this.#cast.revive();
    const deadline = systemClock.now() + 2 * holdMs + 6_000;
    while (systemClock.now() < deadline) {
      const attempt = [this.#callOf('aware', 'caller'), this.#callOf('plain', 'caller')];
      const over = systemClock.now() + ringMs + talkMs + 3_000;
      while (attempt.some((record) => !record.isOver) && systemClock.now() < over) await pause(10);
      if (attempt.every((record) => !record.isLost && !record.switched)) return systemClock.now() - revivedMs;
      await pause(100);
    }
    return undefined;
  }

  #say(text: string): void {
    this.#options.onEvent({ kind: 'step', text });
  }
}

/** The message of the watched call at which the primary dies, seen where it is sent or arrives. */
function strikes(moment: Moment, at: string, direction: string, message: SipMessage): boolean {
  switch (moment) {
    case 'setup':
      return at === 'bob' && direction === 'in' && message.isRequest && message.method === 'INVITE';
    case 'ringing':
      return at === 'alice' && direction === 'in' && message.status === 180;
    case 'answered':
      return at === 'alice' && direction === 'in' && message.status === 200 && message.method === 'INVITE';
    case 'bye':
      return at === 'alice' && direction === 'out' && message.isRequest && message.method === 'BYE';
    case 'random':
      return false;
  }
}

/** A call every few milliseconds for the time in which a process dies; a silent host takes a second, and 200 calls would be a load. */
const probeEveryMs = { kill: 10, stop: 50 } as const;

const limitMs = 12_000;

/** After the last call. Who repeats a message to a dead address goes on for 32 s (64*T1), and comes to no other end. */
export const controlLimitMs = 6_000;

const usualWarmUpCalls = 60;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** One that nobody uses on any of the addresses, from 15060 up. */
export async function freePort(): Promise<number> {
  for (let port = 15_060; port < 15_560; port += 10) {
    const free = await Promise.all(
      ['127.0.0.1', '127.0.0.2', '127.0.0.11', '127.0.0.12'].map((host) => isFree(host, port)),
    );
    if (free.every(Boolean)) return port;
  }
  throw new Error('no free port between 15060 and 15560 on 127.0.0.1, .2, .11 and .12');
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ port, address: host, exclusive: true }, () => socket.close(() => resolve(true)));
  });
}
