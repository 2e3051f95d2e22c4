/**
 * The proxy's calls as its transactions show them: an INVITE outside a dialog, what became of its branches, its final answer, and the BYE
 * (RFC 3261 §13, §15). A proxy knows no more: a dialog that it does not stay in, and one whose ends fall silent, it says to have lost
 * from sight. Whatever is kept has a bound.
 */
import {
  type Attempt,
  type CallOutcome,
  type CallWatch,
  type Cancel,
  type Clock,
  type ControllerAddress,
  type Flow,
  formatAddress,
  type HopFailure,
  type ObservedCall,
} from '../../src/internal.ts';
import { outcomeOf } from './causes.ts';
import { flat, idOf, keptId, keptTogether, shown } from './codec/kept-text.ts';
import type { SipMessage } from './codec/messages.ts';
import type { ServerObserver } from './transactions/host.ts';
import { userAgentHost } from './user-agent/derived-ids.ts';

interface Watched {
  readonly call: ObservedCall;
  /** Branch of the INVITE that came first: one that comes back to us is a part of the same call. */
  root: string;
  seenMs: number;
  /** Asked for credentials then, and not heard of since. */
  challengedMs: number | undefined;
  /** What the last branch that failed said. */
  failure: CallOutcome | undefined;
  isCancelled: boolean;
  recordRoute: boolean;
}

export class SipCallWatch implements ServerObserver {
  readonly #clock: Clock;
  readonly #journal: CallWatch;
  readonly #calls = new Map<string, Watched>();
  readonly #challenged = new Set<Watched>();
  /** Refused without a transaction: the same INVITE is repeated, and is the same call. */
  readonly #refused = new Map<string, number>();
  /** Call-IDs of dialogs whose end is our own user agent. */
  readonly #inner = new Set<string>();
  /** What became of the branches of INVITEs that our own user agent has begun. */
  readonly #innerFailures = new Map<string, CallOutcome>();
  /** Is our own user agent an end of a dialog with this Call-ID? */
  endsHere: ((callId: string) => boolean) | undefined;
  /** Another process of this host may have seen the dialog begin: it is told what was answered, or `isNobodys` is called. */
  elsewhere: ((callId: string, method: string, status: number, isNobodys: () => void) => void) | undefined;
  #sweep: Cancel | undefined;
  #sweeps = 0;

  constructor(clock: Clock, journal: CallWatch) {
    this.#clock = clock;
    this.#journal = journal;
  }

  stop(): void {
    this.#sweep?.();
  }

  /** A request that has a server transaction from now on. */
  accepted(request: SipMessage, flow: Flow): void {
    const { method, toTag, callId } = request;
    if (method === 'INVITE' && toTag === '') {
      // What our own user agent begins is a call of the call control, which tells of it.
      if (flow.remote.host === userAgentHost) this.#noteInner(callId);
      else this.#begin(request, flow);
      return;
    }
    if (flow.remote.host === userAgentHost || this.endsHere?.(callId) === true) this.#noteInner(callId);
    const watched = this.#calls.get(idOf(callId));
    if (watched === undefined) return;
    watched.seenMs = this.#clock.now();
    if (method === 'CANCEL') watched.isCancelled = true;
  }

  /** The requests of this dialog are of a call that the call control tells of. */
  #noteInner(callId: string): void {
    if (this.#inner.size >= maxWatched)
      for (const oldest of this.#inner) {
        this.#inner.delete(oldest);
        break;
      }
    this.#inner.add(keptId(callId));
  }

