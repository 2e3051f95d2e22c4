/**
 * Which worker of this host handles a message. The system gives a request to one of them by its source, and so all copies of it, its CANCEL
 * and its ACK; a response comes from somewhere else: our Via says whose it is. What finds no transaction while workers come and go is first
 * asked for at the siblings. Everything else any worker can handle: nothing is kept of a dialog, and branches are the same on all.
 */
import type { Cancel, Clock, Flow, WorkerGroup } from '../../../src/internal.ts';
import { probeIdOf } from '../adapter.ts';
import { toBytes } from '../codec/encode.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { SipUri } from '../codec/uri.ts';
import { param, type Via } from '../codec/values.ts';
import { clientKey, requestKey, serverKey, viaKey } from '../transactions/keys.ts';
import type { TransactionLayer } from '../transactions/layer.ts';
import { nextVia } from './foreign-responses.ts';

export interface WorkerRoutingParts {
  readonly clock: Clock;
  readonly workers: WorkerGroup;
  readonly layer: Pick<TransactionLayer, 'has'>;
  /** Does this sent-by name us, or another member? */
  isOurs(via: Via): boolean;
  /** Is it for a number of a line? Lines are with one worker at a time. */
  isForLine(uri: SipUri): boolean;
  /** Is the response for the user agent beside some worker, which speaks for lines? */
  isForUserAgent(response: SipMessage): boolean;
  serve(message: SipMessage, flow: Flow): void;
}

export class WorkerRouting {
  readonly #parts: WorkerRoutingParts;
  /** Responses of nobody's transactions, by key. */
  readonly #held = new Map<string, Cancel>();
  /** INVITEs of dead workers whose 2xx has gone back through us, by key: when. */
  readonly #answered = new Map<string, number>();

  constructor(parts: WorkerRoutingParts) {
    this.#parts = parts;
  }

  /** What came to a socket of ours. */
  route(message: SipMessage, flow: Flow): void {
    if (message.isRequest) this.#request(message, flow);
    else this.#response(message, flow);
  }

  /** Has its 2xx gone back through us without its transaction? */
  isAnswered(key: string): boolean {
    return this.#answered.size > 0 && this.#answered.has(key);
  }

  /** A repetition of an INVITE that is answered already goes no further (RFC 6026 §7.1): the answer is repeated until its ACK comes. */
  absorbs(message: SipMessage): boolean {
    return message.isRequest && message.method === 'INVITE' && this.isAnswered(keyOfServer(message));
  }

  #response(message: SipMessage, flow: Flow): void {
    const { workers, layer, serve, isOurs, isForUserAgent } = this.#parts;
    const { via } = message;
    // Its calls may have come from a worker that is dead, or that had the lines until now.
    if (isForUserAgent(message)) {
      if (workers.isLead || !this.#give(workers.lead, message, flow)) serve(message, flow);
      return;
    }
    const named = workerOf(message);
    const isNamed = named !== undefined && named !== workers.index && isOurs(via);
    // One that was started anew has nothing of what its former life sent: a sibling may have it since.
    if (isNamed && (workers.isSettled(named, 'sip') || probeIdOf(message) !== undefined)) {
      if (this.#give(named, message, flow)) return;
    }
    const key = keyOfClient(message);
    if (probeIdOf(message) !== undefined || layer.has(key) || !workers.isUnsettled(flow.remote.host)) {
      this.#release(key);
      serve(message, flow);
      return;
    }
    this.#find(key, message, flow, () => this.#orphan(key, message, flow));
  }

  /**
   * Who sent the INVITE is dead. Whoever has not heard of it yet repeats it within T1 (RFC 3261 §17.1.1.2: 100 stops that, which we send
   * after 200 ms), and then the branches that never left go out as well: what only tells of this one waits for that. A 2xx does not.
   */
  #orphan(key: string, message: SipMessage, flow: Flow): void {
    const { clock, serve } = this.#parts;
    const { status, method } = message;
    this.#release(key);
    if (method === 'INVITE' && status >= 200 && status < 300) this.#noteAnswered(message);
    if (method !== 'INVITE' || (status >= 200 && status < 300) || this.#held.size >= maxHeld) {
      serve(message, flow);
      return;
    }
    this.#held.set(
      key,
      clock.after(heldMs, () => {
        this.#held.delete(key);
        serve(message, flow);
      }),
    );
  }

  #noteAnswered(message: SipMessage): void {
    const via = nextVia(message);
    if (via === undefined) return;
    const now = this.#parts.clock.now();
    for (const [key, atMs] of this.#answered) {
      if (now - atMs < answeredMs && this.#answered.size < maxHeld) break;
      this.#answered.delete(key);
    }
    this.#answered.set(`s ${viaKey(via, 'INVITE')}`, now);
  }

  /** What is held is said by what came after it. */
  #release(key: string): void {
    if (this.#held.size === 0) return;
    this.#held.get(key)?.();
    this.#held.delete(key);
  }

  #request(message: SipMessage, flow: Flow): void {
    const { workers, layer, serve, isForLine } = this.#parts;
    const { method, uri } = message;
    if (this.absorbs(message)) return;
    if (!workers.isLead && uri !== undefined && isForLine(uri) && this.#give(workers.lead, message, flow)) return;
    if (
      (method === 'INVITE' || method === 'ACK' || method === 'CANCEL') &&
      workers.isUnsettled(flow.remote.host) &&
      !layer.has(keyOfServer(message))
    ) {
      if (method !== 'ACK') {
        this.#find(keyOfServer(message), message, flow, () => serve(message, flow));
        return;
      }
      // Nearly every one is of a 2xx and must not be overtaken by the BYE behind it; that of a refusal is taken by who sent that.
      workers.offer('sip', keyOfServer(message), octetsOf(message), flow);
    }
    serve(message, flow);
  }

  #find(key: string, message: SipMessage, flow: Flow, isNobodys: () => void): void {
    this.#parts.workers.ask('sip', key, (owner) => {
      if (owner === undefined || !this.#give(owner, message, flow)) isNobodys();
    });
  }

  #give(index: number, message: SipMessage, flow: Flow): boolean {
    return this.#parts.workers.handOver(index, 'sip', octetsOf(message), flow);
  }
}

/** T1 and what a message takes. */
const heldMs = 600;
const maxHeld = 10_000;

/** 64·T1: an INVITE is repeated no longer (RFC 3261 §17.1.1.2). */
const answeredMs = 32_000;

const octetsOf = ({ text, scan, end }: SipMessage): Buffer => toBytes(text.slice(scan.start, end));

/** What our Vias say besides what every Via says. */
export const workerMark = (index: number): string => `;w=${index}`;

/** The id of a probe that this worker sends. */
export const probeIdFor = (index: number, random: string): string => `${random}${index.toString(16).padStart(2, '0')}`;

function workerOf(response: SipMessage): number | undefined {
  const { via } = response;
  const probe = probeIdOf(response);
  const index = probe === undefined ? Number(param(via.params, 'w', 1)) : Number.parseInt(probe.slice(-2), 16);
  return Number.isInteger(index) && index > 0 ? index : undefined;
}

const keyOfClient = ({ via, method }: SipMessage): string => `c ${clientKey(via.branch ?? '', method)}`;

/** A CANCEL is looked for by its INVITE (RFC 3261 §9.2). */
const keyOfServer = (request: SipMessage): string =>
  `s ${request.method === 'CANCEL' ? serverKey(request, 'INVITE') : requestKey(request)}`;
