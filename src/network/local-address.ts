/** Binding: what an operator wrote becomes an IP literal, and what the system refuses becomes a sentence. */
import { lookup } from 'node:dns/promises';
import { isIPv6, SocketAddress as NodeSocketAddress } from 'node:net';
import { BindError } from '../errors.ts';
import {
  type ControllerAddress,
  formatAddress,
  isIpLiteral,
  type SocketAddress,
} from '../signaling/controller-address.ts';
import { errorCode } from './transmit-error.ts';

/** The address with its host as an IP literal. @throws BindError (rejects) where the name has none. */
export async function bindableAddress(address: ControllerAddress): Promise<ControllerAddress> {
  if (isIpLiteral(address.host)) return { ...address, host: canonicalHost(address.host) };
  try {
    const { address: host } = await lookup(address.host);
    return { ...address, host: canonicalHost(host) };
  } catch (error) {
    throw new BindError(`${formatAddress(address)} cannot be listened on: the name ${address.host} has no address`, {
      cause: error,
    });
  }
}

/** The sentence for what the system refused. */
export function bindError(address: ControllerAddress, error: unknown): BindError {
  const text = formatAddress(address);
  const code = errorCode(error);
  return new BindError(bindSentence(text, code) ?? `${text} cannot be listened on: ${code ?? String(error)}`, {
    cause: error,
  });
}

function bindSentence(text: string, code: string | undefined): string | undefined {
  switch (code) {
    case 'EADDRINUSE':
      return `${text} is already in use by another program`;
    case 'EADDRNOTAVAIL':
    case 'EINVAL':
      return `${text} is not an address of this machine`;
    case 'EACCES':
    case 'EPERM':
      return `${text} needs a privilege that this program does not have (ports below 1024 usually do)`;
    case 'EAFNOSUPPORT':
      return `${text} cannot be listened on: this machine has no IPv6`;
    case 'EMFILE':
    case 'ENFILE':
      return `${text} cannot be listened on: too many open files (raise the limit with ulimit -n)`;
    default:
      return undefined;
  }
}

/** One spelling per address: IPv6 as RFC 5952 writes it, an IPv4-mapped address (RFC 4291 §2.5.5.2) as IPv4. */
export function canonicalHost(host: string): string {
  if (!host.includes(':') || !isIPv6(host)) return host;
  const zone = host.indexOf('%');
  // Only the scope of a link-local address is left as it is.
  if (zone !== -1) return host.toLowerCase();
  const { address } = new NodeSocketAddress({ address: host, family: 'ipv6' });
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

/** The peer's address with one spelling of its host. */
export function canonicalAddress(remote: SocketAddress): SocketAddress {
  return { host: canonicalHost(remote.host), port: remote.port };
}

export const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';

/** Can bytes be sent there at all? A name is for the DNS to resolve, before it comes here. */
export const isSendable = ({ host, port }: SocketAddress): boolean => port > 0 && port <= 65_535 && isIpLiteral(host);
