/** The first hour: a configuration from flags that starts, what the doctor says of it, and a picture of what runs. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { examine } from '../../src/cli/doctor.ts';
import { init } from '../../src/cli/init.ts';
import { top } from '../../src/cli/top.ts';
import { type ControllerConfig, startController } from '../../src/index.ts';
import { protocols } from '../../src/protocol-table.ts';

const folder = mkdtempSync(join(tmpdir(), 'altpath-first-'));
afterAll(() => rmSync(folder, { recursive: true }));

const flags = { force: false, yes: true };

describe('altpath init', () => {
  it('writes a file for a pair that only its owner can read, that starts, and that has a secret of its own', async () => {
    const file = join(folder, 'pair.yaml');
    const said: string[] = [];
    await init(
      protocols,
      {
        ...flags,
        file,
        roles: 'sip,mgcp,megaco',
        members: 'a=127.0.78.1,b=127.0.78.2',
        admin: 'off',
        location: 'memory',
      },
      (text) => said.push(text),
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(said[0]).toContain(`altpath doctor ${file} --node a`);
    const config: ControllerConfig = parse(readFileSync(file, 'utf8'));
    expect(config.cluster?.secret).toMatch(/^[0-9a-f]{64}$/);
    const controller = await startController(config, { node: 'a' });
    expect(controller.addresses).toContain('udp:127.0.78.1:5060');
    await controller.stop();
    const other = join(folder, 'other.yaml');
    await init(protocols, { ...flags, file: other }, () => undefined);
    expect(parse(readFileSync(other, 'utf8')).cluster.secret).not.toBe(config.cluster?.secret);
  });

  it('writes over nothing, and says what is wrong with an answer', async () => {
    const file = join(folder, 'there.yaml');
    writeFileSync(file, 'mine: 1\n');
    await expect(init(protocols, { ...flags, file }, () => undefined)).rejects.toThrow('is there already: --force');
    expect(readFileSync(file, 'utf8')).toBe('mine: 1\n');
    await expect(
      init(protocols, { ...flags, file: join(folder, 'x.yaml'), roles: 'h323' }, () => undefined),
    ).rejects.toThrow('there is no protocol "h323"');
    await expect(
      init(protocols, { ...flags, file: join(folder, 'y.yaml'), admin: 'here' }, () => undefined),
    ).rejects.toThrow('"here" is no address for the admin server');
  });
});

describe('altpath doctor', () => {
  it('tells what is well and what is wrong: secret, sockets, one-way pairs, backups that answer and that do not', async () => {
    const backup = await startController({
      sip: { listen: ['udp:127.0.78.12:0'] },
      mgcp: { listen: ['127.0.78.12:0'], backupFor: ['127.0.78.11:2727'] },
      megaco: { listen: ['udp:127.0.78.12:0'] },
    });
    const [sip, mgcp, megaco] = backup.addresses.map((address) => address.replace('udp:', ''));
    const file = join(folder, 'sick.yaml');
    writeFileSync(
      file,
      [
        'cluster: { secret: aaaaaaaaaaaaaaaaaaaa }',
        `sip: { listen: [udp:127.0.78.11:5060, udp:192.0.2.250:5060], backup: [${sip}, 127.0.78.13:5060] }`,
        `mgcp: { listen: [127.0.78.11:2727], backup: [${mgcp}] }`,
        `megaco: { listen: [udp:127.0.78.11:2944], backup: [${megaco}], backupFor: [${megaco}] }`,
      ].join('\n'),
    );
    const findings = await examine({ protocols, file });
    const of = (about: string) => findings.filter((finding) => finding.about === about).map(({ verdict }) => verdict);
    expect(of('configuration')).toEqual(['ok']);
    expect(of('cluster.secret')).toEqual(['warning']);
    expect(of('sip on udp:127.0.78.11:5060')).toEqual(['ok']);
    expect(of('sip on udp:192.0.2.250:5060')).toEqual(['wrong']);
    expect(of(`sip: backup udp:${sip}`)).toEqual(['ok']);
    expect(of('sip: backup udp:127.0.78.13:5060')).toEqual(['wrong']);
    expect(of(`mgcp: backup udp:${mgcp}`)).toEqual(['unknown']);
    expect(of(`megaco: backup udp:${megaco}`)).toEqual(['ok']);
    expect(findings.find(({ about }) => about.startsWith(`sip: udp:${sip} as backup`))?.verdict).toBe('warning');
    expect(findings.some(({ about }) => about.startsWith(`megaco: udp:${megaco} as backup`))).toBe(false);
    await backup.stop();
  }, 20_000);
});

describe('altpath doctor on a floating address', () => {
  const keepalived = (check: string): string =>
    `vrrp_instance a {\n  ${check}\n  virtual_ipaddress {\n    127.0.78.20/32 dev lo\n  }\n}\n`;
  const look = async (name: string, lines: readonly string[], configuration: string) => {
    const file = join(folder, name);
    writeFileSync(file, ['cluster: { secret: 0123456789abcdef0123456789abcdef }', ...lines].join('\n'));
    const findings = await examine({ protocols, file, keepalived: configuration });
    return findings.filter(({ about }) => about === 'floating addresses');
  };

  it('names what loses calls: no vip, no check by keepalived, 0.0.0.0, no admin server, registrations in memory', async () => {
    const told = await look('lost.yaml', ['sip: { listen: [udp:127.0.78.20:5060] }'], keepalived('track_script { a }'));
    expect(told).toMatchObject([{ verdict: 'warning', text: expect.stringContaining('name it in vip') }]);
    const vip = ['vip: [127.0.78.20]', 'sip: { listen: [udp:127.0.78.20:5060] }'];
    const bare = await look('bare.yaml', vip, keepalived(''));
    expect(bare.map(({ text }) => text)).toEqual([
      expect.stringContaining('vip without admin'),
      expect.stringContaining('vip with location memory'),
    ]);
    const unchecked = await look('unchecked.yaml', ['admin: 127.0.78.1:9060', ...vip], keepalived(''));
    expect(unchecked[0]?.text).toContain('no track_script');
  });

  it('says where all is well', async () => {
    const lines = [
      'admin: 127.0.78.1:9060',
      `location: sqlite:${join(folder, 'vip.sqlite')}`,
      'vip: [127.0.78.20]',
      'sip: { listen: [udp:127.0.78.20:5060] }',
    ];
    expect(await look('well.yaml', lines, keepalived('track_script { a }'))).toMatchObject([{ verdict: 'ok' }]);
  });
});

describe('altpath top, completion', () => {
  it('draws figures and calls', async () => {
    const controller = await startController({ admin: '127.0.0.1:0', sip: { listen: ['udp:127.0.0.1:0'] } });
    const screens: string[] = [];
    await top({ admin: [controller.admin ?? ''], once: true }, (screen) => screens.push(screen));
    expect(screens).toHaveLength(1);
    expect(screens[0]).toMatch(/^altpath \S+ {2}ready {2}up [\d.]+ s {2}\d+ MB\ncalls 0 {3}begun 0\/s/);
    await controller.stop();
  });

  it('completes commands in a shell', async () => {
    const main = join(import.meta.dirname, '../../src/main.ts');
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, [main, 'completion']);
    expect(stdout).toContain('altpath');
    const offered = await run(process.execPath, [main, '--get-yargs-completions', 'altpath', 'tr']);
    expect(offered.stdout).toMatch(/^trace\b/m);
  });
});
