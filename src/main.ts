#!/usr/bin/env node
/** The program `altpath`: the command line over every protocol there is. */
import { continuesElsewhere } from './cli/modern-node.ts';

if (!continuesElsewhere()) {
  const [{ plainStart }, { protocols, demonstrations }] = await Promise.all([
    import('./cli/plain-start.ts'),
    import('./protocol-table.ts'),
  ]);
  const words = process.argv.slice(2);
  process.exitCode =
    (await plainStart(protocols, words)) ??
    (await (await import('./cli/command-line.ts')).runCommandLine(protocols, words, demonstrations));
  // Everything is closed by now and the process ends by itself; what was forgotten must not keep it.
  setTimeout(() => process.exit(), 2_000).unref();
}
