/** SIPp as a carrier that asks for digest: calls of a telephone through our process, judged by SIPp's CSeq checks and by our own reading of RFC 7616. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Child, stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { missing } from './support/programs.ts';
import { startProxy } from './support/proxy.ts';
import { scratchDirectory } from './support/scratch.ts';
import { runSipp, Sipp } from './support/sipp.ts';

const absent = missing('sipp');
const calls = 50;
const hashes = { MD5: 'md5', 'SHA-256': 'sha256', 'SHA-512-256': 'sha512-256' } as const;

describe.skipIf(absent)(`SIPp as a carrier${absent === undefined ? '' : ` (${absent})`}`, () => {
  afterAll(stopAll);

  it.each(['MD5', 'SHA-256', 'SHA-512-256'] as const)('asks for %s, 50 calls', async (algorithm) => {
    const host = await freeHost(5060);
    const callerHost = await freeHost(5060);
    const carrierHost = await freeHost(5060);
    const proxy = await startProxy({
      host,
      core: { trust: [callerHost], numbers: { country: '49', area: '30' } },
      settings: {
        trunks: [
          {
            name: 'carrier',
            to: [`${carrierHost}:5060`],
            user: 'trunk1',
            password: 'se:cret',
            prefixes: ['+'],
            pingSeconds: 0,
          },
        ],
      },
    });
    const directory = scratchDirectory('trunk');
    const log = join(directory, 'log');
    const carrier = await new Sipp({
      scenario: 'trunk.xml',
      host: carrierHost,
      calls,
      keys: { algorithm, cip: carrierHost, cport: '5060', cparams: '' },
      extra: ['-trace_logs', '-log_file', log],
    }).ready();
    const caller = await runSipp({
      scenario: 'call.xml',
      host: callerHost,
      remote: proxy.address,
      calls,
      rate: 50,
      keys: { user: '0301234', via: 'UDP', cip: callerHost, cport: '5060', cparams: '' },
    });
    const called = await carrier.finished(20_000);
    expect(caller, `${caller.errors}\n${called.errors}\n${proxy.child.output.slice(-800)}`).toMatchObject({
      successful: calls,
      failed: 0,
      stray: 0,
    });
    expect(called, called.errors).toMatchObject({ successful: calls, failed: 0, stray: 0 });
    const said = readFileSync(log, 'latin1').split('\n');
    const lines = said.filter((line) => line.includes('INVITE'));
    expect(lines).toHaveLength(calls);
    expect(said.filter((line) => line === '3 BYE')).toHaveLength(calls);
    for (const line of lines) expect(judge(line, algorithm)).toBe('right');
    await proxy.child.stop();
  });

  it('is called from a line and by a telephone, with the configuration of the README', async () => {
    const host = await freeHost(5060, 5080, 2427, 2727, 2944, 2945);
    const directory = scratchDirectory('readme');
    const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
    const written = /\n((?: {4}[^\n]*\n)*? {4}trust: \[127[^\n]*\n(?: {4}[^\n]*\n)*)/.exec(readme)?.[1] ?? '';
    expect(written.trim().split('\n').length).toBeLessThanOrEqual(15);
    // SIPp takes an OPTIONS for a call of the scenario.
    const file = join(directory, 'altpath.yaml');
    writeFileSync(
      file,
      written.replaceAll(/^ {4}/gm, '').replaceAll('127.0.0.1', host).replace('prefixes:', 'pingSeconds: 0, prefixes:'),
    );
    const main = join(import.meta.dirname, '../../src/main.ts');
    const controller = new Child('altpath run', process.execPath, [main, 'run', '-c', file, '--log-format', 'json']);
    await controller.waitForOutput(/"msg":"ready"/, 15_000);
    const log = join(directory, 'log');
    const carrier = await new Sipp({
      scenario: 'trunk.xml',
      host,
      port: 5080,
      calls: 2,
      keys: { algorithm: 'SHA-256', cip: host, cport: '5080', cparams: '' },
      extra: ['-trace_logs', '-log_file', log],
    }).ready();
    const script = join(directory, 'script');
    const steps = [
      'until 1 idle',
      'offhook 1',
      'until 1 hears L/dl',
      'dial 1 0301234567',
      'until 1 talking',
      'onhook 1',
      'until 1 idle',
    ];
    writeFileSync(script, steps.join('\n'));
    const gateway = new Child('altpath gateway', process.execPath, [
      main,
      ...['gateway', 'mgcp', '--name', 'rgw1', '--listen', `${host}:2427`, '--call-agent', `${host}:2727`],
      ...['--script', script, '--json'],
    ]);
    expect((await gateway.waitForExit(40_000)).code, gateway.output).toBe(0);
    const caller = await runSipp({
      scenario: 'call.xml',
      host: await freeHost(5060),
      remote: `${host}:5060`,
      calls: 1,
      keys: { user: '030987654', via: 'UDP', cip: host, cport: '5099', cparams: '' },
    });
    expect(caller, caller.errors).toMatchObject({ successful: 1, failed: 0 });
    const called = await carrier.finished(10_000);
    expect(called, called.errors).toMatchObject({ successful: 2, failed: 0 });
    const numbers = [...readFileSync(log, 'latin1').matchAll(/INVITE sip:([^@]*)@/g)].map(([, number]) => number);
    expect(numbers).toEqual(['+49301234567', '+49309876541']);
  });
});

function judge(line: string, algorithm: keyof typeof hashes): string {
  const [, uri = ''] = /INVITE ([^ |]*)/.exec(line) ?? [];
  if (!/\|\s*2 INVITE\|/.test(line)) return `wrong CSeq: ${line}`;
  const get = (name: string): string => new RegExp(`[ ,]${name}="?([^",]*)"?`).exec(line)?.[1] ?? '';
  const h = (text: string): string => createHash(hashes[algorithm]).update(text).digest('hex');
  const a1 = h('trunk1:carrier.example:se:cret');
  const expected = h(`${a1}:${get('nonce')}:${get('nc')}:${get('cnonce')}:${get('qop')}:${h(`INVITE:${uri}`)}`);
  return get('response') === expected && get('uri') === uri && get('algorithm') === algorithm
    ? 'right'
    : `wrong: ${line}`;
}
