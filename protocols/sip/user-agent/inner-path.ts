/**
 * The way between the user agent and our own proxy core: two flows without a socket. What the user agent sends is a message like any
 * other, which the core forks, routes and repeats to alternates as it does for telephones; what comes back is read as from the wire.
 */
import type { ControllerAddress, Counter, Flow, Logger, Metrics } from '../../../src/internal.ts';
import { decode } from '../codec/decode.ts';
import type { SipMessage } from '../codec/messages.ts';
import { userAgentHost } from './derived-ids.ts';

export interface InnerPathParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  toProxy(message: SipMessage, flow: Flow): void;
  toUserAgent(message: SipMessage, flow: Flow): void;
}

export class InnerPath {
  /** What the user agent sends over: nothing is lost on it. */
  readonly flow: Flow;
  /** The same, for requests of dialogs with peers that may not lead us to configured hops. */
  readonly guarded: Flow;
  /** What the core sees the user agent's requests come over. */
  readonly fromUserAgent: Flow;
  readonly fromGuarded: Flow;
  readonly #log: Logger;
  readonly #errors: Counter;
  #stopped = false;

  constructor({ log, metrics, toProxy, toUserAgent }: InnerPathParts) {
    this.#log = log;
    this.#errors = metrics.counter('internal_errors_total', 'Messages whose handling failed by our own fault', {
      protocol: 'sip',
    });
    const { host, port } = userAgentAddress;
    const end = { transport: 'udp', local: { host, port }, remote: { host, port }, close: () => undefined } as const;
    const to = (id: string, from: () => Flow): Flow => ({
      ...end,
      reliable: true,
      id,
      send: (bytes) => this.#pass(bytes, (message) => toProxy(message, from())),
    });
    const from = (id: string, back: () => Flow): Flow => ({
      ...end,
      // Responses go back over it by the address of the Via (way-back.ts), without a socket to look for.
      reliable: false,
      id,
      send: (bytes) => this.#pass(bytes, (message) => toUserAgent(message, back())),
    });
    this.flow = to('user agent', () => this.fromUserAgent);
    this.guarded = to('user agent, guarded', () => this.fromGuarded);
    this.fromUserAgent = from('from the user agent', () => this.flow);
    this.fromGuarded = from('from the user agent, guarded', () => this.guarded);
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Later than the call returns, as every flow does: nobody is called back from within what he asks for. */
  #pass(bytes: Uint8Array, to: (message: SipMessage) => void): void {
    queueMicrotask(() => {
      if (this.#stopped) return;
      try {
        const decoded = decode(bytes);
        if (decoded.ok) to(decoded.value);
        else this.#log.error({ reason: decoded.error.reason }, 'the user agent made a message that cannot be read');
      } catch (error) {
        this.#errors.add();
        this.#log.error({ err: error }, 'handling a message failed');
      }
    });
  }
}

/** Where no socket is: what the transaction layer takes for the hop. */
export const userAgentAddress: ControllerAddress = { transport: 'udp', host: userAgentHost, port: 5_060 };
