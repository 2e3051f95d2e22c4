/**
 * Which requests need the flow that they came over named in what we record (RFC 5626 §5.1, §5.3.2): those of connections, and of
 * telephones that datagrams reach only where they come from.
 */
import { type Flow, isIpLiteral } from '../../../src/internal.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { ParseCache } from '../codec/parse-cache.ts';
import { parseUri, uriParam } from '../codec/uri.ts';
import type { Identity } from '../identity.ts';
import type { Flows } from './flows.ts';

export class FlowNaming {
  readonly #flows: Flows;
  readonly #identity: Identity;
  /** By the text of a Contact field: a telephone writes the same in all its requests. */
  readonly #contacts = new ParseCache<readonly ContactPlace[]>();

  constructor(flows: Flows, identity: Identity) {
    this.#flows = flows;
    this.#identity = identity;
  }

  /** The token for this request's way back; undefined where its own URIs lead back. */
  tokenFor(request: SipMessage, from: Flow): string | undefined {
    if (!from.reliable && !this.#needsFlow(request, from)) return undefined;
    return this.outboundToken(request, from);
  }

  /** RFC 5626 §5.1: the first hop of a REGISTER with reg-id names its flow, and says `ob`. */
  isOutbound(request: SipMessage): boolean {
    if (request.fieldIndex(H.contact) < 0 || !isFirstHop(request)) return false;
    return request.list(H.contact).some((value) => /;\s*reg-id\s*=/i.test(value));
  }

  /** The token of this flow, for a request that asks to be reached over it. */
  outboundToken(request: SipMessage, from: Flow): string {
    return this.#flows.tokenOf(from, () => this.#recordOf(request));
  }

  #recordOf(request: SipMessage): string | undefined {
    const uri = parseUri(request.from.uri);
    return uri?.user === undefined || !this.#identity.isLocal(uri) ? undefined : this.#identity.record(uri);
  }

  #needsFlow(request: SipMessage, from: Flow): boolean {
    const { via } = request;
    const index = request.fieldIndex(H.contact);
    // Only what comes from the telephone itself came over a flow of the telephone's.
    if (index < 0 || !isFirstHop(request)) return false;
    const { host, port } = from.remote;
    const isPlain = via.host === host && (via.port || 5_060) === port;
    const written = request.text.slice(request.valueStart(index), request.valueStop(index));
    if (isPlain && written.includes(port === 5_060 ? host : `${host}:${port}`))
      return this.#identity.hasSeveral(from.transport);
    if (this.#flows.isBound(from)) return true;
    const [place] = this.#contacts.get(written, undefined, () => contactPlace(request));
    if (place === undefined) return false;
    if (place.host === host && place.port === port) return this.#identity.hasSeveral(from.transport);
    if (place.wantsFlow) return true;
    // RFC 3581 §4: it knows that its own view of its address need not be ours.
    const isSentBy = place.host === via.host && place.port === (via.port || 5_060);
    return (via.rport !== undefined && isSentBy) || (place.isPrivate && place.host !== host);
  }
}

/** What of a telephone's first Contact tells whether it is reached there. */
interface ContactPlace {
  readonly host: string;
  readonly port: number;
  /** RFC 5626 §4.3: the telephone wants the dialog's requests over the flow of this one. */
  readonly wantsFlow: boolean;
  readonly isPrivate: boolean;
}

/** None where nothing can be read. */
function contactPlace(request: SipMessage): readonly ContactPlace[] {
  const [contact] = request.addresses(H.contact);
  const uri = contact === undefined ? undefined : parseUri(contact.uri);
  if (uri === undefined) return [];
  const { host, port } = uri;
  return [{ host, port: port || 5_060, wantsFlow: uriParam(uri, 'ob') !== undefined, isPrivate: isPrivate(host) }];
}

const isFirstHop = (request: SipMessage): boolean => {
  const first = request.fieldIndex(H.via);
  return (
    request.fieldIndex(H.via, first) < 0 &&
    request.valueStop(first) - request.valueStart(first) === request.via.text.length
  );
};

/** An address that means something only where it is written: RFC 1918 §3, RFC 6598 §7, RFC 3927 §2.1, RFC 4193 §3.1, RFC 4291 §2.5.6. */
function isPrivate(host: string): boolean {
  if (!isIpLiteral(host)) return false;
  if (host.includes(':')) return /^(?:f[cd]|fe[89ab])/i.test(host);
  const [a = 0, b = 0] = host.split('.', 2).map(Number);
  return (
    a === 10 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254)
  );
}
