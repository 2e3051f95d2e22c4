/** Whose path attributes are obeyed, and where they may lead: the `trust`, `allow` and `strip` lists as the operator wrote them. */
import { isIP } from 'node:net';
import type { SocketAddress } from '../signaling/controller-address.ts';
import { type IpNetwork, networkHolds, readIpNetwork } from './ip-network.ts';

/** A hop whose attribute may be obeyed: by its address, or by the name its certificate proved. */
export type TrustRule =
  | { readonly kind: 'network'; readonly network: IpNetwork }
  | { readonly kind: 'name'; readonly name: string };

/** Where an alternate may lie. A domain holds for the name and everything below it. */
export type AllowRule =
  | { readonly kind: 'network'; readonly network: IpNetwork; readonly port?: number }
  | { readonly kind: 'domain'; readonly domain: string };

/** `untrusted`: attributes of untrusted hops are taken out of what we forward; `none`: passed on untouched (never obeyed). */
export type StripRule = 'untrusted' | 'none';

export interface TrustSettings {
  /** Beyond cluster members and configured hops, which always count as trusted. */
  readonly trust: readonly TrustRule[];
  /** Empty: wherever a trusted hop says. */
  readonly allow: readonly AllowRule[];
  readonly strip: StripRule;
}

/** Does the rule cover a peer at this IP address that proved this name (if any)? */
export function trustHolds(rule: TrustRule, remoteHost: string, peerName?: string): boolean {
  if (rule.kind === 'network') return networkHolds(rule.network, remoteHost);
  if (peerName === undefined) return false;
  const name = peerName.toLowerCase();
  if (!rule.name.startsWith('*.')) return name === rule.name;
  const dot = name.indexOf('.');
  return dot > 0 && name.slice(dot) === rule.name.slice(1);
}

/** Does the rule allow this alternate? To be asked again with the IP literal once a name was resolved. */
export function allowHolds(rule: AllowRule, { host, port }: SocketAddress): boolean {
  if (rule.kind === 'network')
    return (rule.port === undefined || rule.port === port) && networkHolds(rule.network, host);
  const name = host.toLowerCase().replace(/\.$/, '');
  return name === rule.domain || name.endsWith(`.${rule.domain}`);
}

/** `10.0.0.0/8`, `::1`, `proxy.example.com` or `*.example.com`; undefined where it is none of these. */
export function readTrustRule(text: string): TrustRule | undefined {
  const network = readIpNetwork(text);
  if (network !== undefined) return { kind: 'network', network };
  const name = text.trim().toLowerCase();
  return isName(name.replace(/^\*\./, '')) ? { kind: 'name', name } : undefined;
}

/** `10.0.0.0/8`, `10.0.0.0/8:5060`, `[2001:db8::/32]:5060` or a domain; undefined where it is none of these. */
export function readAllowRule(text: string): AllowRule | undefined {
  const trimmed = text.trim();
  const bare = readIpNetwork(trimmed);
  if (bare !== undefined) return { kind: 'network', network: bare };
  const [, inBrackets, plain, portText] = /^(?:\[([^\]]+)\]|([\d.]+(?:\/\d+)?)):(\d{1,5})$/.exec(trimmed) ?? [];
  if (portText !== undefined) {
    const network = readIpNetwork(inBrackets ?? plain ?? '');
    const port = Number(portText);
    return network === undefined || port > 65_535 ? undefined : { kind: 'network', network, port };
  }
  const domain = trimmed.toLowerCase().replace(/^\*?\./, '');
  return isName(domain) ? { kind: 'domain', domain } : undefined;
}

/** A domain name, and no half-written address. */
const isName = (text: string): boolean =>
  isIP(text) === 0 && /[a-z]/.test(text) && text.length <= 253 && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(text);
