/** `altpath log`: how much a running altpath writes. */
import { askAdmin } from '../admin-client.ts';
import { adminTarget } from './admin-target.ts';
import type { QueryFlags } from './query.ts';
import { readable } from './readable.ts';
import { isRow, outline } from './table.ts';

export interface LogWish {
  /** Undefined: only ask. */
  readonly level: string | undefined;
  readonly about: string | undefined;
  readonly part: string | undefined;
  readonly minutes: number;
}

/** The text to print. @throws AltpathError (rejects) with a sentence for the operator. */
export async function changeLog(flags: QueryFlags, { level, about, part, minutes }: LogWish): Promise<string> {
  const { address, token } = adminTarget(flags);
  const words = new URLSearchParams({
    ...(level === undefined ? {} : { level, minutes: String(minutes) }),
    ...(about === undefined ? {} : { about }),
    ...(part === undefined ? {} : { part }),
  });
  const answer = await askAdmin(address, `/log?${words}`, { method: level === undefined ? 'GET' : 'POST', token });
  return flags.json || !isRow(answer) ? JSON.stringify(answer, undefined, 2) : outline(readable(answer, Date.now()));
}
