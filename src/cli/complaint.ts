/** What goes wrong, as the command line says it. */
import { ConfigError } from '../errors.ts';
import type { Flags } from './flags.ts';

/** One line per problem; the stack for those who asked for it. */
export function complaint(error: unknown, flags: Flags): string {
  const level = flags['log-level'];
  if ((level === 'debug' || level === 'trace') && error instanceof Error && error.stack !== undefined)
    return `altpath: ${error.stack}`;
  const message = error instanceof Error ? error.message : String(error);
  const lines = error instanceof ConfigError ? message.split('\n') : [message.trim().replaceAll(/\s*\n\s*/g, ' ')];
  return lines.map((line) => `altpath: ${line}`).join('\n');
}