  /** Its final response goes back. */
  answered(request: SipMessage, status: number): void {
    const { method, callId, toTag } = request;
    if (this.#inner.size > 0 && toTag !== '' && this.#inner.has(idOf(callId))) return;
    const watched = this.#calls.get(idOf(callId));
    if (method === 'INVITE' && toTag === '') {
      if (watched !== undefined && watched.root === idOf(request.via.branch ?? ''))
        this.#inviteAnswered(watched, request, status);
      return;
    }
    if (toTag === '' || method === 'CANCEL') return;
    if (watched === undefined && this.elsewhere !== undefined)
      this.elsewhere(callId, method, status, () => this.#unknown(request, status));
    else if (watched === undefined) this.#unknown(request, status);
    else if (method === 'BYE' && isOver(status)) this.#end(callId, watched, hungUp);
  }

  /** The dialog began elsewhere, or before this process. */
  #unknown(request: SipMessage, status: number): void {
    if (status >= 300) return;
    const watched = this.#adopt(request);
    if (request.method === 'BYE') this.#end(request.callId, watched, hungUp);
  }

  /** Do we watch a call with this id? */
  isWatched(callId: string): boolean {
    return this.#calls.has(idOf(callId));
  }

  /** A request of its dialog was answered so at another process of this host. */
  heard(callId: string, method: string, status: number): void {
    const watched = this.#calls.get(idOf(callId));
    if (watched === undefined) return;
    watched.seenMs = this.#clock.now();
    if (method === 'BYE' && isOver(status)) this.#end(callId, watched, hungUp);
  }

  /** Answered without a transaction: what is wrong with it, or what is asked of its sender. */
  refused(request: SipMessage, flow: Flow, status: number, reason: string): void {
    const { method, toTag, callId } = request;
    if (method !== 'INVITE' || toTag !== '') return;
    const known = this.#calls.get(idOf(callId));
    if (status === 401 || status === 407) {
      this.#challenge(known ?? this.#begin(request, flow));
      return;
    }
    const now = this.#clock.now();
    if (known === undefined && (this.#refused.get(idOf(callId)) ?? 0) > now - repeatMs) return;
    if (this.#refused.size >= maxRefused) this.#refused.clear();
    this.#refused.set(keptId(callId), now);
    this.#end(callId, known ?? this.#begin(request, flow), outcomeOf(status, reason));
  }

  /** A branch of it goes there. */
  sent(request: SipMessage, to: ControllerAddress | undefined, route: string | undefined, recordRoute: boolean): void {
    const watched = this.#invited(request);
    if (watched === undefined) return;
    watched.recordRoute = recordRoute;
    if (to?.host === userAgentHost) {
      this.withdraw(request);
      return;
    }
    watched.call.sent(to === undefined ? undefined : flat(formatAddress(to)), route);
  }

  /** Our own user agent takes it: from now on it is a call of the call control, which tells of it. */
  withdraw({ callId }: SipMessage): void {
    this.#noteInner(callId);
    const watched = this.#calls.get(idOf(callId));
    if (watched === undefined) return;
    this.#calls.delete(idOf(callId));
    this.#challenged.delete(watched);
    watched.call.withdraw();
  }

  ringing(request: SipMessage): void {
    this.#invited(request)?.call.ringing();
  }

  moved(request: SipMessage, from: ControllerAddress, to: ControllerAddress, because: HopFailure): void {
    this.#calls.get(idOf(request.callId))?.call.moved(formatAddress(from), formatAddress(to), because);
  }

  /** A branch was refused by this hop. */
  branchRefused(request: SipMessage, status: number, reason: string, by: ControllerAddress | undefined): void {
    this.#failed(request, { ...outcomeOf(status, reason), where: by === undefined ? undefined : formatAddress(by) });
  }

  branchTimedOut(request: SipMessage, by: ControllerAddress | undefined): void {
    const where = by === undefined ? undefined : formatAddress(by);
    this.#failed(request, { reason: 'timeout', cause: 102, where, detail: 'no final answer in time' });
  }

  /** No address took it, or there was none. */
  branchUnreachable(request: SipMessage, tried: readonly Attempt[], detail?: string): void {
    const [last] = tried.slice(-1);
    const each = tried.map(({ address, failure }) => `${formatAddress(address)} ${failure}`).join(', ');
    this.#failed(request, {
      reason: tried.length === 0 ? 'noRoute' : 'unreachable',
      cause: tried.length === 0 ? 3 : 38,
      where: last === undefined ? undefined : formatAddress(last.address),
      detail: detail ?? (each === '' ? undefined : `tried ${each}`),
    });
  }

  /** A branch of it came to nothing: of a call that we watch, or of one that our own user agent has begun. */
  #failed(request: SipMessage, failure: CallOutcome): void {
    const { method, toTag, callId } = request;
    if (method !== 'INVITE' || toTag !== '') return;
    const id = idOf(callId);
    const watched = this.#calls.get(id);
    if (watched !== undefined) watched.failure = failure;
    else if (this.#inner.has(id)) {
      if (this.#innerFailures.size >= maxInnerFailures) this.#innerFailures.clear();
      this.#innerFailures.set(keptId(callId), failure);
    }
  }

  /** What became of the branches of an INVITE of our own user agent's that was answered so; told once. */
  failureOf(callId: string, status: number): CallOutcome {
    const id = idOf(callId);
    const failure = this.#innerFailures.get(id);
    this.#innerFailures.delete(id);
    return this.#outcome({ isCancelled: false, failure }, status);
  }

  #invited({ method, callId, toTag }: SipMessage): Watched | undefined {
    return method === 'INVITE' && toTag === '' ? this.#calls.get(idOf(callId)) : undefined;
  }

  #begin(request: SipMessage, flow: Flow): Watched {
    const known = this.#calls.get(idOf(request.callId));
    const now = this.#clock.now();
    if (known !== undefined) {
      // Once more with credentials, or after a redirection; while it is open, it came back to us.
      if (known.challengedMs !== undefined) {
        known.root = keptId(request.via.branch ?? '');
        known.challengedMs = undefined;
        known.failure = undefined;
        this.#challenged.delete(known);
      }
      known.seenMs = now;
      return known;
    }
    return this.#watch(request, request.requestUri, flow);
  }

