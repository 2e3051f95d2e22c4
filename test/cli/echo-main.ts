/** altpath with the protocol of echo-protocol.ts alone: what the command line's tests start. */
import { runCommandLine } from '../../src/cli/command-line.ts';
import { echo } from './echo-protocol.ts';

process.exitCode = await runCommandLine([echo], process.argv.slice(2));
