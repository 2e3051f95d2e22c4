/** One simulated analog line: handset, connections and its notification state. A person uses it by the methods at the top. */
import type { Cancel, Clock, MediaMode, Random, SimulatedMedia, SimulatedStream } from '../../../src/internal.ts';
import type { Signal } from '../codec/values/events.ts';
import { payloadTypesOf, readAudio, writeAudio } from '../codec/values/sdp.ts';
import { fax } from './habits.ts';
import { Notification } from './notification.ts';

export interface SimConnection {
  readonly id: string;
  readonly callId: string;
  mode: string;
  local: string;
  readonly port: number;
  remote: string | undefined;
  /** Its speech, where that is simulated. */
  readonly stream: SimulatedStream | undefined;
}

export interface SimLineParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly address: string;
  readonly media?: SimulatedMedia | undefined;
  readonly toneHz: number;
  notify(line: SimLine, requestId: string, observed: readonly Signal[]): void;
  /** For a display: something to be seen or heard has changed. */
  changed(line: SimLine): void;
  allocatePort(): number;
  /** The user does something at a line that is disconnected (RFC 3435 §4.4.7). */
  activity(line: SimLine): void;
}

export class SimLine {
  /** `aaln/1`. */
  readonly local: string;
  readonly notification: Notification;
  readonly connections = new Map<string, SimConnection>();
  readonly #parts: SimLineParts;
  #hook: 'on' | 'off' = 'on';
  #dialling: Cancel | undefined;
  #sdpVersion = 1;

  constructor(local: string, parts: SimLineParts) {
    this.local = local;
    this.#parts = parts;
    this.notification = new Notification({
      clock: parts.clock,
      hook: () => this.#hook,
      notify: (requestId, observed) => parts.notify(this, requestId, observed),
      signalsChanged: () => parts.changed(this),
    });
  }

  get hook(): 'on' | 'off' {
    return this.#hook;
  }

  offHook(): void {
    this.#setHook('off');
  }

  onHook(): void {
    this.#dialling?.();
    this.#setHook('on');
  }

  flash(): void {
    if (this.#hook === 'off') this.notification.detected({ packageName: 'L', id: 'hf' });
  }

  press(digit: string): void {
    if (this.#hook === 'off') this.notification.detected({ packageName: 'D', id: digit.toUpperCase() });
  }

  /** One digit after the other, as a finger does. */
  dial(number: string, betweenMs = 0): void {
    const [digit, ...others] = number;
    if (digit === undefined) return;
    this.press(digit);
    if (betweenMs === 0) this.dial(others.join(''), 0);
    else this.#dialling = this.#parts.clock.after(betweenMs, () => this.dial(others.join(''), betweenMs));
  }

  /** What is heard, or `ring`; in the wire's words (`L/dl`). */
  get hears(): string {
    return this.notification.signals.map(({ packageName, id }) => `${packageName ?? 'L'}/${id}`).join(' ');
  }

  /** The ports of the peers that this line sends to and hears. */
  get talksTo(): readonly number[] {
    if (this.#hook === 'on') return [];
    return [...this.connections.values()]
      .filter(({ mode, remote }) => mode === 'sendrecv' && remote !== undefined)
      .map(({ remote = '' }) => readAudio(remote)?.port ?? 0);
  }

  create(callId: string, mode: string, remote: string | undefined, codecs: readonly string[]): SimConnection {
    const stream = this.#parts.media?.open(this.#parts.toneHz);
    const port = stream?.port ?? this.#parts.allocatePort();
    this.#sdpVersion += 1;
    const connection: SimConnection = {
      id: this.#parts.random.hex(4).toUpperCase(),
      callId,
      mode,
      port,
      local: this.#describe(port, codecs),
      remote,
      stream,
    };
    this.connections.set(connection.id, connection);
    this.changed();
    return connection;
  }

  delete(connection: SimConnection): void {
    connection.stream?.close();
    this.connections.delete(connection.id);
  }

  /** The same port, for other codecs. */
  redescribe(connection: SimConnection, codecs: readonly string[]): void {
    this.#sdpVersion += 1;
    connection.local = this.#describe(connection.port, codecs);
  }

  #describe(port: number, codecs: readonly string[]): string {
    const { address } = this.#parts;
    const audio = writeAudio(port, this.#sdpVersion, { address, port, payloadTypes: payloadTypesOf(codecs) });
    return codecs.includes(fax) ? audio.replace(/^m=.*$/m, `m=image ${port} udptl t38`) : audio;
  }

  /** A connection is, or does, something else: its speech follows. */
  changed(): void {
    for (const { mode, remote, stream } of this.connections.values()) stream?.set(remote, mediaModes[mode] ?? 'none');
    this.#parts.changed(this);
  }

  /** As after power-up. */
  reset(): void {
    for (const connection of [...this.connections.values()]) this.delete(connection);
    this.notification.reset();
  }

  stop(): void {
    this.#dialling?.();
    for (const connection of [...this.connections.values()]) this.delete(connection);
    this.notification.stop();
  }

  #setHook(hook: 'on' | 'off'): void {
    if (this.#hook === hook) return;
    this.#hook = hook;
    this.#parts.changed(this);
    this.notification.detected({ packageName: 'L', id: hook === 'off' ? 'hd' : 'hu' });
    this.#parts.activity(this);
  }
}

/** RFC 3435 §2.3.5. */
const mediaModes: Readonly<Record<string, MediaMode>> = {
  sendrecv: 'both',
  recvonly: 'receive',
  sendonly: 'send',
  inactive: 'none',
};
