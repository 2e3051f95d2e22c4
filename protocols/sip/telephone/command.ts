/** `altpath phone …`: the network telephone from a terminal or a script. What it needs is loaded when it is asked for. */
import type { Argv, CommandModule } from 'yargs';
import { AltpathError } from '../../../src/internal.ts';

type Flags = Readonly<Record<string, unknown>>;

export const phoneCommand: CommandModule = {
  command: 'phone',
  describe: 'a SIP telephone that follows AlternatePath',
  builder: (command) =>
    common(command)
      .command({
        command: 'register',
        describe: 'register and stay registered until Ctrl-C (or --for)',
        builder: (sub) => sub.option('for', seconds('how long to stay')),
        handler: (flags) => act('register', flags),
      })
      .command({
        command: 'call <to>',
        describe: 'call a number or SIP URI, and hang up after --duration',
        builder: (sub) =>
          sub
            .positional('to', { type: 'string', describe: 'bob, bob@example.com or a SIP URI' })
            .option('duration', { ...seconds('how long to talk'), default: 5 })
            .option('wait', { ...seconds('how long it may ring'), default: 60 }),
        handler: (flags) => act('call', flags),
      })
      .command({
        command: 'answer',
        describe: 'register, and answer calls until Ctrl-C (or --for, or --calls)',
        builder: (sub) =>
          sub
            .option('ring', { type: 'number', default: 1_000, describe: 'milliseconds to ring before answering' })
            .option('busy', { type: 'boolean', default: false, describe: 'refuse every call with 486' })
            .option('duration', seconds('hang up after this long; without: the caller does'))
            .option('calls', { type: 'number', requiresArg: true, describe: 'end after this many calls' })
            .option('for', seconds('how long to stay')),
        handler: (flags) => act('answer', flags),
      })
      .command({
        command: 'options <to>',
        describe: 'ask a proxy or telephone what it can do',
        builder: (sub) => sub.positional('to', { type: 'string', describe: 'a SIP URI' }),
        handler: (flags) => act('options', flags),
      })
      .demandCommand(1, 'say what the telephone shall do: register, call, answer or options')
      .example('altpath phone answer --user bob@127.0.0.1 --local 127.0.0.4', 'a telephone that answers')
      .example('altpath phone call bob --user alice@127.0.0.1 --local 127.0.0.3', 'and one that calls it')
      .example(
        'altpath phone call bob --user alice@example.com --server 192.0.2.1 --server 192.0.2.2',
        'with two proxies',
      )
      .example('altpath phone options sip:127.0.0.1 --user alice@127.0.0.1', 'is anybody there?'),
  handler: () => undefined,
};

const common = (command: Argv): Argv =>
  command
    .option('user', {
      type: 'string',
      alias: 'u',
      requiresArg: true,
      demandOption: 'say who calls: --user alice@example.com',
      describe: 'address of record, user@domain',
    })
    .option('server', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'proxy, host[:port]; repeatable, best first [the domain of --user]',
    })
    .option('local', { type: 'string', requiresArg: true, describe: 'ip[:port] to bind [127.0.0.1, a free port]' })
    .option('password', { type: 'string', requiresArg: true, describe: `for digests; better: ${passwordVariable}` })
    .option('auth-user', { type: 'string', requiresArg: true, describe: 'the name for digests [that of --user]' })
    .option('expires', { ...seconds('of a registration'), default: 600 })
    .option('json', { type: 'boolean', default: false, describe: 'events as JSON lines' })
    .option('trace', { type: 'boolean', default: false, describe: 'show every message' });

const seconds = (describe: string) =>
  ({ type: 'number', requiresArg: true, describe: `${describe}, seconds` }) as const;

const passwordVariable = 'ALTPATH_PHONE_PASSWORD';

async function act(action: 'register' | 'call' | 'answer' | 'options', flags: Flags): Promise<void> {
  const { Handset } = await import('./handset.ts');
  const handset = await Handset.pickUp({
    user: text(flags, 'user') ?? '',
    servers: list(flags, 'server'),
    local: text(flags, 'local'),
    password: text(flags, 'password') ?? process.env[passwordVariable],
    authUser: text(flags, 'auth-user'),
    expiresSeconds: number(flags, 'expires') ?? 600,
    json: flags['json'] === true,
    trace: flags['trace'] === true,
    incoming:
      action === 'answer' ? { ringMs: number(flags, 'ring') ?? 1_000, busy: flags['busy'] === true } : undefined,
    print: (line) => {
      process.stdout.write(`${line}\n`);
    },
  });
  // The first signal hangs up and says goodbye; the telephone's own timers bound how long that takes.
  const interrupt = (): void => handset.interrupt();
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    switch (action) {
      case 'register':
        await handset.stayRegistered(number(flags, 'for'));
        break;
      case 'call':
        await handset.call(text(flags, 'to') ?? '', number(flags, 'duration') ?? 5, number(flags, 'wait') ?? 60);
        break;
      case 'answer':
        await handset.answer(number(flags, 'for'), number(flags, 'calls'), number(flags, 'duration'));
        break;
      case 'options':
        await handset.options(text(flags, 'to') ?? '');
    }
  } finally {
    process.removeListener('SIGINT', interrupt);
    process.removeListener('SIGTERM', interrupt);
    await handset.putDown();
  }
}

function number(flags: Flags, name: string): number | undefined {
  const value = flags[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !(value >= 0) || value > 86_400_000)
    throw new AltpathError('ERR_USAGE', `--${name} needs a number from 0 up`);
  return value;
}

function text(flags: Flags, name: string): string | undefined {
  const value: unknown = Array.isArray(flags[name]) ? flags[name].at(-1) : flags[name];
  // A number that somebody calls is read as one.
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

const list = (flags: Flags, name: string): readonly string[] => {
  const value = flags[name];
  return Array.isArray(value) ? value.map(String) : [];
};
