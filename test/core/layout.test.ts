/** The same names do the same work in every protocol's folder, and what documents say of files is true. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { circles, importGraph, importsOf } from '../support/import-circles.ts';

const root = join(import.meta.dirname, '../..');
const protocols = ['sip', 'mgcp', 'megaco'] as const;
const readme = (protocol: string): string => readFileSync(join(root, 'protocols', protocol, 'README.md'), 'utf8');

/** Parts that two protocols need not share: what follows from a protocol's trade. */
const ownParts = new Set(['Forwarding', 'Commands']);

const parts = (protocol: string): readonly string[] =>
  [...readme(protocol).matchAll(/^\| ([A-Z][^|]*?) \|/gm)].map(([, part = '']) => part).slice(1);

describe('each protocol folder', () => {
  it('has the same files for the same duties', () => {
    for (const protocol of protocols)
      for (const name of ['codec/messages.ts', 'path.ts', 'adapter.ts', 'config.ts', 'role.ts', 'index.ts'])
        expect(existsSync(join(root, 'protocols', protocol, name)), `${protocol}/${name}`).toBe(true);
    for (const protocol of ['mgcp', 'megaco'])
      for (const name of ['protocol.ts', 'transactions.ts', 'events.ts', 'line-commands.ts', 'line-results.ts'])
        expect(existsSync(join(root, 'protocols', protocol, name)), `${protocol}/${name}`).toBe(true);
  });

  it('lists the same parts in the same order', () => {
    const [first = [], ...others] = protocols.map((protocol) => parts(protocol).filter((part) => !ownParts.has(part)));
    expect(first.length).toBeGreaterThan(6);
    for (const other of others) expect(other).toEqual(first);
    expect(parts('megaco')).toEqual(parts('mgcp'));
  });

  it('names every file of its own, and none that is not there', () => {
    for (const protocol of protocols) {
      const folder = join(root, 'protocols', protocol);
      const table = readme(protocol)
        .split('\n')
        .filter((line) => line.startsWith('|'))
        .join('\n');
      const named = [...table.matchAll(/`([\w./-]+(?:\.ts|\/))`/g)].map(([, name = '']) => name);
      expect(named.filter((name) => !existsSync(join(folder, name)))).toEqual([]);
      const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
      expect(files.filter((name) => !named.includes(name))).toEqual([]);
    }
  });
});

it('documents name files that exist', () => {
  const sources = ['src', 'protocols', 'test', 'bench', 'scripts', 'config'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const isThere = (name: string) => sources.some((path) => path === name || path.endsWith(`/${name}`));
  const documents = [
    ...['ARCHITECTURE.md', 'CONTRIBUTING.md', 'README.md'],
    ...readdirSync(join(root, 'docs')).flatMap((name) => (name.endsWith('.md') ? [join('docs', name)] : [])),
  ];
  const missing = documents.flatMap((document) =>
    [...readFileSync(join(root, document), 'utf8').matchAll(/`([\w./-]+\/[\w-]+\.ts|[\w-]+\.ts)`/g)].flatMap(
      ([, name = '']) =>
        isThere(name.replace(/^t\//, '')) || isThere(join(dirname(document), name)) ? [] : [`${document}: ${name}`],
    ),
  );
  expect(missing).toEqual([]);
});

describe('every file', () => {
  const files = new Map(
    ['src', 'protocols', 'bench', 'scripts', 'test'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts') || name.endsWith('.cjs'))
        .map((name) => [join(folder, name), readFileSync(join(root, folder, name), 'utf8')] as const),
    ),
  );

  it('has at most 500 lines, outside of codecs', () => {
    // A telephone that plays every part of a call, written apart from all that it judges.
    const isSpared = (name: string) => name.includes('/codec/') || name === 'test/support/sip-ua.ts';
    const sources = [...files].filter(([name]) => !isSpared(name));
    expect(sources.length).toBeGreaterThan(400);
    expect(sources.filter(([, text]) => text.trimEnd().split('\n').length > 500).map(([name]) => name)).toEqual([]);
  });

  it('imports in no circle, for types alone either', () => {
    expect(importsOf("import type { A } from './b.ts';\nexport * from './c.ts';", '.')).toEqual(['b.ts', 'c.ts']);
    const planted = new Map([
      ['a.ts', ['b.ts']],
      ['b.ts', ['c.ts']],
      ['c.ts', ['a.ts']],
      ['d.ts', ['a.ts']],
    ]);
    expect(circles(planted)).toEqual([['a.ts', 'b.ts', 'c.ts']]);
    const graph = importGraph(root, ['src', 'protocols', 'bench', 'scripts']);
    expect(graph.size).toBeGreaterThan(250);
    expect(circles(graph)).toEqual([]);
  });

  it('exports no value that nobody imports', () => {
    // For members that take a sealed call over.
    const isSpared = (word: string) => ['isCrossingCallId', 'toRecord', 'fromRecord'].includes(word);
    const bare = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|(?<![:'"])\/\/.*$/gm, '');
    const words = new Map([...files].map(([name, text]) => [name, new Set(bare(text).match(/[\w$]+/g))] as const));
    const unused = [...files].flatMap(([name, text]) =>
      /^(?:src|protocols)\//.test(name)
        ? [...text.matchAll(/^export (?:abstract )?(?:async )?(?:const|function\*?|class|let) ([\w$]+)/gm)].flatMap(
            ([, word = '']) =>
              isSpared(word) || [...words].some(([other, said]) => other !== name && said.has(word))
                ? []
                : [`${name}: ${word}`],
          )
        : [],
    );
    expect(unused).toEqual([]);
  });
});
