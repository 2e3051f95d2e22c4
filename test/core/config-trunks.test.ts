/** What is wrong with trunks and numbers, in sentences, and never with a password in them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { check } from '../../src/cli/check.ts';
import { protocols } from '../../src/protocol-table.ts';

const folder = mkdtempSync(join(tmpdir(), 'altpath-trunks-'));
afterAll(() => rmSync(folder, { recursive: true }));

function checked(text: string): string {
  const file = join(folder, 'altpath.yaml');
  writeFileSync(file, text);
  try {
    return check(protocols, file, undefined, []);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const trunk = (fields: string): string =>
  `sip:\n  trunks:\n    - { name: carrier, to: [sip.carrier.example], ${fields} }\n`;

it('says where a trunk leads and that it has a password, not which', () => {
  const text = checked(trunk('user: "4930555", password: very secret, register: true, prefixes: [+49, 00]'));
  expect(text).toContain('trunk carrier to sip.carrier.example, user 4930555, password set, registers');
  expect(text).toContain('auth.invite is off and there are trunks');
  expect(text).not.toContain('very secret');
});

it('numbers may be written without quotes: 00 and 030 stay what they are', () => {
  expect(
    checked(`numbers: { country: 49, area: 30, emergency: [112, 000] }\n${trunk('prefixes: [00, +49]')}`),
  ).toContain('OK');
});

it.each([
  [trunk('register: true, user: x'), 'to register, the trunk needs user and password'],
  [trunk('password: very secret'), 'a password needs a user'],
  [trunk('user: u, password: [very secret]'), 'password'],
  [trunk('from: "not a number"'), 'must be a number such as +4930123, or a SIP URI'],
  [trunk('prefixes: [abc]'), 'must be the first characters of a number'],
  [trunk('format: pretty'), 'format'],
  [trunk('domain: "a b"'), 'must be a domain name'],
  [trunk('usr: x'), 'did you mean "user"'],
  ['sip:\n  trunks:\n    - { name: a, to: [h] }\n    - { name: A, to: [h] }\n', 'the trunk a is configured twice'],
  ['sip: { trunks: [{ name: a }] }\n', 'to'],
  ['numbers: { area: 30 }\nsip: {}\n', 'an area needs a country'],
  ['numbers: { country: 0049 }\nsip: {}\n', 'must be a country code without plus or zeros'],
  ['numbers: { country: 49, nationalPrefix: 00 }\nsip: {}\n', 'must not begin with the international prefix'],
  ['numbers: { emergency: [112, 112] }\nsip: {}\n', 'the emergency number 112 is there twice'],
  ['numbers: { emergency: [abc] }\nsip: {}\n', 'must be two to eight digits'],
  [
    'numbers: { emergency: [112] }\nmgcp: { gateways: [g=127.0.0.1], lines: [1125=aaln/1@g] }\n',
    'the number 1125 begins with the emergency number 112: it cannot be dialled',
  ],
])('%s: %s', (text, expected) => {
  const said = checked(text);
  expect(said).toContain(expected);
  expect(said).not.toContain('very secret');
});
