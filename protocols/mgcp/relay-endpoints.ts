/**
 * The endpoints of a media gateway, by number: which are ours to use next. We name them ourselves, since a gateway that is asked for "any"
 * takes another one for every repetition of the question. How many it has it tells by refusing the first that it has not.
 */
export class RelayEndpoints {
  readonly #taken = new Set<number>();
  #next = 1;
  #last = maxNumber;

  get taken(): number {
    return this.#taken.size;
  }

  /** One that is not in use, the one that rested longest; undefined where all are. */
  take(): number | undefined {
    for (let tries = 0; tries <= this.#taken.size; tries += 1) {
      if (this.#next > this.#last) this.#next = 1;
      const number = this.#next;
      this.#next += 1;
      if (this.#taken.has(number)) continue;
      this.#taken.add(number);
      return number;
    }
    return undefined;
  }

  free(number: number): void {
    this.#taken.delete(number);
  }

  /** The gateway does not have this one, so none behind it either. */
  missing(number: number): void {
    this.#taken.delete(number);
    this.#last = Math.max(1, Math.min(this.#last, number - 1));
  }
}

export const relayEndpointName = (number: number, gateway: string): string =>
  `rtpbridge/${number.toString(16)}@${gateway}`;

export const allRelayEndpoints = (gateway: string): string => `rtpbridge/*@${gateway}`;

const maxNumber = 0xffff;
