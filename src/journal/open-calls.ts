/**
 * The calls under way, oldest first. They come and go by the thousand each second: a chain through the calls themselves keeps none that
 * has left alive, as the tables of a Set that it outgrows would.
 */
import type { ObservedCall } from './observed-call.ts';

export class OpenCalls implements Iterable<ObservedCall> {
  #size = 0;
  #first: ObservedCall | undefined;
  #last: ObservedCall | undefined;

  get size(): number {
    return this.#size;
  }

  get oldest(): ObservedCall | undefined {
    return this.#first;
  }

  /** The last so many, last first. */
  newest(count: number): readonly ObservedCall[] {
    const calls: ObservedCall[] = [];
    for (let call = this.#last; call !== undefined && calls.length < count; call = call.before) calls.push(call);
    return calls;
  }

  add(call: ObservedCall): void {
    call.before = this.#last;
    if (this.#last === undefined) this.#first = call;
    else this.#last.behind = call;
    this.#last = call;
    this.#size += 1;
  }

  /** Nothing happens where it is not among them. */
  delete(call: ObservedCall): void {
    const { before, behind } = call;
    if (before === undefined && this.#first !== call) return;
    if (before === undefined) this.#first = behind;
    else before.behind = behind;
    if (behind === undefined) this.#last = before;
    else behind.before = before;
    call.before = undefined;
    call.behind = undefined;
    this.#size -= 1;
  }

  /** What is begun or ended meanwhile may or may not be among them. */
  *[Symbol.iterator](): Iterator<ObservedCall> {
    let call = this.#first;
    while (call !== undefined) {
      const next: ObservedCall | undefined = call.behind;
      yield call;
      call = next;
    }
  }
}
