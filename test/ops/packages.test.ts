/** What we hand out: the Debian package serves from a plain directory, and npm packs what is needed and nothing else. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const place = mkdtempSync(join(tmpdir(), 'altpath-packages-'));
afterAll(() => rmSync(place, { recursive: true }));
const { version }: { version: string } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

describe.skipIf(spawnSync('dpkg-deb', ['--version']).error !== undefined)('the Debian package', () => {
  it('holds all that is needed, Node included, and serves where it was unpacked', async () => {
    const words = [join(root, 'scripts/build-deb.cjs'), place, '--compression=none'];
    const file = execFileSync(process.execPath, words, { encoding: 'utf8' }).trim();
    expect(file).toMatch(new RegExp(`altpath_${version.replaceAll('.', '\\.')}_(amd64|arm64)\\.deb$`));
    const control = execFileSync('dpkg-deb', ['--field', file], { encoding: 'utf8' });
    expect(control).toMatch(/^Package: altpath$/m);
    expect(control).toMatch(/^Installed-Size: \d{4,}$/m);
    const tree = join(place, 'tree');
    execFileSync('dpkg-deb', ['--extract', file, tree]);
    for (const path of [
      'usr/lib/systemd/system/altpath.service',
      'etc/logrotate.d/altpath',
      'etc/default/altpath',
      'usr/lib/altpath/keepalived/check-altpath',
      'usr/share/doc/altpath/docs/floating-ip.md',
      'usr/share/doc/altpath/examples/keepalived.conf',
    ])
      expect(existsSync(join(tree, path)), path).toBe(true);
    expect(statSync(join(tree, 'etc/altpath/altpath.yaml')).mode & 0o777).toBe(0o640);
    for (const name of ['vitest', 'typescript', '@biomejs'])
      expect(existsSync(join(tree, 'usr/lib/altpath/node_modules', name)), `${name} is not for users`).toBe(false);

    const program = join(tree, 'usr/bin/altpath');
    const env = { PATH: '/usr/bin:/bin' };
    expect(execFileSync(program, ['--version'], { encoding: 'utf8', env })).toBe(`${version}\n`);
    const config = join(tree, 'etc/altpath/altpath.yaml');
    const text = readFileSync(config, 'utf8').replace('/var/lib/altpath/', `${place}/`);
    writeFileSync(config, text.replaceAll(':5060', ':45066').replaceAll('127.0.0.1:9060', '127.0.0.1:0'));
    expect(execFileSync(program, ['check', config], { encoding: 'utf8', env })).toContain(': OK');
    const serving = spawn(program, ['run', '-c', config], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      let log = '';
      serving.stdout.setEncoding('utf8').on('data', (words: string) => {
        log += words;
      });
      for (let turn = 0; turn < 1_500 && !log.includes('"msg":"ready"'); turn += 1)
        await new Promise((next) => setTimeout(next, 10));
      expect(log).toContain('"msg":"ready"');
      expect(await options(45_066)).toMatch(/^SIP\/2\.0 200 OK\r\n/);
      const ended = new Promise((resolve) => serving.once('exit', resolve));
      serving.kill('SIGTERM');
      expect(await ended).toBe(0);
    } finally {
      serving.kill('SIGKILL');
    }
  }, 180_000);
});

function options(port: number): Promise<string> {
  const socket = createSocket('udp4');
  return new Promise<string>((resolve) => {
    socket.on('message', (bytes) => resolve(bytes.toString()));
    socket.bind(0, '127.0.0.1', () => {
      const own = socket.address().port;
      const lines = [
        `OPTIONS sip:127.0.0.1:${port} SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.1:${own};branch=z9hG4bKpackage;rport`,
        'Max-Forwards: 70',
        'From: <sip:test@127.0.0.1>;tag=1',
        `To: <sip:127.0.0.1:${port}>`,
        'Call-ID: package',
        'CSeq: 1 OPTIONS',
        'Content-Length: 0',
      ];
      socket.send(`${lines.join('\r\n')}\r\n\r\n`, port, '127.0.0.1');
    });
  }).finally(() => socket.close());
}

describe('npm pack', () => {
  it('takes the program, its configuration and what operators read and install; no tests, sources or reports', () => {
    const copy = join(place, 'pack');
    for (const name of ['package.json', 'config', 'docs', 'ops', 'README.md', 'CHANGELOG.md', 'LICENSE', 'src', 'test'])
      cpSync(join(root, name), join(copy, name), { recursive: true });
    cpSync(join(root, 'src/main.ts'), join(copy, 'dist/src/main.js'));
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const words = ['pack', '--dry-run', '--json', '--ignore-scripts'];
    const [{ files }]: [{ files: { path: string }[] }] = JSON.parse(
      execFileSync('npm', words, { cwd: copy, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
    const paths = files.map(({ path }) => path);
    expect([...new Set(paths.map((path) => path.split('/')[0]))].sort()).toEqual(
      ['CHANGELOG.md', 'LICENSE', 'README.md', 'config', 'dist', 'docs', 'ops', 'package.json'].sort(),
    );
    expect(paths).toEqual(
      expect.arrayContaining([
        'dist/src/main.js',
        'config/default.yaml',
        'docs/floating-ip.md',
        'docs/alternate-path.md',
        'ops/keepalived/check-altpath',
        'ops/systemd/altpath.service',
      ]),
    );
    expect(paths.filter((path) => /adr|benchmarks|rfc-map|failover-cases/.test(path))).toEqual([]);
  });
});
