/**
 * Whose AlternatePath is obeyed, and where it may lead (docs/alternate-path.md §8). Cluster members and configured hops count as
 * trusted; anybody else's tag can at most name controllers that the operator named as well.
 */
import {
  allowHolds,
  alternatePathTag,
  bracketed,
  type ControllerAddress,
  type Counter,
  canonicalHost,
  type Flow,
  isIpLiteral,
  isReliable,
  isSecure,
  type Metrics,
  type NamedHop,
  type TrustSettings,
  trustHolds,
} from '../../../src/internal.ts';
import { ParseCache } from '../codec/parse-cache.ts';
import { escapeParam, isUnicast } from '../codec/uri.ts';
import type { Via } from '../codec/values.ts';
import { sipDefaultPort } from '../config.ts';
import { hasTag, type Placement, viaAlternates } from '../path.ts';

export class PathTrust {
  readonly #settings: TrustSettings;
  readonly #placement: Placement;
  readonly #refused: Counter;
  readonly #malformed: Counter;
  /** Configured hops and partners, `host:port` and bare host. */
  #known: ReadonlySet<string> = new Set();
  /** The host that a program of this process names as its own end of a flow, instead of an address. */
  #inner: string | undefined;
  /** Addresses of configured hops that have names. */
  readonly #learned = new Set<string>();
  /** Hosts of carriers: no dialog of others leads there, but their word on alternates counts for nothing. */
  #trunks: ReadonlySet<string> = new Set();
  readonly #beside = new Map<string, readonly NamedHop[]>();
  /** By the text of the tag and what follows it. */
  readonly #backWays = new ParseCache<readonly ControllerAddress[]>();

