/**
 * Loops, spirals and forks (RFC 3261 §16.3 item 4, RFC 5393): whether a request was here before by the Vias of ours on it, and how many
 * branches it may have.
 */
import type { Clock } from '../../../src/internal.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { parseVia } from '../codec/values.ts';
import type { Identity } from '../identity.ts';
import type { Refusal } from './admission.ts';
import type { TargetGroups } from './flow-targets.ts';
import { ForkBudget, type ForkLimits } from './fork-budget.ts';
import type { Routing } from './route-preprocessing.ts';
import { type BranchKey, loopPartOf } from './via-branch.ts';

/** Has the request been here before, by the Vias of ours on it? */
export type Pass = 'first' | 'again' | 'loop';

/** Branches that are counted until it ends. */
export interface Fork {
  readonly record: string;
  readonly count: number;
}

export interface ForkParts {
  readonly clock: Clock;
  readonly identity: Identity;
  readonly branches: BranchKey;
  readonly config: ForkLimits;
}

export class ForkControl {
  readonly #parts: ForkParts;
  readonly #identity: Identity;
  readonly #budget: ForkBudget;

  constructor(parts: ForkParts) {
    this.#parts = parts;
    this.#identity = parts.identity;
    this.#budget = new ForkBudget(parts.clock, parts.config);
  }

  /** RFC 5393 §4.2.2: does a Via of ours say that the request was here before, or that it even went the same way? */
  pass(request: SipMessage): Pass {
    const first = request.fieldIndex(H.via);
    // Most come straight from a telephone, which is not us.
    if (isOnlyVia(request, first) && !this.#identity.isSelf(request.via.host, request.via.port)) return 'first';
    // Only a Via that shows one of our own addresses can be ours: one search per address, and nothing is parsed twice.
    if (!this.#identity.isNamedIn(request.text, request.fieldStart(first), request.scan.headersEnd)) return 'first';
    const mine = this.#parts.branches.loopPart(request);
    let pass: Pass = 'first';
    for (const value of request.list(H.via)) {
      const via = parseVia(value);
      if (via?.branch === undefined || !this.#identity.isSelf(via.host, via.port)) continue;
      if (loopPartOf(via.branch) === mine) return 'loop';
      pass = 'again';
    }
    return pass;
  }

  /** The branches of a fork, and of whatever comes back to us, are counted (RFC 5393 §5); a plain call is not worth it. */
  take(request: SipMessage, { uri }: Routing, targets: TargetGroups, pass: Pass): Fork | Refusal | undefined {
    let count = 0;
    for (const group of targets) count += group.length;
    if (count < 2 && pass === 'first') return undefined;
    const record = this.#identity.record(uri);
    switch (this.#budget.take(request, record, count)) {
      case 'fits':
        return { record, count };
      case 'requestSpent':
        return { status: 440, reason: 'Max-Breadth Exceeded' };
      case 'userSpent':
        return { status: 503, reason: 'Service Unavailable', fields: 'Retry-After: 5\r\n' };
    }
  }

  /** It has ended. */
  release({ record, count }: Fork): void {
    this.#budget.release(record, count);
  }
}

/** Is the top Via, in its field at `index`, the only one? */
const isOnlyVia = (message: SipMessage, index: number): boolean =>
  message.valueStop(index) - message.valueStart(index) === message.via.text.length &&
  message.fieldIndex(H.via, index) < 0;
