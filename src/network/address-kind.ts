/** What kind of place an address is, however it is spelled: whether packets may go there, and whether that is this very machine. */
import { SocketAddress } from 'node:net';
import { ipOctets } from '../config/ip-network.ts';

/** nowhere: multicast, broadcast, unspecified, reserved. name: not an address. */
export type AddressKind = 'unicast' | 'loopback' | 'nowhere' | 'name';

export function addressKind(host: string): AddressKind {
  const octets = ipOctets(host);
  if (octets === undefined) return isLocalName(host) ? 'loopback' : 'name';
  const [first = 0] = octets;
  if (octets.length === 4) {
    if (first === 127) return 'loopback';
    // RFC 1122 §3.2.1.3, RFC 1112 §4: this network, multicast, reserved, limited broadcast.
    return first === 0 || first >= 224 ? 'nowhere' : 'unicast';
  }
  if (first === 0xff) return 'nowhere';
  // The unspecified address, loopback, and what RFC 4291 §2.5.5.1 once was for.
  if (!octets.subarray(0, 12).every((octet) => octet === 0)) return 'unicast';
  return octets.subarray(12, 15).every((octet) => octet === 0) && octets[15] === 1 ? 'loopback' : 'nowhere';
}

/** One spelling for each address: IPv6 as RFC 5952 §4 has it, an IPv4-mapped one as IPv4; names in lower case. */
export function canonicalHost(host: string): string {
  if (!host.includes(':')) return host.toLowerCase();
  const octets = ipOctets(host);
  if (octets === undefined) return host.toLowerCase();
  return octets.length === 4 ? octets.join('.') : new SocketAddress({ address: host, family: 'ipv6' }).address;
}

/** RFC 6761 §6.3. */
const isLocalName = (host: string): boolean => /^(?:[^.]+\.)*localhost\.?$/i.test(host);
