/** Who reaches what where `auth.invite` asks for credentials (RFC 3261 §16.4, §22.3, §26.1): the ways that stay open, and those that do not. */
import { afterEach, describe, expect, it } from 'vitest';
import { domain, hosts } from '../../support/sip-world.ts';
import { aliceHost, foreign, type Member, memberHost, trunk, upstream, Wall } from './wall.ts';
import { answerTo, fieldsOf, gist, type RequestOptions, request, startLine, statusOf } from './world.ts';

let wall: Wall;

afterEach(() => wall.world.stop());

const members: readonly Member[] = ['primary', 'backup', 'primary after a restart'];

const premium = `sip:+19005551234@${domain}`;
const aliceUri = `sip:alice@${domain}`;

const fromStranger = (method: string, options: RequestOptions = {}): string =>
  request(method, {
    uri: aliceUri,
    via: '127.0.6.6:5060',
    from: '<sip:mallory@elsewhere.net>;tag=m1',
    to: `<${aliceUri}>`,
    callId: 'theirs',
    fields: 'Contact: <sip:mallory@127.0.6.6:5060>\r\n',
    ...options,
  });

const fromAlice = (method: string, options: RequestOptions = {}): string =>
  request(method, {
    uri: premium,
    via: `${aliceHost}:5060`,
    from: `<${aliceUri}>;tag=a1`,
    to: `<${options.uri ?? premium}>`,
    callId: 'hers',
    ...options,
  });

/** A stranger calls alice, who answers: her view of the Route set, which both sides share here. */
async function called(host: string): Promise<string> {
  wall.attacker.send(fromStranger('INVITE'), { host, port: 5_060 });
  await wall.run();
  expect(startLine(wall.alice.last)).toBe(`INVITE sip:alice@${aliceHost}:5060 SIP/2.0`);
  const [route = ''] = fieldsOf(wall.alice.last, 'record-route');
  await wall.aliceAnswers(200, `Contact: <sip:alice@${aliceHost}:5060>\r\n`);
  expect(statusOf(wall.attacker.last)).toBe(200);
  return route;
}

const inDialog = { to: `<${aliceUri}>;tag=alice1` };

describe('a user with his password', () => {
  it('reaches the routes, also with a To tag of which nobody knows, which makes a new request of it', async () => {
    wall = await Wall.up();
    for (const [index, to] of [`<${premium}>`, `<${premium}>;tag=old`].entries()) {
      await wall.asUser(wall.alice, hosts.primary, 'alice', (fields, branch) =>
        fromAlice('INVITE', { fields, branch: `${branch}${index}`, to, callId: `hers-${index}` }),
      );
      expect(wall.escaped(`hers-${index}`)).toEqual([`${trunk}:5060 INVITE ${premium} SIP/2.0`]);
    }
    const abroad = `sip:x@${foreign}`;
    await wall.asUser(wall.alice, hosts.primary, 'alice', (fields, branch) =>
      fromAlice('BYE', { uri: abroad, fields, branch, to: `<${abroad}>;tag=old`, callId: 'abroad' }),
    );
    expect(wall.escaped('abroad')).toEqual([`${upstream}:5060 BYE ${abroad} SIP/2.0`]);
  });

  it('is asked for it whatever To tag he invents', async () => {
    wall = await Wall.up();
    expect(statusOf(await wall.ask(wall.alice, hosts.primary, fromAlice('INVITE', { to: `<${premium}>;tag=x` })))).toBe(
      407,
    );
    expect(wall.escaped('hers')).toEqual([]);
  });
});

