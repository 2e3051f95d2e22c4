/** `altpath gateway mgcp`: a simulated residential gateway on real sockets, used from a keyboard or by a script. */
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
import { callAgentPort, gatewayPort } from '../config.ts';
import { consoleHelp, describeLine, runLine } from './console.ts';
import { namedHabits } from './habits.ts';
import { SimGateway } from './sim-gateway.ts';

interface GatewayFlags {
  readonly name: string;
  readonly listen: string;
  readonly callAgents: readonly string[];
  readonly lines: number;
  readonly plain: boolean;
  readonly odd: readonly string[];
  readonly script: string | undefined;
  readonly logLevel: string;
}

export const mgcpGatewayCommand: CommandModule = {
  command: 'mgcp',
  describe: 'a residential gateway (MGCP)',
  builder: (command) =>
    command
      .option('name', { type: 'string', default: 'rgw1', describe: 'domain of its endpoint names' })
      .option('listen', { type: 'string', default: '127.0.0.1:2427', describe: 'address to bind, host[:port]' })
      .option('call-agent', {
        type: 'string',
        array: true,
        nargs: 1,
        default: ['127.0.0.1:2727'],
        describe: 'provisioned call agent; repeatable, best first',
      })
      .option('lines', { type: 'number', default: 2, describe: 'number of lines, aaln/1 and so on' })
      .option('plain', { type: 'boolean', default: false, describe: 'ignore the path attribute, as other gateways do' })
      .option('odd', {
        type: 'string',
        array: true,
        nargs: 1,
        default: [],
        choices: Object.keys(namedHabits),
        describe: 'a habit that gateways are found with; repeatable',
      })
      .option('script', { type: 'string', requiresArg: true, describe: 'file with commands; without: standard input' })
      .option('log-level', { type: 'string', default: 'warn', describe: 'how much to log, to standard output' })
      .epilogue(`Commands: ${consoleHelp}`)
      .example('altpath gateway mgcp --name rgw1 --lines 2', 'beside an altpath mgcp on this machine'),
  handler: (flags) => {
    const agents = flags['call-agent'];
    return run({
      name: String(flags['name']),
      listen: String(flags['listen']),
      callAgents: Array.isArray(agents) ? agents.map(String) : [String(agents)],
      lines: Math.max(1, Math.min(100_000, Number(flags['lines']) || 1)),
      plain: flags['plain'] === true,
      odd: Array.isArray(flags['odd']) ? flags['odd'].map(String) : [],
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
  const gateway: SimGateway = new SimGateway(services, {
    name: flags.name,
    listen: parseAddress(flags.listen, { transport: 'udp', port: gatewayPort }),
    callAgents: flags.callAgents.map((text) => parseAddress(text, { transport: 'udp', port: callAgentPort })),
    lines: flags.lines,
    aware: !flags.plain,
    habits: Object.assign({}, ...flags.odd.map((name) => namedHabits[name] ?? {})),
    onChange: (line) => print(JSON.stringify(describeLine(gateway, line))),
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
