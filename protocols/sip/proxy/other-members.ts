/** The other members of our cluster, by machine and by socket. */
import type { Cluster, NamedHop } from '../../../src/internal.ts';
import { sipDefaultPort } from '../config.ts';

export interface OtherMembers {
  /** Is this the machine of another member? */
  isMember(host: string): boolean;
  /** Is this hop another member's socket? It judges for itself what comes there. */
  isMemberAt(hop: NamedHop): boolean;
}

export function otherMembers({ backups, backupFor }: Cluster): OtherMembers {
  const members = [...backups, ...backupFor];
  const hosts = new Set(members.map(({ host }) => host));
  const sockets = new Set(members.map(({ host, port }) => `${host}:${port}`));
  return {
    isMember: (host) => hosts.has(host),
    isMemberAt: ({ host, port, transport }) =>
      hosts.has(host) && sockets.has(`${host}:${port ?? sipDefaultPort(transport ?? 'udp')}`),
  };
}
