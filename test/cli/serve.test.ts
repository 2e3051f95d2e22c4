import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { AltpathProcess, type LogLine, run, scratch } from './harness.ts';

const files = scratch();
const started: AltpathProcess[] = [];
afterEach(async () => {
  for (const altpath of started) altpath.kill('SIGKILL');
  await Promise.all(started.splice(0).map(({ ended }) => ended));
});
afterAll(() => files.remove());

function start(...words: string[]): AltpathProcess {
  const altpath = new AltpathProcess(words);
  started.push(altpath);
  return altpath;
}

const onAnyPort = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'];

/** The port of the first listener, from the ready line. */
const portOf = ({ addresses }: LogLine): number => {
  const [first] = Array.isArray(addresses) ? addresses : [];
  return Number(String(first).replace(/^.*:/, ''));
};

const adminOf = (line: LogLine): string => String(line['admin']);

/** What comes back for a datagram. */
const echo = (port: number, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createSocket('udp4', (bytes) => {
      socket.close();
      resolve(bytes.toString());
    });
    socket.on('error', reject);
    socket.send(text, port, '127.0.0.1');
  });

const tell = (port: number, text: string): void => {
  const socket = createSocket('udp4');
  socket.send(text, port, '127.0.0.1', () => socket.close());
};

describe('altpath: a serving process', () => {
  it('says in one line each what is unwise', async () => {
    const altpath = start('echo', ...onAnyPort, '--site', 'open');
    await altpath.logged('ready');
    expect(altpath.log.filter(({ level }) => level === 'warn')).toEqual([
      expect.objectContaining({ protocol: 'echo', msg: 'the site is open: whoever passes may take an echo' }),
    ]);
  });

  it('says ready when every socket is bound, with the addresses as bound', async () => {
    const altpath = start('echo', ...onAnyPort, '--listen', '127.0.0.2:0', '--zone', 'north', '--zone', 'south');
    const ready = await altpath.logged('ready');
    expect(ready).toMatchObject({
      level: 'info',
      addresses: [
        expect.stringMatching(/^udp:127\.0\.0\.1:[1-9]\d*$/),
        expect.stringMatching(/^udp:127\.0\.0\.2:[1-9]\d*$/),
      ],
      location: 'memory',
    });
    expect(altpath.log.filter(({ msg }) => msg.startsWith('ready: echo post on udp:'))).toHaveLength(2);
    expect(altpath.log.at(-1)?.msg).toBe('ready');
    expect(await echo(portOf(ready), 'hello')).toBe('hello');
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('ends in order with code 0 on %s', async (signal) => {
    const altpath = start('echo', ...onAnyPort);
    await altpath.logged('ready');
    altpath.kill(signal);
    const before = performance.now();
    const { code, stderr } = await altpath.ended;
    expect(performance.now() - before).toBeLessThan(2_000);
    expect(altpath.log.slice(-2).map(({ msg }) => msg)).toEqual([
      `${signal}: no new work, waiting for what is open`,
      'stopped',
    ]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });

  it('waits for what is open no longer than shutdownSeconds', async () => {
    const file = files.file('slow.yaml', 'shutdownSeconds: 1\necho: { drainMs: 60000 }\n');
    const altpath = start('echo', '-c', file, ...onAnyPort);
    await altpath.logged('ready');
    const before = performance.now();
    altpath.kill('SIGTERM');
    expect((await altpath.ended).code).toBe(0);
    const tookMs = performance.now() - before;
    expect(tookMs).toBeGreaterThan(900);
    expect(tookMs).toBeLessThan(5_000);
  });

  it('ends at once when it is asked twice', async () => {
    const file = files.file('stubborn.yaml', 'shutdownSeconds: 60\necho: { drainMs: 60000 }\n');
    const altpath = start('echo', '-c', file, ...onAnyPort);
    await altpath.logged('ready');
    altpath.kill('SIGINT');
    await altpath.logged(/no new work/);
    altpath.kill('SIGINT');
    expect((await altpath.ended).code).toBe(130);
  });

  it.each([
    ['throw', 'uncaught exception'],
    ['reject', 'unhandled rejection'],
  ])('does not limp on after a fault of its own (%s)', async (word, what) => {
    const altpath = start('echo', ...onAnyPort);
    tell(portOf(await altpath.logged('ready')), word);
    expect((await altpath.ended).code).toBe(1);
    expect(altpath.log.at(-1)).toMatchObject({
      level: 'fatal',
      msg: `${what}: ending at once`,
      err: { message: 'a fault of ours' },
    });
  });

  it('leaves nothing open when it cannot start', async () => {
    const { code, stderr } = await run('echo', '--listen', '127.0.0.1:0', '--listen', '192.0.2.1:0');
    expect(code).toBe(1);
    expect(stderr).toContain('192.0.2.1');
  });
});

describe('altpath: SIGHUP', () => {
  it('takes over what can change, and says what needs a restart', async () => {
    const file = files.file('reload.yaml', 'echo: { site: home, listen: ["127.0.0.1:0"] }\n');
    const altpath = start('echo', '-c', file, '--admin', '127.0.0.1:0');
    const ready = await altpath.logged('ready');
    writeFileSync(file, 'strip: untrusted\necho: { site: away, listen: ["127.0.0.3:0"] }\n');
    altpath.kill('SIGHUP');
    expect(await altpath.logged(/^reloaded/)).toMatchObject({
      level: 'info',
      changed: ['echo: site home -> away'],
      needsRestart: ['strip', 'echo.listen'],
      msg: `reloaded ${file}: echo: site home -> away; needs a restart: strip, echo.listen`,
    });
    const status = await run('status', '--admin', adminOf(ready), '--json');
    expect(JSON.parse(status.stdout)).toMatchObject({ roles: { echo: { site: 'away' } } });
  });

  it('takes over the level of the log, of the roles as well', async () => {
    const text = (level: string) => `log: { level: ${level} }\necho: { listen: ["127.0.0.1:0"] }\n`;
    const file = files.file('level.yaml', text('info'));
    const altpath = start('echo', '-c', file, '--admin', '127.0.0.1:0');
    const port = portOf(await altpath.logged('ready'));
    await echo(port, 'log one');
    writeFileSync(file, text('warn'));
    altpath.kill('SIGHUP');
    await vi.waitFor(async () => {
      await echo(port, 'log two');
      const before = altpath.log.length;
      await echo(port, 'log three');
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(altpath.log).toHaveLength(before);
    }, 5_000);
    writeFileSync(file, text('debug'));
    altpath.kill('SIGHUP');
    expect(await altpath.logged(/level warn -> debug$/)).toMatchObject({ changed: ['log level warn -> debug'] });
    await echo(port, 'log four');
    await altpath.logged('log four');
  });

  it('keeps the old configuration when the new one is bad', async () => {
    const file = files.file('spoilt.yaml', 'echo: { site: home, listen: ["127.0.0.1:0"] }\n');
    const altpath = start('echo', '-c', file, '--admin', '127.0.0.1:0');
    const ready = await altpath.logged('ready');
    writeFileSync(file, 'echo: { site: away, lissen: [] }\nx: 1\n');
    altpath.kill('SIGHUP');
    const refusal = await altpath.logged(/^not reloaded/);
    expect(refusal.level).toBe('error');
    expect(refusal.msg).toContain(':1:21: echo: unknown key "lissen"');
    expect(refusal.msg).toContain(':2:1: unknown key "x"');
    const status = await run('status', '--admin', adminOf(ready), '--json');
    expect(JSON.parse(status.stdout)).toMatchObject({ roles: { echo: { site: 'home' } } });
    expect(await echo(portOf(ready), 'still here')).toBe('still here');
  });

  it.each([
    ['empty', '', 'it is empty'],
    ['cut off in a line', 'strip: untrusted\necho: { site: aw', 'not YAML'],
    ['cut off after a line', 'strip: untrusted\n', 'its section "echo:" is gone'],
    ['cut off in its text', 'strip: untrusted\necho:\n  site: h', 'its last line has no end'],
  ])('keeps the old configuration when the file is %s', async (_what, text, why) => {
    const whole = 'strip: untrusted\necho:\n  site: home\n  listen: ["127.0.0.1:0"]\n';
    const file = files.file('cut.yaml', whole);
    const altpath = start('echo', '-c', file, '--admin', '127.0.0.1:0');
    const ready = await altpath.logged('ready');
    writeFileSync(file, text);
    altpath.kill('SIGHUP');
    expect((await altpath.logged(/^not reloaded/)).msg).toContain(why);
    writeFileSync(file, whole.replace('home', 'away'));
    altpath.kill('SIGHUP');
    expect(await altpath.logged(/^reloaded/)).toMatchObject({ changed: ['echo: site home -> away'] });
    expect(await echo(portOf(ready), 'still here')).toBe('still here');
  });

  it('goes on saying what needs a restart until the file is again as at the start', async () => {
    const text = (zones: string) => `echo: { zones: [${zones}], listen: ["127.0.0.1:0"] }\n`;
    const file = files.file('asleep.yaml', text('a'));
    const altpath = start('echo', '-c', file, '--admin', '127.0.0.1:0');
    await altpath.logged('ready');
    const reloads = () =>
      altpath.log.filter(({ msg }) => msg.startsWith('reloaded')).map(({ needsRestart }) => needsRestart);
    for (const [turn, zones] of ['b', 'b', 'a'].entries()) {
      writeFileSync(file, text(zones));
      altpath.kill('SIGHUP');
      await vi.waitFor(() => expect(reloads()).toHaveLength(turn + 1), 5_000);
    }
    expect(reloads()).toEqual([['echo.zones'], ['echo.zones'], []]);
  });

  it('has nothing to read without a file', async () => {
    const altpath = start('echo', ...onAnyPort);
    await altpath.logged('ready');
    altpath.kill('SIGHUP');
    await altpath.logged('nothing to reload: started without a file');
  });
});

describe('altpath: asking a running process', () => {
  it('shows status, calls, peers and registrations, for people and for machines', async () => {
    const altpath = start('echo', ...onAnyPort, '--zone', 'north');
    const ready = await altpath.logged('ready');
    const ask = async (...words: string[]): Promise<string> => (await run(...words, '--admin', adminOf(ready))).stdout;

    expect(JSON.parse(await ask('status', '--json'))).toMatchObject({
      state: 'ready',
      location: 'memory',
      records: 1,
      roles: { echo: { listening: ready['addresses'], zones: ['NORTH'] } },
    });
    expect(await ask('status')).toMatch(/^state +ready$/m);
    expect(JSON.parse(await ask('calls', '--json'))).toMatchObject([
      { protocol: 'echo', state: 'ringing', callId: 'c1' },
    ]);
    // The escape sequence in the caller's name does not reach the terminal.
    expect(await ask('calls')).toMatch(
      /^protocol {2}state {4}caller {2}callee {2}since +call\necho +ringing {2}a\?\[31m {2}b +[\d.]+ s ago +c1\n$/,
    );
    expect(await ask('calls', '--failed')).toBe('no calls have failed\n');
    expect(await ask('log')).toMatch(/^level +info$/m);
    expect(await ask('log', 'debug', '--part', 'echo', '--minutes', '1')).toMatch(/^until +in (?:60|59(?:\.\d)?) s$/m);
    expect(await ask('trace')).toBe('no messages yet\n');
    expect(await ask('peers')).toBe('no peers\n');
    expect(await ask('reg')).toMatch(
      /^record +contact +expires +q +alternates\nzone +echo:1 +\d+ s +0\.5 +udp:127\.0\.0\.9:1\n$/,
    );
    expect(JSON.parse(await ask('reg', '--json'))).toMatchObject([{ record: 'zone', target: 'echo:1' }]);
    expect(JSON.parse(await ask('reg', 'nobody', '--json'))).toEqual([]);
  });

  it('drains: ends in order as after SIGTERM', async () => {
    const altpath = start('echo', ...onAnyPort);
    const { stdout } = await run('drain', '--admin', adminOf(await altpath.logged('ready')));
    expect(stdout).toMatch(/^draining/);
    expect((await altpath.ended).code).toBe(0);
    expect(altpath.log.at(-2)?.msg).toBe('altpath drain: no new work, waiting for what is open');
  });

  it('gives the admin port to whoever is started in its place while it drains', async () => {
    const file = files.file('drains.yaml', 'shutdownSeconds: 60\necho: { drainMs: 60000 }\n');
    const old = start('echo', '-c', file, ...onAnyPort);
    const admin = adminOf(await old.logged('ready'));
    expect((await run('drain', '--admin', admin)).code).toBe(0);
    const gone = await run('status', '--admin', admin);
    expect(gone.stderr).toMatch(/no altpath answers on .*, and not draining\?/);
    const next = start('echo', '--listen', '127.0.0.1:0', '--admin', admin);
    await next.logged('ready');
    expect(JSON.parse((await run('status', '--admin', admin, '--json')).stdout)).toMatchObject({ state: 'ready' });
    expect(await echo(portOf(await old.logged('ready')), 'still here')).toBe('still here');
  });

  it('finds the admin server by the file that the process runs with', async () => {
    const altpath = start('echo', ...onAnyPort);
    const file = files.file('admin.yaml', `admin: ${adminOf(await altpath.logged('ready'))}\n`);
    expect((await run('status', '-c', file)).stdout).toContain('ready');
  });
});

describe('altpath: the secret of the cluster', () => {
  const warnings = async (...words: string[]): Promise<readonly string[]> => {
    const altpath = start('echo', ...onAnyPort, ...words);
    await altpath.logged('ready');
    return altpath.log.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
  };

  it('is nobody’s business of a process without partners', async () => {
    expect(await warnings()).toEqual([]);
  });

  it('is said to be missing, once, when flags alone name a partner', async () => {
    const [warning, ...more] = await warnings('--backup', '127.0.0.2');
    expect(warning).toMatch(/^no cluster\.secret: using the well-known one, for trials only/);
    expect(more).toEqual([]);
    expect(await warnings('--backup-for', '127.0.0.2')).toHaveLength(1);
  });

  it('comes from the file or from the environment', async () => {
    const file = files.file('secret.yaml', 'cluster: { secret: 0123456789abcdef, port: 47063 }\n');
    expect(await warnings('-c', file, '--backup', '127.0.0.2')).toEqual([]);
    const port = files.file('port.yaml', 'cluster: { port: 47064 }\n');
    const words = ['echo', '-c', port, ...onAnyPort, '--backup', '127.0.0.2'];
    const altpath = new AltpathProcess(words, { ALTPATH_CLUSTER_SECRET: '0123456789abcdef' });
    started.push(altpath);
    await altpath.logged('ready');
    expect(altpath.log.filter(({ level }) => level === 'warn')).toEqual([]);
    const weak = new AltpathProcess(words, { ALTPATH_CLUSTER_SECRET: 'hunter2' });
    started.push(weak);
    expect((await weak.ended).stderr).toBe('altpath: ALTPATH_CLUSTER_SECRET: needs at least 16 characters\n');
  });
});

describe('altpath: one file for the cluster', () => {
  it('runs the node it is told to', async () => {
    const file = files.file(
      'cluster.yaml',
      'cluster: { secret: 0123456789abcdef, port: 47062 }\nnodes:\n  a: { echo: ["127.0.0.1:0"] }\n  b: { echo: ["127.0.0.2:7071"] }\n',
    );
    const altpath = start('run', '-c', file, '--node', 'a');
    expect(await altpath.logged('ready')).toMatchObject({
      node: 'a',
      addresses: [expect.stringMatching(/^udp:127\.0\.0\.1:/)],
    });
    expect(await run('run', '-c', file)).toMatchObject({ code: 1, stderr: expect.stringContaining('--node a|b') });
  });
});
