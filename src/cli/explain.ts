/** `altpath explain NUMBER`: asks the running controller, or reads a file, what would become of a call. */
import type { Argv } from 'yargs';
import { askAdmin } from '../admin-client.ts';
import { DiallingPlan } from '../calls/dialling-plan.ts';
import { systemClock } from '../clock.ts';
import { loadConfig } from '../config/load.ts';
import { type Explanation, explain } from '../controller/explain.ts';
import type { ProtocolEntry } from '../controller/protocol-entry.ts';
import { AltpathError, ConfigError } from '../errors.ts';
import { AddressResolver } from '../signaling/address-resolver.ts';
import { adminTarget } from './admin-target.ts';
import { word } from './flags.ts';
import { isRow, table } from './table.ts';

type Flags = Readonly<Record<string, unknown>>;

export function explainCommand(parser: Argv, protocols: readonly ProtocolEntry[], print: (text: string) => void): void {
  parser.command(
    'explain <number>',
    'what would become of a call to this number, and why',
    (command) =>
      command
        .positional('number', { type: 'string', describe: 'as it is dialled, or a URI' })
        .option('from', { type: 'string', requiresArg: true, describe: 'who calls: a line, or a URI' })
        .option('file', { type: 'string', requiresArg: true, describe: 'explain this file; nothing need be running' })
        .option('node', { type: 'string', requiresArg: true, describe: 'with --file: as this node' })
        .option('token', { type: 'string', requiresArg: true, describe: 'its adminToken' })
        .option('admin', {
          type: 'string',
          requiresArg: true,
          describe: 'ip:port of its admin server [127.0.0.1:9060]',
        })
        .option('config', {
          type: 'string',
          requiresArg: true,
          alias: 'c',
          describe: 'the file it runs with, which names that',
        })
        .option('json', { type: 'boolean', default: false, describe: 'for machines' })
        .example('altpath explain 03012345', 'of the running altpath')
        .example('altpath explain 112 --from 200 --file altpath.yaml', 'of a file, for a caller on line 200'),
    async (parsed) => print(await explained(protocols, parsed)),
  );
}

/** The text to print. @throws AltpathError (rejects) with a sentence for the operator. */
export async function explained(protocols: readonly ProtocolEntry[], flags: Flags): Promise<string> {
  const number = String(flags['number'] ?? '').trim();
  const from = word(flags, 'from');
  if (number === '' || number.length > maxLength || (from ?? '').length > maxLength)
    throw new AltpathError('ERR_USAGE', 'explain: a number, or a URI, of at most 256 characters');
  const file = word(flags, 'file');
  const found =
    file === undefined ? await ask(number, from, flags) : offline(protocols, file, word(flags, 'node'), number, from);
  return flags['json'] === true ? JSON.stringify(found, undefined, 2) : asText(found);
}

async function ask(number: string, from: string | undefined, flags: Flags): Promise<Explanation> {
  const search = new URLSearchParams({ number, ...(from === undefined ? {} : { from }) });
  const admin = word(flags, 'admin');
  const { address, token } = adminTarget({
    admin: admin === undefined ? [] : [admin],
    config: word(flags, 'config'),
    token: word(flags, 'token'),
  });
  const answer = await askAdmin(address, `/explain?${search}`, { token });
  if (!isExplanation(answer))
    throw new AltpathError('ERR_ADMIN', 'the answer makes no sense: another version of altpath?');
  return answer;
}

/** By the file alone: who is registered, and what answers, is not known. */
function offline(
  protocols: readonly ProtocolEntry[],
  file: string,
  node: string | undefined,
  number: string,
  from: string | undefined,
): Explanation {
  const { core, roles } = loadConfig({ protocols, file, node });
  const noDns = () => Promise.reject(new ConfigError('nothing is looked up here'));
  const resolver = new AddressResolver({
    clock: systemClock,
    dns: { naptr: noDns, srv: noDns, a: noDns, aaaa: noDns },
    locations: { lookup: () => [] },
    plan: new DiallingPlan(core.numbers),
  });
  for (const setup of roles.values()) {
    const directory = setup.directory(resolver.plan);
    if (directory !== undefined) resolver.join(directory);
  }
  const sections = new Map([...roles].map(([name, { section }]) => [name, section]));
  return explain({ resolver, sections, isOffline: true }, number, from);
}

function asText({ dialled, normal, kind, forms, from, digitMaps, places, verdict }: Explanation): string {
  const rows = places.map((place, index) => ({
    '#': index + 1,
    to: `${place.kind === 'line' || place.kind === 'user' ? '' : `${place.kind} `}${place.name}`,
    as: place.sent,
    over: place.hops.map(({ address, state }) => `${address} (${state})`),
    note: place.passedOver,
  }));
  return [
    `${dialled} is ${normal}, ${kinds[kind] ?? kind}${forms.length > 1 ? `; looked for as ${forms.join(', ')}` : ''}`,
    ...(from === undefined ? [] : [`from ${from.name}`]),
    ...digitMaps.map(({ role, map, match }) => `digit map of ${role} lines: ${map}: ${match}`),
    ...(rows.length === 0 ? [] : [table(rows, ['#', 'to', 'as', 'over', 'note'])]),
    verdict,
  ].join('\n');
}

const kinds: Readonly<Record<string, string>> = {
  emergency: 'an emergency number',
  international: 'an international number',
  national: 'a national number',
  local: 'a local number',
  asDialled: 'as it was dialled',
};

const isExplanation = (value: unknown): value is Explanation =>
  isRow(value) &&
  typeof value['verdict'] === 'string' &&
  Array.isArray(value['places']) &&
  Array.isArray(value['forms']);

const maxLength = 256;
