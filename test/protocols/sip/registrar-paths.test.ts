import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fieldsOf, flowOf, phone, statusOf, world } from './registrar-scene.ts';

describe('RFC 3327 Path', () => {
  const edge = {
    vias: 'Via: SIP/2.0/UDP 127.0.0.5;branch=z9hG4bKe\r\nVia: SIP/2.0/UDP 127.0.0.9:5062;branch=z9hG4bKa\r\n',
  };
  const path = 'Path: <sip:p2.example.net;lr>, <sip:p1.example.net;lr>\r\n';

  it('is stored in order with the binding and returned (§5.3)', async () => {
    const { register, contacts } = world();
    const answer = await register(`${phone}Supported: path\r\n${path}Path: <sip:p0.example.net;lr>\r\n`, edge);
    expect(fieldsOf(answer, 'Path')).toEqual([
      '<sip:p2.example.net;lr>',
      '<sip:p1.example.net;lr>',
      '<sip:p0.example.net;lr>',
    ]);
    expect(contacts()[0]).toMatchObject({
      path: ['<sip:p2.example.net;lr>', '<sip:p1.example.net;lr>', '<sip:p0.example.net;lr>'],
    });
    expect(contacts()[0]?.flow).toBeUndefined();
  });

  it('is refused with 420 where the telephone does not say that it knows Path (§5.3)', async () => {
    const { register, contacts } = world();
    const answer = await register(`${phone}${path}`, edge);
    expect(statusOf(answer)).toBe('420');
    expect(fieldsOf(answer, 'Unsupported')).toEqual(['path']);
    expect(contacts()).toEqual([]);
  });

  it('is taken without that word where the operator says so, stored and returned (§5.3, last paragraph)', async () => {
    const { register, contacts } = world({}, { path: 'lenient' });
    const answer = await register(`${phone}Path: <sip:192.0.2.4;lr>\r\n`);
    expect(statusOf(answer)).toBe('200');
    expect(fieldsOf(answer, 'Path')).toEqual(['<sip:192.0.2.4;lr>']);
    expect(contacts()[0]?.path).toEqual(['<sip:192.0.2.4;lr>']);
    expect(statusOf(await register(`${phone}Path: <tel:+491>\r\n`))).toBe('400');
  });

  it('is refused with 400 where an entry could not be routed', async () => {
    const { register } = world();
    expect(statusOf(await register(`${phone}Supported: path\r\nPath: <mailto:x@y>\r\n`, edge))).toBe('400');
    expect(statusOf(await register(`${phone}Supported: path\r\nPath: nonsense\r\n`, edge))).toBe('400');
  });

  it('gives the alternates of the edge, not of the telephone, to who sends along it', async () => {
    const { register, contacts } = world();
    const tagged = 'Path: <sip:127.0.0.5;lr>;AlternatePath="sip:127.0.0.6:5060;transport=udp"\r\n';
    await register(`Contact: <sip:a@127.0.0.9>;AlternatePath="127.0.0.8"\r\nSupported: path\r\n${tagged}`, edge);
    expect(contacts()[0]?.alternates).toEqual([{ transport: 'udp', host: '127.0.0.6', port: 5_060 }]);
  });
});

describe('RFC 3608 Service-Route', () => {
  it('leads through us, with our backups, when it is configured; in a query too (§6.3)', async () => {
    const { register } = world({}, { serviceRoute: true });
    const expected = ['<sip:127.0.0.1:5060;lr>;AlternatePath="sip:127.0.0.2:5060;transport=udp"'];
    expect(fieldsOf(await register(phone), 'Service-Route')).toEqual(expected);
    expect(fieldsOf(await register(''), 'Service-Route')).toEqual(expected);
    expect(fieldsOf(await world().register(phone), 'Service-Route')).toEqual([]);
  });
});

