/** `altpath demo`: one protocol's demonstration, or all there are, one after the other. */
import { createInterface } from 'node:readline';
import type { Argv } from 'yargs';
import type { Demo, DemoOutcome, WatchRequest } from '../demo.ts';
import { AltpathError } from '../errors.ts';
import { word } from './flags.ts';

/** A protocol's, or one of several protocols together. */
export interface Demonstration {
  readonly name: string;
  readonly title: string;
  readonly demo: Demo | undefined;
}

export function demoCommand(parser: Argv, all: readonly Demonstration[]): void {
  const shown = all.filter(({ demo }) => demo !== undefined);
  if (shown.length === 0) return;
  const moments = [...new Set(shown.flatMap(({ demo }) => demo?.moments ?? []))];
  parser.command(
    'demo',
    'kill a controller in the middle of calls, on this machine, and show what happens',
    (command) =>
      command
        .option('protocol', { type: 'string', choices: shown.map(({ name }) => name), describe: 'only this one' })
        .option('how', {
          type: 'string',
          choices: ['kill', 'stop'],
          default: 'kill',
          describe: 'kill: the process dies; stop: it falls silent',
        })
        .option('moment', { type: 'string', choices: moments, describe: 'where in the watched call [random]' })
        .option('calls', { type: 'number', requiresArg: true, describe: 'how many' })
        .option('rate', { type: 'number', requiresArg: true, describe: 'calls per second' })
        .option('no-control', {
          type: 'boolean',
          default: false,
          describe: 'leave out the second run, without AlternatePath, that shows what is lost then',
        })
        .option('watch', {
          type: 'boolean',
          default: false,
          describe: 'go on calling, with dashboards to look at; Enter kills the primary, and starts it again',
        })
        .option('admin-port', { type: 'number', default: 9060, describe: 'of the dashboards, with --watch' })
        .option('json', { type: 'boolean', default: false, describe: 'for machines' })
        .check(({ calls, rate }) => {
          if (calls !== undefined && !(Number.isInteger(calls) && calls >= 1 && calls <= 100_000))
            throw new AltpathError('ERR_USAGE', 'calls: a whole number from 1 to 100000');
          if (rate !== undefined && !(rate > 0 && rate <= 1_000))
            throw new AltpathError('ERR_USAGE', 'rate: calls per second, up to 1000');
          return true;
        })
        .example('altpath demo', 'every protocol there is')
        .example('altpath demo --watch', 'to be looked at in a browser')
        .example('altpath demo --how stop --moment ringing', 'the host falls silent while a call rings')
        .example('altpath demo --rate 200 --calls 1000', 'under load'),
    async (parsed) => {
      const { json, calls, rate, how } = parsed;
      const protocol = word(parsed, 'protocol');
      const watch = shown.find(({ name, demo }) => demo?.watch !== undefined && name === (protocol ?? name))?.demo
        ?.watch;
      if (parsed.watch) {
        if (watch === undefined) throw new AltpathError('ERR_USAGE', `${protocol} cannot be watched`);
        await watching(watch, parsed.adminPort);
        return;
      }
      const outcomes = new Map<string, DemoOutcome>();
      for (const { name, title, demo } of shown) {
        if (demo === undefined || (protocol !== undefined && protocol !== name)) continue;
        const moment = word(parsed, 'moment') ?? demo.moments[0] ?? '';
        if (!demo.moments.includes(moment)) {
          if (protocol !== undefined) throw new AltpathError('ERR_USAGE', `${name} knows: ${demo.moments.join(', ')}`);
          continue;
        }
        const print = (line: string): void => {
          if (!json) process.stdout.write(`${line}\n`);
        };
        if (shown.length > 1 && protocol === undefined) print(`\n=== ${title} ===`);
        outcomes.set(
          name,
          await demo.run({
            how: how === 'stop' ? 'stop' : 'kill',
            moment,
            calls,
            rate,
            hasControl: !parsed.noControl,
            isTerminal: !json && process.stdout.isTTY,
            print,
          }),
        );
      }
      if (json) {
        const figures = Object.fromEntries([...outcomes].map(([name, { figures }]) => [name, figures]));
        process.stdout.write(`${JSON.stringify(figures, undefined, 1)}\n`);
      }
      const unsound = [...outcomes].filter(([, { isSound }]) => !isSound).map(([name]) => name);
      if (unsound.length > 0) throw new AltpathError('ERR_DEMO', `not everything survived: ${unsound.join(', ')}`);
    },
  );
}

/** Each line of the standard input is the next thing to happen; its end, or Ctrl-C, ends it. */
async function watching(watch: (request: WatchRequest) => Promise<void>, adminPort: number): Promise<void> {
  const input = createInterface({ input: process.stdin });
  const lines = input[Symbol.asyncIterator]();
  const end = (): void => input.close();
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  try {
    await watch({
      adminPort,
      print: (line) => process.stdout.write(`${line}\n`),
      next: async () => (await lines.next()).done !== true,
    });
  } finally {
    input.close();
    process.removeListener('SIGINT', end);
    process.removeListener('SIGTERM', end);
  }
}