describe.each(members)('the proof of a dialog, at the %s', (member) => {
  const host = memberHost(member);

  async function established(): Promise<string> {
    wall = await Wall.up();
    const route = await called(member === 'primary after a restart' ? hosts.primary : host);
    if (member === 'primary after a restart') await wall.restart(hosts.primary);
    return route;
  }

  it('leads the requests of both sides through, and their ACK', async () => {
    const route = await established();
    expect(route).toMatch(/^<sip:d[\w-]{11}@/);
    const fields = `Route: ${route}\r\n`;
    const contact = `sip:alice@${aliceHost}:5060`;
    wall.alice.take();
    for (const [index, method] of ['ACK', 'UPDATE', 'BYE'].entries())
      wall.attacker.send(fromStranger(method, { ...inDialog, uri: contact, fields, branch: `z9hG4bKd${index}` }), {
        host,
        port: 5_060,
      });
    await wall.run();
    expect(gist(wall.alice.texts)).toEqual(['ACK', 'UPDATE', 'BYE']);
    // A later request of the dialog carries the same proof.
    expect(fieldsOf(wall.alice.texts[1] ?? '', 'record-route')[0]).toContain(/sip:([^@]*)@/.exec(route)?.[1]);
    wall.attacker.take();
    wall.alice.send(
      request('BYE', {
        uri: 'sip:mallory@127.0.6.6:5060',
        via: `${aliceHost}:5060`,
        from: `<${aliceUri}>;tag=alice1`,
        to: '<sip:mallory@elsewhere.net>;tag=m1',
        callId: 'theirs',
        branch: 'z9hG4bKback',
        fields,
      }),
      { host, port: 5_060 },
    );
    await wall.run();
    expect(gist(wall.attacker.texts)).toContain('BYE');
  });

  it('opens neither the routing table nor a configured hop that has no part in the dialog', async () => {
    const route = await established();
    const tries: readonly (readonly [uri: string, routes: readonly string[], status: number])[] = [
      [premium, [route], 404],
      [`sip:bob@${domain}`, [route], 480],
      ['tel:+19005551234', [route], 416],
      [`sip:+19005551234@${trunk}`, [route], 407],
      [`sip:+19005551234@${trunk}:5060;transport=udp`, [route], 407],
      [premium, [route, `<sip:${trunk};lr>`], 407],
      [premium, [route, `<sip:+19005551234@${trunk}>`], 407],
      [premium, [route, `<sip:${upstream};lr>`], 407],
      [premium, [route, `<sip:${host === hosts.primary ? hosts.backup : hosts.primary};lr>`], 407],
    ];
    for (const [index, [uri, routes, status]] of tries.entries()) {
      const fields = routes.map((each) => `Route: ${each}\r\n`).join('');
      const options = { ...inDialog, uri, fields };
      const answer = await wall.ask(
        wall.attacker,
        host,
        fromStranger('INVITE', { ...options, branch: `z9hG4bKt${index}` }),
      );
      expect([uri, routes.at(-1), statusOf(answer)]).toEqual([uri, routes.at(-1), status]);
      wall.attacker.send(fromStranger('ACK', { ...options, branch: `z9hG4bKa${index}` }), { host, port: 5_060 });
      await wall.run();
    }
    expect(wall.escaped('theirs')).toEqual([]);
  });

  it('is none for another call, and none for a REGISTER', async () => {
    const route = await established();
    const fields = `Route: ${route}\r\n`;
    const abroad = { ...inDialog, uri: `sip:victim@${foreign}`, fields };
    const other = fromStranger('INVITE', { ...abroad, callId: 'another', branch: 'z9hG4bKo1' });
    expect(statusOf(await wall.ask(wall.attacker, host, other))).toBe(407);
    const fresh = fromStranger('INVITE', { ...abroad, to: `<${aliceUri}>`, branch: 'z9hG4bKo2' });
    expect(statusOf(await wall.ask(wall.attacker, host, fresh))).toBe(407);
    const register = fromStranger('REGISTER', { ...abroad, branch: 'z9hG4bKo3' });
    expect(statusOf(await wall.ask(wall.attacker, host, register))).toBe(407);
    expect([...wall.escaped('another'), ...wall.escaped('theirs')]).toEqual([]);
  });
});

describe('a dialog with a configured hop', () => {
  it('goes on in both directions, past the routing table', async () => {
    wall = await Wall.up();
    const gateway = await wall.peer(trunk);
    await wall.asUser(wall.alice, hosts.primary, 'alice', (fields, branch) => fromAlice('INVITE', { fields, branch }));
    const [route = ''] = fieldsOf(gateway.last, 'record-route');
    expect(route).toMatch(/^<sip:h[\w-]{11}@/);
    gateway.answer(answerTo(gateway.last, 200, { tag: 'g1', fields: `Contact: <sip:gw@${trunk}:5060>\r\n` }));
    await wall.run();
    wall.beyond.splice(0);
    const options = { uri: `sip:gw@${trunk}:5060`, to: `<${premium}>;tag=g1`, fields: `Route: ${route}\r\n` };
    wall.alice.send(fromAlice('ACK', { ...options, branch: 'z9hG4bK1' }), { host: hosts.primary, port: 5_060 });
    wall.alice.send(fromAlice('INFO', { ...options, branch: 'z9hG4bK2', cseq: 2 }), {
      host: hosts.primary,
      port: 5_060,
    });
    await wall.run();
    expect(wall.escaped('hers')).toEqual([
      `${trunk}:5060 ACK sip:gw@${trunk}:5060 SIP/2.0`,
      `${trunk}:5060 INFO sip:gw@${trunk}:5060 SIP/2.0`,
    ]);
    // She moves to the backup, which can check the proof as well and stands in.
    wall.world.network.crash(hosts.primary);
    wall.beyond.splice(0);
    wall.alice.send(fromAlice('BYE', { ...options, branch: 'z9hG4bK3', cseq: 3 }), { host: hosts.backup, port: 5_060 });
    await wall.run();
    expect(wall.escaped('hers')).toEqual([`${trunk}:5060 BYE sip:gw@${trunk}:5060 SIP/2.0`]);
  });
});

