/** `altpath …`: the commands, their flags and their help. What goes wrong is one line on standard error and exit code 1. */
import yargs, { type Argv } from 'yargs';
import type { ProtocolEntry } from '../controller/protocol-entry.ts';
import { AltpathError } from '../errors.ts';
import { logLevels } from '../log.ts';
import { type AdminFlags, tokenVariable } from './admin-target.ts';
import { bans } from './bans.ts';
import { check } from './check.ts';
import { complaint } from './complaint.ts';
import { type Demonstration, demoCommand } from './demo.ts';
import { examine, findingsText } from './doctor.ts';
import { explainCommand } from './explain.ts';
import { declareFlags, type Flags, overridesOf, word } from './flags.ts';
import { init } from './init.ts';
import { changeLog } from './log-level.ts';
import { packageInfo } from './package-info.ts';
import { drain, type Query, type QueryFlags, query } from './query.ts';
import { serveAll, serveRole } from './serve-roles.ts';
import { top } from './top.ts';
import { trace } from './trace.ts';

/** The exit code. */
export async function runCommandLine(
  protocols: readonly ProtocolEntry[],
  words: readonly string[],
  demonstrations: readonly Demonstration[] = protocols,
): Promise<number> {
  const { version } = packageInfo();
  let flags: Flags = {};
  const parser = yargs([...words])
    .scriptName('altpath')
    .usage('$0 <command> [flags]\n\nSignaling controller whose calls survive the death of their controller.')
    .version(version)
    .help()
    .alias({ h: 'help', v: 'version' })
    .strict()
    .recommendCommands()
    .demandCommand(1, 'say what to do')
    .parserConfiguration({ 'boolean-negation': false })
    .completion('completion', 'print a completion script for bash or zsh')
    .wrap(100)
    .exitProcess(false)
    .middleware((parsed) => {
      flags = parsed;
    }, true)
    .fail((message, error) => {
      throw error ?? new UsageError(message.replace(/^Did you mean/, `no command "${words[0]}": did you mean`));
    })
    .epilogue('A file has more settings than there are flags: see config/default.yaml.');

  for (const protocol of protocols) roleCommand(parser, protocol, protocols);
  parser.command(
    'run',
    'run every role of this node, as the file says',
    (command) =>
      declareFlags(command)
        .example('altpath run', 'with the default file: loopback only')
        .example('altpath run -c cluster.yaml --node a', 'as one of the nodes of a cluster'),
    (parsed) => serveAll(protocols, parsed),
  );
  parser.command(
    'check <file>',
    'say whether a file would start, or everything that is wrong with it',
    (command) =>
      command
        .positional('file', { type: 'string', describe: 'YAML file' })
        .option('node', { type: 'string', requiresArg: true, describe: 'as this node; without: as every node' })
        .example('altpath check cluster.yaml', 'all nodes of the cluster'),
    (parsed) => print(check(protocols, word(parsed, 'file') ?? '', word(parsed, 'node'), overridesOf({}))),
  );
  initCommand(parser, protocols);
  doctorCommand(parser, protocols);
  queryCommand(parser, 'status', 'what the running altpath does');
  queryCommand(parser, 'calls', 'its calls');
  queryCommand(parser, 'peers', 'the controllers and gateways it knows, and how they are');
  queryCommand(parser, 'reg', 'who is registered, where, and until when');
  parser.command(
    'drain',
    'hand new work to the backup, let what is open finish, then end',
    (command) =>
      adminFlags(command)
        .option('wait', {
          type: 'number',
          requiresArg: true,
          describe: 'return once it has ended, at most so many seconds',
        })
        .check(({ wait }) => {
          if (wait === undefined || (wait > 0 && wait <= 86_400)) return true;
          throw new UsageError('wait: seconds, from 1 to 86400');
        }),
    async (parsed) => print(await drain(queryFlags(parsed), parsed.wait)),
  );
  explainCommand(parser, protocols, print);
  topCommand(parser);
  traceCommand(parser);
  logCommand(parser);
  bansCommand(parser);
  demoCommand(parser, demonstrations);
  for (const command of protocols.flatMap(({ commands }) => commands)) parser.command(command);

  try {
    await parser.parseAsync();
    return 0;
  } catch (error) {
    process.stderr.write(`${complaint(error, flags)}\n`);
    return 1;
  }
}

