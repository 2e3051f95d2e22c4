/** The one member link of a process, for all of its roles. */

import { hostname } from 'node:os';
import { MemberLink, type MemberLinkParts } from '../cluster/member-link.ts';
import type { LoadedConfig } from '../config/load.ts';
import { BindError } from '../errors.ts';
import { logEvent } from '../log-events.ts';
import { formatSocketAddress } from '../signaling/controller-address.ts';
import type { RoleSetup } from './protocol-entry.ts';

type Parts = Pick<MemberLinkParts, 'clock' | 'random' | 'log' | 'metrics' | 'network' | 'version'> & {
  /** Which worker of this host we are: each is a member of its own on the link. */
  readonly worker?: number | undefined;
};

/**
 * Undefined where there are no partners, or no secret to know them by; the latter has been said with the warning about the secret.
 * @throws BindError (rejects).
 */
export async function startLink(
  { core, node, link: addresses }: LoadedConfig<RoleSetup>,
  parts: Parts,
): Promise<MemberLink | undefined> {
  const { secret } = core.cluster;
  if (secret === undefined || addresses === undefined) return undefined;
  const { listen, partners, unreachable, isShared } = addresses;
  if (isShared) {
    parts.log.warn(
      { address: formatSocketAddress(listen) },
      'no member link: a partner has the same host; give each member its own cluster.link, and the others’ as cluster.partners',
    );
    return undefined;
  }
  if (unreachable.length > 0)
    parts.log.warn(
      { hosts: unreachable },
      'partners given by name have no member link: write addresses, or their link addresses as cluster.partners',
    );
  const isWildcard = listen.host === '0.0.0.0' || listen.host === '::';
  const link = new MemberLink({
    ...parts,
    secret,
    listen,
    partners,
    member: `${node ?? formatSocketAddress(isWildcard ? { ...listen, host: hostname() } : listen)}${parts.worker === undefined ? '' : `/${parts.worker}`}`,
  });
  const { host, port } = await link.start().catch((error: unknown) => {
    throw error instanceof BindError
      ? new BindError(`member link: ${error.message} (cluster.port sets another)`)
      : error;
  });
  const address = formatSocketAddress({ host, port });
  logEvent(parts.log, 'memberLink', { address, partners: partners.map(formatSocketAddress) });
  return link;
}