  constructor(settings: TrustSettings, placement: Placement, metrics: Metrics) {
    this.#settings = settings;
    this.#placement = placement;
    this.#refused = metrics.counter(
      'sip_alternates_refused_total',
      'Alternates that were named by a hop without trust, or outside of what is allowed',
    );
    this.#malformed = metrics.counter('sip_alternates_malformed_total', 'AlternatePath tags that could not be read');
  }

  /** The hops that the operator named: cluster members, routes, trunks. */
  know(hops: readonly NamedHop[]): void {
    const known = new Set<string>();
    for (const { host: written, port, transport = 'udp' } of hops) {
      const host = canonicalHost(written);
      known.add(host);
      known.add(`${host}:${port ?? sipDefaultPort(transport)}`);
      if (isReliable(transport)) known.add(`${host} ${transport}`);
    }
    this.#known = known;
    this.#learned.clear();
  }

  /** What comes from this end, which is no address of any network, is our own. */
  trustInner(host: string): void {
    this.#inner = host;
  }

  /** The hops of trunks. */
  knowTrunks(hops: readonly NamedHop[]): void {
    this.#trunks = new Set(
      hops.map(({ host: written, port, transport }) => {
        const host = canonicalHost(written);
        return isLoopback(host) ? `${host}:${port ?? sipDefaultPort(transport ?? 'udp')}` : host;
      }),
    );
  }

  /** Sets of hops that stand for one another. */
  knowSets(sets: readonly (readonly NamedHop[])[]): void {
    this.#beside.clear();
    for (const set of sets) {
      if (set.length < 2) continue;
      for (const hop of set) {
        const key = `${hop.host}:${hop.port ?? sipDefaultPort(hop.transport ?? 'udp')}`;
        if (!this.#beside.has(key)) this.#beside.set(key, set.filter((other) => other !== hop).slice(0, 3));
      }
    }
  }

  /** The hops that the operator named beside this one. */
  configuredBeside({ host, port }: ControllerAddress): readonly NamedHop[] {
    return this.#beside.size === 0 ? none : (this.#beside.get(`${host}:${port}`) ?? none);
  }

  /** May this peer's tags be obeyed? */
  isTrusted(flow: Flow): boolean {
    return (
      this.#isNamed(flow) ||
      flow.remote.host === this.#inner ||
      this.#settings.trust.some((rule) => trustHolds(rule, flow.remote.host, flow.peerName))
    );
  }

  /** Does it come from the machine of a hop that the operator named? A loopback address has many programs: there it must be the hop's socket. */
  #isNamed({ remote: { host, port }, transport, reliable }: Flow): boolean {
    if (!this.#known.has(host)) return false;
    if (!isLoopback(host) || this.#known.has(`${host}:${port}`)) return true;
    // The port of a connection's other end says nothing.
    return reliable && this.#known.has(`${host} ${transport}`);
  }

  /** Did the operator name this controller? */
  knows({ host, port }: ControllerAddress): boolean {
    return this.#known.has(`${host}:${port}`);
  }

  /** Is this address, or hop as a message names it, one that the operator configured, at whatever port of its machine? */
  isConfigured({ host: written, port, transport }: NamedHop): boolean {
    const host = written.includes(':') ? canonicalHost(written) : written;
    if (!isLoopback(host)) return this.#known.has(host) || this.#trunks.has(host) || this.#learned.has(host);
    // The loopback addresses have many programs.
    const socket = `${host}:${port ?? sipDefaultPort(transport ?? 'udp')}`;
    return this.#known.has(socket) || this.#trunks.has(socket) || this.#learned.has(socket);
  }

  /** Did the operator name this very socket, or a name that stands for it? */
  isNamedSocket({ host: written, port }: ControllerAddress): boolean {
    const host = canonicalHost(written);
    const socket = `${host}:${port}`;
    return this.#known.has(socket) || this.#trunks.has(socket) || this.#learned.has(socket) || this.#trunks.has(host);
  }

  /** What the name of a configured hop stands for. */
  learn(addresses: readonly ControllerAddress[]): void {
    for (const { host, port } of addresses) {
      if (this.#learned.size >= maxLearned) return;
      this.#learned.add(host);
      this.#learned.add(`${host}:${port}`);
    }
  }

  /** Must tags of this peer be taken out? */
  strips(flow: Flow): boolean {
    return this.#settings.strip === 'untrusted' && !this.isTrusted(flow);
  }

  /** A hop that the operator named, with alternates that he named as well: nothing a stranger could have added. */
  vouches(host: string, isSelf: boolean, alternates: readonly ControllerAddress[] | undefined): boolean {
    return (
      (isSelf || this.#known.has(host)) &&
      alternates !== undefined &&
      alternates.length > 0 &&
      alternates.every((each) => this.knows(each))
    );
  }

  /**
   * The alternates of the hop that a request came from, by its Via. A hop writes the same tag on every message: what was read of it
   * once is kept.
   */
  backWays(via: Via, from: Flow): readonly ControllerAddress[] {
    const { params } = via;
    if (!this.isTrusted(from) || !hasTag(params)) return none;
    const at = params.indexOf(alternatePathTag);
    const text = at < 0 ? params : params.slice(at);
    // A response is sent at once, without asking for names. What a tag may say depends on the transport it came over.
    return this.#backWays.get(text, from.transport, () =>
      this.alternates(viaAlternates(via), from).filter(({ host }) => isIpLiteral(host)),
    );
  }

  /** Those of a tag's alternates that we may send to: all allowed ones if a trusted hop says so, else only controllers we know. */
  alternates(
    named: readonly ControllerAddress[] | undefined,
    from: Flow,
    secure = isSecure(from.transport),
  ): readonly ControllerAddress[] {
    if (named === undefined) return none;
    if (named.length === 0) {
      this.#malformed.add();
      return none;
    }
    const trusted = this.isTrusted(from);
    // Where the primary is reached by TLS, so is its alternate: a tag must not talk anybody out of it.
    const kept = named.filter(
      (alternate) => (!secure || isSecure(alternate.transport)) && this.#mayLead(alternate, trusted),
    );
    if (kept.length < named.length) this.#refused.add(named.length - kept.length);
    return kept;
  }

  /** A Route entry for a configured set of hops: the first one, tagged with the others. */
  routeSet(hop: NamedHop, others: readonly NamedHop[]): string {
    const list = others.slice(0, 3).map((other) => `sip:${hopText(other)}`);
    const uriTag = this.#placement === 'header' ? '' : `;${alternatePathTag}=${escapeParam(list.join(' '))}`;
    const headerTag = this.#placement === 'uri' ? '' : `;${alternatePathTag}="${list.join(' ')}"`;
    return `<sip:${hopText(hop)}${uriTag};lr>${headerTag}`;
  }

  #mayLead(alternate: ControllerAddress, trusted: boolean): boolean {
    if (!isUnicast(alternate.host)) return false;
    if (this.#known.has(`${alternate.host}:${alternate.port}`)) return true;
    if (!trusted) return false;
    const { allow } = this.#settings;
    return allow.length === 0 || allow.some((rule) => allowHolds(rule, alternate));
  }
}

const maxLearned = 4_096;

const isLoopback = (host: string): boolean => host === '::1' || host === 'localhost' || host.startsWith('127.');

const none: readonly never[] = [];

function hopText({ host, port, transport }: NamedHop): string {
  const portText = port === undefined ? '' : `:${port}`;
  return `${bracketed(host)}${portText}${transport === undefined ? '' : `;transport=${transport}`}`;
}
