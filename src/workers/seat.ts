/** A worker's end of the channel to its supervisor. */
import { AltpathError } from '../errors.ts';
import type { SocketAddress } from '../signaling/controller-address.ts';
import { type ToSupervisor, type ToWorker, toWorker } from './messages.ts';
import { workerVariable } from './worker-count.ts';

export type StartMessage = Extract<ToWorker, { kind: 'start' }>;
export type RosterMessage = Extract<ToWorker, { kind: 'roster' }>;

export class WorkerSeat {
  /** Who we are. */
  readonly start: Promise<StartMessage>;
  #start: (message: StartMessage) => void = () => undefined;
  #roster: RosterMessage | undefined;
  #onRoster: ((message: RosterMessage) => void) | undefined;

  constructor() {
    this.start = new Promise((resolve) => {
      this.#start = resolve;
    });
    process.on('message', (message) => {
      const read = toWorker.safeParse(message);
      if (read.success) this.#received(read.data);
    });
    // Without the supervisor nobody would start us again, nor end us.
    process.on('disconnect', () => process.exit(1));
  }

  linked(path: string): void {
    this.#send({ kind: 'linked', path });
  }

  /** Called with each roster, the first of which comes after `linked`. */
  onRoster(listener: (message: RosterMessage) => void): void {
    this.#onRoster = listener;
    if (this.#roster !== undefined) listener(this.#roster);
  }

  ready(admin: SocketAddress | undefined): void {
    this.#send({ kind: 'ready', ...(admin === undefined ? {} : { admin }) });
  }

  failed(error: unknown): void {
    if (error instanceof AltpathError) this.#send({ kind: 'failed', code: error.code, message: error.message });
  }

  leave(): void {
    process.removeAllListeners('disconnect');
    if (process.connected) process.disconnect();
  }

  #received(message: ToWorker): void {
    if (message.kind === 'start') this.#start(message);
    else if (message.kind === 'ping') this.#send({ kind: 'pong' });
    else {
      this.#roster = message;
      this.#onRoster?.(message);
    }
  }

  #send(message: ToSupervisor): void {
    if (process.connected) process.send?.(message);
  }
}

/** Undefined: this process is nobody's worker. */
export const workerSeat = (): WorkerSeat | undefined =>
  process.env[workerVariable] !== undefined && process.send !== undefined ? new WorkerSeat() : undefined;
