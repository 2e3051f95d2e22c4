/**
 * How many calls a trunk has at this member, for trunks with a `maxCalls`: from the INVITE that is sent there, or comes from there, to its
 * refusal or to the BYE (RFC 3261 §15), whoever says it. Calls that a dead member began count from their next re-INVITE or UPDATE on. A call
 * of which nothing is heard for hours counts no more: its BYE went astray.
 */
import type { Counter, Metrics } from '../../../src/internal.ts';
import { idOf, keptId } from '../codec/kept-text.ts';

/** The calls of one trunk, by Call-ID: when something was last heard of each. */
export class TrunkCalls {
  readonly max: number;
  readonly #calls = new Map<string, number>();
  /** Somebody has said BYE, and waits for the answer: until then. */
  readonly #ending = new Map<string, number>();
  readonly #refused: Counter | undefined;
  refused = 0;

  constructor(trunk: string, max: number, metrics?: Metrics) {
    this.max = max;
    const labels = { trunk };
    this.#refused = metrics?.counter(
      'sip_trunk_calls_over_limit_total',
      'Calls that a trunk was passed over for because it had as many as it may have (maxCalls)',
      labels,
    );
    metrics?.gauge('sip_trunk_calls_open', 'Calls of a trunk that has a maxCalls', () => this.size, labels);
  }

  get size(): number {
    return this.#calls.size;
  }

  /** May it have one more? An emergency call may always, and counts. */
  begin(callId: string, nowMs: number, isExempt: boolean): boolean {
    if (!isExempt && !this.#calls.has(idOf(callId)) && this.#isFull(nowMs)) {
      this.refused += 1;
      this.#refused?.add();
      return false;
    }
    this.note(callId, nowMs);
    return true;
  }

  /** It is there, whatever the limit says. */
  note(callId: string, nowMs: number): void {
    const id = keptId(callId);
    // The one heard of last comes last.
    this.#calls.delete(id);
    this.#ending.delete(id);
    this.#calls.set(id, nowMs);
  }

  /** RFC 3261 §15.1.1: after silence it is over as well. */
  ending(callId: string, nowMs: number): void {
    if (this.has(callId)) this.#ending.set(keptId(callId), nowMs + unansweredMs);
  }

  end(callId: string): void {
    if (this.#calls.size === 0) return;
    const id = idOf(callId);
    this.#calls.delete(id);
    this.#ending.delete(id);
  }

  has(callId: string): boolean {
    return this.#calls.size > 0 && this.#calls.has(idOf(callId));
  }

  #isFull(nowMs: number): boolean {
    if (this.#calls.size < this.max) return false;
    for (const [id, untilMs] of this.#ending) if (nowMs >= untilMs) this.end(id);
    for (const [id, heardMs] of this.#calls) {
      if (nowMs - heardMs < forgottenMs) break;
      this.#calls.delete(id);
    }
    return this.#calls.size >= this.max;
  }
}

/** Too few are better counted than too many: the carrier refuses what is too much for it. A call with a session timer is heard of in time. */
const forgottenMs = 3_600_000;

/** 64*T1, and somewhat more. */
const unansweredMs = 40_000;
