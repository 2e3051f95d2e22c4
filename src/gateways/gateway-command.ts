/** `altpath gateway PROTOCOL`: a simulated gateway on real sockets, used from a keyboard or by a script. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { CommandModule } from 'yargs';
import { systemClock } from '../clock.ts';
import { FileError } from '../errors.ts';
import { createLog, logLevels } from '../log.ts';
import { Metrics } from '../metrics.ts';
import { createNetwork } from '../network/node-network.ts';
import { systemRandom } from '../random.ts';
import { parseAddress } from '../signaling/controller-address.ts';
import { consoleHelp, runLine } from './console.ts';
import { RtpMedia } from './rtp-media.ts';
import type { GatewaySimulation, SimulatedLine } from './simulated-gateway.ts';

/** Each simulation is one subcommand, named after its protocol. */
export const gatewayCommand = (simulations: readonly GatewaySimulation[]): CommandModule => ({
  command: 'gateway',
  describe: 'run a simulated gateway with telephone lines',
  builder: (command) => {
    for (const simulation of simulations) command.command(simulationCommand(simulation));
    return command.demandCommand(1, 'say which protocol the gateway speaks');
  },
  handler: () => {},
});

function simulationCommand(simulation: GatewaySimulation): CommandModule {
  const { protocol, title, defaults, controllerFlag, encodings, habits } = simulation;
  return {
    command: protocol,
    describe: title,
    builder: (command) => {
      command
        .option('name', { type: 'string', default: defaults.name, describe: 'its name, as its controllers know it' })
        .option('listen', {
          type: 'string',
          default: defaults.listen,
          describe: 'address to bind, [transport:]host[:port]',
        })
        .option(controllerFlag, {
          type: 'string',
          array: true,
          nargs: 1,
          default: [defaults.controller],
          describe: 'provisioned controller; repeatable, best first',
        })
        .option('lines', { type: 'number', default: 2, describe: 'number of lines, aaln/1 and so on' })
        .option('plain', {
          type: 'boolean',
          default: false,
          describe: 'ignore the path attribute, as other gateways do',
        })
        .option('media', {
          type: 'boolean',
          default: true,
          describe: 'speak: RTP with a tone of its own for each line',
        })
        .option('script', {
          type: 'string',
          requiresArg: true,
          describe: 'file with commands; without: standard input',
        })
        .option('json', { type: 'boolean', default: false, describe: 'one JSON object a line, for machines' })
        .option('log-level', { type: 'string', default: 'warn', describe: 'how much to log, to standard output' })
        .epilogue(`Commands: ${consoleHelp}`)
        .example(`altpath gateway ${protocol} --lines 2`, `beside an altpath ${protocol} on this machine`);
      if (encodings !== undefined)
        command.option('encoding', { choices: encodings, default: encodings[0], describe: 'what it writes' });
      if (habits !== undefined)
        command.option('odd', {
          type: 'string',
          array: true,
          nargs: 1,
          default: [],
          choices: habits,
          describe: 'a habit that gateways are found with; repeatable',
        });
      return command;
    },
    handler: (flags) => {
      const controllers = flags[controllerFlag];
      return run(simulation, {
        name: String(flags['name']),
        listen: String(flags['listen']),
        controllers: Array.isArray(controllers) ? controllers.map(String) : [String(controllers)],
        lines: Math.max(1, Math.min(100_000, Number(flags['lines']) || 1)),
        plain: flags['plain'] === true,
        json: flags['json'] === true,
        media: flags['media'] !== false,
        script: flags['script'] === undefined ? undefined : String(flags['script']),
        encoding: flags['encoding'] === undefined ? undefined : String(flags['encoding']),
        habits: Array.isArray(flags['odd']) ? flags['odd'].map(String) : [],
        logLevel: String(flags['log-level']),
      });
    },
  };
}