describe('RFC 5626 §6 Outbound', () => {
  const instance = '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"';
  const flowContact = (host: string, regId: number) =>
    `Contact: <sip:line1@${host};transport=tcp>;reg-id=${regId};${instance}\r\n`;
  const supported = 'Supported: path, outbound\r\n';
  const behind = 'Via: SIP/2.0/TCP 127.0.0.5;branch=z9hG4bKe\r\nVia: SIP/2.0/TCP 127.0.0.9:5062;branch=z9hG4bKa\r\n';

  it('says Require: outbound to a telephone that supports it, and stores flow, instance and reg-id', async () => {
    const { register, contacts, flowIds } = world();
    const answer = await register(flowContact('127.0.0.9', 1) + supported, { flow: flowOf('tcp') });
    expect(fieldsOf(answer, 'Require')).toEqual(['outbound']);
    expect(fieldsOf(answer, 'Contact')[0]).toBe(
      `<sip:line1@127.0.0.9;transport=tcp>;reg-id=1;${instance};expires=3600`,
    );
    expect(contacts()).toMatchObject([{ regId: 1, instance: '<urn:uuid:00000000-0000-1000-8000-000A95A0E128>' }]);
    expect(flowIds()).toEqual(['tcp-7']);
  });

  it('replaces the binding of the same instance and reg-id, whatever its URI, case of the UUID or Call-ID', async () => {
    const { register, contacts, flowIds } = world();
    await register(flowContact('127.0.0.9', 1) + supported, { flow: flowOf('tcp') });
    await register(flowContact('127.0.0.10', 1).replace('000A95A0E128', '000a95a0e128') + supported, {
      callId: 'reg-2',
      flow: { ...flowOf('tcp'), id: 'tcp-8' },
    });
    expect(contacts()).toMatchObject([{ target: 'sip:line1@127.0.0.10;transport=tcp' }]);
    expect(flowIds()).toEqual(['tcp-8']);
  });

  it('keeps the new contact of a flow where the same request takes the old one back, in any order', async () => {
    const value = (host: string, more = '') => `<sip:line1@${host};transport=tcp>;reg-id=1;${instance}${more}`;
    for (const order of ['new first', 'old first'] as const) {
      const { register, contacts } = world();
      await register(`Contact: ${value('127.0.0.9:41000')}\r\n${supported}`, { flow: flowOf('tcp') });
      const pair = [value('127.0.0.9:42000'), value('127.0.0.9:41000', ';expires=0')];
      if (order === 'old first') pair.reverse();
      const answer = await register(`Contact: ${pair.join(', ')}\r\n${supported}`, {
        flow: { ...flowOf('tcp'), id: 'tcp-8' },
      });
      expect(statusOf(answer)).toBe('200');
      expect(contacts().map(({ target }) => target)).toEqual(['sip:line1@127.0.0.9:42000;transport=tcp']);
      await register(`Contact: ${value('127.0.0.9:42000', ';expires=0')}\r\n${supported}`);
      expect(contacts()).toEqual([]);
    }
  });

  it('keeps flows with other reg-ids and bindings without one beside it', async () => {
    const { register, contacts } = world();
    await register(flowContact('127.0.0.9', 1) + supported);
    await register(flowContact('127.0.0.9', 2) + supported, { callId: 'reg-2' });
    await register('Contact: <sip:line1@127.0.0.9;transport=tcp>\r\n', { callId: 'reg-3' });
    expect(contacts()).toHaveLength(3);
    await register(flowContact('127.0.0.9', 2).replace('>;reg', '>;expires=0;reg') + supported, { callId: 'reg-2' });
    expect(
      contacts()
        .map(({ regId }) => regId)
        .toSorted(),
    ).toEqual([1, undefined]);
  });

  it('ignores a reg-id without instance, and one that is no number', async () => {
    const { register, contacts } = world();
    const answer = await register(`Contact: <sip:a@127.0.0.9>;reg-id=1\r\n${supported}`);
    expect(fieldsOf(answer, 'Require')).toEqual([]);
    await register(
      `Contact: <sip:b@127.0.0.9>;reg-id=0;${instance}, <sip:c@127.0.0.9>;reg-id=99999999999;${instance}\r\n${supported}`,
    );
    expect(contacts().map(({ regId }) => regId)).toEqual([undefined, undefined, undefined]);
  });

  it('answers 439 behind a first hop without Outbound, to a telephone that supports it', async () => {
    const { register, contacts } = world();
    expect(statusOf(await register(flowContact('127.0.0.9', 1) + supported, { vias: behind }))).toBe('439');
    const lacking = `${flowContact('127.0.0.9', 1)}${supported}Path: <sip:127.0.0.5;lr>\r\n`;
    expect(
      (await register(lacking, { vias: behind })).startsWith('SIP/2.0 439 First Hop Lacks Outbound Support\r\n'),
    ).toBe(true);
    expect(contacts()).toEqual([]);
  });

  it('ignores the reg-id there for a telephone that does not say so', async () => {
    const { register, contacts } = world();
    const answer = await register(flowContact('127.0.0.9', 1), { vias: behind });
    expect(statusOf(answer)).toBe('200');
    expect(fieldsOf(answer, 'Require')).toEqual([]);
    expect(contacts()[0]?.regId).toBeUndefined();
  });

  it('obeys the reg-id behind an edge proxy that says ob in the last Path entry', async () => {
    const { register, contacts } = world();
    const path = 'Path: <sip:127.0.0.4;lr>,<sip:token@127.0.0.5;lr;ob>\r\n';
    const answer = await register(`${flowContact('127.0.0.9', 1)}${supported}${path}`, { vias: behind });
    expect(fieldsOf(answer, 'Require')).toEqual(['outbound']);
    expect(contacts()).toMatchObject([{ regId: 1, path: ['<sip:127.0.0.4;lr>', '<sip:token@127.0.0.5;lr;ob>'] }]);
    expect(contacts()[0]?.flow).toBeUndefined();
  });

  it('answers 400 to a second contact beside one with reg-id, unless that is removed', async () => {
    const { register } = world();
    const value = `<sip:a@127.0.0.9>;reg-id=1;${instance}`;
    expect(statusOf(await register(`Contact: ${value}, <sip:b@127.0.0.9>\r\n${supported}`))).toBe('400');
    expect(statusOf(await register(`Contact: ${value}, <sip:b@127.0.0.9>;expires=0\r\n${supported}`))).toBe('200');
  });
});

