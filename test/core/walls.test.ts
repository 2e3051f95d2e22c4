/** A wall that nobody has seen fail is no wall: violations are planted in a copy of the tree, and the linter must find each. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const copy = mkdtempSync(join(tmpdir(), 'altpath-walls-'));
afterAll(() => rmSync(copy, { recursive: true }));

interface Plant {
  readonly path: string;
  readonly text: string;
}

/** Imports that must not be; each is planted as a file of its own. */
const forbidden: readonly Plant[] = [
  ['the core imports a protocol', 'src/plant.ts', "import { x } from '../protocols/sip/index.ts';\nx();"],
  ['… its type alone', 'src/plant.ts', "import type { X } from '../protocols/sip/index.ts';\nexport type Y = X;"],
  ['… when it runs', 'src/plant.ts', "export const x = await import('../protocols/mgcp/index.ts');"],
  ['… to hand it on', 'src/plant.ts', "export * from '../protocols/megaco/index.ts';"],
  ['… from a folder', 'src/config/plant.ts', "import { x } from '../../protocols/sip/config.ts';\nx();"],
  ['… from the command line', 'src/cli/plant.ts', "import { x } from '../../protocols/sip/index.ts';\nx();"],
  ['the core imports the package sip', 'src/plant.ts', "import sip from 'sip';\nsip();"],
  ['… or a part of it', 'src/plant.ts', "import digest from 'sip/digest';\ndigest();"],
  ['main.ts imports a protocol', 'src/main.ts', "import { x } from '../protocols/sip/index.ts';\nx();"],
  [
    'the table imports a protocol past its index',
    'src/protocol-table.ts',
    "import { x } from '../protocols/sip/config.ts';\nx();",
  ],
  [
    'what is published imports of a protocol more than its configuration',
    'src/index.ts',
    "import { x } from '../protocols/sip/index.ts';\nx();",
  ],
  [
    'a protocol imports the core past internal.ts',
    'protocols/sip/plant.ts',
    "import { ok } from '../../src/result.ts';\nok(1);",
  ],
  [
    '… for a type',
    'protocols/mgcp/plant.ts',
    "import type { Clock } from '../../src/clock.ts';\nexport type X = Clock;",
  ],
  ['… from a folder', 'protocols/sip/a/plant.ts', "import { ok } from '../../../src/result.ts';\nok(1);"],
  ['… when it runs', 'protocols/sip/plant.ts', "export const x = await import('../../src/admin.ts');"],
  ['… for what is published', 'protocols/sip/plant.ts', "import { ok } from '../../src/index.ts';\nok(1);"],
  ['a protocol imports main.ts', 'protocols/sip/plant.ts', "import '../../src/main.ts';"],
  ['a protocol imports another', 'protocols/sip/plant.ts', "import { x } from '../mgcp/index.ts';\nx();"],
  ['… its type alone', 'protocols/megaco/plant.ts', "import type { X } from '../mgcp/index.ts';\nexport type Y = X;"],
  ['… from a folder', 'protocols/mgcp/a/plant.ts', "import { x } from '../../sip/index.ts';\nx();"],
  ['… from a folder of a folder', 'protocols/mgcp/a/b/plant.ts', "import { x } from '../../../megaco/index.ts';\nx();"],
  ['… by way of the root', 'protocols/mgcp/plant.ts', "import { x } from '../../protocols/sip/index.ts';\nx();"],
  ['a protocol imports the package sip', 'protocols/sip/plant.ts', "import sip from 'sip';\nsip();"],
  ['… beside the one file that may', 'protocols/sip/telephone/plant.ts', "import sip from 'sip';\nsip();"],
  [
    'the one file that may imports the core past internal.ts',
    'protocols/sip/telephone/sip-package.ts',
    "import { ok } from '../../../src/result.ts';\nok(1);",
  ],
].map(([, path = '', text = ''], index) => ({ path: numbered(path, index), text }));

const allowed: readonly Plant[] = [
  ['protocols/sip/plant.ts', "import { ok } from '../../src/internal.ts';\nok(1);"],
  ['protocols/sip/a/plant.ts', "import { ok } from '../../../src/internal.ts';\nok(1);"],
  ['protocols/sip/a/plant.ts', "import { x } from '../config.ts';\nx();"],
  ['src/cli/plant.ts', "import { ok } from '../result.ts';\nok(1);"],
  ['test/plant.ts', "import { ok } from '../src/result.ts';\nimport { x } from '../protocols/sip/config.ts';\nok(x);"],
].map(([path = '', text = ''], index) => ({ path: numbered(path, 100 + index), text }));

/** Two plants of one path must not meet; the files that a rule names keep their names. */
function numbered(path: string, index: number): string {
  return path.endsWith('plant.ts') ? path.replace(/plant\.ts$/, `plant-${index}.ts`) : path;
}

interface Finding {
  readonly category: string;
  readonly location: { readonly path: string | { readonly file: string } };
}

