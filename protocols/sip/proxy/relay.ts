/** Responses on their way back to who sent the request. */
import type { ControllerAddress } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { Identity } from '../identity.ts';
import type { ClientUser } from '../transactions/client.ts';
import type { ServerTransaction } from '../transactions/server.ts';
import { withoutTopVia } from '../transactions/way-back.ts';
import { adoptRecordRoute } from './takeover.ts';
import type { RoutePlan } from './target.ts';

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
  { server, plan, parts }: { readonly server: ServerTransaction; readonly plan: RoutePlan; readonly parts: RelayParts },
  message: SipMessage,
): void {
  const text = withoutTopVia(message);
  if (text === undefined) return;
  const { host, port } = message.via;
  const partner =
    plan.standIn ?? (parts.identity.isSelf(host, port) ? undefined : parts.member({ host, port: port || 5_060 }));
  const adopted = partner === undefined ? text : adoptRecordRoute(text, partner, parts.identity);
  server.respond(message.status, adopted);
}

/** Takes the 2xx responses of an INVITE that come after the first. */
export class RepeatedSuccess implements ClientUser {
  readonly server: ServerTransaction;
  readonly plan: RoutePlan;
  readonly parts: RelayParts;
  readonly #readable: (message: SipMessage) => SipMessage;

  /** `readable`: as who sent the request may expect it. */
  constructor(
    server: ServerTransaction,
    plan: RoutePlan,
    parts: RelayParts,
    readable: (message: SipMessage) => SipMessage,
  ) {
    this.server = server;
    this.plan = plan;
    this.parts = parts;
    this.#readable = readable;
  }

  onResponse(message: SipMessage): void {
    if (message.status >= 200 && message.status < 300) relay(this, this.#readable(message));
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
