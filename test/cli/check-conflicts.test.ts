/** What `altpath check` and a start find in the whole file: each with the place it stands at. */

import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { AltpathProcess, scratch } from './harness.ts';

const files = scratch();
afterAll(() => files.remove());

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** The complaints, without the program's name and the file's. */
async function problems(text: string): Promise<readonly string[]> {
  const file = files.file('conflicts.yaml', text);
  const { code, stdout, stderr } = await new AltpathProcess(['check', file], {}, main).ended;
  if (code === 0) return [stdout.replace(file, '').split('\n', 1)[0] ?? ''];
  return stderr
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(`altpath: ${file}:`, ''));
}

describe('altpath check finds', () => {
  it('registration with passwords of nobody, and a user twice', async () => {
    expect(await problems('sip:\n  auth:\n    register: true\n')).toEqual([
      '3:15: sip.auth.register: needs users (auth.users or auth.usersFile): nobody could answer the challenge',
    ]);
    const users = (...names: string[]) => names.map((name) => `      - { user: ${name}, password: secret }\n`).join('');
    expect(await problems(`sip:\n  auth:\n    register: true\n    users:\n${users('alice', 'bob', 'alice')}`)).toEqual([
      '7:9: sip.auth.users[2]: the user alice is configured twice',
    ]);
    expect(await problems(`sip:\n  auth:\n    register: true\n    users:\n${users('alice', 'Alice')}`)).toEqual([
      ': OK',
    ]);
  });

  it('a listener twice: in a role, in two, beside a wildcard, and as the admin port', async () => {
    const found = await problems(
      [
        'admin: 127.0.0.1:9060',
        'sip:',
        '  listen: [127.0.0.1:5060, tcp:127.0.0.1:5060, 127.0.0.1:5060, tls:127.0.0.1:5060]',
        '  tls: { certFile: package.json, keyFile: package.json }',
        'mgcp: { listen: ["0.0.0.0:5060", "[::1]:5060"] }',
        'megaco: { listen: ["tcp:127.0.0.1:9060"] }',
        '',
      ].join('\n'),
    );
    expect(found.filter((line) => line.includes('listened on twice'))).toEqual([
      expect.stringMatching(
        /^3:48: .*udp:127\.0\.0\.1:5060 is listened on twice \(sip: udp:127\.0\.0\.1:5060 has it\)$/,
      ),
      expect.stringMatching(
        /^3:64: .*tls:127\.0\.0\.1:5060 is listened on twice \(sip: tcp:127\.0\.0\.1:5060 has it\)$/,
      ),
      expect.stringMatching(/^5:18: .*udp:0\.0\.0\.0:5060 is listened on twice/),
      expect.stringMatching(/^6:20: .*tcp:127\.0\.0\.1:9060 is listened on twice \(the admin server has it\)$/),
    ]);
  });

  it.each([
    ['mgcp', 'endpoint', '127.0.0.11:2427'],
    ['megaco', 'termination', '127.0.0.11:2945'],
  ])('a gateway, a line or a number twice, and a line on an unknown gateway (%s)', async (role, key, address) => {
    const text = `${role}:
  gateways:
    - { name: gw1, addresses: ["${address}"] }
    - { name: GW1, addresses: ["${address}"] }
  lines:
    - { number: 200, ${key}: aaln/1@gw1 }
    - { number: 201, ${key}: AALN/1@gw1 }
    - { number: 200, ${key}: aaln/2@gw1 }
    - { number: 202, ${key}: aaln/1@gw2 }
`;
    expect(await problems(text)).toEqual([
      expect.stringContaining('the gateway gw1 is configured twice'),
      expect.stringContaining(`the ${key} aaln/1@gw1 is on two lines`),
      expect.stringContaining('no gateway gw2 (name it in gateways)'),
    ]);
    expect(
      await problems(
        text
          .replace(/.*GW1.*\n/, '')
          .replace(/.*AALN.*\n/, '')
          .replace(/.*gw2.*\n/, ''),
      ),
    ).toEqual([expect.stringContaining(`the number 200 is on two lines (${role} has the other)`)]);
  });

  it('a number on lines of two roles', async () => {
    const found = await problems(`mgcp:
  gateways: ["gw1=127.0.0.11:2427"]
  lines: ["200=aaln/1@gw1"]
megaco:
  gateways: ["gw2=127.0.0.12:2945"]
  lines: ["200=aaln/1@gw2"]
`);
    expect(found).toEqual([expect.stringMatching(/^6:11: .*the number 200 is on two lines \(mgcp has the other\)$/)]);
  });
});
