/**
 * How many branches one request may grow to over all its passes through us, and how many the contacts of one user may keep open
 * (RFC 5393 §3, §5): Max-Breadth bounds what is open at once on one path, not the sum. Contacts that lead back to us multiply at each
 * pass; the Call-ID, From tag and CSeq of what they make stay those of the first request.
 */
import type { Clock } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';

export interface ForkLimits {
  readonly maxBranches: number;
  readonly maxBranchesPerUser: number;
}

export type ForkVerdict = 'fits' | 'requestSpent' | 'userSpent';

export class ForkBudget {
  readonly #clock: Clock;
  readonly #limits: ForkLimits;
  /** By what is the same on every pass, the longest untouched first. */
  readonly #requests = new Map<string, { count: number; atMs: number }>();
  /** Open branches by record. */
  readonly #users = new Map<string, number>();

  constructor(clock: Clock, limits: ForkLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Takes so many branches for this request; nothing is taken where they do not fit. */
  take(request: SipMessage, record: string, count: number): ForkVerdict {
    const { maxBranches, maxBranchesPerUser } = this.#limits;
    const now = this.#clock.now();
    this.#forget(now);
    const key = `${request.method}\n${request.callId}\n${request.fromTag}\n${request.cseq}`;
    const sum = (this.#requests.get(key)?.count ?? 0) + count;
    if (sum > maxBranches) return 'requestSpent';
    const open = (this.#users.get(record) ?? 0) + count;
    if (open > maxBranchesPerUser) return 'userSpent';
    this.#users.set(record, open);
    this.#requests.delete(key);
    this.#requests.set(key, { count: sum, atMs: now });
    return 'fits';
  }

  /** These branches have come to an end. */
  release(record: string, count: number): void {
    const left = (this.#users.get(record) ?? 0) - count;
    if (left > 0) this.#users.set(record, left);
    else this.#users.delete(record);
  }

  #forget(now: number): void {
    for (const [key, { atMs }] of this.#requests) {
      if (now - atMs < rememberMs && this.#requests.size < maxRequests) break;
      this.#requests.delete(key);
    }
  }
}

/** Longer than a branch may ring before the next one is tried (Timer C, RFC 3261 §16.6 item 11). */
const rememberMs = 200_000;

const maxRequests = 65_536;