function initCommand(parser: Argv, protocols: readonly ProtocolEntry[]): void {
  parser.command(
    'init [file]',
    'write a configuration with comments, from five questions or from flags',
    (command) =>
      command
        .positional('file', { type: 'string', default: 'altpath.yaml', describe: 'where to' })
        .option('roles', { type: 'string', requiresArg: true, describe: 'protocols, separated by commas' })
        .option('members', {
          type: 'string',
          requiresArg: true,
          describe: 'a=192.0.2.1,b=192.0.2.2; the first is this machine',
        })
        .option('domain', { type: 'string', requiresArg: true, describe: 'of the users' })
        .option('location', { type: 'string', requiresArg: true, describe: 'memory or sqlite:PATH' })
        .option('admin', { type: 'string', requiresArg: true, describe: 'ip:port of the admin server, or off' })
        .option('yes', { type: 'boolean', default: false, alias: 'y', describe: 'ask nothing: defaults for the rest' })
        .option('force', { type: 'boolean', default: false, describe: 'write over a file that is there' })
        .example('altpath init', 'asks')
        .example('altpath init pair.yaml -y --members a=192.0.2.1,b=192.0.2.2', 'a pair, without a question'),
    (parsed) =>
      init(
        protocols,
        {
          file: word(parsed, 'file') ?? 'altpath.yaml',
          force: parsed['force'] === true,
          yes: parsed['yes'] === true,
          roles: word(parsed, 'roles'),
          members: word(parsed, 'members'),
          domain: word(parsed, 'domain'),
          location: word(parsed, 'location'),
          admin: word(parsed, 'admin'),
        },
        print,
      ),
  );
}

function topCommand(parser: Argv): void {
  parser.command(
    'top',
    'what it does, every second: figures, members, calls, what failed',
    (command) =>
      adminFlags(command).option('once', { type: 'boolean', default: false, describe: 'one picture, then end' }),
    (parsed) =>
      top({ ...adminWords(parsed), once: parsed['once'] === true }, (screen) => {
        // Home, the picture with each line's rest cleared, and what is below.
        if (process.stdout.isTTY && parsed['once'] !== true)
          process.stdout.write(`\u001b[H${screen.replaceAll('\n', '\u001b[K\n')}\u001b[K\n\u001b[J`);
        else print(screen);
      }),
  );
}

function doctorCommand(parser: Argv, protocols: readonly ProtocolEntry[]): void {
  parser.command(
    'doctor <file>',
    'what is wrong with a configuration on this machine: names, clock, sockets, certificates, secret, backups',
    (command) =>
      command
        .positional('file', { type: 'string', describe: 'YAML file' })
        .option('node', { type: 'string', requiresArg: true, describe: 'which of its nodes this machine is' })
        .option('json', { type: 'boolean', default: false, describe: 'for machines' })
        .example('altpath doctor cluster.yaml --node a', 'before it is started, and while it runs'),
    async (parsed) => {
      const findings = await examine({ protocols, file: word(parsed, 'file') ?? '', node: word(parsed, 'node') });
      print(parsed['json'] === true ? JSON.stringify(findings, undefined, 2) : findingsText(findings));
      if (findings.some(({ verdict }) => verdict === 'wrong'))
        throw new AltpathError('ERR_DOCTOR', 'something is wrong (see above)');
    },
  );
}

function roleCommand(parser: Argv, protocol: ProtocolEntry, protocols: readonly ProtocolEntry[]): void {
  parser.command(
    protocol.name,
    `run the ${protocol.title}`,
    (command) => {
      declareFlags(command, protocol);
      for (const [line, does] of protocol.examples) command.example(line, does);
      return command;
    },
    (parsed) => serveRole(protocols, protocol, parsed),
  );
}

function queryCommand(parser: Argv, what: Query, describe: string): void {
  parser.command(
    what === 'reg' ? 'reg [record]' : what === 'calls' ? 'calls [record]' : what,
    describe,
    (command) => {
      adminFlags(command).option('limit', { type: 'number', default: 1_000, describe: 'rows to show; 0: all' });
      if (what === 'reg') command.positional('record', { type: 'string', describe: 'part of a record' });
      if (what === 'calls')
        command
          .positional('record', { type: 'string', describe: 'only of this number, user or call id' })
          .option('failed', { type: 'boolean', default: false, describe: 'the last ones that failed, and why' })
          .option('ended', { type: 'boolean', default: false, describe: 'the last ones that ended' })
          .example('altpath calls --failed', 'why did it fail?');
      return command.example(`altpath ${what} --json`, 'for machines');
    },
    async (parsed) => print(await query(what, queryFlags(parsed), Date.now(), word(parsed, 'record'))),
  );
}

const adminFlags = (command: Argv): Argv =>
  command
    .option('admin', { type: 'string', requiresArg: true, describe: 'ip:port of its admin server [127.0.0.1:9060]' })
    .option('token', { type: 'string', requiresArg: true, describe: `its adminToken, or in ${tokenVariable}` })
    .option('config', {
      type: 'string',
      requiresArg: true,
      alias: 'c',
      describe: 'the file it runs with, which names that',
    })
    .option('json', { type: 'boolean', default: false, describe: 'for machines' });

