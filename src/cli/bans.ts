/** `altpath bans`: the sources that a running altpath bans; bans one by hand, or lifts a ban. */
import { askAdmin } from '../admin-client.ts';
import { adminTarget } from './admin-target.ts';
import type { QueryFlags } from './query.ts';
import { isRow, table } from './table.ts';

export interface BanWish {
  /** Undefined: only show. */
  readonly source: string | undefined;
  readonly lift: boolean;
  readonly seconds: number | undefined;
}

/** The text to print. @throws AltpathError (rejects) with a sentence for the operator. */
export async function bans(flags: QueryFlags, { source, lift, seconds }: BanWish): Promise<string> {
  const { address, token } = adminTarget(flags);
  if (source !== undefined) {
    const words = new URLSearchParams({
      source,
      ...(lift || seconds === undefined ? {} : { seconds: String(seconds) }),
    });
    const answer = await askAdmin(address, `/bans?${words}`, { method: lift ? 'DELETE' : 'POST', token });
    if (flags.json) return JSON.stringify(answer, undefined, 2);
    return lift ? `${source} may send again` : `${source} is banned`;
  }
  const limit = flags.limit === 0 ? mostBans : flags.limit;
  const answer = await askAdmin(address, `/bans?limit=${limit}`, { token });
  const rows = isRow(answer) && Array.isArray(answer['items']) ? answer['items'].filter(isRow) : [];
  if (flags.json) return JSON.stringify(rows, undefined, 2);
  if (rows.length === 0) return 'nobody is banned';
  return table(rows, ['source', 'because', 'forSeconds', 'leftSeconds', 'times', 'dropped']);
}

/** A page of the admin server. */
const mostBans = 5_000;
