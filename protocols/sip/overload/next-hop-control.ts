/**
 * What next hops ask of us (RFC 7339 §5.4, §5.5, §7.2; RFC 7415 §3.5): hops that the operator named are told that we obey, and what they
 * ask for is kept for as long as they say. In-dialog requests and calls for help go in any case and count; new requests are what is left out.
 */
import {
  addressKey,
  type Clock,
  type ControllerAddress,
  type Counter,
  type Flow,
  type Metrics,
  type Random,
} from '../../../src/internal.ts';
import type { Via } from '../codec/values.ts';
import { isFrom } from '../transactions/way-back.ts';
import { askedOf, type OcValues } from './oc-params.ts';

export interface NextHopControlParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  /** Did the operator name the hop at the other end? Only those were told that we obey. */
  isNamed(flow: Flow): boolean;
}

export class NextHopControl {
  readonly #parts: NextHopControlParts;
  readonly #hops = new Map<string, Hop>();
  readonly #leftOut: Counter;

  constructor(parts: NextHopControlParts) {
    this.#parts = parts;
    this.#leftOut = parts.metrics.counter(
      'sip_next_hop_overload_total',
      'New requests that were not sent to a next hop because it asked for less',
    );
  }

  /**
   * A response to a request of ours; its top Via is the one that we wrote. `sent`: where the request went: whoever got it knows our branch, and
   * over UDP could speak in another's name.
   */
  heard({ params }: Via, from: Flow, sent: Flow | undefined): void {
    const asked = askedOf(params);
    if (asked === undefined || sent === undefined || !isFrom(from, sent.remote) || !this.#parts.isNamed(from)) return;
    const { transport, remote } = from;
    const key = addressKey({ transport, ...remote });
    const now = this.#parts.clock.now();
    const hop = this.#hops.get(key);
    if (hop !== undefined && !isNewer(asked.seq, hop.asked.seq)) return;
    if (asked.validityMs === 0) {
      // Its number stays: a tardy response must not bring back what has ended.
      if (hop !== undefined) this.#hops.set(key, { ...hop, asked, untilMs: 0 });
      return;
    }
    if (hop === undefined && this.#hops.size >= maxHops) this.#forget(now);
    this.#hops.set(key, {
      asked,
      untilMs: now + asked.validityMs,
      newShare: hop?.newShare ?? usualNewShare,
      bucketMs: hop?.bucketMs ?? now,
    });
  }

  /** Those of the addresses that may be sent one more request; the others asked for less. */
  passing(addresses: readonly ControllerAddress[], isNew: boolean): readonly ControllerAddress[] {
    if (this.#hops.size === 0) return addresses;
    const passing = addresses.filter((address, index) => this.#passes(addressKey(address), isNew, index === 0));
    if (passing.length === 0) this.#leftOut.add();
    return passing;
  }

  #passes(key: string, isNew: boolean, isFirst: boolean): boolean {
    const hop = this.#hops.get(key);
    if (hop === undefined) return true;
    const { clock, random } = this.#parts;
    const now = clock.now();
    const { algorithm, oc } = hop.asked;
    if (hop.untilMs <= now) return true;
    if (isFirst) hop.newShare += ((isNew ? 1 : 0) - hop.newShare) * mixSmoothing;
    if (algorithm === 'loss') {
      // §7.2: the whole reduction is taken from the requests that may be left out.
      return !isNew || random.fraction() * 100 >= oc / Math.max(hop.newShare, leastShare);
    }
    const intervalMs = 1_000 / Math.max(oc, 1e-9);
    if (isNew && (oc === 0 || hop.bucketMs - now > intervalMs * burst)) return false;
    if (isFirst) hop.bucketMs = Math.max(hop.bucketMs, now) + (oc === 0 ? 0 : intervalMs);
    return true;
  }

  #forget(now: number): void {
    for (const [key, { untilMs }] of this.#hops) if (untilMs <= now) this.#hops.delete(key);
    if (this.#hops.size >= maxHops) this.#hops.clear();
  }
}

interface Hop {
  readonly asked: OcValues;
  readonly untilMs: number;
  /** Share of new requests among those that go there. */
  newShare: number;
  /** When the bucket of RFC 7415 §3.5.1 is empty. */
  bucketMs: number;
}

/** §4.4: a number that fell far behind began anew; one that is a little behind is late. Without a number every word counts. */
function isNewer(seq: number | undefined, than: number | undefined): boolean {
  if (seq === undefined || than === undefined) return true;
  return seq > than || seq < than - begunAnew;
}

const begunAnew = 3_600;

const maxHops = 1_024;

/** INVITE, ACK and BYE make a call. */
const usualNewShare = 0.5;
const mixSmoothing = 0.02;
const leastShare = 0.05;

/** Requests that may go together. */
const burst = 2;
