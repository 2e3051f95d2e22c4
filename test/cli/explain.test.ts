/** `altpath explain`: of a file, and of a running controller. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { explained } from '../../src/cli/explain.ts';
import { startController } from '../../src/index.ts';
import { protocols } from '../../src/protocol-table.ts';

const folder = mkdtempSync(join(tmpdir(), 'altpath-explain-'));
const file = join(folder, 'altpath.yaml');
const config = {
  numbers: { country: '49', area: '30', emergency: ['112'] },
  sip: {
    listen: ['udp:127.0.0.1:0'],
    domains: ['example.com'],
    auth: { invite: true, register: true, users: [{ user: '300', password: 'x' }] },
    trunks: [
      { name: 'local', to: ['127.0.0.77:5060'], prefixes: ['+4930'], emergency: false, pingSeconds: 0 },
      {
        name: 'world',
        to: ['127.0.0.78:5060', '127.0.0.79:5060'],
        prefixes: ['+'],
        format: 'international' as const,
        pingSeconds: 0,
      },
    ],
  },
  mgcp: {
    listen: ['127.0.0.1:0'],
    gateways: ['rgw1=127.0.0.80:2427'],
    lines: ['200=aaln/1@rgw1', '201=aaln/2@rgw1'],
  },
};

writeFileSync(file, JSON.stringify(config));

afterAll(() => rmSync(folder, { recursive: true }));

const say = (number: string, from?: string): Promise<string> => explained(protocols, { number, from, file });

describe('altpath explain --file', () => {
  it('a number of a carrier: its normal form, the trunks in order, the digit map', async () => {
    const lines = (await say('0044 20 7946-0000', '200')).split('\n').map((line) => line.replaceAll(/ +/g, ' '));
    expect(lines).toEqual([
      '00442079460000 is +442079460000, an international number; looked for as 00442079460000, +442079460000',
      'from mgcp line 200',
      'digit map of mgcp lines: (112|2xx|3xx|004930x.T|030x.T|[2-9]x.T|1[02-9]x.T|11[013-9]x.T|00x.T|0x.T): complete after a pause',
      '# to as over note',
      '1 trunk world sip:00442079460000@127.0.0.78:5060;user=phone 127.0.0.78:5060 (unknown), 127.0.0.79:5060 (unknown)',
      '2 trunk local 127.0.0.77:5060 (unknown) none of its prefixes (+4930) takes the number',
      'call to world as sip:00442079460000@127.0.0.78:5060;user=phone',
    ]);
  });

  it('the longest prefix is first, the next one after it', async () => {
    expect(await say('03012345')).toMatch(
      /\ncall to local as sip:\+493012345@127\.0\.0\.77:5060;user=phone, then world$/,
    );
  });

  it('an emergency number: by the trunks that take it, for everybody', async () => {
    const text = await say('1-1-2', 'sip:anybody@nowhere.example');
    expect(text).toContain('112 is 112, an emergency number');
    expect(text).toContain('complete with the last digit');
    expect(text).toContain('it takes no emergency calls (emergency: false)');
    expect(text).toMatch(/\nemergency call to world as sip:112@127\.0\.0\.78:5060;user=phone$/);
  });

  it.each([
    ['200', 'call to mgcp line 200'],
    ['+49 30 200', 'call to mgcp line 200'],
    ['sip:%2B4930201@example.com', 'call to mgcp line 201'],
    ['300', 'call to sip user 300'],
    ['alice', 'nobody has this number, and no trunk or route takes it'],
  ])('%s: %s', async (number, expected) => {
    expect(await say(number)).toMatch(new RegExp(`\\n${expected}$`));
  });

  it('a stranger is refused, and why', async () => {
    expect(await say('0033123456789', 'sip:x@nowhere.example')).toMatch(
      /\nrefused: a stranger reaches registered users only \(auth\.invite\)$/,
    );
    expect(await say('0033123456789', 'sip:300@example.com')).toMatch(/\ncall to world /);
    expect(await say('0033123456789', '999')).toMatch(/\nrefused: 999 is no line here and no URI$/);
  });

  it('--json is the same as data', async () => {
    const found: unknown = JSON.parse(await explained(protocols, { number: '03012345', file, json: true }));
    expect(found).toMatchObject({
      kind: 'national',
      normal: '+493012345',
      places: [{ name: 'local' }, { name: 'world' }],
    });
  });

  it.each(['', ' ', '1'.repeat(300)])('refuses "%s"', async (number) => {
    await expect(say(number)).rejects.toThrow('explain: a number, or a URI');
  });
});

it('altpath explain asks the running controller', async () => {
  const controller = await startController({ ...config, admin: '127.0.0.1:0' });
  try {
    const text = await explained(protocols, { number: '03012345', admin: controller.admin });
    expect(text).toMatch(/\ncall to local as sip:\+493012345@127\.0\.0\.77:5060;user=phone, then world$/);
    expect(await explained(protocols, { number: '200', admin: controller.admin })).toMatch(
      /\nnot reachable now: mgcp line 200, its gateway /,
    );
    expect(await explained(protocols, { number: '300', admin: controller.admin })).toMatch(
      /\nnot reachable now: sip user 300, not registered$/,
    );
  } finally {
    await controller.stop();
  }
});
