/**
 * Where a registration may make us send to. A contact is a stranger's word on where our requests shall go: never to a group of
 * hosts or to nobody, and without a word of the operator neither back to ourselves nor into this machine from outside.
 */
import {
  type AllowRule,
  addressKind,
  allowHolds,
  type ControllerAddress,
  canonicalHost,
  type Flow,
  type SocketAddress,
} from '../../../src/internal.ts';
import { isSipScheme, type SipUri, uriParam } from '../codec/uri.ts';
import type { Identity } from '../identity.ts';
import { uriHop } from '../path.ts';
import type { PathTrust } from '../proxy/trust.ts';
import { type Refusal, refusal } from './refusal.ts';

export interface ContactPlaceParts {
  readonly identity: Pick<
    Identity,
    'isLocal' | 'record' | 'isSelf' | 'isOwnSocket' | 'isOwnMachine' | 'isPartnerMachine' | 'isLoopbackOnly'
  >;
  /** What the operator allows beyond the rule (`registrar.allowContacts`). */
  readonly allow: readonly AllowRule[];
  /** Is there such a user, registered or with a password? */
  readonly isUser: (uri: SipUri) => boolean;
  /** The hops that the operator named, and who may speak of them. */
  readonly trust: Pick<PathTrust, 'isConfigured' | 'isTrusted'>;
}

export class ContactPlaces {
  readonly #parts: ContactPlaceParts;
  /** By host as written: what is asked for every message is worked out once. */
  readonly #kinds = new Map<string, Kind>();

  constructor(parts: ContactPlaceParts) {
    this.#parts = parts;
  }

  /** Why this contact of `record` may not be; undefined: it may. */
  refusalOfContact(uri: SipUri, record: string, from: Flow): Refusal | undefined {
    if (!isSipScheme(uri.scheme)) return undefined;
    for (const place of placesOf(uri)) {
      if (addressKind(place.host) === 'nowhere') return nowhere;
      if (this.#allows(place)) continue;
      if (this.#isOurselves(uri, place)) {
        if (!this.isOtherUser(uri, record) && !this.#isCuriosity(uri, record)) return ourselves;
      } else if (this.#isIntrusion(place, from)) return inside;
    }
    return undefined;
  }

  /** RFC 4475 §3.3.14: the address of record itself, with header fields in it. It is kept, and never called. */
  #isCuriosity(uri: SipUri, record: string): boolean {
    const { identity } = this.#parts;
    return uri.headers !== '' && identity.isLocal(uri) && identity.record(uri) === record;
  }

  /** Another user of ours: whoever calls the one shall reach the other. */
  isOtherUser(uri: SipUri, record: string): boolean {
    const { identity, isUser } = this.#parts;
    return uri.user !== undefined && identity.isLocal(uri) && identity.record(uri) !== record && isUser(uri);
  }

  /** As for contacts. We stand in a Path ourselves where an edge of ours wrote it, but at its beginning alone. */
  refusalOfPath(entries: readonly SipUri[], from: Flow): Refusal | undefined {
    const { trust } = this.#parts;
    for (const [index, uri] of entries.entries()) {
      // Only an edge of the operator's may say that calls come to it; a telephone would have its callers reach a carrier.
      if (trust.isConfigured(uriHop(uri)) && !trust.isTrusted(from)) return notThrough;
      for (const place of placesOf(uri)) {
        if (addressKind(place.host) === 'nowhere') return nowhere;
        if (this.#allows(place)) continue;
        const isSelf = this.#isOurselves(uri, place);
        if (isSelf ? index > 0 : this.#isIntrusion(place, from)) return isSelf ? ourselves : inside;
      }
    }
    return undefined;
  }

  /** May a contact whose host is a name lead to what the name was resolved to? Names are not what they were when they were registered. */
  mayLead(address: ControllerAddress): boolean {
    const kind = addressKind(address.host);
    if (kind === 'nowhere') return false;
    if (this.#allows(address)) return true;
    const { identity } = this.#parts;
    if (identity.isOwnSocket(address.host, address.port)) return false;
    return identity.isLoopbackOnly || (kind !== 'loopback' && !identity.isOwnMachine(address.host));
  }

  /** Does it come from this machine? Who is inside may reach whatever is. */
  isWithin({ remote }: Flow): boolean {
    return this.#parts.identity.isLoopbackOnly || this.#kindOf(remote.host) === 'inside';
  }

  /** May what somebody outside wrote lead there: to hosts, and inside of this machine or another member's to what speaks SIP for us alone? */
  mayReach(address: ControllerAddress, from: Flow): boolean {
    const { identity } = this.#parts;
    const kind = this.#kindOf(address.host);
    if (kind === 'outside' || address.host === from.remote.host) return true;
    return kind === 'inside' && (this.#allows(address) || identity.isOwnSocket(address.host, address.port));
  }

  #kindOf(written: string): Kind {
    let kind = this.#kinds.get(written);
    if (kind !== undefined) return kind;
    const host = canonicalHost(written);
    if (addressKind(host) === 'nowhere') kind = 'nowhere';
    else kind = this.#isThisMachine(host) || this.#parts.identity.isPartnerMachine(host) ? 'inside' : 'outside';
    if (this.#kinds.size >= maxKinds) this.#kinds.clear();
    this.#kinds.set(written, kind);
    return kind;
  }

  #allows(place: SocketAddress): boolean {
    return this.#parts.allow.some((rule) => allowHolds(rule, place));
  }

  #isOurselves(uri: SipUri, { host, port }: SocketAddress): boolean {
    const { identity } = this.#parts;
    return identity.isOwnSocket(host, port) || identity.isSelf(host, uri.port) || identity.isLocal(uri);
  }

  /** This machine, and a partner's, have more than us: their other services believe whoever comes from within. */
  #isIntrusion({ host }: SocketAddress, from: Flow): boolean {
    const sender = canonicalHost(from.remote.host);
    if (host === sender || this.#isThisMachine(sender)) return false;
    return this.#isThisMachine(host) || this.#parts.identity.isPartnerMachine(host);
  }

  #isThisMachine(host: string): boolean {
    return addressKind(host) === 'loopback' || this.#parts.identity.isOwnMachine(host);
  }
}

/** `inside`: this machine, and another member's. */
type Kind = 'outside' | 'inside' | 'nowhere';

const maxKinds = 4_096;

/** Where a request with this URI would go: its host, and `maddr` in its place (RFC 3261 §19.1.1). */
function placesOf(uri: SipUri): readonly SocketAddress[] {
  const secure = uri.scheme === 'sips' || uriParam(uri, 'transport')?.toLowerCase() === 'tls';
  const port = uri.port || (secure ? 5_061 : 5_060);
  const maddr = uriParam(uri, 'maddr')?.replace(/^\[|\]$/g, '');
  const hosts = maddr === undefined || maddr === '' ? [uri.host] : [uri.host, maddr];
  return hosts.map((host) => ({ host: canonicalHost(host), port }));
}

const nowhere = refusal(403, 'Forbidden - no address of a host');
const ourselves = refusal(403, 'Forbidden - that is this server');
const inside = refusal(403, 'Forbidden - that is inside of this server');
const notThrough = refusal(403, 'Forbidden - Path through a hop that is not yours');
