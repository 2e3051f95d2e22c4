/**
 * Which encoding one gateway is written to in. Until it has said anything, that is a guess, and the guesses are tried in turn; what it
 * says afterwards is the answer. RFC 3525 Annexes A and B do not say how a peer finds out.
 */
import type { Cancel, Clock } from '../../src/internal.ts';
import type { Encoding } from './codec/messages.ts';

/** Errors that change the encoding before the gateway has said anything else: two peers must not chase each other. */
const maxRefusals = 4;

export class EncodingChoice {
  #current: Encoding;
  readonly #first: Encoding;
  #isKnown = false;
  #refusals = 0;

  constructor(first: Encoding) {
    this.#first = first;
    this.#current = first;
  }

  get current(): Encoding {
    return this.#current;
  }

  /** It has said something of its own, or a partner knows. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** A request or a reply of the gateway: it is written to as it writes. */
  heard(encoding: Encoding): void {
    this.#current = encoding;
    this.#isKnown = true;
    this.#refusals = 0;
  }

  /** It says in this encoding that it could not read us. True if it is written to in another one from now on. */
  refused(encoding: Encoding): boolean {
    if (encoding === this.#current || this.#refusals >= maxRefusals) return false;
    this.#refusals += 1;
    this.#current = encoding;
    return true;
  }

  /** It was silent: the next one, unless its encoding is known. */
  next(): boolean {
    if (this.#isKnown) return false;
    const turns = turnsFrom(this.#first);
    this.#current = turns[(turns.indexOf(this.#current) + 1) % turns.length] ?? this.#first;
    return true;
  }
}

/** The other family first: whoever reads one form of text should read both (Annex B.1). */
const turnsFrom = (first: Encoding): readonly Encoding[] => {
  switch (first) {
    case 'binary':
      return ['binary', 'compact', 'pretty'];
    case 'compact':
      return ['compact', 'binary', 'pretty'];
    case 'pretty':
      return ['pretty', 'binary', 'compact'];
  }
};

/** While a gateway is silent, what is open is written anew (`rewrite`) in the next encoding, each twice at most. */
export function tryInTurn(clock: Clock, choice: EncodingChoice, rewrite: () => void): Cancel {
  let left = 2 * turnsFrom('compact').length - 1;
  let timer: Cancel | undefined;
  const next = (): void => {
    timer = clock.after(turnMs, () => {
      if (left === 0 || !choice.next()) return;
      left -= 1;
      rewrite();
      next();
    });
  };
  if (!choice.isKnown) next();
  return () => timer?.();
}

/** Longer than an answer takes, and all in turn within the time that a takeover waits for a gateway. */
const turnMs = 500;
