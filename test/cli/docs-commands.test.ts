/**
 * Every command line of the README and of docs/ is executed here, or stands in a list that says why not and what executes it. Addresses of
 * 127.0.0.0/24 and 192.0.2.0/24 are those of this test's own network instead.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { AltpathProcess } from './harness.ts';

const root = join(import.meta.dirname, '../..');
const main = join(root, 'src/main.ts');
const folder = mkdtempSync(join(tmpdir(), 'altpath-docs-'));

interface Written {
  readonly command: string;
  readonly page: string;
  /** The file that the block above it shows, where it is one. */
  readonly yaml: string | undefined;
}

const programs =
  'altpath|npm|npx|node|docker|helm|apt|apt-get|curl|touch|rm|git|systemctl|openssl|export|alias|kamailio|sysctl|dpkg';

/** Commands in blocks and between backticks; what is behind `#` or three spaces is a remark. */
function commandsIn(page: string): readonly Written[] {
  const text = readFileSync(join(root, page), 'utf8').replaceAll(/\\\n\s+/g, '');
  const found: Written[] = [];
  let yaml: string | undefined;
  let block: string[] = [];
  const inBlock = new RegExp(`^ {4,}(?:\\$ )?((?:${programs})(?: .*)?)$`);
  const inline = new RegExp(`\`((?:${programs}) [^\`]+)\``, 'g');
  for (const line of text.split('\n')) {
    const [, written] = inBlock.exec(line) ?? [];
    if (written !== undefined) {
      found.push({ command: plain(written), page, yaml: yaml ?? asYaml(block) });
      yaml ??= asYaml(block);
      block = [];
      continue;
    }
    if (line.startsWith('    ')) block.push(line.slice(4));
    else if (line.trim() !== '') {
      yaml = asYaml(block);
      block = [];
    }
    for (const [, command = ''] of line.matchAll(inline))
      found.push({ command: plain(command), page, yaml: undefined });
  }
  return found;
}

const plain = (text: string): string =>
  text
    .replace(/\s+#.*$|\s{3,}(?!-).*$/, '')
    .replaceAll('\\|', '|')
    .trim();

function asYaml(lines: readonly string[]): string | undefined {
  const text = lines.join('\n');
  if (text === '') return undefined;
  try {
    const parsed: unknown = parse(text, { logLevel: 'silent' });
    return typeof parsed === 'object' && parsed !== null && ('nodes' in parsed || 'sip' in parsed) ? text : undefined;
  } catch {
    return undefined;
  }
}

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md') && !name.startsWith('reference-'))
    .map((name) => `docs/${name}`),
];

const commands = [...new Map(pages.flatMap(commandsIn).map((each) => [each.command, each])).values()];

/** Why a command is not executed here; where a test is named, that one does what the command does. */
const notHere: readonly (readonly [command: RegExp, why: string])[] = [
  [/^npm start$/, 'test/cli/package.test.ts starts the program with its default file'],
  [
    /^npm (?:test|ci|run (?:check|types|lint|test:interop|build))(?: |$)/,
    'this test is run by them, or would be by them again',
  ],
  [/^npm run demo|^altpath demo/, 'test/scenarios/demo.test.ts plays the demonstration'],
  [/^npm run bench|^node bench\//, 'measures for minutes, and wants a quiet machine'],
  [/^node scripts\/grafana\.ts/, 'test/core/ops.test.ts looks into what it has written'],
  [/^npx (?:vitest|biome|node)/, 'tools of who works on the sources'],
  [/^git /, 'changes the sources, or needs a network'],
  [/^(?:apt|apt-get|dpkg) /, 'installs on the machine: test/ops/packages.test.ts looks into the package'],
  [/^docker /, 'test/ops/deployment-files.test.ts reads the files; there is no container engine here'],
  [/^helm /, 'test/ops/deployment-files.test.ts renders the chart without it'],
  [/^node scripts\/build-deb\.cjs/, 'test/ops/packages.test.ts builds the package'],
  [
    /^node scripts\/(?:log-events|references)\.ts/,
    'test/cli/references.test.ts and test/core/log-events.test.ts compare what it writes',
  ],
  [
    /^systemctl |^sysctl |^(?:touch|rm) \/run\//,
    'changes the machine: test/ops/deployment-files.test.ts does it in a folder',
  ],
  [/^kamailio /, 'test/interop/sip-kamailio-aware.test.ts runs it'],
  [/^alias |^kill -9/, 'words of the shell'],
  [/^altpath check \/etc\//, 'its file is that of an installed package: test/ops/packages.test.ts checks it'],
  [
    /^altpath check$|^altpath drain$|^altpath trace$|^altpath doctor$/,
    'names the command in a sentence; it is executed with its words elsewhere',
  ],
];

const ours = (text: string): string => text.replaceAll(/\b(?:127\.0\.0|192\.0\.2)\.(\d+)/g, '127.0.84.$1');
const housed = (text: string): string => text.replaceAll(/\b(?:127\.0\.0|192\.0\.2)\.(\d+)/g, '127.0.85.$1');

const admin = '127.0.85.1:9060';
let house: AltpathProcess;

beforeAll(async () => {
  const file = join(folder, 'house.yaml');
  writeFileSync(
    file,
    [
      `admin: ${admin}`,
      'sip: { listen: [udp:127.0.85.1:5060, tcp:127.0.85.1:5060] }',
      'mgcp: { listen: [127.0.85.1:2727], gateways: [rgw1=127.0.85.1:2427], lines: [200=aaln/1@rgw1] }',
      'megaco: { listen: [udp:127.0.85.1:2944], gateways: [gw1=127.0.85.1:2946], lines: [300=aaln/1@gw1] }',
    ].join('\n'),
  );
  house = spawned(['run', '-c', file]);
  const ended = house.ended.then(({ stderr }) => stderr);
  while (!house.text.includes('"msg":"ready"')) {
    const said = await Promise.race([
      ended,
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 50)),
    ]);
    if (said !== undefined) throw new Error(`it did not start: ${said}`);
  }
}, 70_000);

