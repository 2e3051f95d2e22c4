/**
 * What is being proxied at this moment. Thousands come and go each second, and a Map would keep what has long gone: each table it
 * grows out of stays in the old generation, holds what was in it then, and leads to the next, until a full collection.
 */
import type { ResponseContext } from './response-context.ts';

export class OpenContexts {
  readonly #list: ResponseContext[] = [];

  /** In no order. */
  get list(): readonly ResponseContext[] {
    return this.#list;
  }

  add(context: ResponseContext): void {
    context.place = this.#list.push(context) - 1;
  }

  delete(context: ResponseContext): void {
    const { place } = context;
    if (this.#list[place] !== context) return;
    const last = this.#list.pop();
    if (last === undefined || last === context) return;
    // The last one takes its place.
    this.#list[place] = last;
    last.place = place;
  }
}