describe('RFC 5626 §7 bindings of connections that have ended', () => {
  const page = (n: number) => `Contact: <sip:a${n}@df7jal23ls0d.invalid;transport=ws>\r\n`;

  it('do not count: a page that is loaded again and again is never refused', async () => {
    const { register, contacts, open } = world();
    for (let n = 1; n <= 10; n += 1) {
      expect(statusOf(await register(page(n), { callId: `r${n}`, flow: { ...flowOf('ws'), id: `ws-${n}` } }))).toBe(
        '200',
      );
      open.delete(`ws-${n}`);
    }
    expect(contacts()).toHaveLength(1);
  });

  it('count while they are open', async () => {
    const { register } = world();
    const statuses: string[] = [];
    for (let n = 1; n <= 4; n += 1)
      statuses.push(statusOf(await register(page(n), { callId: `r${n}`, flow: { ...flowOf('ws'), id: `ws-${n}` } })));
    expect(statuses).toEqual(['200', '200', '200', '403']);
  });

  it('give way to new ones where they might still be dialled (RFC 3261 §18.2.2)', async () => {
    const { register, contacts, open } = world();
    const contact = (n: number) => `Contact: <sip:a@127.0.0.9:${41_000 + n};transport=tcp>\r\n`;
    for (let n = 1; n <= 3; n += 1) {
      await register(contact(n), { callId: `r${n}`, flow: { ...flowOf('tcp'), id: `tcp-${n}` } });
      open.delete(`tcp-${n}`);
    }
    expect(contacts()).toHaveLength(3);
    expect(statusOf(await register(contact(4), { callId: 'r4', flow: { ...flowOf('tcp'), id: 'tcp-4' } }))).toBe('200');
    expect(contacts().map(({ target }) => target)).toEqual(['sip:a@127.0.0.9:41004;transport=tcp']);
  });
});

