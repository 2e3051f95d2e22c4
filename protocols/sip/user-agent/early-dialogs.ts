/**
 * Early dialogs of an INVITE of ours (RFC 3261 §12.1.2, §13.2.2.1): one for each telephone that a proxy made ring, with what it said of
 * its media; reliable provisional responses come in order, each acknowledged once (RFC 3262 §4).
 */
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { type Dialog, dialogOfResponse, type InviteSent } from './dialog.ts';
import { descriptionOf } from './session-description.ts';

export interface EarlyDialog {
  dialog: Dialog;
  /** What it will answer with, as far as it has said. */
  description: string | undefined;
  rseq: number | undefined;
  /** RFC 3262 §5: the description was in a reliable response, so it is the answer. */
  isAnswered: boolean;
}

export interface Provisional {
  readonly early: EarlyDialog;
  readonly description: string | undefined;
  /** To be acknowledged by PRACK with this RSeq. */
  readonly rseq: number | undefined;
}

export class EarlyDialogs {
  readonly #sent: InviteSent;
  readonly #byTag = new Map<string, EarlyDialog>();
  /** Flow tokens by remote tag, which come before what the response says. */
  readonly #tokens = new Map<string, string>();

  constructor(sent: InviteSent) {
    this.#sent = sent;
  }

  /** The INVITE that they are of. */
  get invited(): InviteSent {
    return this.#sent;
  }

  /** One that another member has heard of. */
  restore(dialog: Dialog): EarlyDialog {
    const early = { dialog, description: undefined, rseq: undefined, isAnswered: false };
    this.#byTag.set(dialog.remoteTag, early);
    return early;
  }

  of(tag: string): EarlyDialog | undefined {
    return this.#byTag.get(tag);
  }

  cameOver(token: string, tag: string): void {
    if (this.#tokens.has(tag) || this.#tokens.size < maxEarly) this.#tokens.set(tag, token);
  }

  /** undefined: nothing new, or nothing of it counts. */
  provisional(response: SipMessage): Provisional | undefined {
    const { toTag, status } = response;
    if (status === 199) {
      // RFC 6228: this one will not answer.
      this.#byTag.delete(toTag);
      return undefined;
    }
    let early = this.#byTag.get(toTag);
    if (early === undefined) {
      if (this.#byTag.size >= maxEarly) return undefined;
      early = { dialog: this.dialog(response), description: undefined, rseq: undefined, isAnswered: false };
      this.#byTag.set(toTag, early);
    }
    const rseq = reliableSequence(response);
    if (rseq !== undefined) {
      // RFC 3262 §4: one that comes again, or before the one in between, is dropped; the sender repeats that.
      if (early.rseq !== undefined && rseq !== early.rseq + 1) return undefined;
      early.rseq = rseq;
    }
    const body = descriptionOf(response);
    const description = body.kind === 'description' ? body.text : undefined;
    if (description !== undefined && !early.isAnswered) {
      early.description = description;
      early.isAnswered = rseq !== undefined;
    }
    return { early, description: description === undefined ? undefined : early.description, rseq };
  }

  dialog(response: SipMessage): Dialog {
    return dialogOfResponse(this.#sent, response, this.#tokens.get(response.toTag));
  }
}

function reliableSequence(response: SipMessage): number | undefined {
  if (!response.list(H.require).some((option) => option.toLowerCase() === '100rel')) return undefined;
  const value = response.named('RSeq')?.trim() ?? '';
  return /^\d{1,10}$/.test(value) && Number(value) > 0 ? Number(value) : undefined;
}

const maxEarly = 16;
