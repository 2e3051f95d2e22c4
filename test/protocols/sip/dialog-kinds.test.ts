/**
 * What a proof of a dialog opens (RFC 3261 §16.4, §16.6 item 4): that another member is in the path, because it has the telephone's flow,
 * does not make a stranger's dialog one of the operator's hops.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { domain, hosts } from '../../support/sip-world.ts';
import { trunk, Wall } from './wall.ts';
import { answerTo, fieldsOf, type Peer, request, statusOf } from './world.ts';

let wall: Wall;

afterEach(() => wall.world.stop());

const users = [{ user: 'alice', password: 'wonderland' }];

async function atBackup(): Promise<Peer> {
  wall = await Wall.up({ config: { auth: { invite: true, users } } });
  await wall.world.locations.save(`alice@${domain}`, []);
  const alice = await wall.peer('tcp:127.0.3.5');
  alice.send(
    request('REGISTER', {
      uri: `sip:${domain}`,
      transport: 'TCP',
      via: '127.0.3.5:5060',
      from: `<sip:alice@${domain}>;tag=r`,
      to: `<sip:alice@${domain}>`,
      callId: 'register',
      branch: 'z9hG4bKregister',
      fields:
        'Contact: <sip:alice@127.0.3.5:5060;transport=tcp>;reg-id=1;+sip.instance="<urn:uuid:1>"\r\nSupported: outbound, path\r\n',
    }),
    { host: hosts.backup, port: 5_060 },
  );
  await wall.run();
  expect(statusOf(alice.last)).toBe(200);
  alice.take();
  return alice;
}

const call = (more: object = {}): string =>
  request('INVITE', {
    uri: `sip:alice@${domain}`,
    via: '127.0.6.6:5060',
    from: '<sip:mallory@elsewhere.net>;tag=m1',
    to: `<sip:alice@${domain}>`,
    callId: 'theirs',
    branch: 'z9hG4bKcall',
    fields: 'Contact: <sip:mallory@127.0.6.6:5060>\r\n',
    ...more,
  });

describe('a stranger calls a telephone whose flow another member has', () => {
  it('and holds no proof that leads to the operator’s hops', async () => {
    const alice = await atBackup();
    wall.attacker.send(call(), { host: hosts.primary, port: 5_060 });
    await wall.run();
    const recorded = fieldsOf(alice.last, 'record-route');
    expect(recorded.length).toBeGreaterThan(1);
    for (const entry of recorded) expect(entry).toMatch(/^<sip:d/);
    alice.answer(
      answerTo(alice.last, 200, { tag: 'alice1', fields: 'Contact: <sip:alice@127.0.3.5;transport=tcp>\r\n' }),
    );
    await wall.run();
    expect(statusOf(wall.attacker.last)).toBe(200);
    for (const at of [hosts.primary, hosts.backup])
      for (const [index, entry] of recorded.entries()) {
        const user = /sip:([^@]*)@/.exec(entry)?.[1] ?? '';
        wall.attacker.send(
          call({
            uri: `sip:+19005551234@${trunk}`,
            to: `<sip:alice@${domain}>;tag=alice1`,
            branch: `z9hG4bKpaid${at}${index}`,
            fields: `Route: <sip:${user}@${at}:5060;lr>\r\n`,
          }),
          { host: at, port: 5_060 },
        );
        await wall.run();
        expect(wall.beyond.filter(({ to }) => to.host === trunk)).toEqual([]);
      }
  });

  it('and talks with it, and hangs up, by the Route that both sides have', async () => {
    const alice = await atBackup();
    wall.attacker.send(call(), { host: hosts.primary, port: 5_060 });
    await wall.run();
    alice.answer(
      answerTo(alice.last, 200, { tag: 'alice1', fields: 'Contact: <sip:alice@127.0.3.5;transport=tcp>\r\n' }),
    );
    await wall.run();
    const route = fieldsOf(wall.attacker.last, 'record-route').join(', ').split(', ').reverse();
    alice.take();
    for (const method of ['ACK', 'INFO', 'BYE'])
      wall.attacker.send(
        request(method, {
          uri: 'sip:alice@127.0.3.5;transport=tcp',
          via: '127.0.6.6:5060',
          from: '<sip:mallory@elsewhere.net>;tag=m1',
          to: `<sip:alice@${domain}>;tag=alice1`,
          callId: 'theirs',
          branch: `z9hG4bK${method}`,
          fields: route.map((entry) => `Route: ${entry}\r\n`).join(''),
        }),
        { host: hosts.primary, port: 5_060 },
      );
    await wall.run();
    expect(alice.texts.map((text) => text.split(' ')[0])).toEqual(['ACK', 'INFO', 'BYE']);
  });
});
