/** Responses on their way back to who sent the request. */
import type { ControllerAddress } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { Identity } from '../identity.ts';
import type { ClientUser } from '../transactions/client.ts';
import type { ServerTransaction } from '../transactions/server.ts';
import { withoutTopVia } from '../transactions/way-back.ts';
import { restored } from '../trunks/rewriting.ts';
import { adoptRecordRoute } from './takeover.ts';

export interface RelayParts {
  readonly identity: Identity;
  /** The member of our cluster that this address is, if it is another one. */
  member(address: { readonly host: string; readonly port: number }): ControllerAddress | undefined;
}

/**
 * A stand-in writes itself in the place of its partner: the callee may have heard of the call from that one. So it does where only
 * the answer says so, by the partner's Via on it: the request came to us by itself, the callee answers the partner's copy.
 */
export function relay(
  server: ServerTransaction,
  standIn: ControllerAddress | undefined,
  parts: RelayParts,
  message: SipMessage,
): void {
  const text = withoutTopVia(message);
  if (text === undefined) return;
  const { host, port } = message.via;
  const partner =
    standIn ?? (parts.identity.isSelf(host, port) ? undefined : parts.member({ host, port: port || 5_060 }));
  const adopted = partner === undefined ? text : adoptRecordRoute(text, partner, parts.identity);
  server.respond(message.status, adopted);
}

/** Takes the 2xx responses of an INVITE that come after the first. It lives for half a minute after each call: what it holds is little. */
export class RepeatedSuccess implements ClientUser {
  readonly #server: ServerTransaction;
  readonly #standIn: ControllerAddress | undefined;
  readonly #parts: RelayParts;
  readonly #request: SipMessage | undefined;

  /** `request`: what its sender wrote, where the responses must be made to fit it. */
  constructor(
    server: ServerTransaction,
    standIn: ControllerAddress | undefined,
    parts: RelayParts,
    request: SipMessage | undefined,
  ) {
    this.#server = server;
    this.#standIn = standIn;
    this.#parts = parts;
    this.#request = request;
  }

  onResponse(message: SipMessage): void {
    if (message.status < 200 || message.status >= 300) return;
    const readable = this.#request === undefined ? message : restored(message, this.#request);
    relay(this.#server, this.#standIn, this.#parts, readable);
  }

  onTimeout(): void {}

  onTransportError(): void {}
}

/** The 200 of a CANCEL says nothing about the INVITE, and no request but INVITE has two final responses to pass on. */
export const ignoreAnswer: ClientUser = {
  onResponse: () => undefined,
  onTimeout: () => undefined,
  onTransportError: () => undefined,
};
