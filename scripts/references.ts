/**
 * Makes the reference pages of docs/ from what the program itself knows: settings from the schemas, commands from their help, metrics from
 * where they are counted. `node scripts/references.ts` writes them; a test keeps them up to date.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { megacoConfigSchema } from '../protocols/megaco/config.ts';
import { mgcpConfigSchema } from '../protocols/mgcp/config.ts';
import { sipConfigSchema } from '../protocols/sip/config.ts';
import { runCommandLine } from '../src/cli/command-line.ts';
import { packageInfo } from '../src/cli/package-info.ts';
import { coreSchema } from '../src/config/core-schema.ts';
import { demonstrations, protocols } from '../src/protocol-table.ts';

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface JsonSchema {
  readonly type?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly anyOf?: readonly JsonSchema[];
}

/** What the README says of a setting, by its path: `sip.auth.realm`. */
function readmeWords(): ReadonlyMap<string, string> {
  const words = new Map<string, string>();
  let section = '';
  for (const line of read('README.md').split('\n')) {
    const [, heading] = /^\| \*\*`(\w+)\.`\*\*/.exec(line) ?? [];
    if (heading !== undefined) section = `${heading}.`;
    const [, names = '', , says = ''] = /^\| (`[^|]+`[^|]*) \| ([^|]*) \| ((?:[^|]|\\\|)*) \|$/.exec(line) ?? [];
    const paths = [...names.matchAll(/`([\w.[\]]+)(?:…)?`/g)].map(([, name = '']) => name.replaceAll('[]', ''));
    const [first = ''] = paths;
    const before = first.includes('.') ? `${first.slice(0, first.lastIndexOf('.'))}.` : '';
    for (const path of paths) {
      const full = path === first || before === '' ? path : `${before}${path}`;
      if (says !== '' && says !== 'as above') words.set(section + full, says);
    }
  }
  return words;
}

/** Comments above the keys of a schema's source, by key, in the order of the file. */
function comments(path: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [, text = '', key = ''] of read(path).matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*\n\s*(\w+):/g)) {
    const said = text.replaceAll(/\s*\n\s*\*?\s*/g, ' ').trim();
    found.set(key, [...(found.get(key) ?? []), said]);
  }
  return found;
}

const shared = comments('src/gateways/gateway-config.ts');

