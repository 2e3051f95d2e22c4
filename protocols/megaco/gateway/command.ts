/** `altpath gateway megaco`: a simulated media gateway with analog lines on real sockets, used from a keyboard or by a script. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { CommandModule } from 'yargs';
import {
  createLog,
  createNetwork,
  FileError,
  logLevels,
  Metrics,
  parseAddress,
  systemClock,
  systemRandom,
} from '../../../src/index.ts';
import { defaultTextPort } from '../alternate-path.ts';
import { consoleHelp, describeLine, runLine } from './console.ts';
import { SimGateway } from './sim-gateway.ts';

interface GatewayFlags {
  readonly name: string;
  readonly listen: string;
  readonly controllers: readonly string[];
  readonly lines: number;
  readonly encoding: string;
  readonly plain: boolean;
  readonly script: string | undefined;
  readonly logLevel: string;
}

const encodings = ['pretty', 'compact', 'binary'] as const;

export const megacoGatewayCommand: CommandModule = {
  command: 'megaco',
  describe: 'a media gateway with analog lines (MEGACO/H.248)',
  builder: (command) =>
    command
      .option('name', { type: 'string', default: 'gw1', describe: 'its mId, a device name' })
      .option('listen', {
        type: 'string',
        default: '127.0.0.1:2946',
        describe: 'address to bind, [udp:|tcp:]host[:port]',
      })
      .option('controller', {
        type: 'string',
        array: true,
        nargs: 1,
        default: ['127.0.0.1:2944'],
        describe: 'provisioned controller; repeatable, best first',
      })
      .option('lines', { type: 'number', default: 2, describe: 'number of lines, aaln/1 and so on' })
      .option('encoding', { choices: encodings, default: 'compact', describe: 'what it writes' })
      .option('plain', { type: 'boolean', default: false, describe: 'ignore the path attribute, as other gateways do' })
      .option('script', { type: 'string', requiresArg: true, describe: 'file with commands; without: standard input' })
      .option('log-level', { type: 'string', default: 'warn', describe: 'how much to log, to standard output' })
      .epilogue(`Commands: ${consoleHelp}`)
      .example('altpath gateway megaco --name gw1 --lines 2', 'beside an altpath megaco on this machine'),
  handler: (flags) => {
    const controllers = flags['controller'];
    return run({
      name: String(flags['name']),
      listen: String(flags['listen']),
      controllers: Array.isArray(controllers) ? controllers.map(String) : [String(controllers)],
      lines: Math.max(1, Math.min(100_000, Number(flags['lines']) || 1)),
      encoding: String(flags['encoding']),
      plain: flags['plain'] === true,
      script: flags['script'] === undefined ? undefined : String(flags['script']),
      logLevel: String(flags['log-level']),
    });
  },
};

async function run(flags: GatewayFlags): Promise<void> {
  const level = logLevels.find((each) => each === flags.logLevel) ?? 'warn';
  const log = createLog({ level, format: 'auto' });
  const metrics = new Metrics();
  const services = {
    clock: systemClock,
    random: systemRandom,
    log,
    metrics,
    network: createNetwork({ clock: systemClock, log, metrics }),
  };
  const print = (text: string) => process.stdout.write(`${text}\n`);
  const listen = parseAddress(flags.listen, { transport: 'udp', port: defaultTextPort });
  let shown = '';
  const gateway: SimGateway = new SimGateway(services, {
    name: flags.name.toLowerCase(),
    listen,
    controllers: flags.controllers.map((text) =>
      parseAddress(text, { transport: listen.transport, port: defaultTextPort }),
    ),
    lines: flags.lines,
    encoding: encodings.find((each) => each === flags.encoding) ?? 'compact',
    aware: !flags.plain,
    onChange: () => {
      const now = gateway.lines.map((line) => JSON.stringify(describeLine(gateway, line))).join('\n');
      if (now !== shown) print(now);
      shown = now;
    },
  });
  await gateway.start();
  print(JSON.stringify({ ready: flags.name, lines: flags.lines }));
  const parts = {
    gateway,
    print,
    after: (ms: number) => new Promise<void>((resolve) => systemClock.after(ms, resolve)),
  };
  const source = flags.script === undefined ? createInterface({ input: process.stdin }) : scriptLines(flags.script);
  for await (const text of source) {
    const complaint = await runLine(parts, text);
    if (complaint === 'quit') break;
    if (complaint === undefined) continue;
    print(JSON.stringify({ error: complaint }));
    if (flags.script !== undefined) {
      process.exitCode = 1;
      break;
    }
  }
  await gateway.stop();
}

function scriptLines(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch (error) {
    throw new FileError(`cannot read the script ${file}`, { cause: error });
  }
}
