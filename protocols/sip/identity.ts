/** Who this proxy is on the wire: its addresses and domains, and the header text it writes over each of its sockets. */
import {
  addressKind,
  bracketed,
  type ControllerAddress,
  canonicalHost,
  type Flow,
  formatSocketAddress,
  isSecure,
  isWildcard,
  KeyedHash,
  type Listener,
  ownAddresses,
  type PathAttribute,
  pathAttribute,
  type SocketAddress,
  shownHost,
  type Transport,
} from '../../src/internal.ts';
import type { SipAssembler } from './adapter.ts';
import type { SipMessage } from './codec/messages.ts';
import { isSipScheme, type SipUri, unescapeText } from './codec/uri.ts';
import { sipDefaultPort } from './config.ts';
import { type Placement, tagText, uriTagText } from './path.ts';

/** What we write when we send from one of our sockets; made once per socket. */
export interface LocalHeaders {
  readonly address: ControllerAddress;
  /** `127.0.0.1:5060`. */
  readonly sentBy: string;
  /** `Via: SIP/2.0/UDP 127.0.0.1:5060;branch=`, and what follows the branch up to the line end. */
  readonly viaStart: string;
  readonly viaEnd: string;
  /** `sip:127.0.0.1:5060;transport=tcp;lr` with the tag where it belongs: `<…>;AlternatePath="…"`. */
  readonly route: string;
  /** The same as a SIPS URI, on a socket of TLS; another of ours where this one has none, undefined where none of ours has. */
  readonly secureRoute: string | undefined;
  readonly path: PathAttribute | undefined;
}

export interface IdentityOptions {
  readonly domains: readonly string[];
  readonly advertise?: string | undefined;
  readonly placement: Placement;
  /** Addresses of our partners: their names are our names, for they serve the same domains. */
  readonly partners: readonly ControllerAddress[];
  readonly secret: string;
  /** Stands in every Via of ours: which of the workers of this host sent it. */
  readonly viaMark?: string | undefined;
}

export class Identity {
  readonly #options: IdentityOptions;
  readonly #assembler: SipAssembler;
  readonly #domains: ReadonlySet<string>;
  /** Hosts that mean this element whatever the domain: sockets, advertised host, partners. */
  readonly #hosts = new Set<string>();
  /** Our ports, by host. */
  readonly #sockets = new Map<string, Set<number>>();
  readonly #ports = new Set<number>();
  /** Those of sockets bound to every address of the machine. */
  readonly #wildcardPorts = new Set<number>();
  readonly #machine = new Set<string>();
  #sentBys: readonly string[] = [];
  /** What we write into Record-Route, from its host on. */
  #routeTails: readonly string[] = [];
  #localHeaders = new WeakMap<SocketAddress, LocalHeaders>();
  /** Of the members, when what is kept was written (Assembler.state). */
  #state = 0;
  #addresses: readonly ControllerAddress[] = [];
  /** Bounded by sockets × partners. */
  readonly #standIns = new Map<string, LocalHeaders>();
  readonly #localTags: KeyedHash;

  constructor(options: IdentityOptions, assembler: SipAssembler) {
    this.#options = options;
    this.#localTags = new KeyedHash(options.secret, 'SIP local tag');
    this.#assembler = assembler;
    this.#domains = new Set(options.domains);
    for (const partner of options.partners) this.#hosts.add(partner.host);
  }

  /** Call once every socket is bound. */
  bound(listeners: readonly Listener[]): void {
    this.#addresses = listeners.map(({ local }) => ({ ...local, host: this.#hostOf(local) }));
    for (const { local } of listeners) {
      const host = this.#hostOf(local);
      this.#ports.add(local.port);
      if (isWildcard(local.host)) this.#wildcardPorts.add(local.port);
      for (const name of new Set([host, local.host, ...ownAddresses(local.host)])) {
        if (!isWildcard(name)) {
          this.#hosts.add(name);
          this.#machine.add(canonicalHost(name));
        }
        const ports = this.#sockets.get(name);
        if (ports === undefined) this.#sockets.set(name, new Set([local.port]));
        else ports.add(local.port);
      }
    }
    // Every Via of ours has its branch right behind the sent-by.
    this.#sentBys = [...new Set(this.#addresses.map((address) => `${formatSocketAddress(address)};branch=`))];
    this.#routeTails = [
      ...new Set(this.#addresses.map((address) => this.#makeHeaders(address).route.slice(routeStart.length))),
    ];
  }

  /** The name we go by: the first domain, else the first host. */
  get name(): string {
    const [domain] = this.#domains;
    return domain ?? this.#addresses[0]?.host ?? 'localhost';
  }

  /** The first of our addresses. Known once the sockets are bound. */
  get address(): SocketAddress {
    return this.#addresses[0] ?? { host: 'localhost', port: 0 };
  }

