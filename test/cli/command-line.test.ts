import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../src/cli/command-line.ts';
import { echo } from './echo-protocol.ts';
import { run, scratch } from './harness.ts';

const files = scratch();
afterAll(() => files.remove());

describe('altpath: help', () => {
  it('shows every command, and each command its flags with examples', async () => {
    const { code, stdout } = await run('--help');
    expect(code).toBe(0);
    for (const command of ['echo', 'run', 'check <file>', 'status', 'calls', 'peers', 'reg [record]', 'drain'])
      expect(stdout).toContain(`altpath ${command}`);
    const help = await run('echo', '--help');
    expect(help.code).toBe(0);
    for (const flag of [
      '--config',
      '--listen',
      '--backup',
      '--backup-for',
      '--location',
      '--admin',
      '--log-level',
      '--zone',
    ])
      expect(help.stdout).toContain(flag);
    expect(help.stdout).toContain('altpath echo --zone north');
  });

  it('shows the version of the package', async () => {
    const { version }: { version: string } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect((await run('--version')).stdout).toBe(`${version}\n`);
  });
});

describe('altpath: what cannot be done is one line on standard error and exit code 1', () => {
  it.each<[readonly string[], RegExp]>([
    [[], /^altpath: say what to do \(altpath --help\)\n$/],
    [['ecoh'], /^altpath: no command "ecoh": did you mean echo\? \(altpath --help\)\n$/],
    [['echo', '--lisen', 'x'], /^altpath: Unknown argument: lisen \(altpath --help\)\n$/],
    [['echo', '--listen'], /^altpath: [^\n]*listen[^\n]*\n$/],
    [['echo', '--listen', 'a b'], /^altpath: --listen: "a b" is not an address: write [^\n]*\n$/],
    [['echo', '--admin', 'x'], /^altpath: --admin: "x" is no address for the admin server[^\n]*\n$/],
    [['echo', '--location', 'x'], /^altpath: --location: "x" is no location store[^\n]*\n$/],
    [['echo', '--log-level', 'loud'], /^altpath: Invalid values: Argument: log-level, Given: "loud"[^\n]*\n$/],
    [['echo', '--node', 'a'], /^altpath: --node: no node "a"[^\n]*\n$/],
    [
      ['run', '-c', '/nowhere/altpath.yaml'],
      /^altpath: cannot read "\/nowhere\/altpath\.yaml": no such file or directory\n$/,
    ],
    [['check', '/'], /^altpath: cannot read "\/": it is a directory\n$/],
    [['status', '--admin', '127.0.0.1:1'], /^altpath: no altpath answers on 127\.0\.0\.1:1[^\n]*\n$/],
  ])('%j', async (words, line) => {
    const stdout = vi.spyOn(process.stdout, 'write');
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    try {
      const code = await runCommandLine([echo], words);
      expect(stderr.mock.calls.map(([text]) => text).join('')).toMatch(line);
      expect(stdout).not.toHaveBeenCalled();
      expect(code).toBe(1);
    } finally {
      vi.restoreAllMocks();
    }
  });

  it('is so for a process of its own, too', async () => {
    const { code, stdout, stderr } = await run('echo', '--listen', '192.0.2.1:0');
    expect(stderr).toMatch(/^altpath: [^\n]*192\.0\.2\.1[^\n]*\n$/);
    expect(stdout).toBe('');
    expect(code).toBe(1);
  });

  it('names the port that is in use, for sockets and for the admin server', async () => {
    const taken = createSocket('udp4');
    await new Promise<void>((resolve) => {
      taken.bind(0, '127.0.0.1', resolve);
    });
    const { port } = taken.address();
    const { code, stderr } = await run('echo', '--listen', `127.0.0.1:${port}`, '--admin', '127.0.0.1:0');
    taken.close();
    expect(stderr).toMatch(new RegExp(`^altpath: [^\\n]*127\\.0\\.0\\.1:${port}[^\\n]*in use[^\\n]*\\n$`));
    expect(code).toBe(1);
  });

  it('shows the stack to those who ask for it', async () => {
    const { stderr } = await run('run', '-c', '/nowhere/altpath.yaml', '--log-level', 'debug');
    expect(stderr).toMatch(/^altpath: FileError: cannot read .*\n +at /);
  });
});

describe('altpath check', () => {
  it('says what a good file would run', async () => {
    const file = files.file('good.yaml', 'admin: 127.0.0.1:9060\necho: { listen: [127.0.0.1], backup: [127.0.0.2] }\n');
    const { code, stdout } = await run('check', file);
    expect(stdout).toBe(
      `${file}: OK\n  echo on udp:127.0.0.1:7070, backup udp:127.0.0.2:7070\n  locations in memory, admin 127.0.0.1:9060\n`,
    );
    expect(code).toBe(0);
  });

  it('warns of what is valid and unwise', async () => {
    const file = files.file('open.yaml', 'echo: { site: open }\n');
    const { code, stdout } = await run('check', file);
    expect(stdout).toMatch(/admin off\n {2}warning: echo: the site is open: whoever passes may take an echo\n$/);
    expect(code).toBe(0);
  });

  it('lists everything that is wrong, a line each', async () => {
    const file = files.file('bad.yaml', 'echo:\n  listen: [x y]\n  sit: a\n');
    const { code, stderr } = await run('check', file);
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(/bad\.yaml:2:12: echo\.listen\[0\]: "x y" is not an address/),
      expect.stringMatching(/bad\.yaml:3:3: echo: unknown key "sit" \(did you mean "site"\?\)/),
      '',
    ]);
    expect(code).toBe(1);
  });

  it("tries a cluster's file as every node", async () => {
    const text =
      'cluster: { secret: 0123456789abcdef }\nnodes:\n  a: { echo: [127.0.0.1] }\n  b: { echo: [127.0.0.2] }\n';
    const { stdout } = await run('check', files.file('cluster.yaml', text));
    expect(stdout).toContain('OK, 2 nodes\n  node a\n    echo on udp:127.0.0.1:7070, backup udp:127.0.0.2:7070\n');
    expect(stdout).toContain('  node b\n    echo on udp:127.0.0.2:7070, backup udp:127.0.0.1:7070\n');
    const bad = await run('check', files.file('bad-cluster.yaml', text.replace('127.0.0.2', '0.0.0.0')));
    expect(bad.stderr).toMatch(/bad-cluster\.yaml:4:15: nodes\.b\.echo\[0\]: nobody can send to udp:0\.0\.0\.0:7070/);
    expect(bad.code).toBe(1);
  });
});