interface GatewayFlags {
  readonly name: string;
  readonly listen: string;
  readonly controllers: readonly string[];
  readonly lines: number;
  readonly plain: boolean;
  readonly json: boolean;
  readonly media: boolean;
  readonly script: string | undefined;
  readonly encoding: string | undefined;
  readonly habits: readonly string[];
  readonly logLevel: string;
}

async function run(simulation: GatewaySimulation, flags: GatewayFlags): Promise<void> {
  const level = logLevels.find((each) => each === flags.logLevel) ?? 'warn';
  const log = createLog({ level, format: 'auto' });
  const metrics = new Metrics();
  const parts = { clock: systemClock, log, metrics };
  const write = (text: string): void => {
    process.stdout.write(`${text}\n`);
  };
  const shown = new Map<string, string>();
  const show = (line: SimulatedLine): void =>
    write(flags.json ? JSON.stringify({ ...line.describe(), heard: line.heard }) : inWords(line));
  const listen = parseAddress(flags.listen, { transport: 'udp', port: simulation.gatewayPort });
  const network = createNetwork(parts);
  const services = { ...parts, random: systemRandom, network };
  const gateway = simulation.create(services, {
    name: flags.name,
    listen,
    controllers: flags.controllers.map((text) =>
      parseAddress(text, { transport: listen.transport, port: simulation.controllerPort }),
    ),
    lines: flags.lines,
    aware: !flags.plain,
    encoding: flags.encoding,
    habits: flags.habits,
    media: flags.media ? new RtpMedia({ ...services, host: listen.host }) : undefined,
    onChange: (line) => {
      const now = JSON.stringify(line.describe());
      if (shown.get(line.name) !== now) show(line);
      shown.set(line.name, now);
    },
  });
  await gateway.start();
  write(
    flags.json
      ? JSON.stringify({ ready: flags.name, lines: flags.lines })
      : `gateway ${flags.name} is ready, lines: ${gateway.lines
          .map(({ name }) => name)
          .slice(0, 8)
          .join(', ')}`,
  );
  const after = (ms: number) => new Promise<void>((resolve) => systemClock.after(ms, resolve));
  const source = flags.script === undefined ? createInterface({ input: process.stdin }) : scriptLines(flags.script);
  for await (const text of source) {
    const complaint = await runLine({ gateway, show, after }, text);
    if (complaint === 'quit') break;
    if (complaint === undefined) continue;
    write(flags.json ? JSON.stringify({ error: complaint }) : complaint);
    if (flags.script !== undefined) {
      process.exitCode = 1;
      break;
    }
  }
  await gateway.stop();
}

/** `aaln/1@rgw1: off-hook, hears dial tone, talks to 127.0.0.1:20000, controlled by 127.0.0.2:2727`. */
function inWords(line: SimulatedLine): string {
  const { hook } = line.describe();
  const { hears, signal, media, heard, controller } = line;
  const words = [`${String(hook)}-hook`];
  if (hears !== undefined) words.push(hears === 'other' ? `hears ${signal}` : sounds[hears]);
  if (media?.sendsTo !== undefined) words.push(`talks to ${media.sendsTo}`);
  if (heard !== undefined) {
    const { packets, from, toneHz, keys } = heard;
    const what = toneHz === undefined ? 'silence' : `${toneHz} Hz`;
    words.push(`heard ${packets} packets from ${from}, ${what}${keys === '' ? '' : `, keys ${keys}`}`);
  }
  if (controller !== undefined) words.push(`controlled by ${controller.host}:${controller.port}`);
  return `${line.name}: ${words.join(', ')}`;
}

const sounds = {
  dial: 'hears dial tone',
  ring: 'rings',
  ringback: 'hears ringback',
  busy: 'hears busy tone',
  reorder: 'hears reorder tone',
  howler: 'hears the howler',
} as const;

function scriptLines(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch (error) {
    throw new FileError(`cannot read the script ${file}`, { cause: error });
  }
}