  /** A dialog that began elsewhere, or before this process. */
  #adopt(request: SipMessage): Watched {
    return this.#watch(request, request.to.uri, undefined);
  }

  /** `flow`: what it came over; undefined: its beginning was not seen. */
  #watch(request: SipMessage, to: string, flow: Flow | undefined): Watched {
    if (this.#calls.size >= maxWatched)
      for (const [callId, oldest] of this.#calls) {
        this.#end(callId, oldest, { reason: 'unobserved', detail: 'too many calls to keep in sight' });
        break;
      }
    const [callId, root, caller, callee] = keptTogether(
      idOf(request.callId),
      idOf(request.via.branch ?? ''),
      shown(request.from.uri),
      shown(to),
    );
    const watched: Watched = {
      call: this.#journal.begin({ protocol: 'sip', callId, caller, callee, from: flow, isAdopted: flow === undefined }),
      root,
      seenMs: this.#clock.now(),
      challengedMs: undefined,
      failure: undefined,
      isCancelled: false,
      recordRoute: true,
    };
    this.#calls.set(callId, watched);
    this.#sweep ??= this.#clock.after(sweepMs, () => this.#look());
    return watched;
  }

  #inviteAnswered(watched: Watched, request: SipMessage, status: number): void {
    const { callId } = request;
    watched.seenMs = this.#clock.now();
    if (status < 300) {
      watched.call.answered();
      if (!watched.recordRoute)
        this.#end(callId, watched, { reason: 'unobserved', detail: 'answered; the proxy does not stay in the dialog' });
      return;
    }
    if (status === 401 || status === 407) {
      this.#challenge(watched);
      return;
    }
    this.#end(callId, watched, this.#outcome(watched, status));
  }

  #outcome({ isCancelled, failure }: Pick<Watched, 'isCancelled' | 'failure'>, status: number): CallOutcome {
    if (isCancelled && status === 487) return { reason: 'cancelled', code: '487', cause: 16 };
    const plain = outcomeOf(status);
    if (failure === undefined) return plain;
    if (failure.code === String(status)) return failure;
    // An answer of our own tells what became of the branches.
    return ownAnswers.has(status)
      ? {
          ...failure,
          code: String(status),
          ...(failure.code === undefined ? {} : { detail: `${failure.where ?? 'a hop'} said ${failure.code}` }),
        }
      : plain;
  }

  #challenge(watched: Watched): void {
    watched.challengedMs = this.#clock.now();
    this.#challenged.add(watched);
  }

  #end(callId: string, watched: Watched, outcome: CallOutcome): void {
    this.#calls.delete(idOf(callId));
    this.#challenged.delete(watched);
    watched.call.end(outcome);
  }

  /** Who was asked for credentials and has none gives up without a word; so does who crashed in a call. */
  #look(): void {
    this.#sweep = undefined;
    const now = this.#clock.now();
    for (const watched of this.#challenged) {
      if (now - (watched.challengedMs ?? now) < credentialsMs) continue;
      this.#end(watched.call.callId ?? '', watched, {
        reason: 'unauthorized',
        code: '401',
        cause: 21,
        detail: 'no credentials that are right',
      });
    }
    this.#sweeps += 1;
    if (this.#sweeps % idleSweeps === 0)
      for (const [callId, watched] of this.#calls) {
        const limitMs = watched.call.stage === 'talking' ? idleMs : setUpMs;
        if (now - watched.seenMs > limitMs)
          this.#end(callId, watched, { reason: 'unobserved', detail: 'nothing was heard of it for a long time' });
      }
    if (this.#calls.size > 0) this.#sweep = this.#clock.after(sweepMs, () => this.#look());
  }
}

/** The BYE was answered so. RFC 3261 §15.1.1: after 481, 408 or silence the dialog is over as well. */
const isOver = (status: number): boolean => status < 300 || status === 481 || status === 408;

const hungUp: CallOutcome = { reason: 'normal', cause: 16 };

/** Statuses by which the proxy itself answers for its branches. */
const ownAnswers: ReadonlySet<number> = new Set([408, 430, 480, 500, 503]);

const maxWatched = 100_000;
const maxRefused = 10_000;
const maxInnerFailures = 1_000;

/** As long as a client repeats its INVITE (RFC 3261 §17.1.1.2, Timer B). */
const repeatMs = 32_000;

/** A telephone that has credentials shows them within a moment; a person who types them takes longer and begins a new call. */
const credentialsMs = 4_000;

const sweepMs = 2_000;
const idleSweeps = 15;

/** A call in which nobody said a word to us for so long: its BYE went astray, or it is a very long one. */
const idleMs = 14_400_000;

/** Timer C has fired long ago. */
const setUpMs = 900_000;
