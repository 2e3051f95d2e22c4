/** SIPp as a carrier that asks for digest: calls of a telephone through our process, judged by SIPp's CSeq checks and by our own reading of RFC 7616. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stopAll } from './support/child.ts';
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
    const lines = readFileSync(log, 'latin1')
      .split('\n')
      .filter((line) => line.includes('INVITE'));
    expect(lines).toHaveLength(calls);
    for (const line of lines) expect(judge(line, algorithm)).toBe('right');
    await proxy.child.stop();
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
