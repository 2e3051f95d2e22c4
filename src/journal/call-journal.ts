/**
 * The calls of this controller, of every protocol: those under way, and the last ones that ended. Roles report to it; lists, call records,
 * metrics and the log are made of it. What it keeps has a bound, whatever roles forget.
 */
import type { Clock } from '../clock.ts';
import { type CallBeginning, type CallChange, type CallSink, ObservedCall } from './observed-call.ts';
import { OpenCalls } from './open-calls.ts';
import { PostDialDelays } from './post-dial-delays.ts';

export type CallListener = (call: ObservedCall, change: CallChange) => void;

/** What roles may do with it. */
export interface CallWatch {
  begin(beginning: CallBeginning): ObservedCall;
}

export class CallJournal implements CallWatch, CallSink {
  /** Of calls that rang here, or were answered without. */
  readonly postDial = new PostDialDelays();
  readonly #clock: Clock;
  readonly #open = new OpenCalls();
  readonly #ended: ObservedCall[] = [];
  readonly #failed: ObservedCall[] = [];
  /** Replaced as a whole, so that it may change while it is gone through. */
  #listeners: readonly CallListener[] = [];
  #endListeners: readonly ((call: ObservedCall) => void)[] = [];
  #begun = 0;
  #answered = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(beginning: CallBeginning): ObservedCall {
    const call = new ObservedCall(beginning, this);
    if (this.#open.size >= maxOpen)
      this.#open.oldest?.end({ reason: 'unobserved', detail: 'too many calls to keep in sight' });
    this.#open.add(call);
    if (!call.isAdopted) this.#begun += 1;
    this.#tell(call, 'begun');
    return call;
  }

  /** Under way, oldest first. */
  get open(): Iterable<ObservedCall> & Pick<OpenCalls, 'size' | 'newest'> {
    return this.#open;
  }

  /** Since the process began; those that began elsewhere are not counted. */
  get begun(): number {
    return this.#begun;
  }

  get answered(): number {
    return this.#answered;
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
    return [...new Set([...this.#open, ...this.#ended, ...this.#failed])].filter((call) => isAbout(call, about));
  }

  /** Is told when a call begins, changes and ends. */
  listen(listener: CallListener): () => void {
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((each) => each !== listener);
    };
  }

  /** Is told of ends only, which is what lists, figures and records need: calls that come and go cost nothing until then. */
  onEnd(listener: (call: ObservedCall) => void): () => void {
    this.#endListeners = [...this.#endListeners, listener];
    return () => {
      this.#endListeners = this.#endListeners.filter((each) => each !== listener);
    };
  }

  /** @internal */
  now(): number {
    return this.#clock.now();
  }

  /** @internal */
  changed(call: ObservedCall, change: CallChange): void {
    if (change === 'ringing') this.#rang(call.ringingMs ?? call.begunMs, call);
    else if (change === 'answered') {
      this.#answered += 1;
      if (call.ringingMs === undefined) this.#rang(call.answeredMs ?? call.begunMs, call);
    } else if (change === 'ended') {
      this.#open.delete(call);
      keep(this.#ended, call);
      if (call.hasFailed) keep(this.#failed, call);
      for (const listener of this.#endListeners) listener(call);
    }
    this.#tell(call, change);
  }

  /** @internal */
  withdrawn(call: ObservedCall): void {
    this.#open.delete(call);
  }

  #rang(atMs: number, { begunMs, isAdopted }: ObservedCall): void {
    if (!isAdopted) this.postDial.add(atMs - begunMs);
  }

  #tell(call: ObservedCall, change: CallChange): void {
    if (this.#listeners.length > 0) for (const listener of this.#listeners) listener(call, change);
  }
}

/** Has the call this id or this party? */
export const isAbout = ({ callId, otherIds, caller, callee }: ObservedCall, about: string): boolean =>
  callId === about || otherIds?.includes(about) === true || isParty(caller, about) || isParty(callee, about);

/** `200`, or the URI with this user: `sip:200@example.com`. Most parties are not meant: one look says so. */
const isParty = (party: string | undefined, about: string): boolean =>
  party?.includes(about) === true &&
  (party === about || bareParty(party) === about || bareParty(party).split('@')[0] === about);

/** `200@example.com` of `sip:200@example.com;user=phone`. */
const bareParty = (party: string): string => party.replace(/^[a-z]+:/, '').split(';')[0] ?? party;

function keep(calls: ObservedCall[], call: ObservedCall): void {
  calls.push(call);
  if (calls.length > 2 * maxEnded) calls.splice(0, calls.length - maxEnded);
}

const maxOpen = 200_000;
const maxEnded = 500;
