/** The package as npm would install it: its documented examples pass `tsc --strict` and run. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const program = mkdtempSync(join(tmpdir(), 'altpath-program-'));
const installed = join(program, 'node_modules/altpath');
const compiler = join(root, 'node_modules/typescript/bin/tsc');

/** The program has Node's types and what the package depends on; nothing that only we have for our own work. */
beforeAll(() => {
  mkdirSync(installed, { recursive: true });
  spawnSync(process.execPath, [join(root, 'scripts/build.cjs'), join(installed, 'dist')], { cwd: root });
  for (const name of ['package.json', 'config']) cpSync(join(root, name), join(installed, name), { recursive: true });
  const ours = new Set(['@biomejs', '@types', '.bin', '.vite', 'altpath', 'fast-check', 'vitest']);
  for (const name of readdirSync(join(root, 'node_modules')))
    if (!ours.has(name)) symlinkSync(join(root, 'node_modules', name), join(program, 'node_modules', name));
  mkdirSync(join(program, 'node_modules/@types'));
  symlinkSync(join(root, 'node_modules/@types/node'), join(program, 'node_modules/@types/node'));
  writeFileSync(join(program, 'package.json'), '{ "type": "module" }');
  for (const [name, text] of examples) writeFileSync(join(program, name), text);
}, 120_000);
afterAll(() => rmSync(program, { recursive: true }));

/** In comments behind `@example`, and in the README as an indented block that imports from us. */
const examples: readonly (readonly [name: string, text: string])[] = [
  ...['src/index.ts', 'src/internal.ts', 'protocols/sip/telephone/index.ts'].flatMap((path) =>
    [...readFileSync(join(root, path), 'utf8').matchAll(/^ \* ```ts\n([\s\S]*?)^ \* ```$/gm)].map(
      ([, text = ''], index) =>
        [`${path.replaceAll('/', '-').replace('.ts', '')}-${index + 1}.ts`, text.replaceAll(/^ \* ?/gm, '')] as const,
    ),
  ),
  ...[...readFileSync(join(root, 'README.md'), 'utf8').matchAll(/(?:^(?: {4}.*)?\n)+/gm)]
    .map(([text]) => text.replaceAll(/^ {4}/gm, ''))
    .filter((text) => text.includes("from 'altpath"))
    .map((text, index) => [`readme-${index + 1}.ts`, text] as const),
];

describe('the documented examples', () => {
  it('are one for each export at least', () => {
    const { exports }: { exports: Record<string, string> } = JSON.parse(
      readFileSync(join(root, 'package.json'), 'utf8'),
    );
    for (const name of Object.keys(exports)) {
      const word = name === '.' ? 'altpath' : name.replace('.', 'altpath');
      expect(
        examples.filter(([, text]) => text.includes(`from '${word}'`)),
        word,
      ).not.toEqual([]);
    }
    expect(examples.filter(([name]) => name.startsWith('readme')).length).toBeGreaterThan(0);
  });

  it('pass tsc --strict, the types of the package included', () => {
    const words = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2024', '--types', 'node'];
    const { stdout } = spawnSync(process.execPath, [compiler, ...words, ...examples.map(([name]) => name)], {
      cwd: program,
      encoding: 'utf8',
    });
    expect(stdout).toBe('');
  }, 120_000);

  it('are judged: a slip in one is found', () => {
    writeFileSync(
      join(program, 'slip.ts'),
      "import { startController } from 'altpath';\nimport sip from 'sip';\nimport 'altpath/sip-telephone';\n" +
        'void startController({ sip: { lisen: [] } });\nvoid startController({ sip: { listen: [7] } });\nsip.start(7);\n',
    );
    const words = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2024', '--types', 'node', 'slip.ts'];
    const { stdout } = spawnSync(process.execPath, [compiler, ...words], { cwd: program, encoding: 'utf8' });
    expect(stdout).toMatch(/slip\.ts\(4,.*lisen/);
    expect(stdout).toMatch(/slip\.ts\(5,.*'number' is not assignable to type 'string/);
    expect(stdout).toMatch(/slip\.ts\(6,/);
  }, 120_000);

  it.each(examples.filter(([, text]) => /startController\(|new Telephone/.test(text)))('%s runs', (name, text) => {
    // Addresses of this test alone, so that nobody else's sockets are in the way.
    writeFileSync(join(program, `run-${name}`), text.replaceAll('127.0.0.', '127.0.43.'));
    const run = (): string =>
      execFileSync(process.execPath, [`run-${name}`], { cwd: program, encoding: 'utf8', timeout: 30_000 });
    expect(run).not.toThrow();
  });
});
