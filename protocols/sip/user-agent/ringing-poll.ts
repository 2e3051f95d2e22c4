/**
 * Has a telephone answered that rings for an INVITE of a dead member? One that follows no path attribute answers to where the first copy of
 * that INVITE came from (RFC 3261 §18.2.2), so it is asked within the early dialog: OPTIONS (RFC 3261 §11), and an ACK in advance, which
 * stops the repetitions of a 200 and means nothing while it rings. It has answered when OPTIONS is refused no more with 491, or when
 * packets begin to arrive at the line that calls it. Never by re-INVITE or UPDATE: those end the call at some telephones.
 */
import type { Cancel } from '../../../src/internal.ts';
import { type AgentParts, dialogRequest, send, sendAck } from './agent.ts';
import { nextCseq } from './dialog.ts';
import type { EarlyDialog } from './early-dialogs.ts';

export interface RingingPollParts {
  readonly agent: AgentParts;
  readonly early: EarlyDialog;
  /** Packets that come from the beginning say nothing. */
  readonly hasEarlyMedia: boolean;
  /** From one question to the next. */
  waitMs(): number;
  /** How many packets have come to the line. */
  packetsReceived(told: (packets: number | undefined) => void): void;
  answered(): void;
  /** It rings no more, or does not answer at all. */
  gone(why: 'over' | 'silent'): void;
}

export class RingingPoll {
  readonly #parts: RingingPollParts;
  #timer: Cancel | undefined;
  #stopped = true;
  #isAsking = false;
  #isCounting = false;
  #isTold = false;
  /** OPTIONS was refused with 491: this telephone tells. */
  #wasPending = false;
  #packets: number | undefined;
  /** No packet came between two questions. */
  #wasQuiet = false;

  constructor(parts: RingingPollParts) {
    this.#parts = parts;
  }

  get isRunning(): boolean {
    return !this.#stopped;
  }

  start(): void {
    this.#stopped = false;
    this.#timer?.();
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.();
    this.#timer = undefined;
  }

  /** RFC 3261 §13.2.2.4: for the 2xx that it may have sent. */
  acknowledge(): void {
    const { agent, early } = this.#parts;
    const { callId, localTag, remoteTag, inviteCseq = 1 } = early.dialog;
    const branch = agent.ids.branch(callId, localTag, inviteCseq, 'ACK', remoteTag);
    sendAck(agent, dialogRequest(agent, early.dialog, 'ACK', inviteCseq, branch, ''), early.dialog);
  }

  #look(): void {
    if (this.#stopped) return;
    // Not before the first answer: one that has answered already, and tells, does so only until it is acknowledged.
    if (this.#isTold) this.acknowledge();
    this.#ask();
    this.#count();
    this.#timer = this.#parts.agent.clock.after(this.#parts.waitMs(), () => this.#look());
  }

  #ask(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { agent, early, gone } = this.#parts;
    const over = (why: 'over' | 'silent'): void => {
      this.#isAsking = false;
      if (this.#stopped) return;
      this.stop();
      gone(why);
    };
    const cseq = nextCseq(early.dialog, agent.clock.wallNow());
    early.dialog = { ...early.dialog, localCseq: cseq };
    const { callId, localTag, remoteTag } = early.dialog;
    const branch = agent.ids.branch(callId, localTag, cseq, 'OPTIONS', remoteTag);
    const text = dialogRequest(agent, early.dialog, 'OPTIONS', cseq, branch, '');
    const user = {
      onResponse: ({ status }: { readonly status: number }) => {
        if (status < 200) return;
        // RFC 3261 §12.2.1.2.
        if (status === 481 || status === 408) {
          over(status === 481 ? 'over' : 'silent');
          return;
        }
        this.#isAsking = false;
        this.#isTold = true;
        if (status === 491) this.#wasPending = true;
        else if (status < 300 && this.#wasPending) this.#answered();
      },
      onTimeout: () => over('silent'),
      onTransportError: () => over('silent'),
    };
    send(agent, 'OPTIONS', branch, text, user, early.dialog);
  }

  #count(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    this.#parts.packetsReceived((packets) => {
      this.#isCounting = false;
      if (packets === undefined) return;
      const before = this.#packets;
      this.#packets = packets;
      const isMore = packets > (before ?? 0);
      const speaks = this.#parts.hasEarlyMedia ? before !== undefined && isMore && this.#wasQuiet : isMore;
      if (before === packets) this.#wasQuiet = true;
      if (speaks) this.#answered();
    });
  }

  #answered(): void {
    if (this.#stopped) return;
    this.stop();
    this.#parts.answered();
  }
}
