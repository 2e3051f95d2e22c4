/**
 * Transaction identifiers of one member of a cluster: counted up within the member's own slice of the id space, so that members
 * which control the same gateway never use the same one (RFC 3435 §3.5.2, RFC 3525 Annex D.1.2).
 */

import type { Random } from '../random.ts';
import { addressKey, type ControllerAddress } from '../signaling/controller-address.ts';

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

/** More members than this cannot share gateways. */
export const maxMembers = 16;

/** Our place among the members by the order of addresses: the same on every member that knows the same members. */
export function memberIndex(self: ControllerAddress | undefined, partners: readonly ControllerAddress[]): number {
  if (self === undefined) return 0;
  // A member is one, by whatever transport it can be reached.
  const keys = [self, ...partners].map((address) => addressKey({ ...address, transport: 'udp' }));
  const [own = ''] = keys;
  return [...new Set(keys)].sort().indexOf(own) % maxMembers;
}

export class TransactionIds {
  readonly slice: IdSlice;
  readonly #random: Random;
  /** The last of those that are counted; the quarter above them is drawn at random. */
  readonly #lastCounted: number;
  #next: number;

  /** Begins at a random place: after a restart, ids of the life before are still remembered by the gateways. */
  constructor(slice: IdSlice, random: Random) {
    this.slice = slice;
    this.#random = random;
    const size = slice.max - slice.min + 1;
    this.#lastCounted = size < 1_024 ? slice.max : slice.min + Math.floor((size * 3) / 4) - 1;
    this.#next = slice.min + Math.floor(random.fraction() * (this.#lastCounted - slice.min + 1));
  }

  next(): number {
    const id = this.#next;
    this.#next = id >= this.#lastCounted ? this.slice.min : id + 1;
    return id;
  }

  /** For a question whose answer is a sign of life: whoever did not see it cannot answer it. */
  unguessable(): number {
    const count = this.slice.max - this.#lastCounted;
    return count < 1 ? this.next() : this.#lastCounted + 1 + (Number.parseInt(this.#random.hex(6), 16) % count);
  }

  owns(id: number): boolean {
    return id >= this.slice.min && id <= this.slice.max;
  }
}
