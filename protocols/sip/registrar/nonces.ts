/**
 * Nonces that need no memory until they are used: issue time, salt and a keyed hash of both (RFC 7616 §3.3). Controllers with the
 * same secret know each other's, so a telephone keeps its nonce when a backup takes over. What is remembered is which counts of
 * a used nonce were seen (RFC 7616 §3.4, nc), in a bounded table.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock, Random } from '../../../src/index.ts';

export interface Nonce {
  readonly text: string;
  readonly issuedMs: number;
  /** foreign: not issued by us or a partner (or before a restart without a configured secret). */
  readonly state: 'fresh' | 'expired' | 'foreign';
}

export interface NonceOptions {
  readonly secret: string;
  readonly lifeMs: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Used nonces remembered at once. */
  readonly maxUsed?: number | undefined;
}

export class Nonces {
  readonly #options: NonceOptions;
  readonly #maxUsed: number;
  /** In order of first use. */
  readonly #used = new Map<string, Counts>();
  /** Of nonces forgotten for want of room: older ones not in the table might be replays. */
  #forgottenMs = Number.NEGATIVE_INFINITY;

  constructor(options: NonceOptions) {
    this.#options = options;
    this.#maxUsed = options.maxUsed ?? 100_000;
  }

  issue(): string {
    const body = `${Math.floor(this.#options.clock.now()).toString(36)}.${this.#options.random.hex(8)}`;
    return `${body}.${this.#mac(body)}`;
  }

  read(nonce: string): Nonce {
    const issuedMs = this.#issuedMs(nonce);
    if (issuedMs === undefined) return { text: nonce, issuedMs: 0, state: 'foreign' };
    return { text: nonce, issuedMs, state: this.#isExpired(issuedMs) ? 'expired' : 'fresh' };
  }

  /**
   * Notes the use of a fresh nonce with this count; false where it is a repetition. Counts may arrive out of order within a
   * window of 32. To be called only after the response proved right, else anybody could fill the table.
   */
  use({ text, issuedMs }: Nonce, count: number): boolean {
    const counts = this.#used.get(text);
    if (counts !== undefined) return counts.add(count);
    if (issuedMs <= this.#forgottenMs) return false;
    this.#makeRoom();
    this.#used.set(text, new Counts(issuedMs, count));
    return true;
  }

  #makeRoom(): void {
    // Two of the oldest per new one, while they have expired: the table shrinks by itself.
    for (let looked = 0; looked < 2; looked += 1) {
      const [oldest] = this.#used;
      if (oldest === undefined) return;
      const [text, { issuedMs }] = oldest;
      const full = this.#used.size >= this.#maxUsed;
      if (!full && !this.#isExpired(issuedMs)) return;
      this.#used.delete(text);
      if (full) this.#forgottenMs = Math.max(this.#forgottenMs, issuedMs);
    }
  }

  #isExpired(issuedMs: number): boolean {
    const ageMs = this.#options.clock.now() - issuedMs;
    // A partner's clock may be ahead of ours; a nonce from the far future would live too long.
    return ageMs >= this.#options.lifeMs || ageMs < -this.#options.lifeMs;
  }

  #issuedMs(nonce: string): number | undefined {
    const match = /^(([0-9a-z]{1,10})\.[0-9a-f]{16})\.([0-9a-f]{32})$/.exec(nonce);
    if (match === null) return undefined;
    const [, body = '', issued = '', mac = ''] = match;
    return timingSafeEqual(Buffer.from(mac), Buffer.from(this.#mac(body))) ? Number.parseInt(issued, 36) : undefined;
  }

  #mac(body: string): string {
    return createHmac('sha256', this.#options.secret).update(`nonce ${body}`).digest('hex').slice(0, 32);
  }
}

/** Which counts of one nonce were seen: the highest, and a bit for each of the 32 up to it. */
class Counts {
  readonly issuedMs: number;
  #highest: number;
  #bits = 1;

  constructor(issuedMs: number, first: number) {
    this.issuedMs = issuedMs;
    this.#highest = first;
  }

  add(count: number): boolean {
    if (count > this.#highest) {
      const ahead = count - this.#highest;
      this.#bits = ahead >= 32 ? 1 : (this.#bits << ahead) | 1;
      this.#highest = count;
      return true;
    }
    const behind = this.#highest - count;
    if (behind >= 32 || (this.#bits & (1 << behind)) !== 0) return false;
    this.#bits |= 1 << behind;
    return true;
  }
}
