/**
 * Answers of the registrar on their way back. What a repetition would be answered with all the same is sent without a transaction
 * (RFC 3261 §8.2.7): there are as many of these as telephones refresh their bindings in half a minute. Whatever else has one.
 */
import type { Flow } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { Respond } from '../registrar/registrar.ts';
import type { TransactionLayer } from '../transactions/layer.ts';
import { openOctets } from '../transactions/memory.ts';
import { reply } from '../transactions/way-back.ts';

export class RegisterAnswers {
  readonly #layer: TransactionLayer;
  readonly #register: (request: SipMessage, flow: Flow, respond: Respond) => void;
  /** Those that the location service has not stored yet: a repetition of one waits with it. */
  readonly #waiting = new Set<string>();

  constructor(layer: TransactionLayer, register: (request: SipMessage, flow: Flow, respond: Respond) => void) {
    this.#layer = layer;
    this.#register = register;
  }

  /** REGISTER for a domain of ours that no transaction knows; `key` is its `requestKey`. */
  take(request: SipMessage, flow: Flow, key: string): void {
    if (this.#waiting.has(key)) return;
    let isAnswered = false;
    let octets = 0;
    this.#register(request, flow, (status, text, isRepeatable) => {
      isAnswered = true;
      if (octets > 0) {
        this.#waiting.delete(key);
        this.#layer.memory.changeFor(flow.remote.host, -octets);
      }
      // Where its hop may die, the transaction knows who takes its place.
      if (isRepeatable && this.#layer.alternatesOf(request.via, flow).length === 0)
        reply(this.#layer, request, flow, text);
      else this.#layer.accept(request, flow, key).respond(status, text);
    });
    if (isAnswered) return;
    octets = openOctets + request.text.length;
    this.#waiting.add(key);
    this.#layer.memory.changeFor(flow.remote.host, octets);
  }
}
