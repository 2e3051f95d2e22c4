/**
 * Dialogs in which a carrier challenged a later request, too: from that one on the CSeq of its sender's side is higher by more than the
 * dialog's Record-Route says. Lost with the process; a carrier that challenges in mid-dialog may answer the next request of a call that was
 * taken over with 500.
 */
import type { SipMessage } from '../codec/messages.ts';

/** From this CSeq of the sender's on, so much. */
interface Step {
  readonly cseq: number;
  readonly by: number;
}

export class DialogOffsets {
  readonly #raised = new Map<string, readonly Step[]>();

  /** How much higher than the dialog's own offset the request with this CSeq is, or was. */
  of(request: SipMessage, cseq = request.cseq): number {
    if (this.#raised.size === 0 || request.toTag === '') return 0;
    return this.#raised.get(keyOf(request))?.findLast((step) => step.cseq <= cseq)?.by ?? 0;
  }

  /** The request is sent again with a higher number. A BYE is the last. */
  raise(request: SipMessage): void {
    if (request.toTag === '' || request.method === 'BYE') return;
    const key = keyOf(request);
    const steps = this.#raised.get(key) ?? [];
    this.#raised.delete(key);
    this.#raised.set(key, [...steps, { cseq: request.cseq, by: (steps.at(-1)?.by ?? 0) + 1 }].slice(-maxSteps));
    if (this.#raised.size <= maxDialogs) return;
    for (const oldest of this.#raised.keys()) {
      this.#raised.delete(oldest);
      return;
    }
  }
}

const keyOf = ({ callId, fromTag, toTag }: SipMessage): string => `${callId}\n${fromTag}\n${toTag}`;

const maxDialogs = 20_000;

/** What comes later than the next PRACK asks for none that is older. */
const maxSteps = 8;