  /** All of them, as others reach us. */
  get addresses(): readonly ControllerAddress[] {
    return this.#addresses;
  }

  /** Is this host and port (0: the default) one of our own sockets or domains? Never a partner's. */
  isSelf(host: string, port: number, secure = false): boolean {
    const known = this.#sockets.get(host) ?? (host.includes(':') ? this.#sockets.get(canonicalHost(host)) : undefined);
    if (known?.has(port === 0 ? (secure ? 5_061 : 5_060) : port) === true) return true;
    return (port === 0 || port === 5_060 || port === 5_061) && this.#domains.has(host);
  }

  /** Does a packet to this address, in its canonical spelling, come to one of our own sockets? */
  isOwnSocket(host: string, port: number): boolean {
    if (this.#sockets.get(host)?.has(port) === true) return true;
    return this.#wildcardPorts.has(port) && (this.#machine.has(host) || addressKind(host) === 'loopback');
  }

  /** Is this, in its canonical spelling, an address of the machine that we run on? */
  isOwnMachine(host: string): boolean {
    return this.#machine.has(host);
  }

  /** Is this, in its canonical spelling, the machine of another member? */
  isPartnerMachine(host: string): boolean {
    return this.#options.partners.some((partner) => canonicalHost(partner.host) === host);
  }

  /** Nobody from outside can reach us. */
  get isLoopbackOnly(): boolean {
    return this.#machine.size > 0 && [...this.#machine].every((host) => addressKind(host) === 'loopback');
  }

  /** Does one of our `host:port;` (a sent-by with parameters behind it) stand between these offsets? */
  isNamedIn(text: string, start: number, end: number): boolean {
    for (const needle of this.#sentBys) {
      const at = text.indexOf(needle, start);
      if (at >= 0 && at < end) return true;
    }
    return false;
  }

  /**
   * The user part, '' for none, where exactly the Route entry that we write over one of our sockets stands between these offsets;
   * undefined: something else does.
   */
  ownRouteUser(text: string, start: number, end: number): string | undefined {
    const userStart = start + routeStart.length;
    for (const tail of this.#routeTails) {
      const hostStart = end - tail.length;
      if (hostStart < userStart || !text.startsWith(tail, hostStart) || !text.startsWith(routeStart, start)) continue;
      if (hostStart === userStart) return '';
      if (text.charCodeAt(hostStart - 1) === 64) return text.slice(userStart, hostStart - 1);
    }
    return undefined;
  }

  /** Are we responsible for users at this host: a domain of ours, one of our addresses, or a partner's? */
  isLocal(uri: SipUri): boolean {
    return (
      isSipScheme(uri.scheme) && (this.#domains.has(uri.host) || (this.#isOurHost(uri.host) && this.#isOurPort(uri)))
    );
  }

  /**
   * The record of the location service that a URI means (RFC 3261 §10.3 item 5): user with escapes taken back, and the domain; our
   * own addresses mean our first domain, and all of them the same where no domain is configured.
   */
  record(uri: SipUri): string {
    const user = unescapeText(uri.user ?? '');
    if (this.#domains.has(uri.host)) return `${user}@${uri.host}`;
    const [domain] = this.#domains;
    return domain === undefined ? user : `${user}@${domain}`;
  }

  /**
   * What of a Request-URI decides where the request goes: for users of ours their record, so that parameters, escapes and the form of
   * the host make no difference (RFC 5393 §4.2), for others the URI as it is.
   */
  destination({ uri, requestUri }: SipMessage): string {
    return uri?.user !== undefined && this.isLocal(uri) ? this.record(uri) : requestUri;
  }

  /** Have we more than one socket of this transport? */
  hasSeveral(transport: Transport): boolean {
    return this.#addresses.filter((address) => address.transport === transport).length > 1;
  }

  /** Header text for what leaves over this flow. */
  localHeaders(flow: Flow): LocalHeaders {
    this.#refresh();
    let headers = this.#localHeaders.get(flow.local);
    if (headers === undefined) {
      headers = this.#makeHeaders({ transport: flow.transport, host: this.#hostOf(flow.local), port: flow.local.port });
      this.#localHeaders.set(flow.local, headers);
    }
    return headers;
  }

  /**
   * As `localHeaders`, in the place of a partner: the Via keeps the partner's sent-by and names us as the way back, Record-Route names us,
   * with the partner as our alternate.
   */
  standInHeaders(flow: Flow, partner: ControllerAddress): LocalHeaders {
    return this.#standIn(this.localHeaders(flow).address, partner);
  }

  /** Our Record-Route entry in the place of a partner's, on a socket of the same transport; undefined where we have none. */
  standInRoute(partner: ControllerAddress, secure = false): string | undefined {
    const self = this.#addresses.find(({ transport }) => transport === partner.transport);
    if (self === undefined) return undefined;
    const headers = this.#standIn(self, partner);
    return secure ? headers.secureRoute : headers.route;
  }

  /** The To tag of our own answers: the same for every copy of a request, on every member. */
  localTag({ callId, fromTag, cseq }: Pick<SipMessage, 'callId' | 'fromTag' | 'cseq'>): string {
    return this.#localTags.of(`${callId}\n${fromTag}\n${cseq}`);
  }

  /** Is the To tag of this request one that we gave to a refusal? */
  isLocalTag(request: SipMessage): boolean {
    return request.toTag.length === localTagLength && request.toTag === this.localTag(request);
  }

  /** Members have died or come back: what names them is written anew. */
  #refresh(): void {
    const { state } = this.#assembler;
    if (state === this.#state) return;
    this.#state = state;
    this.#localHeaders = new WeakMap();
    this.#standIns.clear();
  }

  #standIn(self: ControllerAddress, partner: ControllerAddress): LocalHeaders {
    this.#refresh();
    const key = `${self.transport}:${self.host}:${self.port} ${partner.host}:${partner.port}`;
    let headers = this.#standIns.get(key);
    if (headers === undefined) {
      const sameTransport = { ...partner, transport: self.transport };
      const back = pathAttribute(sameTransport, [self]);
      headers = {
        ...this.#makeHeaders(self, this.#assembler.path(self, sameTransport)),
        viaStart: `Via: SIP/2.0/${self.transport.toUpperCase()} ${formatSocketAddress(partner)};branch=`,
        viaEnd: `${self.transport === 'udp' ? ';rport' : ''}${this.#options.viaMark ?? ''}${back === undefined ? '' : tagText(back)}\r\n`,
      };
      this.#standIns.set(key, headers);
    }
    return headers;
  }

  /** An IPv6 address has many spellings. */
  #isOurHost(host: string): boolean {
    return this.#hosts.has(host) || (host.includes(':') && this.#hosts.has(canonicalHost(host)));
  }

  #isOurPort(uri: SipUri): boolean {
    if (uri.port === 0 || this.#ports.has(uri.port)) return true;
    return this.#options.partners.some((partner) => partner.port === uri.port && partner.host === uri.host);
  }

  #hostOf(local: SocketAddress): string {
    return shownHost(local.host, this.#options.advertise);
  }

  /** The entry of a TLS socket of ours, TLS over TCP preferred, on the same host where there is one. */
  #secureRouteBeside({ host }: ControllerAddress): string | undefined {
    const secure = this.#addresses.filter(({ transport }) => isSecure(transport));
    const beside =
      secure.find((each) => each.host === host && each.transport === 'tls') ??
      secure.find(({ transport }) => transport === 'tls') ??
      secure[0];
    return beside === undefined ? undefined : this.#makeHeaders(beside).secureRoute;
  }

