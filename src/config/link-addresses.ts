/** Where the member link of this process is bound, and where those of the other members are: from the node list, or from partners' addresses. */
import { isIP } from 'node:net';
import {
  type ControllerAddress,
  formatSocketAddress,
  readAddress,
  type SocketAddress,
} from '../signaling/controller-address.ts';
import { parsed } from './fields.ts';

export interface LinkAddresses {
  readonly listen: SocketAddress;
  readonly partners: readonly SocketAddress[];
  /** Hosts given by name: they cannot be spoken to over the link. */
  readonly unreachable: readonly string[];
  /** A partner would have our own link address: members of one host need addresses of their own. */
  readonly isShared: boolean;
}

/** IANA has given it to nobody. */
export const defaultLinkPort = 9061;

/** `ip[:port]` of a member link. */
export const linkAddressField = () =>
  parsed<SocketAddress>(
    (text) => {
      const address = readAddress(text, { port: defaultLinkPort });
      return address === undefined || isIP(address.host) === 0 ? undefined : { host: address.host, port: address.port };
    },
    (text) => `"${text}" is no address for the member link: write ip:port, such as 192.0.2.1:${defaultLinkPort}`,
    (value): value is SocketAddress =>
      typeof value === 'object' &&
      value !== null &&
      'host' in value &&
      typeof value.host === 'string' &&
      'port' in value &&
      typeof value.port === 'number',
  );

export interface LinkRequest {
  readonly port: number;
  /** Our own, where it was written. */
  readonly link: SocketAddress | undefined;
  /** The others', where they were written. */
  readonly partners: readonly SocketAddress[];
  readonly sections: Iterable<{
    readonly listen: readonly ControllerAddress[];
    readonly backup: readonly ControllerAddress[];
    readonly backupFor: readonly ControllerAddress[];
  }>;
}

/** Undefined: no partners, no link. */
export function linkAddresses({ port, link, partners, sections }: LinkRequest): LinkAddresses | undefined {
  const all = [...sections];
  const hosts = all.flatMap(({ backup, backupFor }) => [...backup, ...backupFor]).map(({ host }) => host);
  const own = link ?? ownLink(all.flatMap(({ listen }) => listen)[0], port);
  if (own === undefined || (hosts.length === 0 && partners.length === 0)) return undefined;
  const found = partners.length > 0 ? partners : hosts.map((host) => ({ host, port }));
  const reachable = new Map(
    found.filter(({ host }) => isIP(host) !== 0).map((address) => [formatSocketAddress(address), address] as const),
  );
  return {
    listen: own,
    isShared: own.port !== 0 && reachable.has(formatSocketAddress(own)),
    partners: [...reachable.values()],
    unreachable: [...new Set(found.map(({ host }) => host).filter((host) => isIP(host) === 0))],
  };
}

const ownLink = (first: ControllerAddress | undefined, port: number): SocketAddress | undefined =>
  first === undefined ? undefined : { host: isIP(first.host) === 0 ? '0.0.0.0' : first.host, port };

/** A node's own word, else the host of the first address of its first role. */
export function nodeLink(link: string | undefined, addresses: readonly string[], port: number): string | undefined {
  if (link !== undefined) return link;
  const host = readAddress(addresses[0] ?? '', { port })?.host;
  return host === undefined ? undefined : formatSocketAddress({ host, port });
}