afterAll(async () => {
  house.kill('SIGTERM');
  await house.ended;
  rmSync(folder, { recursive: true });
});

const spawned = (words: readonly string[], env: Readonly<Record<string, string>> = {}): AltpathProcess =>
  new AltpathProcess(words, { ALTPATH_CLUSTER_SECRET: '0123456789abcdef0123456789abcdef', ...env }, main);

/** Says something like this, and ends in order when it is told to. */
async function lasts(words: readonly string[], pattern: RegExp): Promise<void> {
  const process = spawned(words);
  await expect.poll(() => process.text, { timeout: 30_000, interval: 50 }).toMatch(pattern);
  process.kill('SIGINT');
  const { code, stderr } = await process.ended;
  expect([0, 'SIGINT'], stderr).toContain(code);
}

async function ends(words: readonly string[], code = 0): Promise<string> {
  const { code: ended, stdout, stderr } = await spawned(words).ended;
  expect(ended, `${words.join(' ')}: ${stdout}${stderr}`).toBe(code);
  return stdout;
}

const unanswered = /\.\.\.|…|<[a-z]+>/;

async function execute({ command, yaml }: Written): Promise<void> {
  const words = command.split(/\s+/).slice(1);
  const [verb = '', ...rest] = words;
  const isSyntax = /[[\]|]|\b[A-Z]{3,}\b/.test(command.replaceAll(/ALTPATH_\w+/g, '')) || unanswered.test(command);
  if (isSyntax || (rest.length === 0 && ['sip', 'gateway', 'phone', 'completion'].includes(verb))) {
    // How it is written: the command and its flags exist.
    for (const one of command.split(/\s+\|\s+|, /)) {
      const [, name = '', after = ''] = /^altpath ([a-z]+) ?(.*)$/.exec(one) ?? [];
      if (name === '') continue;
      const [sub = ''] = name === 'gateway' || name === 'phone' ? (/^[a-z|]+/.exec(after) ?? []) : [];
      for (const each of sub.split('|')) {
        const help = await ends(each === '' ? [name, '--help'] : [name, each, '--help']);
        for (const flag of after.match(/(?<![\w-])--?[a-z][a-z-]*/g) ?? [])
          expect(help).toMatch(new RegExp(`${flag}\\b`));
      }
    }
    return;
  }
  const asked = [...rest.map(housed), '--admin', admin];
  switch (verb) {
    case 'status':
    case 'calls':
    case 'peers':
    case 'reg':
    case 'log':
    case 'explain':
    case 'bans':
      await ends([verb, ...asked]);
      return;
    case 'trace':
      if (rest.includes('--follow')) await lastsSilently([verb, ...asked]);
      else await ends([verb, ...asked]);
      return;
    case 'top':
      await ends([verb, ...asked, '--once']);
      return;
    case 'drain': {
      const other = spawned(['sip', '--listen', '127.0.84.7', '--admin', '127.0.84.7:9060']);
      await expect.poll(() => other.text, { timeout: 30_000, interval: 50 }).toMatch(/"msg":"ready"/);
      await ends([verb, ...rest, '--admin', '127.0.84.7:9060']);
      expect((await other.ended).code).toBe(0);
      return;
    }
    case 'run': {
      const [, name = 'x.yaml'] = /-c (\S+)/.exec(command) ?? [];
      const file = join(folder, name);
      writeFileSync(file, ours(yaml ?? ''));
      await ends(['check', file]);
      await lasts(['run', ...rest.map((word) => (word === name ? file : word))], /"msg":"ready"/);
      return;
    }
    case 'sip':
    case 'mgcp':
    case 'megaco': {
      const here = rest.includes('--listen') ? [] : ['--listen', '127.0.84.1'];
      const location = join(folder, 'loc.sqlite');
      await lasts(
        [verb, ...rest.map((word) => ours(word).replace('./loc.sqlite', location)), ...here],
        /"msg":"ready"/,
      );
      return;
    }
    case 'gateway': {
      const [protocol = ''] = rest;
      const listen = rest.includes('--listen') ? [] : ['--listen', `127.0.85.1:${protocol === 'mgcp' ? 2427 : 2946}`];
      const flag = protocol === 'mgcp' ? '--call-agent' : '--controller';
      const to = rest.includes(flag) ? [] : [flag, '127.0.85.1'];
      expect(await ends(['gateway', ...rest.map(housed), ...listen, ...to])).toContain('is ready');
      return;
    }
    case 'phone': {
      const [what = ''] = rest;
      if (what !== 'call') {
        await lasts(['phone', ...rest.map(housed)], /./);
        return;
      }
      const bob = spawned(['phone', 'answer', '--user', 'bob@127.0.85.1', '--local', '127.0.85.9']);
      await expect.poll(() => bob.text, { timeout: 30_000 }).toMatch(/regist/);
      await ends(['phone', ...rest.map(housed), '--duration', '1']);
      bob.kill('SIGINT');
      await bob.ended;
      return;
    }
    default:
      throw new Error(`${command}: say in this test how it is executed, or why not`);
  }
}

