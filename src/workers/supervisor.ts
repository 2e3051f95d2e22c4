/**
 * The process above the workers. It binds no address of signaling and reads no message: it starts workers, starts those anew that died,
 * tells each who the others are, and which of them does what one does for all (lines of gateways, registrations at carriers).
 *
 *     starting ──linked──► linked ──ready──► ready          any ──exit──► down ──back-off──► starting
 */
import type { Cancel, Clock } from '../clock.ts';
import { AltpathError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import type { Counter, Metrics } from '../metrics.ts';
import type { SocketAddress } from '../signaling/controller-address.ts';
import { BackOff } from './back-off.ts';
import type { ToSupervisor, ToWorker } from './messages.ts';
import type { WorkerAddress } from './sibling-links.ts';

/** One life of a worker. */
export interface WorkerProcess {
  readonly pid: number | undefined;
  send(message: ToWorker): void;
  kill(signal: NodeJS.Signals): void;
}

export interface WorkerEvents {
  said(message: ToSupervisor): void;
  exited(how: string): void;
}

export interface SupervisorParts {
  readonly count: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly directory: string;
  readonly secret: string;
  /** Unlike for any two supervisors. */
  readonly life: string;
  /** The first worker, back again, does what one does for all after this long. */
  readonly holdMs: number;
  spawn(index: number, events: WorkerEvents): WorkerProcess;
}

export type WorkerState = 'starting' | 'linked' | 'ready' | 'down';

export interface WorkerView {
  readonly index: number;
  readonly state: WorkerState;
  readonly pid: number | undefined;
  readonly starts: number;
  /** Deaths in a row, each soon after a start. */
  readonly deaths: number;
  readonly sinceMs: number;
  readonly admin: SocketAddress | undefined;
}

export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly #seats: readonly Seat[];
  readonly #deaths: Counter;
  #lead = 1;
  #isEnding = false;
  #hasStarted = false;
  #returning: Cancel | undefined;
  #watching: Cancel | undefined;
  #settleStart: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  #ended: (() => void) | undefined;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    const { metrics, clock } = parts;
    this.#seats = Array.from({ length: parts.count }, (_, at) => new Seat(at + 1, clock.now()));
    this.#deaths = metrics.counter('worker_deaths_total', 'Workers that ended without being asked to');
    metrics.gauge('workers_ready', 'Workers that serve', () => this.#ready().length);
  }

  /** Resolves when every worker serves. @throws AltpathError (rejects) where one cannot start. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settleStart = { resolve, reject };
      for (const seat of this.#seats) this.#start(seat);
      this.#watch();
    });
  }

  get lead(): number {
    return this.#lead;
  }

  workers(): readonly WorkerView[] {
    return this.#seats.map(({ index, state, process, starts, backOff, sinceMs, admin }) => ({
      index,
      state,
      pid: process?.pid,
      starts,
      deaths: backOff.deaths,
      sinceMs,
      admin,
    }));
  }

  /** To all. */
  signal(signal: NodeJS.Signals): void {
    for (const { process } of this.#seats) process?.kill(signal);
  }

  /** All end in order. Resolves when they have; who is not gone by then is ended. */
  end(limitMs: number): Promise<void> {
    this.#isEnding = true;
    this.#returning?.();
    this.#watching?.();
    for (const seat of this.#seats) seat.restarting?.();
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(limitMs, () => this.signal('SIGKILL'));
      this.#ended = () => {
        cancel();
        resolve();
      };
      this.signal('SIGTERM');
      this.#lookEnded();
    });
  }

  /** At once. */
  kill(): void {
    this.#isEnding = true;
    this.#returning?.();
    this.#watching?.();
    for (const { process, restarting } of this.#seats) {
      restarting?.();
      process?.kill('SIGKILL');
    }
  }

  #start(seat: Seat): void {
    const { clock, spawn, directory, secret, life, count } = this.#parts;
    seat.become('starting', clock.now());
    seat.starts += 1;
    seat.startedMs = seat.pongMs = clock.now();
    const process = spawn(seat.index, {
      said: (message) => {
        if (seat.process === process) this.#said(seat, message);
      },
      exited: (how) => {
        if (seat.process === process) this.#exited(seat, how);
      },
    });
    seat.process = process;
    // Letters that a hexadecimal number has not keep the numbers apart.
    seat.life = `${life}w${seat.index}s${seat.starts.toString(36)}`;
    process.send({ kind: 'start', index: seat.index, count, directory, secret, life: seat.life });
  }

  #said(seat: Seat, message: ToSupervisor): void {
    const { clock, log } = this.#parts;
    switch (message.kind) {
      case 'linked':
        seat.path = message.path;
        seat.become('linked', clock.now());
        this.#tellRoster();
        break;
      case 'ready':
        seat.admin = message.admin;
        seat.become('ready', clock.now());
        seat.pongMs = clock.now();
        logEvent(log, 'workerServes', { worker: seat.index, pid: seat.process?.pid });
        this.#placeLead();
        if (this.#seats.every(({ state }) => state === 'ready')) this.#started();
        break;
      case 'failed':
        seat.failure = message;
        break;
      case 'pong':
        seat.pongMs = clock.now();
    }
  }

  #started(): void {
    this.#hasStarted = true;
    this.#settleStart?.resolve();
    this.#settleStart = undefined;
  }

  #exited(seat: Seat, how: string): void {
    const { clock, log } = this.#parts;
    const { failure } = seat;
    const livedMs = clock.now() - seat.startedMs;
    seat.process = seat.admin = seat.path = seat.failure = undefined;
    seat.become('down', clock.now());
    if (this.#isEnding) {
      this.#lookEnded();
      return;
    }
    if (!this.#hasStarted) {
      this.#settleStart?.reject(
        failure === undefined
          ? new AltpathError('ERR_WORKER', `worker ${seat.index} ended before it served: ${how}`)
          : new AltpathError(failure.code, failure.message),
      );
      this.#settleStart = undefined;
      return;
    }
    this.#deaths.add();
    const waitMs = seat.backOff.next(livedMs);
    logEvent(log, 'workerEnded', {
      worker: seat.index,
      how: failure === undefined ? how : failure.message,
      livedMs: Math.round(livedMs),
      deaths: seat.backOff.deaths,
      restartMs: waitMs,
    });
    this.#placeLead();
    this.#tellRoster();
    seat.restarting = clock.after(waitMs, () => {
      seat.restarting = undefined;
      this.#start(seat);
    });
  }

  #lookEnded(): void {
    if (this.#seats.every(({ process }) => process === undefined)) this.#ended?.();
  }

  /** The first worker, while it lives and for as long as it did before; else the first that serves. */
  #placeLead(): void {
    const { clock, holdMs } = this.#parts;
    const ready = this.#ready();
    if (!ready.some(({ index }) => index === this.#lead)) {
      const [heir] = ready;
      // Before everybody serves, the first worker is about to.
      if (heir !== undefined && (this.#hasStarted || this.#lead !== 1)) this.#appoint(heir.index);
    }
    this.#returning?.();
    this.#returning = undefined;
    const [home] = this.#seats;
    if (home?.state !== 'ready' || this.#lead === home.index) return;
    this.#returning = clock.after(Math.max(0, home.sinceMs + holdMs - clock.now()), () => this.#appoint(home.index));
  }

  #appoint(index: number): void {
    if (this.#lead === index) return;
    logEvent(this.#parts.log, 'workerLeads', { worker: index });
    this.#lead = index;
    this.#tellRoster();
  }

  #ready(): readonly Seat[] {
    return this.#seats.filter(({ state }) => state === 'ready');
  }

  #tellRoster(): void {
    const workers = this.#seats.flatMap(({ index, life, path }): readonly WorkerAddress[] =>
      path === undefined ? [] : [{ index, life, path }],
    );
    for (const { process, path } of this.#seats)
      if (path !== undefined)
        process?.send({ kind: 'roster', workers, lead: this.#lead, isSuccession: this.#hasStarted });
  }

  /** A worker that does not answer is stuck: its siblings can do without it, its telephones cannot. */
  #watch(): void {
    const { clock, log } = this.#parts;
    for (const seat of this.#seats) {
      if (seat.process === undefined) continue;
      if (clock.now() - seat.pongMs < (seat.state === 'ready' ? stuckMs : startMs)) {
        seat.process.send({ kind: 'ping' });
        continue;
      }
      logEvent(log, 'workerStuck', { worker: seat.index });
      seat.process.kill('SIGKILL');
    }
    this.#watching = clock.after(watchMs, () => this.#watch());
  }
}

class Seat {
  readonly index: number;
  readonly backOff = new BackOff();
  state: WorkerState = 'down';
  sinceMs: number;
  process: WorkerProcess | undefined;
  life = '';
  path: string | undefined;
  admin: SocketAddress | undefined;
  starts = 0;
  startedMs = 0;
  pongMs = 0;
  failure: { readonly code: string; readonly message: string } | undefined;
  restarting: Cancel | undefined;

  constructor(index: number, now: number) {
    this.index = index;
    this.sinceMs = now;
  }

  become(state: WorkerState, now: number): void {
    this.state = state;
    this.sinceMs = now;
  }
}

const watchMs = 1_000;
const stuckMs = 20_000;

/** A busy machine is slow to load a program. */
const startMs = 120_000;