/** What the linter says about the plants in a copy of the tree, as `path: rule`. */
function lint(): readonly string[] {
  for (const name of ['src', 'protocols']) cpSync(join(root, name), join(copy, name), { recursive: true });
  for (const name of ['biome.json', '.gitignore']) cpSync(join(root, name), join(copy, name));
  const cycle: readonly Plant[] = [
    { path: 'src/cycle-a.ts', text: "import { b } from './cycle-b.ts';\nexport const a = () => b;" },
    { path: 'src/cycle-b.ts', text: "import { a } from './cycle-a.ts';\nexport const b = () => a;" },
  ];
  const plants = [...forbidden, ...allowed, ...cycle];
  for (const { path, text } of plants) {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    writeFileSync(join(copy, path), `${text}\n`);
  }
  const words = [
    'lint',
    '--reporter=json',
    '--max-diagnostics=none',
    '--config-path=.',
    ...plants.map(({ path }) => path),
  ];
  let report: string;
  try {
    report = execFileSync(join(root, 'node_modules/.bin/biome'), words, {
      cwd: copy,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch (error) {
    // The linter found something, as it must.
    report = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
  }
  const { diagnostics }: { diagnostics: readonly Finding[] } = JSON.parse(report);
  return diagnostics.map(
    ({ category, location: { path } }) => `${typeof path === 'string' ? path : path.file}: ${category}`,
  );
}

const findings = lint();

const found = (path: string): readonly string[] => findings.filter((finding) => finding.startsWith(`${path}: `));

describe('import walls', () => {
  it.each(forbidden)('$path must not: $text', ({ path }) => {
    expect(found(path)).toContain(`${path}: lint/style/noRestrictedImports`);
  });

  it.each(allowed)('$path may: $text', ({ path }) => {
    expect(found(path)).toEqual([]);
  });

  it('has no circles', () => {
    expect(findings).toContain('src/cycle-a.ts: lint/suspicious/noImportCycles');
    expect(findings).toContain('src/cycle-b.ts: lint/suspicious/noImportCycles');
  });
});

/** Words of the protocols, spelled as on their wires and in their RFCs. In comments they may serve as examples. */
const protocolWords = [
  ...[
    'Via',
    'Record-?Route',
    'CSeq',
    'Call-ID',
    'Max-?Forwards',
    'INVITE',
    'REGISTER',
    'OPTIONS',
    'BYE',
    'CANCEL',
    'ACK',
  ],
  ...['PRACK', 'SUBSCRIBE', 'REFER', 'sentBy', 'sips?', 'SIPS?', 'Sip\\w+', 'sip[A-Z]\\w+', 'rport'],
  ...[
    'NotifiedEntity',
    'CRCX',
    'MDCX',
    'DLCX',
    'RQNT',
    'NTFY',
    'AUEP',
    'AUCX',
    'RSIP',
    'EPCF',
    'mgcp\\w*',
    'Mgcp\\w*',
    'MGCP',
  ],
  ...[
    'ServiceChange\\w*',
    'HandOff',
    'AuditValue',
    'TransactionPending',
    'megaco\\w*',
    'Megaco\\w*',
    'MEGACO',
    'MgcId',
    'H248',
  ],
];

/** Code without its comments. Good enough for our own formatted sources: no string of theirs holds a comment's beginning but an URL. */
const withoutComments = (text: string): string =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(?<!:)\/\/.*$/gm, '');

describe('the core is protocol-free', () => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && name !== 'protocol-table.ts' && name !== 'index.ts',
  );
  const word = new RegExp(`\\b(${protocolWords.join('|')})\\b`, 'g');

  it('knows a protocol’s word when it sees one', () => {
    expect("const via = 'Via'; // CSeq\n/* BYE */ onServiceChange(sipConfig)".match(word)).toEqual([
      'Via',
      'CSeq',
      'BYE',
      'sipConfig',
    ]);
    expect(withoutComments("a('Via'); // CSeq\n/* BYE */ b()").match(word)).toEqual(['Via']);
    expect(sources.length).toBeGreaterThan(30);
  });

  it('has none of their words in its code, apart from the table and the published types', () => {
    const said = sources.flatMap((name) => {
      const words = withoutComments(readFileSync(join(root, 'src', name), 'utf8')).match(word) ?? [];
      return words.map((each) => `src/${name}: ${each}`);
    });
    expect(said).toEqual([]);
  });
});

/** A protocol is called a protocol, and what is exported is called by its name: the words of a house are for houses. */
describe('the words of the code', () => {
  const metaphor =
    /\b(?:a|the|each|every|one|another|protocol) rooms?\b(?! for)|\brooms\b|\bdoors?\b|[Pp]igeon|\bRoom/g;

  it('knows the metaphor from octets that have room', () => {
    expect("the room's adapter, defineRoom, Room; makes room for, all rooms, a door".match(metaphor)).toEqual([
      'the room',
      'Room',
      'rooms',
      'door',
    ]);
  });

  it('is without rooms and doors', () => {
    const said = ['src', 'protocols'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.(ts|md)$/.test(name))
        .flatMap((name) => {
          const words = readFileSync(join(root, folder, name), 'utf8').match(metaphor) ?? [];
          return words.map((word) => `${folder}/${name}: ${word}`);
        }),
    );
    expect(said).toEqual([]);
  });
});
