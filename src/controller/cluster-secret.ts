/** Which secret a process shares with its partners. */
import { wellKnownSecret } from '../cluster.ts';
import type { Random } from '../random.ts';

export interface ClusterSecret {
  readonly secret: string;
  /** The operator ought to know. */
  readonly warning?: string;
}

/** `shared`: what the processes of this host share. */
export function clusterSecret(
  configured: string | undefined,
  hasPartners: boolean,
  random: Random,
  shared?: string,
): ClusterSecret {
  if (configured !== undefined) return { secret: configured };
  // Alone, nobody else has to compute the same.
  if (!hasPartners) return { secret: shared ?? random.hex(32) };
  return {
    secret: wellKnownSecret,
    warning: `no cluster.secret: using the well-known one, for trials only, and no member link (set cluster.secret in the file or ${secretVariable} on every member)`,
  };
}

/** For those who run on flags: a secret on a command line is shown to everybody by ps. */
export const secretVariable = 'ALTPATH_CLUSTER_SECRET';
