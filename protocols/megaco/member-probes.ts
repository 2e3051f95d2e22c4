/**
 * How controllers of one cluster ask each other for a sign of life where the member link says nothing: an audit of nothing, which every
 * controller answers, also one of the version before. Only the reply to a question of ours counts.
 */
import { addressKey, type ControllerAddress, type Flow, type Members } from '../../src/internal.ts';
import type { MegacoMessage } from './messages.ts';

export interface MemberProbesParts {
  members(): Members;
  nextId(): number;
  send(to: ControllerAddress, transactionId: number): void;
}

export class MemberProbes {
  readonly #parts: MemberProbesParts;
  /** Whom we asked, by transaction id; the oldest first. */
  readonly #asked = new Map<number, ControllerAddress>();

  constructor(parts: MemberProbesParts) {
    this.#parts = parts;
  }

  ask(partner: ControllerAddress): void {
    const id = this.#parts.nextId();
    this.#asked.set(id, partner);
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= maxAsked) break;
      this.#asked.delete(oldest);
    }
    this.#parts.send(partner, id);
  }

  heard({ body }: MegacoMessage, { remote, transport }: Flow): void {
    if (this.#asked.size === 0 || body.kind !== 'transactions') return;
    for (const transaction of body.transactions) {
      if (transaction.kind !== 'reply') continue;
      const partner = this.#asked.get(transaction.transactionId);
      if (partner === undefined || addressKey(partner) !== addressKey({ transport, ...remote })) continue;
      this.#asked.delete(transaction.transactionId);
      this.#parts.members().answered(partner);
    }
  }
}

const maxAsked = 512;