describe('a stranger', () => {
  it('who names the partner in a Route does not make the backup speak in its name', async () => {
    wall = await Wall.up();
    const fields = `Route: <sip:${hosts.primary}:5060;lr>;AlternatePath="sip:${hosts.backup}:5060;transport=udp"\r\n`;
    wall.attacker.send(fromStranger('INVITE', { fields }), { host: hosts.backup, port: 5_060 });
    await wall.run();
    expect(fieldsOf(wall.alice.last, 'via')[0]).toMatch(/^SIP\/2\.0\/UDP 127\.0\.2\.2:5060;/);
    expect(fieldsOf(wall.alice.last, 'record-route')[0]).toContain('@127.0.2.2:5060;lr');
    const answer = await wall.ask(
      wall.attacker,
      hosts.backup,
      fromStranger('INVITE', { fields, uri: premium, branch: 'z9hG4bKp' }),
    );
    expect(statusOf(answer)).toBe(407);
    expect(wall.escaped('theirs')).toEqual([]);
  });

  it('has neither ACK nor CANCEL forwarded without proof, save a CANCEL to a user of ours that a partner may have made ring', async () => {
    wall = await Wall.up();
    for (const uri of [premium, `sip:x@${foreign}`, `sip:+1900@${trunk}`])
      for (const method of ['ACK', 'CANCEL'])
        for (const to of [`<${uri}>`, `<${uri}>;tag=x`])
          expect(await wall.ask(wall.attacker, hosts.primary, fromStranger(method, { uri, to }))).toBe('');
    await wall.ask(wall.attacker, hosts.primary, fromStranger('ACK'));
    expect(wall.alice.texts).toEqual([]);
    await wall.ask(wall.attacker, hosts.primary, fromStranger('CANCEL'));
    expect(gist(wall.alice.texts)).toEqual(['CANCEL']);
    expect(wall.escaped('theirs')).toEqual([]);
  });

  it('is told nothing by an alternate of a Route that only a proven dialog may follow', async () => {
    wall = await Wall.up();
    const route = await called(hosts.primary);
    const fields = `Route: ${route}\r\nRoute: <sip:${foreign}:9999;lr>;AlternatePath="sip:${trunk}:5060;transport=udp"\r\n`;
    wall.attacker.send(
      fromStranger('INVITE', { ...inDialog, uri: `sip:+1900@${foreign}`, fields, branch: 'z9hG4bKalt' }),
      { host: hosts.primary, port: 5_060 },
    );
    await wall.run(5_000);
    expect(wall.escaped('theirs').filter((line) => line.startsWith(trunk))).toEqual([]);
  });

  it('calls a user whose contact leads to a configured hop in vain', async () => {
    wall = await Wall.up();
    await wall.world.locations.save(`bob@${domain}`, [
      {
        protocol: 'sip',
        target: `sip:+19005551234@${trunk}:5060`,
        key: 'k',
        path: [],
        alternates: [],
        expiresMs: wall.world.clock.now() + 1e9,
        q: 1_000,
        updatedMs: 0,
      },
    ]);
    const answer = await wall.ask(wall.attacker, hosts.primary, fromStranger('INVITE', { uri: `sip:bob@${domain}` }));
    expect(statusOf(answer)).toBe(403);
    expect(wall.escaped('theirs')).toEqual([]);
  });
});

describe('without auth.invite', () => {
  it('everything goes as before, and no Record-Route carries a proof', async () => {
    wall = await Wall.up({ config: { auth: {} } });
    const route = await called(hosts.primary);
    expect(route).toMatch(/^<sip:127\.0\.2\.1:5060;lr>/);
    for (const [uri, hop] of [
      [premium, trunk],
      [`sip:x@${foreign}`, upstream],
    ] as const) {
      wall.attacker.send(fromStranger('INVITE', { uri, callId: `to-${hop}`, branch: `z9hG4bK${hop}` }), {
        host: hosts.primary,
        port: 5_060,
      });
      await wall.run();
      expect(wall.escaped(`to-${hop}`)).toEqual([`${hop}:5060 INVITE ${uri} SIP/2.0`]);
    }
  });
});
