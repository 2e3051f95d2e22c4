import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isNewEnough } from '../../src/cli/modern-node.ts';

const root = join(import.meta.dirname, '../..');
const place = mkdtempSync(join(tmpdir(), 'altpath-package-'));
const main = join(place, 'dist/src/main.js');

/** As npm would lay the package out, with its dependencies beside it. */
beforeAll(() => {
  // It emits whatever it thinks of the types: those are another check's business.
  spawnSync(process.execPath, [join(root, 'scripts/build.cjs'), join(place, 'dist')], { cwd: root });
  for (const name of ['package.json', 'config']) cpSync(join(root, name), join(place, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
}, 60_000);
afterAll(() => rmSync(place, { recursive: true }));

const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** The machine's own Node, where it is older than we need. */
const oldNode = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((directory) => join(directory, 'node'))
  .filter((path) => !path.includes('node_modules') && existsSync(path))
  .find((path) => !isNewEnough(execFileSync(path, ['--version'], { encoding: 'utf8' }).trim().slice(1)));

describe('the package as built', () => {
  it('has a program that the system can start', () => {
    expect(readFileSync(main, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(execFileSync(process.execPath, [main, '--version'], { encoding: 'utf8' })).toBe(`${version}\n`);
  });

  it('brings the dashboard along, as JavaScript', () => {
    const program = `import { dashboardPage } from './dist/src/dashboard/pages.js';
      const ask = async (name) => (await dashboardPage({ name, acceptsGzip: false, etag: undefined }))?.body.toString() ?? '';
      const seen = new Map();
      const visit = async (name, from = '') => {
        const text = await ask(name);
        if (seen.has(name)) return;
        seen.set(name, text.length);
        for (const [, next] of text.matchAll(/(?:from\\s*|import\\s*|src=|href=)["'](\\.\\/)?([\\w/.-]+\\.(?:js|css|svg))["']/g).map(([, dot, path]) => [dot, path]))
          await visit(name.startsWith('vendor/') ? 'vendor/' + next : next, name);
      };
      await visit('index.html');
      console.log(JSON.stringify([...seen]));`;
    const words = ['--input-type=module', '-e', program];
    const seen: [string, number][] = JSON.parse(
      execFileSync(process.execPath, words, { cwd: place, encoding: 'utf8' }),
    );
    expect(seen.length).toBeGreaterThan(20);
    expect(seen.filter(([, length]) => length === 0)).toEqual([]);
  });

  it('knows where its default configuration lies', () => {
    const program = `import { packageInfo } from './dist/src/cli/package-info.js'; console.log(packageInfo().defaultConfig)`;
    const words = ['--input-type=module', '-e', program];
    const file = execFileSync(process.execPath, words, { cwd: place, encoding: 'utf8' }).trim();
    expect(file).toBe(join(place, 'config/default.yaml'));
    expect(execFileSync(process.execPath, [main, 'check', file], { encoding: 'utf8' })).toContain(`${file}: OK\n`);
  });

  it.skipIf(oldNode === undefined)('goes on in its own Node when started by an old one', async () => {
    expect(execFileSync(oldNode ?? '', [main, '--version'], { encoding: 'utf8' })).toBe(`${version}\n`);
    const child = spawn(oldNode ?? '', [main, 'sip', '--listen', '127.0.0.1:0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let log = '';
    await new Promise<void>((resolve, reject) => {
      child.on('exit', () => reject(new Error(`ended: ${log}`)));
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        log += text;
        if (log.includes('"msg":"ready"')) resolve();
      });
    });
    child.removeAllListeners('exit');
    const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal)));
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(log).toContain('SIGTERM: no new work');
  });

  it.skipIf(oldNode === undefined)('says in one sentence that it needs another Node when it has none', () => {
    rmSync(join(place, 'node_modules'));
    try {
      execFileSync(oldNode ?? '', [main, '--version'], { encoding: 'utf8', stdio: 'pipe' });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        status: 1,
        stdout: '',
        stderr: expect.stringMatching(/^altpath: needs Node 24\.12 or later, this is v\d+[^\n]*\n$/),
      });
    } finally {
      symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
    }
  });
});

describe('a Node that is new enough', () => {
  it.each([
    ['20.20.2', false],
    ['24.11.0', false],
    ['24.12.0', true],
    ['24.21.0', true],
    ['26.0.0', true],
  ])('%s: %s', (node, expected) => {
    expect(isNewEnough(node)).toBe(expected);
  });
});
