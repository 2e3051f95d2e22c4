/** Which recorded messages belong to a call, a number, an endpoint or a peer. */
import type { SocketAddress } from '../signaling/controller-address.ts';
import type { MessageReading } from './message-reader.ts';
import type { TracedMessage } from './traced-message.ts';

/** A party of a call whose messages carry no id of the call. */
export interface WantedParty {
  /** `200`, `aaln/1@rgw1`. */
  readonly name: string;
  /** Where its gateway is; undefined: anywhere. */
  readonly hosts?: readonly string[] | undefined;
  /** Messages of this time alone. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

/** Without any of these: every message. */
export interface Wanted {
  readonly calls?: readonly string[];
  readonly parties?: readonly WantedParty[];
  /** `192.0.2.1`, or with a port. */
  readonly peer?: { readonly host: string; readonly port?: number | undefined } | undefined;
}

export class TraceFilter {
  readonly #wanted: Wanted;
  readonly #calls: Set<string>;
  readonly #isAll: boolean;
  /** Of requests that were taken, with their peer: their answers may name neither call nor party. */
  readonly #transactions = new Set<string>();

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
    this.#calls = new Set(wanted.calls);
    this.#isAll = this.#calls.size === 0 && (wanted.parties ?? []).length === 0 && wanted.peer === undefined;
  }

  get needsTwoLooks(): boolean {
    return (this.#wanted.parties ?? []).length > 0;
  }

  /** Remembers the calls of those who are wanted. */
  learn(message: TracedMessage): void {
    for (const { call, parties } of message.readings)
      if (call !== undefined && this.#calls.size < maxCalls && this.#hasParty(parties, message)) this.#calls.add(call);
  }

  takes(message: TracedMessage): boolean {
    if (this.#isAll || this.#isOfPeer(message.remote)) return true;
    let taken = false;
    for (const reading of message.readings) taken = this.#takesOne(reading, message) || taken;
    return taken;
  }

  #takesOne(reading: MessageReading, message: TracedMessage): boolean {
    const { call, transaction, parties, isRequest } = reading;
    const key = `${message.remote.host}:${message.remote.port} ${transaction}`;
    const named = (call !== undefined && this.#calls.has(call)) || this.#hasParty(parties, message);
    if (named && isRequest) {
      if (this.#transactions.size > maxTransactions) this.#transactions.clear();
      this.#transactions.add(key);
    }
    if (named && call !== undefined && this.#calls.size < maxCalls) this.#calls.add(call);
    return named || (!isRequest && this.#transactions.has(key));
  }

  #hasParty(parties: readonly string[], { atMs, remote }: TracedMessage): boolean {
    for (const { name, hosts, fromMs = 0, toMs = Number.POSITIVE_INFINITY } of this.#wanted.parties ?? []) {
      if (atMs < fromMs || atMs > toMs) continue;
      if (hosts !== undefined && !hosts.includes(remote.host)) continue;
      if (parties.includes(name) || (hosts !== undefined && parties.includes(name.split('@')[0] ?? name))) return true;
    }
    return false;
  }

  #isOfPeer({ host, port }: SocketAddress): boolean {
    const { peer } = this.#wanted;
    return peer !== undefined && peer.host === host && (peer.port === undefined || peer.port === port);
  }
}

const maxCalls = 1_000;
const maxTransactions = 100_000;
