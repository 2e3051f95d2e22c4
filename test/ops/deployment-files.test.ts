/** What is shipped for operators: each file is taken by the program that it is for, or read as that program would read it. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { AltpathProcess } from '../cli/harness.ts';
import { renderTemplate } from './helm-template.ts';

const root = join(import.meta.dirname, '../..');
const ops = join(root, 'ops');
const main = join(root, 'src/main.ts');
const place = mkdtempSync(join(tmpdir(), 'altpath-ops-'));
afterAll(() => rmSync(place, { recursive: true }));

const text = (path: string): string => readFileSync(join(ops, path), 'utf8');
const has = (command: string, ...words: string[]): boolean =>
  spawnSync(command, words, { stdio: 'ignore' }).error === undefined;

async function check(yaml: string): Promise<string> {
  const file = join(place, 'altpath.yaml');
  writeFileSync(file, yaml);
  const secret = { ALTPATH_CLUSTER_SECRET: '0123456789abcdef0123456789abcdef' };
  const { code, stdout, stderr } = await new AltpathProcess(['check', file], secret, main).ended;
  return code === 0 ? stdout : stderr;
}

const analyze = has('systemd-analyze', '--version');

describe.skipIf(!analyze)('the systemd unit', () => {
  it('is one that systemd understands to the last line', () => {
    const program = join(place, 'altpath');
    writeFileSync(program, '#!/bin/sh\n');
    chmodSync(program, 0o755);
    const unit = join(place, 'altpath.service');
    writeFileSync(unit, text('systemd/altpath.service').replaceAll('/usr/bin/altpath', program));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' });
    expect(stderr.split('\n').filter((line) => line.includes('altpath.service'))).toEqual([]);
    expect(status).toBe(0);
  });

  it('is exposed to 2.0 at most by the judgement of systemd-analyze security', () => {
    const words = ['security', '--offline=yes', '--no-pager', join(ops, 'systemd/altpath.service')];
    const { stdout } = spawnSync('systemd-analyze', words, { encoding: 'utf8' });
    const exposure = /Overall exposure level for altpath\.service: ([\d.]+)/.exec(stdout)?.[1];
    expect(Number(exposure)).toBeLessThanOrEqual(2);
  });
});

const receiver = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    data, fds, flags, _ = socket.recv_fds(s, 4096, 8)
    for fd in fds: os.close(fd)
    for line in data.decode().split("\\n"): print(line, flush=True)
`;

describe.skipIf(!has('systemd-notify', '--version') || !has('python3', '--version'))('Type=notify', () => {
  it('the service manager is told "ready" once every socket is bound, and "stopping" when the drain begins', async () => {
    const socket = join(place, 'notify');
    const manager = spawn('python3', ['-c', receiver, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
    let told = '';
    manager.stdout.setEncoding('utf8').on('data', (words: string) => {
      told += words;
    });
    const hears = async (pattern: RegExp): Promise<void> => {
      for (let turn = 0; turn < 1_000 && !pattern.test(told); turn += 1)
        await new Promise((next) => setTimeout(next, 10));
      expect(told).toMatch(pattern);
    };
    try {
      await hears(/bound/);
      const words = ['sip', '--listen', '127.0.0.1:0', '--log-format', 'json'];
      const program = new AltpathProcess(words, { NOTIFY_SOCKET: socket }, main);
      await program.logged('ready');
      await hears(/^READY=1$/m);
      expect(told).not.toContain('STOPPING');
      program.kill('SIGTERM');
      expect((await program.ended).code).toBe(0);
      await hears(/^STOPPING=1$/m);
      expect(told).toContain('STATUS=SIGTERM: waiting for what is open');
    } finally {
      manager.kill();
    }
  });
});

describe('altpath drain --wait', () => {
  it('returns when the program has ended, so that nobody ends it by force before', async () => {
    const program = new AltpathProcess(
      ['sip', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--log-format', 'json'],
      {},
      main,
    );
    const { admin } = await program.logged('ready');
    const words = ['drain', '--admin', String(admin), '--wait', '20'];
    const drained = await new AltpathProcess(words, {}, main).ended;
    expect(drained).toMatchObject({ code: 0, stdout: 'drained: it has ended\n' });
    expect((await program.ended).code).toBe(0);
    const again = await new AltpathProcess(words, {}, main).ended;
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('no altpath answers') });
    const wrong = await new AltpathProcess(['drain', '--wait', '0'], {}, main).ended;
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('wait: seconds') });
  });
});

describe('containers', () => {
  it('the image is made of what is there, runs as a user of its own, and ends by a signal that drains', () => {
    const lines = text('docker/Dockerfile').split('\n');
    const copied = lines.flatMap((line) => /^COPY (?!--from)(.*) \S+$/.exec(line)?.[1]?.split(' ') ?? []);
    expect(copied.filter((name) => !existsSync(join(root, name)))).toEqual([]);
    expect(copied).toEqual(expect.arrayContaining(['src', 'protocols', 'config', 'package-lock.json']));
    expect(lines).toEqual(expect.arrayContaining(['USER altpath', 'STOPSIGNAL SIGTERM']));
  });

  it('compose: two members on the addresses of the file, which altpath accepts; every mounted file is there', async () => {
    const compose = parse(text('docker/compose.yaml'), { merge: true });
    const file = text('docker/altpath.yaml');
    const { nodes, shutdownSeconds } = parse(file);
    for (const node of ['a', 'b']) {
      const service = compose.services[node];
      expect(service.command).toEqual(['run', '-c', '/etc/altpath/altpath.yaml', '--node', node]);
      expect(nodes[node].sip).toEqual(
        ['udp', 'tcp'].map((transport) => `${transport}:${service.networks.telephony.ipv4_address}:5060`),
      );
      expect(Number.parseInt(service.stop_grace_period, 10)).toBeGreaterThan(shutdownSeconds);
      expect(service.environment).toHaveProperty('ALTPATH_CLUSTER_SECRET');
    }
    expect(await check(file)).toContain('OK, 2 nodes');
    const mounts: string[] = Object.values<{ volumes: string[] }>(compose.services).flatMap(({ volumes }) => volumes);
    const own = mounts.map((mount) => mount.split(':', 1)[0] ?? '').filter((path) => path.startsWith('./'));
    expect(own.length).toBeGreaterThan(3);
    expect(own.filter((path) => !existsSync(join(ops, 'docker', path)))).toEqual([]);
    for (const path of own.filter((each) => each.endsWith('.yaml'))) parse(text(join('docker', path)));
  });
});

describe('the Helm chart', () => {
  const values = parse(text('helm/altpath/values.yaml'));
  const scope = { Values: values, Release: { Name: 'voice' } };
  const render = (name: string) =>
    parseAllDocuments(renderTemplate(text(`helm/altpath/templates/${name}`), scope)).map((each) => each.toJS());

  it('is of the version that it runs', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(parse(text('helm/altpath/Chart.yaml'))).toMatchObject({
      apiVersion: 'v2',
      name: 'altpath',
      appVersion: version,
    });
    expect(values.image).toBe(`altpath:${version}`);
  });

  it('gives the members a configuration that altpath accepts', async () => {
    const [map] = render('configmap.yaml');
    expect(map.data['altpath.yaml']).toContain('a: { sip: [udp:192.0.2.1:5060, tcp:192.0.2.1:5060] }');
    expect(await check(map.data['altpath.yaml'])).toContain('OK, 2 nodes');
  });

  it('makes one set for each member, which drains before it is ended and is asked for its health', () => {
    const sets = render('statefulset.yaml').filter((each) => each !== null);
    expect(sets.map(({ metadata }) => metadata.name)).toEqual(['voice-a', 'voice-b']);
    for (const [index, { spec }] of sets.entries()) {
      const { template } = spec;
      expect(spec.selector.matchLabels['altpath/member']).toBe(template.metadata.labels['altpath/member']);
      const [container] = template.spec.containers;
      expect(container.args.at(-1)).toBe(['a', 'b'][index]);
      expect(container.lifecycle.preStop.exec.command.slice(0, 4)).toEqual(['altpath', 'drain', '--wait', '60']);
      expect(template.spec.terminationGracePeriodSeconds).toBe(75);
      expect(container.readinessProbe.httpGet).toEqual({ path: '/healthz', port: 9060 });
      expect(container.resources).toEqual(values.resources);
      expect(template.spec.nodeSelector).toEqual({ 'kubernetes.io/hostname': `node-${index + 1}` });
    }
  });
});

describe('keepalived', () => {
  it.skipIf(!has('keepalived', '--version'))('takes the configuration', () => {
    const complaints = (configuration: string): string => {
      const file = join(place, 'keepalived.conf');
      writeFileSync(file, configuration);
      const { stdout, stderr } = spawnSync('keepalived', ['-t', '-l', '-f', file], { encoding: 'utf8' });
      return `${stdout}${stderr}`;
    };
    // The check lies elsewhere until it is installed, and no user of a test owns it.
    const ours = text('keepalived/keepalived.conf').replace(/script "[^"]*"/, 'script "/bin/true"');
    expect(complaints(ours)).not.toMatch(/unknown|error|invalid|missing/i);
    expect(complaints(ours.replace('advert_int', 'advertise_every'))).toMatch(/unknown keyword 'advertise_every'/i);
  });

  it('the check says 0 while altpath is ready, and 1 on standby or when nobody is there', async () => {
    const program = new AltpathProcess(
      ['sip', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--log-format', 'json'],
      {},
      main,
    );
    const { admin } = await program.logged('ready');
    const [host = '', port = ''] = String(admin).split(':');
    const standby = join(place, 'standby');
    const asked = (): number | null =>
      spawnSync(join(ops, 'keepalived/check-altpath'), [host, port], {
        env: { ...process.env, ALTPATH_STANDBY: standby },
      }).status;
    expect(asked()).toBe(0);
    writeFileSync(standby, '');
    expect(asked()).toBe(1);
    rmSync(standby);
    expect(asked()).toBe(0);
    program.kill('SIGTERM');
    await program.ended;
    expect(asked()).toBe(1);
  });
});

describe.skipIf(!has('logrotate', '--version'))('logrotate', () => {
  it('takes the file', () => {
    const file = join(place, 'logrotate');
    writeFileSync(file, text('logrotate/altpath').replace(/\n\s*su .*/, ''));
    chmodSync(file, 0o644);
    expect(() => execFileSync('logrotate', ['-d', file], { stdio: 'pipe' })).not.toThrow();
  });
});
