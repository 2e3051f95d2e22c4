/**
 * The calls of this controller, of every protocol: those under way, and the last ones that ended. Roles report to it; lists, call records,
 * metrics and the log are made of it. What it keeps has a bound, whatever roles forget.
 */
import type { Clock } from '../clock.ts';
import { type CallBeginning, type CallChange, ObservedCall } from './observed-call.ts';

export type CallListener = (call: ObservedCall, change: CallChange) => void;

/** What roles may do with it. */
export interface CallWatch {
  begin(beginning: CallBeginning): ObservedCall;
}

export class CallJournal implements CallWatch {
  readonly #clock: Clock;
  readonly #open = new Set<ObservedCall>();
  readonly #ended: ObservedCall[] = [];
  readonly #failed: ObservedCall[] = [];
  readonly #listeners = new Set<CallListener>();
  readonly #sink = {
    now: () => this.#clock.now(),
    changed: (call: ObservedCall, change: CallChange) => this.#changed(call, change),
    withdrawn: (call: ObservedCall) => this.#open.delete(call),
  };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(beginning: CallBeginning): ObservedCall {
    const call = new ObservedCall(beginning, this.#sink);
    if (this.#open.size >= maxOpen)
      for (const oldest of this.#open) {
        oldest.end({ reason: 'unobserved', detail: 'too many calls to keep in sight' });
        break;
      }
    this.#open.add(call);
    for (const listener of this.#listeners) listener(call, 'begun');
    return call;
  }

  /** Under way, oldest first. */
  get open(): ReadonlySet<ObservedCall> {
    return this.#open;
  }

  /** Newest first. */
  ended(): readonly ObservedCall[] {
    return this.#ended.toReversed();
  }

  /** Newest first. */
  failed(): readonly ObservedCall[] {
    return this.#failed.toReversed();
  }

  /** Calls under way and the last ones, with this id or this party. */
  find(about: string): readonly ObservedCall[] {
    return [...this.#open, ...this.#ended, ...this.#failed.filter((call) => !this.#ended.includes(call))].filter(
      ({ callId, otherIds, caller, callee }) =>
        callId === about || otherIds?.includes(about) === true || isParty(caller, about) || isParty(callee, about),
    );
  }

  /** Is told when a call begins, changes and ends. */
  listen(listener: CallListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(call: ObservedCall, change: CallChange): void {
    if (change === 'ended') {
      this.#open.delete(call);
      keep(this.#ended, call);
      if (call.hasFailed) keep(this.#failed, call);
    }
    for (const listener of this.#listeners) listener(call, change);
  }
}

/** `200`, or the URI with this user: `sip:200@example.com`. */
const isParty = (party: string | undefined, about: string): boolean =>
  party !== undefined && (party === about || party.replace(/^[a-z]+:/, '').split(/[@;]/)[0] === about);

function keep(calls: ObservedCall[], call: ObservedCall): void {
  calls.push(call);
  if (calls.length > 2 * maxEnded) calls.splice(0, calls.length - maxEnded);
}

const maxOpen = 200_000;
const maxEnded = 500;
