/**
 * The proxy's calls as events for the program that runs it. A proxy keeps nothing of a call once its INVITE has its final answer,
 * so what is told is what the transactions show: an INVITE outside a dialog, its final answer, and the BYE (RFC 3261 §15).
 */
import type { EventSink } from '../../src/internal.ts';
import type { SipMessage } from './codec/messages.ts';

export class CallEvents {
  readonly #events: EventSink;
  readonly #isToldElsewhere: (request: SipMessage) => boolean;

  /** `isToldElsewhere`: the request is of a call with a line, of which call control tells. */
  constructor(events: EventSink, isToldElsewhere: (request: SipMessage) => boolean = () => false) {
    this.#events = events;
    this.#isToldElsewhere = isToldElsewhere;
  }

  /** A request that has a server transaction from now on. */
  accepted(request: SipMessage): void {
    if (this.#events.isHeard && isBeginning(request) && !this.#isToldElsewhere(request)) this.#tell(request, 'begun');
  }

  /** Its final response goes back. */
  answered(request: SipMessage, status: number): void {
    if (!this.#events.isHeard || this.#isToldElsewhere(request)) return;
    if (isBeginning(request)) {
      if (status < 300) this.#tell(request, 'answered');
      else this.#tell(request, 'ended', String(status));
    } else if (request.method === 'BYE' && (status < 300 || status === 481)) this.#tell(request, 'ended', 'hungUp');
  }

  #tell({ callId, from, requestUri }: SipMessage, phase: 'begun' | 'answered' | 'ended', reason?: string): void {
    this.#events.emit({
      kind: 'call',
      phase,
      protocol: 'sip',
      callId,
      caller: from.uri,
      callee: requestUri,
      ...(reason === undefined ? {} : { reason }),
    });
  }
}

const isBeginning = ({ method, toTag }: SipMessage): boolean => method === 'INVITE' && toTag === '';
