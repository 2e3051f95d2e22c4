/**
 * Which requests are refused under overload (RFC 7339 §5.10.2): those that begin something. Requests of a dialog, CANCEL, ACK, questions
 * whether we live, calls to emergency numbers and those of our own user agent are not. Before anything is kept of them: each copy is
 * answered once.
 */
import type { Flow, OverloadControl } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { Refusal } from '../proxy/admission.ts';
import type { EarlyRefusal } from './early-refusal.ts';
import type { HopFeedback } from './hop-feedback.ts';
import { isFromEnd } from './oc-params.ts';

export interface SheddingParts {
  readonly overload: OverloadControl;
  readonly feedback: HopFeedback;
  readonly early: EarlyRefusal;
  /** Did a program of ours beside the proxy send it? */
  isOwn(flow: Flow): boolean;
  isEmergency(request: SipMessage, flow: Flow): boolean;
}

export class Shedding {
  readonly #parts: SheddingParts;

  constructor(parts: SheddingParts) {
    this.#parts = parts;
  }

  get isActive(): boolean {
    return this.#parts.overload.isShedding;
  }

  /** Neither ACK nor CANCEL. Undefined: it is taken. */
  refusal(request: SipMessage, flow: Flow): Refusal | undefined {
    const { overload, feedback, early, isOwn, isEmergency } = this.#parts;
    if (early.takeAdmission() === true) return undefined;
    const takesPart = feedback.takesPart(request.via, flow.remote, request.toTag === '');
    if (request.toTag !== '' || isPing(request) || overload.admits()) return undefined;
    if (takesPart || isOwn(flow) || isEmergency(request, flow)) return undefined;
    overload.shed();
    // Retry-After would turn a proxy away from us altogether (RFC 3261 §21.5.4, RFC 7339 §5.10.2): it is for those who call.
    const fields = isFromEnd(request) ? `Retry-After: ${overload.retryAfterSeconds()}\r\n` : undefined;
    return { status: 503, reason: 'Service Unavailable - overload', fields };
  }
}

/** A hop that asks whether we live is told so at the same cost; a refusal would send all of its calls elsewhere. */
const isPing = ({ method, uri }: SipMessage): boolean => method === 'OPTIONS' && uri?.user === undefined;
