/**
 * Things that come and go by the thousand each second, in no order. A Map or Set would keep the dead ones: each table that it outgrows
 * stays in the old generation with all that was in it, and leads to the next one, until a full collection.
 */
export interface UnorderedItem {
  /** Its index in the set that it is in; the set's own. -1 to begin with. */
  place: number;
}

export class UnorderedSet<T extends UnorderedItem> {
  readonly #items: T[] = [];

  /** What is in it now: copy it before you add or delete. */
  get items(): readonly T[] {
    return this.#items;
  }

  /** An item is in one set at most. */
  add(item: T): void {
    item.place = this.#items.push(item) - 1;
  }

  /** The last one takes its place. Nothing happens where it is not in this set. */
  delete(item: T): void {
    const { place } = item;
    if (this.#items[place] !== item) return;
    item.place = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#items[place] = last;
    last.place = place;
  }
}
