/** In whose place a backup sends what a dead member began. */
import type { ControllerAddress, ControllerPool } from '../../../src/internal.ts';

/** The member in whose place something is sent: the one at this host, else the one that went down last, else the first. */
export function predecessorAmong(
  members: readonly ControllerAddress[],
  pool: ControllerPool,
  host: string | undefined,
): ControllerAddress | undefined {
  const downSince = (each: ControllerAddress): number => {
    const peer = pool.find(each);
    return peer?.health === 'down' ? peer.downSinceMs : -1;
  };
  const known = host === undefined ? undefined : members.find((each) => each.host === host);
  return known ?? [...members].sort((a, b) => downSince(b) - downSince(a))[0];
}
