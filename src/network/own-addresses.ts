/** The addresses behind a wildcard: what peers reach us by where a socket is bound to 0.0.0.0 or ::. */
import { networkInterfaces } from 'node:os';
import { systemClock } from '../clock.ts';
import { canonicalHost, isWildcard } from './local-address.ts';

export type Interfaces = ReturnType<typeof networkInterfaces>;

/**
 * Every address that a socket bound to this host has, the best to show to others first: one that other machines reach, in the order of
 * the interfaces, then loopback. A host that is no wildcard is its own address.
 */
export function ownAddresses(host: string, interfaces: Interfaces = currentInterfaces()): readonly string[] {
  if (!isWildcard(host)) return [host];
  const family = host === '::' ? 'IPv6' : 'IPv4';
  const found = Object.values(interfaces)
    .flatMap((each) => each ?? [])
    .filter((each) => each.family === family);
  const rank = ({ internal, address }: (typeof found)[number]): number => (internal ? 2 : isLinkLocal(address) ? 1 : 0);
  const addresses = found
    .map((each) => ({ rank: rank(each), host: canonicalHost(each.address) }))
    .sort((one, other) => one.rank - other.rank)
    .map((each) => each.host);
  return addresses.length > 0 ? [...new Set(addresses)] : [family === 'IPv6' ? '::1' : '127.0.0.1'];
}

/** Asked of the system now and then: it costs too much for every message. */
function currentInterfaces(): Interfaces {
  const now = systemClock.now();
  if (known === undefined || now - known.atMs > knownMs) known = { interfaces: networkInterfaces(), atMs: now };
  return known.interfaces;
}

let known: { readonly interfaces: Interfaces; readonly atMs: number } | undefined;

const knownMs = 10_000;

/** The host to show to others for a socket: what the operator says, else the best of its own. */
export const shownHost = (host: string, advertise: string | undefined, interfaces?: Interfaces): string =>
  isWildcard(host) ? (advertise ?? ownAddresses(host, interfaces)[0] ?? host) : host;

/** RFC 3927 §2.1, RFC 4291 §2.5.6: of no use beyond the link. */
const isLinkLocal = (address: string): boolean => address.startsWith('169.254.') || /^fe[89ab]/i.test(address);
