/**
 * What the hop before us is told of our load (RFC 7339 §5.2): hops that announce `oc` in their Via get, in every response, the share of
 * their requests that they shall leave out, or the rate that they shall not exceed. Who takes part is believed: its requests are not
 * refused as well, as long as that helps.
 */
import type { OverloadControl, SocketAddress } from '../../../src/internal.ts';
import type { Via } from '../codec/values.ts';
import { announcedAlgorithm, type OcAlgorithm, ocText, withOc } from './oc-params.ts';

export class HopFeedback {
  readonly #overload: OverloadControl;
  /** Requests of clients that take part, in this sample and lately. */
  readonly #clients = new Map<string, Client>();
  readonly #stopListening: () => void;
  #sinceMs = 0;

  constructor(overload: OverloadControl) {
    this.#overload = overload;
    this.#stopListening = overload.onSample(() => this.#sampled());
  }

  stop(): void {
    this.#stopListening();
  }

  /** How the sender of this Via takes part; undefined: not at all. */
  algorithmOf({ params }: Via): OcAlgorithm | undefined {
    return announcedAlgorithm(params);
  }

  /** The response as it leaves. */
  write(text: string, { params }: Via, to: SocketAddress): string {
    const algorithm = announcedAlgorithm(params);
    return algorithm === undefined ? text : withOc(text, ocText(this.#values(algorithm, to)));
  }

  /** One more request of a client that takes part: may it be taken without a further question? */
  takesPart(via: Via, from: SocketAddress, isNew: boolean): boolean {
    if (announcedAlgorithm(via.params) === undefined) return false;
    const key = keyOf(from);
    let client = this.#clients.get(key);
    if (client === undefined) {
      if (this.#clients.size >= maxClients) return false;
      client = { requests: 0, rate: 0, begun: 0, newRate: 0, allowed: Number.POSITIVE_INFINITY };
      this.#clients.set(key, client);
    }
    client.requests += 1;
    if (isNew) client.begun += 1;
    // What was asked for does not help: somebody does not obey.
    return this.#overload.pressedSamples < helplessSamples;
  }

  #values(algorithm: OcAlgorithm, to: SocketAddress) {
    const { isShedding, keep, sampledMs } = this.#overload;
    const seq = sampledMs / 1_000;
    if (!isShedding) return { algorithm, oc: 0, validityMs: 0, seq };
    const client = this.#clients.get(keyOf(to));
    // RFC 7339 §5.3: the value is about all requests of the client, which takes new ones first.
    if (algorithm === 'loss') {
      const left = (1 - keep) * (client === undefined ? 1 : newShare(client, keep));
      return { algorithm, oc: Math.round(100 * left), validityMs, seq };
    }
    const rate = client === undefined || client.allowed === Number.POSITIVE_INFINITY ? 0 : client.allowed;
    return { algorithm, oc: Math.max(1, Math.round(rate)), validityMs, seq };
  }

  #sampled(): void {
    const { isShedding, keep, sampledMs } = this.#overload;
    const seconds = this.#sinceMs === 0 ? 0 : (sampledMs - this.#sinceMs) / 1_000;
    this.#sinceMs = sampledMs;
    if (seconds <= 0) return;
    for (const [key, client] of this.#clients) {
      client.rate += (client.requests / seconds - client.rate) * smoothing;
      client.newRate += (client.begun / seconds - client.newRate) * smoothing;
      client.requests = 0;
      client.begun = 0;
      if (!isShedding) {
        client.allowed = Number.POSITIVE_INFINITY;
        client.before = undefined;
        if (client.rate < forgottenRate) this.#clients.delete(key);
        continue;
      }
      // What was read of it when it began is what the process can do.
      client.before ??= client.rate;
      client.allowed = client.before * keep;
    }
  }
}

interface Client {
  requests: number;
  rate: number;
  /** Requests per second that it may send; Infinity without overload. */
  allowed: number;
  /** Of these, new ones. */
  begun: number;
  newRate: number;
  /** Its rate when overload began. */
  before?: number | undefined;
}

/** The share of new requests among those that it would send: of what it left out, all were new. */
function newShare({ rate, newRate }: Client, keep: number): number {
  const would = newRate / keep;
  return would + rate - newRate <= 0 ? 1 : would / (would + rate - newRate);
}

const keyOf = ({ host, port }: SocketAddress): string => `${host}:${port}`;

/** Twice the default: a client that hears of us once a second stays within it. */
const validityMs = 1_000;

const maxClients = 4_096;

const smoothing = 0.2;

const forgottenRate = 0.01;

/** It takes a while until a client has heard it. */
const helplessSamples = 20;