  #makeHeaders(address: ControllerAddress, path = this.#assembler.path(address)): LocalHeaders {
    const { placement, viaMark = '' } = this.#options;
    const sentBy = `${bracketed(address.host)}:${address.port}`;
    const transportParam = address.transport === 'udp' ? '' : `;transport=${address.transport}`;
    const uriTag = path === undefined || placement === 'header' ? '' : uriTagText(path);
    const headerTag = path === undefined || placement === 'uri' ? '' : tagText(path);
    return {
      address,
      sentBy,
      viaStart: `Via: SIP/2.0/${address.transport.toUpperCase()} ${sentBy};branch=`,
      viaEnd: `${address.transport === 'udp' ? ';rport' : ''}${viaMark}${path === undefined ? '' : tagText(path)}\r\n`,
      route: `<sip:${sentBy}${transportParam}${uriTag};lr>${headerTag}`,
      secureRoute: isSecure(address.transport)
        ? `<sips:${sentBy}${address.transport === 'wss' ? ';transport=ws' : ''}${uriTag};lr>${headerTag}`
        : this.#secureRouteBeside(address),
      path,
    };
  }
}

/** An entry of ours, of either scheme, with a user part; '' for none. */
export function withUser(route: string, user: string): string {
  if (user === '') return route;
  const start = route.indexOf(':') + 1;
  return `${route.slice(0, start)}${user}@${route.slice(start)}`;
}

/** Of `KeyedHash.of`. */
const localTagLength = 11;

const routeStart = '<sip:';

/** A URI for a hop that we push as Route: `sip:host:port;transport=…;lr`. */
export const routeUri = (address: ControllerAddress): string =>
  `sip:${bracketed(address.host)}:${address.port || sipDefaultPort(address.transport)}${address.transport === 'udp' ? '' : `;transport=${address.transport}`};lr`;
