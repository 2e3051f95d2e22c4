/** Which secret a process shares with its partners. */
import type { Random } from '../random.ts';

/**
 * What flags alone stand on: known to everybody, so that two processes started by hand can stand in for each other. With it a
 * stranger can foresee transaction identities; documented in docs/alternate-path.md and said loudly at every start.
 */
export const wellKnownSecret = 'altpath: this is no secret';

export interface ClusterSecret {
  readonly secret: string;
  /** The operator ought to know. */
  readonly warning?: string;
}

export function clusterSecret(configured: string | undefined, hasPartners: boolean, random: Random): ClusterSecret {
  if (configured !== undefined) return { secret: configured };
  // Alone, nobody else has to compute the same.
  if (!hasPartners) return { secret: random.hex(32) };
  return {
    secret: wellKnownSecret,
    warning: `no cluster.secret: using the well-known one, for trials only, and no member link (set cluster.secret in the file or ${secretVariable} on every member)`,
  };
}

/** For those who run on flags: a secret on a command line is shown to everybody by ps. */
export const secretVariable = 'ALTPATH_CLUSTER_SECRET';
