/** Flags that several commands have, and how they come to stand in place of what the file says. */
import type { Argv, Options } from 'yargs';
import type { Override } from '../config/problems.ts';
import { secretVariable } from '../controller/cluster-secret.ts';
import type { ProtocolEntry } from '../controller/protocol-entry.ts';
import { logLevels } from '../log.ts';

/** Parsed flags, by name. */
export type Flags = Readonly<Record<string, unknown>>;

interface Flag {
  readonly name: string;
  readonly options: Options;
  readonly path: readonly string[];
  readonly read?: ((text: string) => unknown) | undefined;
}

const text = (describe: string): Options => ({ type: 'string', requiresArg: true, describe });

const texts = (describe: string): Options => ({ ...text(describe), array: true, nargs: 1 });

/** Of every command that runs roles. */
const coreFlags: readonly Flag[] = [
  {
    name: 'location',
    options: text('where registrations live: memory, sqlite:PATH or redis://HOST'),
    path: ['location'],
  },
  { name: 'admin', options: text('ip:port of the admin server, or off'), path: ['admin'] },
  { name: 'log-level', options: { ...text('how much to log'), choices: logLevels }, path: ['log', 'level'] },
  {
    name: 'log-format',
    options: { ...text('how to log'), choices: ['auto', 'json', 'pretty'] },
    path: ['log', 'format'],
  },
];

const protocolFlags = ({ name: protocol, flags }: ProtocolEntry): readonly Flag[] => [
  {
    name: 'listen',
    options: texts('address to bind, [transport:]host[:port]; repeatable'),
    path: [protocol, 'listen'],
  },
  {
    name: 'backup',
    options: texts('controller that takes over when this one is gone; repeatable, best first'),
    path: [protocol, 'backup'],
  },
  {
    name: 'backup-for',
    options: texts('controller that this one stands in for; repeatable'),
    path: [protocol, 'backupFor'],
  },
  ...flags.map(({ name, describe, path, repeatable, read }) => ({
    name,
    options: repeatable === true ? texts(`${describe}; repeatable`) : text(describe),
    path: [protocol, ...path],
    read,
  })),
];

const flagsOf = (protocol: ProtocolEntry | undefined): readonly Flag[] => [
  ...(protocol === undefined ? [] : protocolFlags(protocol)),
  ...coreFlags,
];

/** Of every command that runs roles, and no settings. */
const fileFlags: readonly Pick<Flag, 'name' | 'options'>[] = [
  { name: 'config', options: { ...text('YAML file'), alias: 'c' } },
  { name: 'node', options: text('which of the nodes in the file this one is') },
];

/** Declares the flags of a command that runs roles: of one protocol, or of all. */
export function declareFlags<T>(yargs: Argv<T>, protocol?: ProtocolEntry): Argv<T> {
  for (const { name, options } of [...fileFlags, ...flagsOf(protocol)]) yargs.option(name, options);
  return yargs;
}

/**
 * The same flags where all of them are written as `--flag word` (or `-c word`), as service managers do; undefined: there is more to these
 * words, or something wrong with them.
 */
export function plainFlags(words: readonly string[], protocol?: ProtocolEntry): Flags | undefined {
  const known = new Map([...fileFlags, ...flagsOf(protocol)].map(({ name, options }) => [`--${name}`, options]));
  const flags: Record<string, unknown> = {};
  for (let at = 0; at < words.length; at += 2) {
    const written = words[at] === '-c' ? '--config' : (words[at] ?? '');
    const value = words[at + 1] ?? '';
    const options = known.get(written);
    if (options === undefined || value === '' || value.startsWith('-')) return undefined;
    if (options.choices !== undefined && !options.choices.includes(value)) return undefined;
    const name = written.slice(2);
    const before = flags[name];
    if (options.array === true) flags[name] = [...(Array.isArray(before) ? before : []), value];
    else flags[name] = value;
  }
  return flags;
}

/** What the given flags and the environment put in place of the file's words. */
export function overridesOf(flags: Flags, protocol?: ProtocolEntry): readonly Override[] {
  const overrides: Override[] = [];
  for (const { name, path, options, read = asWritten } of flagsOf(protocol)) {
    const given: unknown = options.array === true ? flags[name] : word(flags, name);
    if (given === undefined) continue;
    const value = Array.isArray(given) ? given.map((each) => read(String(each))) : read(String(given));
    overrides.push({ path, value, origin: { flag: `--${name}` } });
  }
  const secret = process.env[secretVariable];
  if (secret !== undefined && secret !== '')
    overrides.push({ path: ['cluster', 'secret'], value: secret, origin: { flag: secretVariable } });
  return overrides;
}

const asWritten = (text: string): unknown => text;

/** A flag that takes one word; given twice, the last counts. */
export function word(flags: Flags, name: string): string | undefined {
  const value: unknown = Array.isArray(flags[name]) ? flags[name].at(-1) : flags[name];
  return typeof value === 'string' ? value : undefined;
}
