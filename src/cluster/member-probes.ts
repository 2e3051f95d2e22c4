/**
 * How controllers of one cluster ask each other for a sign of life where the member link says nothing: a question of their protocol that
 * every controller answers, also one of the version before. Only the answer to a question of ours counts.
 */
import { addressKey, type ControllerAddress } from '../signaling/controller-address.ts';

export interface MemberProbesParts {
  /** A transaction id that nobody can guess. */
  nextId(): number;
  send(partner: ControllerAddress, id: number): void;
  answered(partner: ControllerAddress): void;
}

export class MemberProbes {
  readonly #parts: MemberProbesParts;
  /** Whom we asked, by transaction id; the oldest first. */
  readonly #asked = new Map<number, string>();

  constructor(parts: MemberProbesParts) {
    this.#parts = parts;
  }

  ask(partner: ControllerAddress): void {
    const id = this.#parts.nextId();
    this.#asked.set(id, addressKey(partner));
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= maxAsked) break;
      this.#asked.delete(oldest);
    }
    this.#parts.send(partner, id);
  }

  /** An answer with this id came from this address, which may be anybody's. */
  heard(id: number, from: ControllerAddress): void {
    if (this.#asked.get(id) !== addressKey(from)) return;
    this.#asked.delete(id);
    this.#parts.answered(from);
  }
}

const maxAsked = 512;
