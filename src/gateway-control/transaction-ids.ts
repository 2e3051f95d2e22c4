/**
 * Transaction identifiers of one member of a cluster: counted up within the member's own slice of the id space, so that members
 * which control the same gateway never use the same one (RFC 3435 §3.5.2, RFC 3525 Annex D.1.2).
 */
import type { Random } from '../random.ts';

export interface IdSlice {
  /** Both included. */
  readonly min: number;
  readonly max: number;
}

/** Slices of equal size; `member` counts from 0. */
export function memberSlice(space: IdSlice, member: number, members: number): IdSlice {
  const size = Math.floor((space.max - space.min + 1) / members);
  const min = space.min + (member % members) * size;
  return { min, max: min + size - 1 };
}

export class TransactionIds {
  readonly slice: IdSlice;
  #next: number;

  /** Begins at a random place: after a restart, ids of the life before are still remembered by the gateways. */
  constructor(slice: IdSlice, random: Random) {
    this.slice = slice;
    this.#next = slice.min + Math.floor(random.fraction() * (slice.max - slice.min + 1));
  }

  next(): number {
    const id = this.#next;
    this.#next = id >= this.slice.max ? this.slice.min : id + 1;
    return id;
  }

  owns(id: number): boolean {
    return id >= this.slice.min && id <= this.slice.max;
  }
}