describe('where packets for a contact go', () => {
  const nat = { host: '203.0.113.7', port: 40_000 };

  it('is over the connection it registered by, for streams and WebSocket', async () => {
    for (const transport of ['tcp', 'tls', 'ws', 'wss'] as const) {
      const { register, contacts, flowIds } = world();
      await register('Contact: <sip:a@df7jal23ls0d.invalid;transport=ws>\r\n', { flow: flowOf(transport) });
      expect(flowIds()).toEqual([`${transport}-7`]);
      expect(contacts()[0]?.address).toBeUndefined();
    }
  });

  it('is what the URI says over UDP, even if the request came from elsewhere', async () => {
    const { register, contacts } = world();
    await register('Contact: <sip:a@10.0.0.1:5062>\r\n', {
      flow: flowOf('udp', nat),
      vias: 'Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa\r\n',
    });
    expect(contacts()[0]?.address).toBeUndefined();
    expect(contacts()[0]?.flow).toBeUndefined();
  });

  it('is where the request came from if the telephone asks for rport and its contact is its sent-by (RFC 3581)', async () => {
    const { register, contacts } = world();
    const vias = 'Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa;rport\r\n';
    await register('Contact: <sip:a@10.0.0.1:5062>\r\n', { flow: flowOf('udp', nat), vias });
    expect(contacts()[0]?.address).toEqual({ transport: 'udp', ...nat });
    await register('Contact: <sip:b@10.0.0.99:5062>\r\n', { flow: flowOf('udp', nat), vias });
    expect(contacts().find(({ target }) => target.includes('sip:b'))?.address).toBeUndefined();
  });

  it('is where the request came from with Outbound over UDP', async () => {
    const { register, contacts, flowIds } = world();
    await register('Contact: <sip:a@10.0.0.1>;reg-id=1;+sip.instance="<urn:x:1>"\r\nSupported: outbound\r\n', {
      flow: flowOf('udp', nat),
    });
    expect(contacts()[0]).toMatchObject({ address: { transport: 'udp', ...nat } });
    expect(flowIds()).toEqual(['203.0.113.7:40000']);
  });

  it('goes on to the alternates that a trusted telephone names in its Contact', async () => {
    const { register, contacts } = world();
    const answer = await register('Contact: <sip:a@127.0.0.9>;AlternatePath="sip:127.0.0.8:5070"\r\n');
    expect(contacts()[0]?.alternates).toEqual([{ transport: 'udp', host: '127.0.0.8', port: 5_070 }]);
    expect(fieldsOf(answer, 'Contact')[0]).toContain('AlternatePath="sip:127.0.0.8:5070"');
    const untrusting = world({ trustedAlternates: () => [] });
    await untrusting.register('Contact: <sip:a@127.0.0.9>;AlternatePath="sip:127.0.0.8:5070"\r\n');
    expect(untrusting.contacts()[0]?.alternates).toEqual([]);
  });
});

describe('RFC 4475 and RFC 5118 registrations', () => {
  const vector = (name: string) => readFileSync(new URL(`../../vectors/sip/${name}.dat`, import.meta.url), 'latin1');

  it('escnull registers two contacts for a user with NUL in his name', async () => {
    const { send, answer, locations } = world();
    send(vector('rfc4475/escnull'));
    expect(fieldsOf(await answer(), 'Contact').toSorted()).toEqual([
      '<sip:%00%00@host5.example.com>;expires=3600',
      '<sip:%00@host5.example.com>;expires=3600',
    ]);
    expect(locations.lookup('null-\0-null@example.com')).toHaveLength(2);
    expect(locations.lookup('null-')).toHaveLength(0);
  });

  it('dblreq registers and leaves what follows the message alone', async () => {
    const { send, answer } = world();
    send(vector('rfc4475/dblreq'));
    expect(fieldsOf(await answer(), 'Contact')[0]).toContain('<sip:j.user@host.example.com>');
  });

  it('cparam01 has a header parameter, cparam02 a URI parameter', async () => {
    const one = world();
    one.send(vector('rfc4475/cparam01'));
    expect(fieldsOf(await one.answer(), 'Contact')[0]).toMatch(
      /^<sip:\+19725552222@gw1\.example\.net>;unknownparam;expires/,
    );
    const two = world();
    two.send(vector('rfc4475/cparam02'));
    expect(fieldsOf(await two.answer(), 'Contact')[0]).toMatch(
      /^<sip:\+19725552222@gw1\.example\.net;unknownparam>;expires/,
    );
  });

  it('regescrt keeps the escaped Route in the contact', async () => {
    const { send, answer, locations } = world();
    send(vector('rfc4475/regescrt'));
    expect(statusOf(await answer())).toBe('200');
    expect([...locations.records()][0]?.[1][0]?.target).toBe('sip:user@example.com?Route=%3Csip:sip.example.com%3E');
  });

  it('regbadct and unksm2 are bad requests', async () => {
    for (const name of ['rfc4475/regbadct', 'rfc4475/unksm2']) {
      const { send, answer } = world();
      send(vector(name));
      expect(statusOf(await answer())).toBe('400');
    }
  });

  it('ipv6-good, port-ambiguous and port-unambiguous register', async () => {
    for (const name of ['ipv6-good', 'port-ambiguous', 'port-unambiguous']) {
      const { send, answer } = world();
      send(vector(`rfc5118/${name}`));
      expect([name, statusOf(await answer())]).toEqual([name, '200']);
    }
  });
});