function settings(name: string, title: string, schema: z.ZodType, source: string): readonly string[] {
  const tree: JsonSchema = JSON.parse(
    JSON.stringify(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' })),
  );
  const own = comments(source);
  const readme = readmeWords();
  const rows: string[] = [];
  const prefix = name === '' ? '' : `${name}.`;
  const walk = (properties: Readonly<Record<string, JsonSchema>>, at: string): void => {
    for (const [key, each] of Object.entries(properties)) {
      const path = `${at}${key}`;
      const below = objectIn(each);
      const list = each.items === undefined ? undefined : objectIn(each.items);
      const comment = own.get(key)?.shift() ?? shared.get(key)?.[0] ?? '';
      const says = readme.get(prefix + path.replaceAll('[]', '')) ?? comment;
      if (below === undefined || says !== '')
        rows.push(`| \`${path}\` | ${typeText(each)} | ${defaultText(each)} | ${cell(says)} |`);
      if (below !== undefined) walk(below, `${path}.`);
      if (list !== undefined) walk(list, `${path}[].`);
    }
  };
  walk(tree.properties ?? {}, '');
  return [`## ${title}`, '', '| Setting | May be | Default | What it is for |', '|---|---|---|---|', ...rows, ''];
}

/** As a cell of a table in docs/: links of the README begin elsewhere. */
const cell = (text: string): string =>
  text
    .replaceAll(/(?<!\\)\|/g, '\\|')
    .replaceAll('](docs/', '](')
    .replaceAll('](#', '](../README.md#');

const objectIn = (schema: JsonSchema): Readonly<Record<string, JsonSchema>> | undefined =>
  schema.properties ?? schema.anyOf?.map(objectIn).find((each) => each !== undefined);

function typeText(schema: JsonSchema): string {
  const { type, items, minimum, maximum, anyOf } = schema;
  if (schema.enum !== undefined) return schema.enum.map((each) => `\`${String(each)}\``).join(', ');
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (anyOf !== undefined) return [...new Set(anyOf.map(typeText))].join(' or ');
  if (type === 'array') return `list of ${items === undefined ? 'text' : typeText(items)}`;
  if (type === 'object') return 'mapping';
  if (type === 'boolean') return '`true`, `false`';
  if (type === 'integer' || type === 'number') {
    const isOpen = maximum === undefined || maximum >= 2_147_483_647;
    return isOpen ? `number from ${minimum ?? 0}` : `${minimum ?? 0} to ${maximum}`;
  }
  return 'text';
}

function defaultText({ default: value, type }: JsonSchema): string {
  if (value === undefined) return type === 'array' ? '`[]`' : '–';
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? '–' : `\`${JSON.stringify(value)}\``;
}

export function settingsDocument(): string {
  return [
    '# Settings',
    '',
    'Made from the schemas by `node scripts/references.ts`; a test keeps it up to date. A file that may be copied from: [config/default.yaml](../config/default.yaml). `altpath check FILE` says what is wrong with one.',
    '',
    ...settings('', 'Of the program', coreSchema, 'src/config/core-schema.ts'),
    ...settings('sip', '`sip:`', sipConfigSchema, 'protocols/sip/config.ts'),
    ...settings('mgcp', '`mgcp:`', mgcpConfigSchema, 'protocols/mgcp/config.ts'),
    ...settings('megaco', '`megaco:`', megacoConfigSchema, 'protocols/megaco/config.ts'),
  ].join('\n');
}

/** What is printed, instead of being printed. */
async function printed(words: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const { log } = console;
  console.log = (...texts: readonly unknown[]) => {
    lines.push(texts.map(String).join(' '));
  };
  try {
    await runCommandLine(protocols, [...words, '--help'], demonstrations);
  } finally {
    console.log = log;
  }
  const { defaultConfig } = packageInfo();
  return lines.join('\n').replaceAll(defaultConfig, 'config/default.yaml').trimEnd();
}

/** `run`, `gateway mgcp`: as the help lists them. */
const commandsIn = (help: string): readonly string[] => {
  const [, list = ''] = /\nCommands:\n((?: .*\n?)*)/.exec(help) ?? [];
  return [...list.matchAll(/^ {2}altpath ([a-z]+(?: [a-z]+)?)/gm)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'completion');
};

export async function commandsDocument(): Promise<string> {
  const whole = await printed([]);
  const parts: string[] = [];
  for (const name of commandsIn(whole)) {
    const help = await printed(name.split(' '));
    const inner = commandsIn(help).filter((each) => each !== name);
    parts.push(`## altpath ${name}`, '', '```text', help, '```', '');
    for (const each of inner)
      parts.push(`### altpath ${each}`, '', '```text', await printed(each.split(' ')), '```', '');
  }
  return [
    '# Commands',
    '',
    'Made from the help of the program by `node scripts/references.ts`; a test keeps it up to date.',
    '',
    '```text',
    whole,
    '```',
    '',
    ...parts,
  ].join('\n');
}

const sources = ['src', 'protocols'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/(?:^|\/)(?:demo|gateway|telephone)\//.test(`/${name}`))
    .map((name) => join(folder, name)),
);

/** Every metric that some source names, with its help. */
export function metricsInSources(): ReadonlyMap<string, { readonly kind: string; readonly help: string }> {
  const found = new Map<string, { kind: string; help: string }>();
  const call = /\.(counter|gauge|histogram)s?\(\s*'([a-z0-9_]+)',\s*'((?:[^'\\]|\\.)*)'/g;
  for (const path of sources)
    for (const [, kind = '', name = '', help = ''] of read(path).matchAll(call))
      found.set(`altpath_${name}`, { kind, help: help.replaceAll("\\'", "'") });
  return new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

export function metricsDocument(): string {
  const rows = [...metricsInSources()].map(([name, { kind, help }]) => `| \`${name}\` | ${kind} | ${cell(help)} |`);
  return [
    '# Metrics',
    '',
    'Made from the sources by `node scripts/references.ts`; a test keeps it up to date. `http://ADMIN/metrics` gives those of the roles that run. Labels follow what is configured (protocol, trunk, gateway, partner, route) or are words of ours (reason, method, status class); a family has at most 1,000 series, what is beyond that is counted under `other`. What to alarm on: [ops/prometheus](../ops/prometheus/alerts.yaml).',
    '',
    '| Metric | Kind | Says |',
    '|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

if (import.meta.main) {
  writeFileSync(join(root, 'docs/reference-settings.md'), settingsDocument());
  writeFileSync(join(root, 'docs/reference-commands.md'), await commandsDocument());
  writeFileSync(join(root, 'docs/reference-metrics.md'), metricsDocument());
}
