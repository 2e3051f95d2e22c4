/** altpath with the room of pigeon-room.ts alone: what the command line's tests start. */
import { runCommandLine } from '../../src/cli/command-line.ts';
import { pigeon } from './pigeon-room.ts';

process.exitCode = await runCommandLine([pigeon], process.argv.slice(2));
