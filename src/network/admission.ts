/**
 * Who may stay connected. Connections are limited per source and in all, and must show a whole message in time. At a limit the oldest
 * connection that has shown none makes way, so that idle ones cannot lock others out; where all have shown one, the new one is refused.
 */
import type { Socket } from 'node:net';
import type { Cancel, Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { StreamLimits } from '../network.ts';
import type { Transport } from '../signaling/controller-address.ts';

export class Admission {
  readonly #guests = new Map<string, Guest>();
  readonly #sources = new Map<string, Source>();
  /** In order of arrival. */
  readonly #unproven = new Set<Guest>();
  readonly #limits: StreamLimits;
  readonly #clock: Clock;
  readonly #count: (reason: AdmissionEnd) => void;

  constructor(limits: StreamLimits, clock: Clock, metrics: Pick<Metrics, 'counter'>, transport: Transport | 'admin') {
    this.#limits = limits;
    this.#clock = clock;
    this.#count = (reason) =>
      metrics
        .counter('connections_refused_total', 'Incoming connections closed by a limit, by reason', {
          transport,
          reason,
        })
        .add();
  }

  /** Connections that are in. */
  get size(): number {
    return this.#guests.size;
  }

  /** Takes the connection in, or closes it. Once in, it leaves by itself when its socket closes. */
  admit(socket: Socket): boolean {
    const { remoteAddress, remotePort } = socket;
    // Errors are told by whatever reads the socket; one that comes between two readers must not end the process.
    socket.on('error', () => undefined);
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy();
      return false;
    }
    const source = this.#source(remoteAddress);
    if (source.count >= this.#limits.maxConnectionsPerSource && !this.#makeRoom(source.unproven))
      return this.#refuse(socket, 'source');
    if (this.#guests.size >= this.#limits.maxConnections && !this.#makeRoom(this.#unproven))
      return this.#refuse(socket, 'total');
    const guest: Guest = {
      key: guestKey(remoteAddress, remotePort),
      socket,
      address: remoteAddress,
      source,
      cancelDeadline: this.#clock.after(this.#limits.firstMessageMs, () => this.#expel(guest, 'first_message')),
    };
    source.count += 1;
    source.unproven.add(guest);
    this.#sources.set(remoteAddress, source);
    this.#unproven.add(guest);
    this.#guests.set(guest.key, guest);
    socket.once('close', () => this.#leave(guest));
    return true;
  }

  /** The connection from this address has shown a whole message: only the idle limit concerns it now. */
  proven(remoteAddress: string, remotePort: number): void {
    const guest = this.#guests.get(guestKey(remoteAddress, remotePort));
    if (guest === undefined) return;
    guest.cancelDeadline();
    this.#unproven.delete(guest);
    guest.source.unproven.delete(guest);
  }

  /** Cuts every connection that has shown no whole message. */
  closeUnproven(): void {
    for (const guest of [...this.#unproven]) guest.socket.destroy();
  }

  /** Cuts every connection that is still in. */
  close(): void {
    for (const guest of [...this.#guests.values()]) guest.socket.destroy();
  }

  #source(address: string): Source {
    return this.#sources.get(address) ?? { count: 0, unproven: new Set() };
  }

  #makeRoom(candidates: ReadonlySet<Guest>): boolean {
    for (const oldest of candidates) {
      this.#expel(oldest, 'displaced');
      return true;
    }
    return false;
  }

  #expel(guest: Guest, reason: AdmissionEnd): void {
    this.#count(reason);
    this.#leave(guest);
    guest.socket.destroy();
  }

  #refuse(socket: Socket, reason: AdmissionEnd): false {
    this.#count(reason);
    socket.destroy();
    return false;
  }

  #leave(guest: Guest): void {
    if (this.#guests.get(guest.key) !== guest) return;
    guest.cancelDeadline();
    this.#guests.delete(guest.key);
    this.#unproven.delete(guest);
    guest.source.unproven.delete(guest);
    guest.source.count -= 1;
    if (guest.source.count === 0) this.#sources.delete(guest.address);
  }
}

/** source, total: refused at once. displaced: made way for another. first_message: showed no whole message in time. */
type AdmissionEnd = 'source' | 'total' | 'displaced' | 'first_message';

interface Guest {
  readonly key: string;
  readonly socket: Socket;
  readonly address: string;
  readonly source: Source;
  readonly cancelDeadline: Cancel;
}

interface Source {
  count: number;
  readonly unproven: Set<Guest>;
}

const guestKey = (address: string, port: number): string => `${address} ${port}`;
