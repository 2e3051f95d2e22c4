/** Where a controller, gateway or telephone is reached: transport, host, port and, where the protocol has one, a user (`ca@…`). */
import { isIP } from 'node:net';
import { AddressError } from '../errors.ts';

export const transports = ['udp', 'tcp', 'tls', 'ws', 'wss'] as const;

export type Transport = (typeof transports)[number];

export interface SocketAddress {
  /** IPv4 or IPv6 literal without brackets, or a domain name. */
  readonly host: string;
  readonly port: number;
}

export interface ControllerAddress extends SocketAddress {
  readonly transport: Transport;
  readonly user?: string;
}

export const isReliable = (transport: Transport): boolean => transport !== 'udp';

export const isSecure = (transport: Transport): boolean => transport === 'tls' || transport === 'wss';

export const isTransport = (text: string): text is Transport => (transports as readonly string[]).includes(text);

export const isIpLiteral = (host: string): boolean => isIP(host) !== 0;

/** `host:port`, an IPv6 literal in brackets. */
export const formatSocketAddress = ({ host, port }: SocketAddress): string => `${bracketed(host)}:${port}`;

/** An IPv6 literal in brackets, anything else as it is. */
export const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** `udp:127.0.0.1:5060`: the one spelling used in logs, flags, maps and metrics. */
export const formatAddress = (address: ControllerAddress): string =>
  `${address.transport}:${address.user === undefined ? '' : `${address.user}@`}${formatSocketAddress(address)}`;

/** Equal keys, equal hop: the user is not part of where bytes go. */
export const addressKey = ({ transport, host, port }: ControllerAddress): string => `${transport}:${host}:${port}`;

export const sameAddress = (a: ControllerAddress, b: ControllerAddress): boolean =>
  a.port === b.port && a.host === b.host && a.transport === b.transport;

/**
 * Reads `[transport:][user@]host[:port]`; IPv6 literals stand in brackets.
 * @throws AddressError with a sentence an operator can act on.
 */
export function parseAddress(text: string, defaults: { transport?: Transport; port: number }): ControllerAddress {
  const address = readAddress(text, defaults);
  if (address === undefined) {
    throw new AddressError(
      `"${text}" is not an address: write [udp:|tcp:|tls:|ws:|wss:]host[:port], IPv6 in brackets, for example udp:127.0.0.1:5060`,
    );
  }
  return address;
}

/** As parseAddress, for text that came from a peer: undefined where it is no address. */
export function readAddress(
  text: string,
  defaults: { transport?: Transport; port: number },
): ControllerAddress | undefined {
  const match = /^(?:([a-z]+):(?!\d+$))?(?:([^@[\]\s<>"]+)@)?(\[[0-9a-fA-F:.%]+\]|[^:@[\]\s<>"]+)(?::(\d{1,5}))?$/.exec(
    text.trim(),
  );
  if (match === null) return undefined;
  const [, transport = defaults.transport ?? 'udp', user, bracketedHost = '', portText] = match;
  if (!isTransport(transport)) return undefined;
  const host = bracketedHost.startsWith('[') ? bracketedHost.slice(1, -1).toLowerCase() : bracketedHost.toLowerCase();
  if (bracketedHost.startsWith('[') ? isIP(host) !== 6 : !isHost(host)) return undefined;
  const port = portText === undefined ? defaults.port : Number(portText);
  if (port > 65_535) return undefined;
  return user === undefined ? { transport, host, port } : { transport, host, port, user };
}

/** An IPv4 literal or a domain name (RFC 1123 §2.1, with underscores, which operators do use). */
function isHost(host: string): boolean {
  if (/^[\d.]+$/.test(host)) return isIP(host) === 4;
  return host.length <= 253 && /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/.test(host);
}