const adminWords = (flags: Flags): AdminFlags => {
  const admin = flags['admin'];
  const written: readonly unknown[] = Array.isArray(admin) ? admin : admin === undefined ? [] : [admin];
  return { admin: written.map(String), config: word(flags, 'config'), token: word(flags, 'token') };
};

function traceCommand(parser: Argv): void {
  parser.command(
    'trace [about]',
    'the messages of a call, a number, an endpoint or a peer, as a ladder',
    (command) =>
      adminFlags(command)
        .positional('about', { type: 'string', describe: 'a call id, a number, an endpoint, or ip[:port] of a peer' })
        .option('follow', { type: 'boolean', default: false, alias: 'f', describe: 'messages as they come' })
        .option('mermaid', { type: 'boolean', default: false, describe: 'as a Mermaid sequence diagram' })
        .option('pcap', {
          type: 'string',
          requiresArg: true,
          describe: 'write them to this file, for Wireshark and sngrep',
        })
        .option('limit', { type: 'number', default: 500, describe: 'messages to show: the newest' })
        .example('altpath trace 200', 'what was said about number 200')
        .example('altpath trace 127.0.0.1:5070 --follow', 'with one peer, as it happens')
        .example('altpath trace --admin 127.0.0.1:9060 --admin 127.0.0.2:9060 200', 'as two members saw it'),
    (parsed) =>
      trace(
        {
          ...adminWords(parsed),
          about: word(parsed, 'about'),
          follow: parsed['follow'] === true,
          form: parsed['json'] === true ? 'json' : parsed['mermaid'] === true ? 'mermaid' : 'ladder',
          pcap: word(parsed, 'pcap'),
          limit: typeof parsed['limit'] === 'number' && parsed['limit'] > 0 ? Math.floor(parsed['limit']) : 500,
        },
        print,
      ),
  );
}

function logCommand(parser: Argv): void {
  parser.command(
    'log [level]',
    'how much the running altpath logs, for some minutes; without a level: how much it does now',
    (command) =>
      adminFlags(command)
        .positional('level', { type: 'string', choices: [...logLevels, 'restore'], describe: 'restore: as configured' })
        .option('for', { type: 'string', requiresArg: true, describe: 'only lines about this call, peer or number' })
        .option('part', { type: 'string', requiresArg: true, describe: 'only of this protocol, or core' })
        .option('minutes', { type: 'number', default: 10, describe: 'then as configured again; 0: until it ends' })
        .example('altpath log debug --for 200', 'every decision about number 200, for ten minutes')
        .example('altpath log debug --part core --minutes 1', 'everything that no protocol says, for a minute'),
    async (parsed) =>
      print(
        await changeLog(queryFlags(parsed), {
          level: word(parsed, 'level'),
          about: word(parsed, 'for'),
          part: word(parsed, 'part'),
          minutes: typeof parsed['minutes'] === 'number' ? parsed['minutes'] : 10,
        }),
      ),
  );
}

function bansCommand(parser: Argv): void {
  parser.command(
    'bans [source]',
    'the sources that are banned; with an address: bans it, or lifts its ban',
    (command) =>
      adminFlags(command)
        .positional('source', { type: 'string', describe: 'an IP address' })
        .option('lift', { type: 'boolean', default: false, describe: 'it may send again' })
        .option('seconds', { type: 'number', requiresArg: true, describe: 'how long [3600]' })
        .option('limit', { type: 'number', default: 1_000, describe: 'rows to show; 0: all' })
        .example('altpath bans 192.0.2.7 --lift', 'many telephones behind one address sent too much at once'),
    async (parsed) =>
      print(
        await bans(queryFlags(parsed), {
          source: word(parsed, 'source'),
          lift: parsed['lift'] === true,
          seconds: typeof parsed['seconds'] === 'number' ? parsed['seconds'] : undefined,
        }),
      ),
  );
}

function queryFlags(flags: Flags): QueryFlags {
  const limit = flags['limit'];
  return {
    ...adminWords(flags),
    list: flags['failed'] === true ? 'failed' : flags['ended'] === true ? 'ended' : 'open',
    json: flags['json'] === true,
    limit: typeof limit === 'number' && Number.isInteger(limit) && limit >= 0 ? limit : 1_000,
  };
}

const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** The words do not make a command. */
class UsageError extends AltpathError {
  constructor(message: string) {
    super('ERR_USAGE', `${message} (altpath --help)`);
  }
}
