/**
 * RFC 3261 §22, §26: with `auth.invite`, nothing without credentials, proof of a dialog or a trusted source reaches a configured route or
 * a foreign host: over methods, Route shapes, To tags and request targets, on the primary, on the backup, and after a restart.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { domain, hosts } from '../../support/sip-world.ts';
import { foreign, type Member, memberHost, trunk, upstream, Wall } from './wall.ts';
import { request } from './world.ts';

const members: readonly Member[] = ['primary', 'backup', 'primary after a restart'];

async function wallAt(member: Member): Promise<Wall> {
  const wall = await Wall.up();
  if (member === 'primary after a restart') await wall.restart(hosts.primary);
  return wall;
}

const methods = [
  'INVITE',
  'ACK',
  'CANCEL',
  'BYE',
  'MESSAGE',
  'OPTIONS',
  'REGISTER',
  'SUBSCRIBE',
  'NOTIFY',
  'REFER',
  'INFO',
  'UPDATE',
  'PRACK',
  'PUBLISH',
  'FOO',
];

/** Proofs that prove nothing: made up, of another secret, and what an attacker was given for a dialog of his. */
const madeUp = ['dAAAAAAAAAAA', 'hAAAAAAAAAAA', 'dAAAAAAAAAAA~tcp-1.abc', '~udp-1.abc', 'alice'];

const targetsAt = (host: string, other: string): readonly string[] => [
  `sip:+19005551234@${domain}`,
  `sip:+19005551234@${host}`,
  `sip:+19005551234@${host}:5060;transport=tcp`,
  `sip:+19005551234@${other}`,
  `sip:+19005551234@${trunk}`,
  `sip:+19005551234@${trunk}:9999`,
  `sips:+19005551234@${domain}`,
  'tel:+19005551234',
  `sip:victim@${foreign}`,
  `sip:victim@${foreign}:9999;transport=tcp`,
  `sip:nobody@${domain}`,
  `sip:bob@${domain}`,
  `sip:alice@${domain};maddr=${foreign}`,
  `sip:alice@${domain}`,
  `sip:${host};lr`,
  `sip:${host}:5060;lr`,
  `sip:dAAAAAAAAAAA@${host};lr`,
  `sip:+19005551234@${host};lr`,
  `sip:${host}`,
  `sip:${domain}`,
  `sip:${other};lr`,
];

const routesAt = (host: string, other: string): readonly string[] => [
  ...['', ...madeUp.map((user) => `${user}@`)].flatMap((user) => [
    `<sip:${user}${host};lr>`,
    `<sip:${user}${host}:5060;lr>`,
    `<sip:${user}${host}:5060;lr>;AlternatePath="sip:${other}:5060;transport=udp"`,
    `<sip:${user}${other}:5060;lr>;AlternatePath="sip:${host}:5060;transport=udp"`,
    `<sip:${user}${other};lr>`,
  ]),
  `<sip:${host}>`,
  `<sip:${other}>`,
  `<sip:${domain};lr>`,
  `<sip:${host};lr;maddr=${foreign}>`,
  `<sip:${trunk};lr>`,
  `<sip:+19005551234@${trunk}>`,
  `<sip:${upstream};lr>`,
  `<sip:+19005551234@${domain}>`,
  `<sip:+19005551234@${host};lr>`,
  `<sip:${foreign}:9999;lr>`,
  `<sip:victim@${foreign}>`,
  `<sip:${foreign};lr>;AlternatePath="sip:${trunk}:5060"`,
  '<tel:+19005551234>',
  '<nonsense>',
];

const callers = [`<sip:mallory@elsewhere.net>`, `<sip:alice@${domain}>`, `<sip:bob@${hosts.primary}>`, '<tel:+123>'];

describe.each(members)('RFC 3261 §16.4, §22.3 at the %s: a stranger', (member) => {
  const host = memberHost(member);
  const other = host === hosts.primary ? hosts.backup : hosts.primary;

  it('reaches neither a configured route nor a foreign host, whatever he writes', { timeout: 120_000 }, async () => {
    const wall = await wallAt(member);
    let number = 0;
    const routes = routesAt(host, other);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...methods),
        fc.constantFrom(...targetsAt(host, other)),
        fc.array(fc.constantFrom(...routes), { maxLength: 3 }),
        fc.constantFrom('', 'a1', 'invented'),
        fc.constantFrom(...callers),
        fc.boolean(),
        fc.boolean(),
        async (method, uri, route, toTag, from, joined, twice) => {
          number += 1;
          const callId = `attack-${number}@x`;
          const lines = joined && route.length > 0 ? [route.join(', ')] : route;
          const options = {
            uri,
            via: '127.0.6.6:5060',
            branch: `z9hG4bKattack${number}`,
            from: `${from};tag=a1`,
            to: `<${uri}>${toTag === '' ? '' : `;tag=${toTag}`}`,
            callId,
            fields: lines.map((each) => `Route: ${each}\r\n`).join(''),
          };
          wall.attacker.send(request(method, options), { host, port: 5_060 });
          await wall.run(5);
          // His own transaction, if he got one, opens no way to its ACK and CANCEL either.
          if (twice)
            for (const more of ['ACK', 'CANCEL']) wall.attacker.send(request(more, options), { host, port: 5_060 });
          await wall.run(5);
          expect(wall.escaped(callId)).toEqual([]);
        },
      ),
      { numRuns: 1_500 },
    );
    await wall.world.stop();
  });
});
