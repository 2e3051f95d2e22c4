/**
 * What the names of the operator's hops stand for, asked before anybody uses them and now and then: who may not reach such a hop may not
 * reach it by its address either.
 */
import {
  type Cancel,
  type Clock,
  type ControllerAddress,
  isIpLiteral,
  type NamedHop,
  type NextHops,
} from '../../../src/internal.ts';

export interface NamedHopsParts {
  readonly clock: Clock;
  readonly nextHops: NextHops;
}

export type Learn = (addresses: readonly ControllerAddress[]) => void;

export class NamedHops {
  readonly #parts: NamedHopsParts;
  #hops: readonly { readonly hop: NamedHop; readonly learn: Learn }[] = [];
  #timer: Cancel | undefined;

  constructor(parts: NamedHopsParts) {
    this.#parts = parts;
  }

  /** From now on these, each with whom to tell. */
  follow(hops: readonly { readonly hop: NamedHop; readonly learn: Learn }[]): void {
    this.stop();
    this.#hops = hops.filter(({ hop }) => !isIpLiteral(hop.host)).slice(0, maxFollowed);
    if (this.#hops.length > 0) this.#ask();
  }

  stop(): void {
    this.#timer?.();
    this.#timer = undefined;
  }

  #ask(): void {
    const { clock, nextHops } = this.#parts;
    for (const { hop, learn } of this.#hops)
      nextHops.resolve(hop, [], (resolution) => {
        if (resolution.ok) learn(resolution.value);
      });
    this.#timer = clock.after(everyMs, () => this.#ask());
  }
}

/** Answers of DNS are kept for as long as they say: to ask again costs nothing before. */
const everyMs = 60_000;

const maxFollowed = 1_024;
