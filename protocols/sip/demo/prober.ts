/**
 * Asks by calling: one call at the strike itself and another every few milliseconds until one has rung, so that the figure is not
 * that of the load's spacing; then a second call, which should notice nothing any more.
 */
import { type Cancel, systemClock } from '../../../src/internal.ts';
import type { CallRecord } from './call-record.ts';

export interface Probed {
  /** From the strike to the first ringing of a call that was placed after it. NaN: none succeeded. */
  readonly sinceStrikeMs: number;
  /** The same from the moment at which the process was gone; below 0 where a call was quicker. NaN where it was not killed. */
  readonly sinceExitMs: number;
  /** How long the very first call took to ring: the one that the dying process swallowed. */
  readonly firstCallMs: number;
  /** How long a call took to ring that was placed once the first one had. */
  readonly secondCallMs: number;
}

/** Enough for a silent host; who gets nothing by then gets nothing. */
const maxCalls = 400;

export class Prober {
  readonly #place: () => CallRecord;
  readonly #everyMs: number;
  readonly #calls: CallRecord[] = [];
  #second: CallRecord | undefined;
  #timer: Cancel | undefined;

  constructor(everyMs: number, place: () => CallRecord) {
    this.#everyMs = everyMs;
    this.#place = place;
  }

  start(): void {
    this.#turn();
  }

  /** The calls may still be under way. */
  get isDone(): boolean {
    return this.#second !== undefined || this.#calls.length >= maxCalls;
  }

  stop(): void {
    this.#timer?.();
  }

  result(strikeMs: number, exitMs: number | undefined): Probed {
    const rang = this.#calls.flatMap(({ isLost, rangMs }) => (isLost || rangMs === undefined ? [] : [rangMs]));
    const firstMs = rang.length === 0 ? Number.NaN : Math.min(...rang);
    return {
      sinceStrikeMs: firstMs - strikeMs,
      sinceExitMs: firstMs - (exitMs ?? Number.NaN),
      firstCallMs: setUpMs(this.#calls[0]),
      secondCallMs: setUpMs(this.#second),
    };
  }

  #turn(): void {
    if (this.#calls.some(({ rangMs }) => rangMs !== undefined)) {
      this.#second = this.#place();
      return;
    }
    if (this.isDone) return;
    this.#calls.push(this.#place());
    this.#timer = systemClock.after(this.#everyMs, () => this.#turn());
  }
}

const setUpMs = (record: CallRecord | undefined): number => (record?.rangMs ?? Number.NaN) - (record?.invitedMs ?? 0);
