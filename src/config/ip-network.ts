/** A block of IP addresses in CIDR notation (RFC 4632 §3.1), as trust and allow lists name them. */
import { isIP } from 'node:net';

export interface IpNetwork {
  /** 4 or 16 octets; those past the prefix are zero. */
  readonly octets: Uint8Array;
  readonly prefixBits: number;
}

/** Reads `10.0.0.0/8`, `2001:db8::/32` or a single address, with or without brackets; undefined where it is neither. */
export function readIpNetwork(text: string): IpNetwork | undefined {
  const [, inBrackets, bare, bits] =
    /^(?:\[([0-9a-fA-F:]+)\]|([0-9a-fA-F:.]+))(?:\/(\d{1,3}))?$/.exec(text.trim()) ?? [];
  const octets = ipOctets(inBrackets ?? bare ?? '');
  if (octets === undefined) return undefined;
  const prefixBits = bits === undefined ? octets.length * 8 : Number(bits);
  return prefixBits > octets.length * 8 ? undefined : { octets: masked(octets, prefixBits), prefixBits };
}

/** Is `host` an IP literal inside the network? A name is in none. An IPv4-mapped IPv6 address counts as the IPv4 one. */
export function networkHolds(network: IpNetwork, host: string): boolean {
  const octets = ipOctets(host);
  if (octets === undefined || octets.length !== network.octets.length) return false;
  const whole = network.prefixBits >> 3;
  for (let index = 0; index < whole; index += 1) if (octets[index] !== network.octets[index]) return false;
  const rest = network.prefixBits & 7;
  return rest === 0 || ((octets[whole] ?? 0) & (0xff00 >> rest) & 0xff) === network.octets[whole];
}

function masked(octets: Uint8Array, prefixBits: number): Uint8Array {
  return octets.map((octet, index) => {
    const kept = Math.max(0, Math.min(8, prefixBits - index * 8));
    return octet & (0xff00 >> kept) & 0xff;
  });
}

/** The octets of an IP literal (zone ids have none); an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) gives four. */
export function ipOctets(host: string): Uint8Array | undefined {
  const ipv4 = ipv4Octets(host);
  if (ipv4 !== undefined || !host.includes(':') || host.includes('%')) return ipv4;
  return isIP(host) === 6 ? ipv6Octets(host) : undefined;
}

/** Four decimal numbers to 255 without leading zeros, as `isIP` has them; each registration asks several times. */
function ipv4Octets(host: string): Uint8Array | undefined {
  const { length } = host;
  if (length < 7 || length > 15) return undefined;
  const octets = new Uint8Array(4);
  let place = 0;
  let value = -1;
  for (let at = 0; at < length; at += 1) {
    const code = host.charCodeAt(at);
    if (code === dot) {
      if (value < 0 || place === 3) return undefined;
      octets[place] = value;
      place += 1;
      value = -1;
      continue;
    }
    const digit = code - zero;
    if (digit < 0 || digit > 9 || value === 0) return undefined;
    value = value < 0 ? digit : value * 10 + digit;
    if (value > 255) return undefined;
  }
  if (value < 0 || place !== 3) return undefined;
  octets[3] = value;
  return octets;
}

const dot = 46;
const zero = 48;

/** `host` passed isIP: at most one `::`, groups in range, an IPv4 tail at the end alone. */
function ipv6Octets(host: string): Uint8Array {
  const [head = '', tail] = host.split('::');
  const front = groupOctets(head);
  const back = tail === undefined ? [] : groupOctets(tail);
  const octets = new Uint8Array(16);
  octets.set(front, 0);
  octets.set(back, 16 - back.length);
  const mapped = octets[10] === 0xff && octets[11] === 0xff && octets.subarray(0, 10).every((octet) => octet === 0);
  return mapped ? octets.slice(12) : octets;
}

function groupOctets(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