/** What follows a trace in which nothing happens says nothing. */
async function lastsSilently(words: readonly string[]): Promise<void> {
  const process = spawned(words);
  const early = await Promise.race([
    process.ended,
    new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 3_000)),
  ]);
  expect(early, early?.stderr).toBeUndefined();
  process.kill('SIGINT');
  await process.ended;
}

describe('commands of README and docs', () => {
  it('are found', () => {
    expect(commands.length).toBeGreaterThan(60);
    expect(commands.filter(({ yaml }) => yaml !== undefined).length).toBeGreaterThan(1);
  });

  it('that are not executed here are written somewhere, and the test that is named instead exists', () => {
    for (const [command, why] of notHere) {
      expect(
        commands.some((each) => command.test(each.command)),
        String(command),
      ).toBe(true);
      for (const path of why.match(/test\/\S+\.test\.ts/g) ?? []) expect(existsSync(join(root, path)), path).toBe(true);
    }
  });

  const executed = commands.filter(({ command }) => !notHere.some(([pattern]) => pattern.test(command)));
  const altpath = executed.filter(({ command }) => command.startsWith('altpath '));

  it.each(altpath.map((each) => [each.command, each] as const))('%s', (_, each) => execute(each), 60_000);

  it('openssl makes a secret that the program takes', async () => {
    expect(executed.some(({ command }) => command.includes('openssl rand -hex 32'))).toBe(true);
    const { randomBytes } = await import('node:crypto');
    const file = join(folder, 'secret.yaml');
    writeFileSync(
      file,
      `cluster: { secret: ${randomBytes(32).toString('hex')} }\nsip: { listen: [udp:127.0.84.1:5060] }\n`,
    );
    await ends(['check', file]);
  });

  const openssl = ['/usr/bin/openssl', '/usr/local/bin/openssl'].find((path) => existsSync(path));

  it.skipIf(openssl === undefined)('openssl makes a certificate for a trial', async () => {
    const [made] = commands.filter(({ command }) => command.startsWith('openssl req'));
    await promisify(execFile)(openssl ?? '', (made?.command ?? '').split(' ').slice(1), { cwd: folder });
    const file = join(folder, 'tls.yaml');
    const tls = `{ certFile: ${join(folder, 'cert.pem')}, keyFile: ${join(folder, 'key.pem')} }`;
    writeFileSync(file, `sip: { listen: [tls:127.0.84.1:5061], tls: ${tls} }\n`);
    await ends(['check', file]);
  });

  it('curl finds the program healthy', async () => {
    const [line] = executed.filter(({ command }) => command.startsWith('curl'));
    const [, path = ''] = /127\.0\.0\.1:9060(\/\S+)/.exec(line?.command ?? '') ?? [];
    expect((await fetch(`http://${admin}${path}`)).status).toBe(200);
  });

  it('of other programs are known here', () => {
    const others = executed.filter(({ command }) => !/^(?:altpath|openssl|curl|export) ?/.test(command));
    expect(others.map(({ command, page }) => `${page}: ${command}`)).toEqual([]);
  });
});
