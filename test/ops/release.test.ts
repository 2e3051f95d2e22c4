/** scripts/release.cjs in a repository of its own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const place = mkdtempSync(join(tmpdir(), 'altpath-release-'));
afterAll(() => rmSync(place, { recursive: true }));

const git = (...words: string[]): string => execFileSync('git', words, { cwd: place, encoding: 'utf8' }).trim();
const read = (path: string): string => readFileSync(join(place, path), 'utf8');
const release = (...words: string[]) =>
  spawnSync(process.execPath, [join(root, 'scripts/release.cjs'), ...words, '--no-build'], {
    cwd: place,
    encoding: 'utf8',
  });

function repository(): void {
  for (const name of ['package.json', 'package-lock.json', 'README.md', 'LICENSE', 'config', 'docs', 'ops'])
    cpSync(join(root, name), join(place, name), { recursive: true });
  writeFileSync(join(place, '.gitignore'), 'dist/\nrelease/\nnode_modules/\n');
  writeFileSync(
    join(place, 'CHANGELOG.md'),
    '# Changelog\n\n## [Unreleased]\n\n- Something new.\n\n## [0.0.9] - 2026-01-01\n\n- Old.\n',
  );
  mkdirSync(join(place, 'dist/src'), { recursive: true });
  writeFileSync(join(place, 'dist/src/main.js'), '#!/usr/bin/env node\n');
  git('init', '--quiet');
  git('config', 'user.name', 'test');
  git('config', 'user.email', 'test@localhost');
  git('add', '.');
  git('commit', '--quiet', '--message', 'begin');
}

describe('the release script', () => {
  it('sets the version, closes the changelog, tags, packs, and says by sums and an SBOM what it packed', () => {
    repository();
    const before = git('rev-parse', 'HEAD');
    for (const [words, complaint] of [
      [['banana'], '"banana" is no version'],
      [['0.0.1'], 'does not come after'],
    ] as const) {
      const refused = release(...words);
      expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining(complaint) });
    }
    appendFileSync(join(place, 'README.md'), 'x');
    expect(release('9.1.0')).toMatchObject({ status: 1, stderr: expect.stringContaining('not committed') });
    git('checkout', '--quiet', 'README.md');
    expect(git('rev-parse', 'HEAD')).toBe(before);

    const done = release('9.1.0');
    expect(done, done.stderr).toMatchObject({ status: 0 });
    expect(git('describe', '--exact-match')).toBe('v9.1.0');
    expect(git('status', '--porcelain')).toBe('');
    expect(JSON.parse(read('package.json')).version).toBe('9.1.0');
    expect(JSON.parse(read('package-lock.json')).packages[''].version).toBe('9.1.0');
    expect(read('ops/helm/altpath/Chart.yaml')).toMatch(/^version: 9\.1\.0\nappVersion: 9\.1\.0$/m);
    expect(read('ops/helm/altpath/values.yaml')).toContain('image: altpath:9.1.0\n');
    expect(read('CHANGELOG.md')).toMatch(/## \[Unreleased\]\n\n## \[9\.1\.0\] - \d{4}-\d\d-\d\d\n\n- Something new\./);

    const folder = join(place, 'release');
    expect(execFileSync('sha256sum', ['--check', 'SHA256SUMS'], { cwd: folder, encoding: 'utf8' })).toBe(
      'altpath-9.1.0.cdx.json: OK\naltpath-9.1.0.tgz: OK\n',
    );
    const packed = execFileSync('tar', ['-tzf', join(folder, 'altpath-9.1.0.tgz')], { encoding: 'utf8' });
    expect(packed).toContain('package/dist/src/main.js\n');
    const { components }: { components: { name: string }[] } = JSON.parse(read('release/altpath-9.1.0.cdx.json'));
    const names = components.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['pino', 'ws', 'yaml', 'zod']));
    expect(names).not.toContain('vitest');

    // Nothing was written since: there is nothing to release.
    expect(release('9.2.0')).toMatchObject({ status: 1, stderr: expect.stringContaining('says nothing') });
  });
});
