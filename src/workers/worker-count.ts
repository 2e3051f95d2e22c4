/** How many processes share the listeners, and whether this machine and this configuration can have them. */
import { availableParallelism } from 'node:os';
import type { CoreConfig } from '../config/core-schema.ts';
import type { RoleSection } from '../config/role-section.ts';
import { ConfigError } from '../errors.ts';
import { formatAddress } from '../signaling/controller-address.ts';

export const workerCount = ({ workers }: Pick<CoreConfig, 'workers'>): number =>
  workers === 'auto' ? Math.min(maxWorkers, availableParallelism()) : workers;

/** Tells the program that it is a worker; the rest it hears over the channel to its supervisor. */
export const workerVariable = 'ALTPATH_WORKER';

export const maxWorkers = 64;

/** Where the system shares a port between processes and spreads what comes in (Node: `reusePort`). */
const platforms: readonly NodeJS.Platform[] = ['linux', 'freebsd'];

/** `file`: where it is written. @throws ConfigError with one sentence where several workers cannot be had. */
export function checkWorkers(
  count: number,
  sections: ReadonlyMap<string, RoleSection>,
  file?: string,
  platform: NodeJS.Platform = process.platform,
): void {
  if (count < 2) return;
  const at = file === undefined ? '' : `${file}: `;
  if (!platforms.includes(platform))
    throw new ConfigError(
      `${at}workers: ${count} needs Linux or FreeBSD, where processes can share a port; this is ${platform} (write workers: 1)`,
    );
  for (const [role, { listen }] of sections)
    for (const address of listen)
      if (address.port === 0)
        throw new ConfigError(
          `${at}${role}.listen: ${formatAddress(address)} has no fixed port, and workers have to bind the same one (write a port, or workers: 1)`,
        );
}
