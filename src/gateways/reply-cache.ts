/**
 * At-most-once for commands that peers send us (RFC 3435 §3.5.1, RFC 3525 Annex D.1.1): a command seen before is not executed again;
 * its response, if there is one, is repeated. Entries leave after T-HIST, or when the peer confirms that it has the response.
 */
import type { Clock } from '../clock.ts';

export type CommandSeen =
  | { readonly kind: 'new' }
  /** It is being executed: a provisional response is due. */
  | { readonly kind: 'executing' }
  | { readonly kind: 'answered'; readonly response: Uint8Array }
  /** The peer has confirmed the response: whatever comes now is a ghost. */
  | { readonly kind: 'confirmed' };

export class ReplyCache {
  readonly #clock: Clock;
  readonly #tHistMs: number;
  readonly #maxEntries: () => number;
  readonly #maxBytes: number;
  /** In order of arrival, which is nearly that of expiry: the front is swept at each insertion. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;
  /** The front, once looked at. */
  #oldest: readonly [string, Entry] | undefined;
  #places: Iterator<[string, Entry]> | undefined;

  constructor(clock: Clock, tHistMs: number, limits: { maxEntries?: number | (() => number); maxBytes?: number } = {}) {
    this.#clock = clock;
    this.#tHistMs = tHistMs;
    const { maxEntries = 200_000 } = limits;
    this.#maxEntries = typeof maxEntries === 'number' ? () => maxEntries : maxEntries;
    this.#maxBytes = limits.maxBytes ?? 64 * 1_024 * 1_024;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** `key` identifies the command: peer and transaction id. A new one counts as executing from now on. */
  seen(key: string): CommandSeen {
    const now = this.#clock.now();
    const known = this.#entries.get(key);
    if (known !== undefined && known.expiresMs > now) {
      if (known.confirmed) return { kind: 'confirmed' };
      return known.response === undefined ? { kind: 'executing' } : { kind: 'answered', response: known.response };
    }
    this.#sweep(now);
    this.#forget(key);
    this.#entries.set(key, { response: undefined, confirmed: false, expiresMs: now + this.#tHistMs });
    return { kind: 'new' };
  }

  /** The final response; it is repeated from now on. */
  answer(key: string, response: Uint8Array): void {
    const known = this.#entries.get(key);
    if (known === undefined || known.confirmed) return;
    this.#bytes += response.length - (known.response?.length ?? 0);
    known.response = response;
    known.expiresMs = this.#clock.now() + this.#tHistMs;
    this.#sweep(this.#clock.now());
  }

  /** The peer has the response (RFC 3435 §3.5.2): its octets may go, the id stays. */
  confirm(key: string): void {
    const known = this.#entries.get(key);
    if (known?.response === undefined) return;
    this.#bytes -= known.response.length;
    known.response = undefined;
    known.confirmed = true;
  }

  /** The command is not ours to execute after all: a repetition counts as new. */
  drop(key: string): void {
    this.#forget(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
    this.#oldest = undefined;
    this.#places = undefined;
  }

  #sweep(now: number): void {
    const maxEntries = this.#maxEntries();
    for (;;) {
      // Looked at from where the last look ended: from its beginning a Map goes through all places of those that are gone.
      const oldest = this.#oldest ?? this.#next();
      if (oldest === undefined) return;
      const [key, entry] = oldest;
      const isThere = this.#entries.get(key) === entry;
      this.#oldest = oldest;
      if (isThere && entry.expiresMs > now && this.#entries.size < maxEntries && this.#bytes <= this.#maxBytes) return;
      this.#oldest = undefined;
      if (isThere) this.#forget(key);
    }
  }

  #next(): readonly [string, Entry] | undefined {
    this.#places ??= this.#entries.entries();
    const step = this.#places.next();
    if (step.done !== true) return step.value;
    this.#places = undefined;
    return undefined;
  }

  #forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#bytes -= entry.response?.length ?? 0;
    this.#entries.delete(key);
  }
}

interface Entry {
  response: Uint8Array | undefined;
  confirmed: boolean;
  expiresMs: number;
}
