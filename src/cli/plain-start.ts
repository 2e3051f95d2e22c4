/**
 * A start with nothing but plain flags, which is how services are started: without the library that reads and explains all the other
 * commands. It is a tenth of the time and of the memory of a start.
 */
import type { ProtocolEntry } from '../controller/protocol-entry.ts';
import { complaint } from './complaint.ts';
import { plainFlags } from './flags.ts';
import { serveAll, serveRole } from './serve-roles.ts';

/** The exit code; undefined: the words are for the command line as a whole. */
export async function plainStart(
  protocols: readonly ProtocolEntry[],
  [command, ...words]: readonly string[],
): Promise<number | undefined> {
  const protocol = protocols.find(({ name }) => name === command);
  if (protocol === undefined && command !== 'run') return undefined;
  const flags = plainFlags(words, protocol);
  if (flags === undefined) return undefined;
  try {
    await (protocol === undefined ? serveAll(protocols, flags) : serveRole(protocols, protocol, flags));
    return 0;
  } catch (error) {
    process.stderr.write(`${complaint(error, flags)}\n`);
    return 1;
  }
}
