#!/usr/bin/env node
/** The program `altpath`: the command line over every protocol there is. */
import { continuesElsewhere } from './cli/modern-node.ts';

if (!continuesElsewhere()) {
  const [{ runCommandLine }, { protocols, demonstrations }] = await Promise.all([
    import('./cli/command-line.ts'),
    import('./protocol-table.ts'),
  ]);
  process.exitCode = await runCommandLine(protocols, process.argv.slice(2), demonstrations);
  // Everything is closed by now and the process ends by itself; what was forgotten must not keep it.
  setTimeout(() => process.exit(), 2_000).unref();
}
