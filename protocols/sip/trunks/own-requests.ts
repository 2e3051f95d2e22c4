/** Requests that we send to carriers on our own behalf: REGISTER and OPTIONS (RFC 3261 §8.1, §10.2, §11.1). */
import type { Cancel, Clock, Flow, NamedHop, NextHops, Random } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import { magicCookie } from '../codec/values.ts';
import type { Identity } from '../identity.ts';
import type { ClientTransaction } from '../transactions/client.ts';
import type { TransactionLayer } from '../transactions/layer.ts';

export interface OwnRequestParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly layer: TransactionLayer;
  readonly nextHops: NextHops;
  readonly identity: Identity;
}

export interface OwnRequest {
  readonly method: 'REGISTER' | 'OPTIONS';
  readonly uri: string;
  readonly hop: NamedHop;
  readonly alternates: readonly NamedHop[];
  readonly callId: string;
  readonly cseq: number;
  /** The URI of From and To. */
  readonly party: string;
  /** Further fields, each with its line end; asked for again where the request moves to another hop. */
  fields(flow: Flow): string;
  /** Who does not answer in this time, will not. */
  readonly limitMs: number;
  /** Once: the final response, or why there is none. */
  done(answer: SipMessage | string, transaction: ClientTransaction | undefined): void;
  resolved?(addresses: readonly NamedHop[]): void;
}

export class OwnRequests {
  readonly #parts: OwnRequestParts;

  constructor(parts: OwnRequestParts) {
    this.#parts = parts;
  }

  /** Returns what ends the wait: `done` is not called any more. */
  send(request: OwnRequest): Cancel {
    const { nextHops, layer, clock, random, identity } = this.#parts;
    const { method, uri, party, callId, cseq } = request;
    let transaction: ClientTransaction | undefined;
    let isOver = false;
    const end = (): void => {
      isOver = true;
      cancelLimit();
    };
    const finish = (answer: SipMessage | string, from?: ClientTransaction): void => {
      if (isOver) return;
      end();
      request.done(answer, from);
    };
    const cancelLimit = clock.after(request.limitMs, () => {
      transaction?.abandon();
      finish('no answer');
    });
    nextHops.resolve(request.hop, request.alternates, (resolution) => {
      if (isOver) return;
      if (!resolution.ok) {
        finish(resolution.error.detail);
        return;
      }
      request.resolved?.(resolution.value);
      const branch = `${magicCookie}${random.hex(16)}`;
      const tag = random.hex(8);
      transaction = layer.request(
        method,
        branch,
        { addresses: resolution.value },
        (flow) => {
          const headers = identity.localHeaders(flow);
          return `${method} ${uri} SIP/2.0\r\n${headers.viaStart}${branch}${headers.viaEnd}Max-Forwards: 70\r\nFrom: <${party}>;tag=${tag}\r\nTo: <${method === 'OPTIONS' ? uri : party}>\r\nCall-ID: ${callId}\r\nCSeq: ${cseq} ${method}\r\n${request.fields(flow)}Content-Length: 0\r\n\r\n`;
        },
        {
          onResponse: (response, from) => {
            if (response.status >= 200) finish(response, from);
          },
          onTimeout: () => finish('no answer'),
          onTransportError: (_transaction, tried) => finish(tried.at(-1)?.failure ?? 'unreachable'),
        },
      );
    });
    return () => {
      end();
      transaction?.abandon();
    };
  }
}
