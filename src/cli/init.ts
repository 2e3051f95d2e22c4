/** `altpath init`: a commented configuration from five questions, or from flags where nobody is there to answer. */
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { parse } from 'yaml';
import { fileProblem } from '../config/fields.ts';
import { loadConfig } from '../config/load.ts';
import { objectSource } from '../config/source.ts';
import type { ProtocolEntry } from '../controller/protocol-entry.ts';
import { ConfigError, FileError } from '../errors.ts';

export interface InitAnswers {
  readonly roles: readonly string[];
  /** By node name; the first is this machine. */
  readonly members: readonly (readonly [name: string, host: string])[];
  readonly domain: string;
  /** A path, or `memory`. */
  readonly location: string;
  readonly admin: string;
}

export interface InitFlags {
  readonly file: string;
  readonly force: boolean;
  readonly roles?: string | undefined;
  readonly members?: string | undefined;
  readonly domain?: string | undefined;
  readonly location?: string | undefined;
  readonly admin?: string | undefined;
  /** Take the default for what no flag says. */
  readonly yes: boolean;
}

/** Asks, writes the file, and says what to do next. @throws ConfigError, FileError. */
export async function init(
  protocols: readonly ProtocolEntry[],
  flags: InitFlags,
  print: (text: string) => void,
): Promise<void> {
  if (existsSync(flags.file) && !flags.force)
    throw new FileError(`"${flags.file}" is there already: --force writes over it`);
  const answers = await answersOf(protocols, flags);
  const text = configText(protocols, answers, randomBytes(32).toString('hex'));
  // What is written must start.
  const [first] = answers.members;
  loadConfig({
    protocols,
    source: objectSource(parse(text)),
    node: answers.members.length > 1 ? first?.[0] : undefined,
  });
  try {
    writeFileSync(flags.file, text, { mode: 0o600 });
  } catch (error) {
    throw new FileError(`cannot write "${flags.file}": ${fileProblem(error)}`);
  }
  const node = answers.members.length > 1 ? ` --node ${first?.[0]}` : '';
  print(
    [
      `${flags.file} is written${node === '' ? '' : '; the same file on every member, each with its own --node'}. Next:`,
      `  altpath doctor ${flags.file}${node}     what is wrong with it here`,
      `  altpath run -c ${flags.file}${node}`,
      `  altpath trace --follow -c ${flags.file}     what passes`,
    ].join('\n'),
  );
}

async function answersOf(protocols: readonly ProtocolEntry[], flags: InitFlags): Promise<InitAnswers> {
  const names = protocols.map(({ name }) => name);
  const reader =
    flags.yes || !process.stdin.isTTY ? undefined : createInterface({ input: process.stdin, output: process.stdout });
  const ask = async (given: string | undefined, question: string, otherwise: string): Promise<string> => {
    if (given !== undefined) return given;
    const said = (await reader?.question(`${question} [${otherwise}] `))?.trim() ?? '';
    return said === '' ? otherwise : said;
  };
  try {
    const roles = (await ask(flags.roles, `1. Which protocols (${names.join(', ')})?`, names[0] ?? '')).split(/[\s,]+/);
    const members = readMembers(
      await ask(flags.members, '2. Which members, as name=address? The first is this machine.', 'a=127.0.0.1'),
    );
    const domain = await ask(flags.domain, '3. Which domain do users have?', 'example.com');
    const location = await ask(
      flags.location,
      '4. Where are registrations kept (memory, or sqlite:PATH)?',
      'sqlite:./var/locations.sqlite',
    );
    const admin = await ask(flags.admin, '5. Where does the admin server listen (ip:port, or off)?', '127.0.0.1:9060');
    const unknown = roles.find((role) => !names.includes(role));
    if (unknown !== undefined)
      throw new ConfigError(`there is no protocol "${unknown}": there are ${names.join(', ')}`);
    return { roles, members, domain, location, admin };
  } finally {
    reader?.close();
  }
}

function readMembers(text: string): InitAnswers['members'] {
  const members = text
    .split(/[\s,]+/)
    .filter((word) => word !== '')
    .map((word, index): readonly [string, string] => {
      const [name = '', host] = word.split('=');
      return host === undefined ? [String.fromCharCode(97 + index), name] : [name, host];
    });
  if (members.length === 0) throw new ConfigError('there must be one member at least: a=192.0.2.1');
  return members;
}

/** The file. */
function configText(protocols: readonly ProtocolEntry[], answers: InitAnswers, secret: string): string {
  const { roles, members, domain, location, admin } = answers;
  const chosen = protocols.filter(({ name }) => roles.includes(name));
  const isCluster = members.length > 1;
  const addresses = (host: string): string =>
    chosen
      .map(
        ({ name, sample }) =>
          `${name}: [${(sample?.listen ?? ['udp:HOST']).map((text) => text.replace('HOST', host)).join(', ')}]`,
      )
      .join(', ');
  return `${[
    `# altpath: ${chosen.map(({ title }) => title).join(', ')}. Look at it with \`altpath check\`, start it with \`altpath run -c\`.`,
    '# Every setting there is: config/default.yaml and README.md of the package.',
    '',
    'log:',
    '  level: info          # altpath log debug --for NUMBER says more, while it runs',
    '',
    '# Metrics, health, and what the commands of the operator ask.',
    `admin: ${admin}`,
    '',
    '# Where registrations are kept.',
    `location: ${location}`,
    '',
    '# One line for each call that has ended.',
    '# callRecords: { file: ./var/calls.jsonl }',
    '',
    '# The same on every member, and known to nobody else.',
    `cluster: { secret: ${secret} }`,
    '',
    ...(isCluster
      ? [
          '# Every member: each names the others as its backups in what it sends.',
          'nodes:',
          ...members.map(([name, host]) => `  ${name}: { ${addresses(host)} }`),
          '',
        ]
      : []),
    ...chosen.flatMap(({ name, sample }) => [
      `${name}:`,
      ...(isCluster
        ? []
        : [
            `  listen: [${(sample?.listen ?? ['udp:HOST']).map((text) => text.replace('HOST', members[0]?.[1] ?? '127.0.0.1')).join(', ')}]`,
          ]),
      ...(sample?.lines ?? []).map((line) => `  ${line.replaceAll('DOMAIN', domain)}`),
      '',
    ]),
  ].join('\n')}`;
}
