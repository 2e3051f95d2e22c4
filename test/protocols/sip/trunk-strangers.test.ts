/** RFC 3261 §26.1: a carrier believes our address. Without auth.invite, nobody whom we do not know reaches it through us, by whatever name. */
import { describe, expect, it } from 'vitest';
import { carrierHost, invite, up } from './trunk-scene.ts';
import { fieldsOf, request, statusOf } from './world.ts';

describe('RFC 7616 §5.9: a challenge of another realm than the carrier’s', () => {
  it.each([
    ['carrier.example', 2, 180],
    ['evil.example', 1, 500],
    ['Carrier.example', 1, 500],
  ] as const)('%s: %d INVITE, %d', async (realm, invites, status) => {
    for (const algorithm of ['MD5', 'SHA-256'] as const)
      for (const proxy of [true, false]) {
        const { world, carrier, caller } = await up(
          { algorithms: [algorithm], realm, proxy },
          { realm: 'carrier.example' },
        );
        caller.send(invite('03012345'));
        await world.run();
        expect(carrier.of('INVITE')).toHaveLength(invites);
        expect(statusOf(caller.last)).toBe(status);
        await world.down();
      }
  });
});

describe('strangers and carriers', () => {
  it('without auth.invite nobody else reaches a carrier by its address, a Route, a contact or an invented dialog', async () => {
    const { world, carrier } = await up();
    const stranger = await world.peer('127.0.0.10:5062');
    await world.locations.save('mallory@example.com', [
      {
        protocol: 'sip',
        target: `sip:+331@${carrierHost}`,
        key: 'm',
        path: [],
        alternates: [],
        expiresMs: Number.POSITIVE_INFINITY,
        q: 1_000,
        updatedMs: 0,
      },
      {
        protocol: 'sip',
        target: 'sip:+331@127.0.0.77',
        key: 'p',
        path: [`<sip:${carrierHost};lr>`],
        alternates: [],
        expiresMs: Number.POSITIVE_INFINITY,
        q: 500,
        updatedMs: 0,
      },
    ]);
    let count = 0;
    for (const method of ['INVITE', 'MESSAGE', 'ACK'])
      for (const tag of ['', ';tag=invented'])
        for (const [uri, fields] of [
          [`sip:+331@${carrierHost}`, ''],
          [`sip:+331@127.0.0.99;maddr=127.0.0.41`, ''],
          ['sip:+331@elsewhere.example', `Route: <sip:${carrierHost};lr>\r\n`],
          ['sip:+331@elsewhere.example', `Route: <sip:127.0.0.1;lr>, <sip:+331@${carrierHost}>\r\n`],
          ['sip:127.0.0.1;lr', `Route: <sip:+331@${carrierHost}>\r\n`],
          ['sip:mallory@example.com', ''],
        ] as const) {
          count += 1;
          const to = `<sip:+331@example.com>${tag}`;
          const branch = `z9hG4bKs${count}`;
          stranger.send(
            request(method, {
              uri,
              to,
              fields,
              via: '127.0.0.10:5062',
              branch,
              callId: branch,
              from: '<sip:m@x.net>;tag=m',
            }),
          );
          await world.run();
          expect([method, uri, fields, carrier.heard]).toEqual([method, uri, fields, []]);
        }
    await world.down();
  });

  it('whom a carrier called goes on within that dialog without auth.invite', async () => {
    const { world, carrier } = await up();
    const bob = await world.peer('127.0.0.20:5070');
    await world.locations.save('200@example.com', [
      {
        protocol: 'sip',
        target: 'sip:200@127.0.0.20:5070',
        key: 'b',
        path: [],
        alternates: [],
        expiresMs: Number.POSITIVE_INFINITY,
        q: 1_000,
        updatedMs: 0,
      },
    ]);
    const [host = '', port = ''] = carrierHost.split(':');
    carrier.send(
      '127.0.0.1',
      request('INVITE', { uri: 'sip:+4930200@127.0.0.1', via: carrierHost, from: '<sip:0171@carrier.example>;tag=c' }),
    );
    await world.run();
    const [route = ''] = fieldsOf(bob.last, 'record-route');
    bob.send(
      request('BYE', {
        uri: `sip:gw@${host}:${port}`,
        via: '127.0.0.20:5070',
        from: '<sip:bob@biloxi.example>;tag=b',
        to: '<sip:0171@carrier.example>;tag=c',
        branch: 'z9hG4bKbob',
        fields: `Route: ${route}\r\n`,
      }),
    );
    await world.run();
    expect(carrier.of('BYE')).toHaveLength(1);
    await world.down();
  });
});
