/**
 * Nonces that need no memory until they are used: time, salt and a keyed hash of both (RFC 7616 §3.3). The key is of one process
 * life: what was used elsewhere or before a restart cannot be known here, so those nonces are not ours (docs/adr/0015). What is
 * remembered is which counts of a used nonce were seen (RFC 7616 §3.4, nc), in a bounded table.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Clock, KeyedHash, type Random, sameText } from '../../../src/internal.ts';

export interface Nonce {
  readonly text: string;
  readonly issuedMs: number;
  /** foreign: another member's, or of an earlier life of this one. */
  readonly state: 'fresh' | 'expired' | 'foreign';
}

export interface NonceOptions {
  readonly lifeMs: number;
  readonly clock: Clock;
  readonly random: Random;
  /** The cluster's: what an INVITE's nonce is bound to, every member can check. */
  readonly secret: string;
  /** Used nonces remembered at once. */
  readonly maxUsed?: number | undefined;
}

export class Nonces {
  readonly #options: NonceOptions;
  readonly #maxUsed: number;
  readonly #key: string;
  readonly #bonds: KeyedHash;
  /** Times count from here: a calendar that is set makes no nonce older or younger. */
  readonly #startMs: number;
  readonly #repeatMs: number;
  /** In order of first use. */
  readonly #used = new Map<string, Counts>();
  /** Of nonces forgotten for want of room: older ones not in the table might be replays. */
  #forgottenMs = Number.NEGATIVE_INFINITY;

  constructor(options: NonceOptions) {
    this.#options = options;
    this.#maxUsed = options.maxUsed ?? 100_000;
    this.#key = options.random.hex(32);
    this.#bonds = new KeyedHash(options.secret, 'SIP nonce of an INVITE');
    this.#startMs = options.clock.now();
    this.#repeatMs = Math.min(repeatMs, options.lifeMs / 8);
  }

  /**
   * `request`: what tells one request from all others. Its copies get the same nonce for a while (RFC 3261 §8.2.7). `call`: the call that
   * an INVITE would begin; another member may let that INVITE pass (`isBoundTo`).
   */
  issue(request?: string, call?: string): string {
    const ageMs = this.#options.clock.now() - this.#startMs;
    const atMs = request === undefined ? ageMs : Math.floor(ageMs / this.#repeatMs) * this.#repeatMs;
    const salt = request === undefined ? this.#options.random.hex(6) : this.#mac(`salt ${request}`).slice(0, 12);
    const body = `${Math.floor(atMs).toString(36)}.${salt}`;
    const nonce = `${body}.${this.#mac(body)}`;
    if (call === undefined) return nonce;
    // By the calendar, which members share; as coarse as the nonce, so that copies get the same.
    const coarseMs = Math.floor(this.#options.clock.wallNow() / this.#repeatMs) * this.#repeatMs;
    const stamp = Math.floor(coarseMs / 1_000).toString(36);
    return `${nonce}.${stamp}.${this.#bonds.of(`${nonce} ${stamp} ${call}`)}`;
  }

  /** Did some member give out this nonce for an INVITE of this call, not longer ago than a nonce lives? */
  isBoundTo(text: string, call: string): boolean {
    const match = /^([0-9a-z.]{1,64})\.([0-9a-z]{1,8})\.([\w-]{11})$/.exec(text);
    if (match === null) return false;
    const [, nonce = '', stamp = '', bond = ''] = match;
    const ageMs = this.#options.clock.wallNow() - Number.parseInt(stamp, 36) * 1_000;
    const isYoung = ageMs > -clockSkewMs && ageMs < this.#options.lifeMs + this.#repeatMs;
    return isYoung && sameText(bond, this.#bonds.of(`${nonce} ${stamp} ${call}`));
  }

  read(nonce: string): Nonce {
    const issuedMs = this.#issuedMs(nonce);
    // For the table of used ones a foreign nonce is as young as can be.
    if (issuedMs === undefined) return { text: nonce, issuedMs: this.#options.clock.now(), state: 'foreign' };
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
    return this.#options.clock.now() - issuedMs >= this.#options.lifeMs;
  }

  #issuedMs(nonce: string): number | undefined {
    const match = /^(([0-9a-z]{1,10})\.[0-9a-f]{12})\.([0-9a-f]{24})(?:\.[0-9a-z]{1,8}\.[\w-]{11})?$/.exec(nonce);
    if (match === null) return undefined;
    const [, body = '', age = '', mac = ''] = match;
    return timingSafeEqual(Buffer.from(mac), Buffer.from(this.#mac(body)))
      ? this.#startMs + Number.parseInt(age, 36)
      : undefined;
  }

  #mac(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('hex').slice(0, 24);
  }
}

/** Members whose clocks differ by more are warned about. */
const clockSkewMs = 60_000;

/** As long as a client repeats an INVITE (RFC 3261 §17.1.1.2: 64*T1). */
const repeatMs = 32_000;

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
