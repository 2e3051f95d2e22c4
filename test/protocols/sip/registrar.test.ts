import { describe, expect, it } from 'vitest';
import type { Contact, LocationService } from '../../../src/internal.ts';
import { MemoryLocations } from '../../../src/location/memory.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { fieldsOf, phone, statusOf, world } from './registrar-scene.ts';

describe('RFC 3261 §10.3 a first registration', () => {
  it('answers 200 with the binding, its time, To tag, Date and what it supports', async () => {
    const { register, contacts, clock } = world();
    const answer = await register(`${phone}Expires: 600\r\n`);
    expect(answer).toMatch(/^SIP\/2\.0 200 OK\r\nVia: SIP\/2\.0\/UDP 127\.0\.0\.9:5062;branch=z9hG4bKa\r\n/);
    expect(fieldsOf(answer, 'To')[0]).toMatch(/^<sip:alice@example.com>;tag=.+/);
    expect(fieldsOf(answer, 'Contact')).toEqual(['<sip:alice@127.0.0.9:5062>;expires=600']);
    expect(fieldsOf(answer, 'Date')).toEqual(['Tue, 14 Nov 2023 22:13:20 GMT']);
    expect(fieldsOf(answer, 'Supported')).toEqual(['path, outbound']);
    expect(contacts()).toMatchObject([
      {
        protocol: 'sip',
        target: 'sip:alice@127.0.0.9:5062',
        expiresMs: clock.now() + 600_000,
        callId: 'reg-1',
        cseq: 1,
        q: 1_000,
      },
    ]);
  });

  it('says 200 only when the location service has stored the binding, 500 if it cannot', async () => {
    let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
    const clock = new FakeClock();
    const store = new MemoryLocations({ clock });
    const slow: LocationService = {
      open: () => store.open(),
      lookup: (record) => store.lookup(record),
      save: () =>
        new Promise((resolve, reject) => {
          settle = { resolve, reject };
        }),
      records: () => store.records(),
      close: () => store.close(),
      size: 0,
    };
    const { register, answer } = world({ locations: slow });
    expect(await register(phone)).toBe('');
    settle?.resolve();
    expect(statusOf(await answer())).toBe('200');
    await register(phone);
    settle?.reject(new Error('disk on fire'));
    const failed = await answer();
    expect(statusOf(failed)).toBe('500');
    expect(failed).not.toContain('fire');
  });

  it('never copies Record-Route (RFC 3261 §10.3)', async () => {
    expect(await world().register(`${phone}Record-Route: <sip:127.0.0.7;lr>\r\n`)).not.toContain('Record-Route');
  });

  it('fills in received and rport of the Via', async () => {
    const answer = await world().register(phone, {
      vias: 'Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa;rport\r\n',
    });
    expect(fieldsOf(answer, 'Via')[0]).toBe('SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa;rport=5062;received=127.0.0.9');
  });
});

describe('RFC 3261 §10.3 item 5: the address of record', () => {
  it('is the To URI without parameters, escapes taken back, host in any case', async () => {
    const { register, contacts } = world();
    await register(phone, { to: 'sip:%61lice@EXAMPLE.com;user=phone;x=y' });
    expect(contacts()).toHaveLength(1);
  });

  it('keeps the case of the user', async () => {
    const { register, locations, contacts } = world();
    await register(phone, { to: 'sip:Alice@example.com' });
    expect(contacts()).toHaveLength(0);
    expect(locations.lookup('Alice@example.com')).toHaveLength(1);
  });

  it('is refused with 404 where it is not of the domain in the Request-URI', async () => {
    const { register } = world();
    expect(statusOf(await register(phone, { to: 'sip:alice@elsewhere.net' }))).toBe('404');
    expect(statusOf(await register(phone, { to: 'sip:alice@example.org' }))).toBe('404');
    expect(statusOf(await register(phone, { to: 'sip:example.com' }))).toBe('404');
    expect(statusOf(await register(phone, { to: 'sip:alice@example.org', uri: 'sip:example.org' }))).toBe('200');
    expect(statusOf(await register(phone, { to: 'sip:alice@example.org', uri: 'sip:127.0.0.1' }))).toBe('200');
  });

  it('is refused with 400 where it is no SIP URI (RFC 4475 §3.3.4)', async () => {
    expect(statusOf(await world().register(phone, { to: 'tel:+12015551212' }))).toBe('400');
  });
});

describe('RFC 3261 §10.3 item 2: extensions', () => {
  it('answers 420 and names what it does not support', async () => {
    const answer = await world().register(`${phone}Require: path, foo\r\nRequire: bar\r\n`);
    expect(statusOf(answer)).toBe('420');
    expect(fieldsOf(answer, 'Unsupported')).toEqual(['foo, bar']);
  });
});

describe('RFC 3261 §10.3 item 7: how long', () => {
  it.each<[string, string, number]>([
    [
      'the expires parameter before the Expires field',
      'Contact: <sip:a@127.0.0.9>;expires=700\r\nExpires: 800\r\n',
      700,
    ],
    ['the Expires field', 'Contact: <sip:a@127.0.0.9>\r\nExpires: 800\r\n', 800],
    ['the configured default', 'Contact: <sip:a@127.0.0.9>\r\n', 3_600],
    ['at most the configured maximum', 'Contact: <sip:a@127.0.0.9>;expires=4294967295\r\n', 7_200],
    ['the maximum for numbers beyond all measure', `Contact: <sip:a@127.0.0.9>;expires=${'9'.repeat(400)}\r\n`, 7_200],
    ['3600 for a malformed parameter', 'Contact: <sip:a@127.0.0.9>;expires=soon\r\nExpires: 700\r\n', 3_600],
    ['3600 for a malformed field', 'Contact: <sip:a@127.0.0.9>\r\nExpires: -5\r\n', 3_600],
  ])('takes %s', async (_, fields, seconds) => {
    const answer = await world().register(fields);
    expect(fieldsOf(answer, 'Contact')).toEqual([`<sip:a@127.0.0.9>;expires=${seconds}`]);
  });

  it('answers 423 with Min-Expires to a wish below the minimum, and binds nothing', async () => {
    const { register, contacts } = world();
    const answer = await register('Contact: <sip:a@127.0.0.9>;expires=600, <sip:b@127.0.0.9>;expires=59\r\n');
    expect(answer.startsWith('SIP/2.0 423 Interval Too Brief\r\n')).toBe(true);
    expect(fieldsOf(answer, 'Min-Expires')).toEqual(['60']);
    expect(contacts()).toHaveLength(0);
    expect(statusOf(await register('Contact: <sip:a@127.0.0.9>;expires=60\r\n'))).toBe('200');
  });

  it('never refuses an hour, whatever the minimum', async () => {
    const { register } = world({}, { minExpiresSeconds: 7_000 });
    expect(statusOf(await register('Contact: <sip:a@127.0.0.9>;expires=3600\r\n'))).toBe('200');
    expect(statusOf(await register('Contact: <sip:a@127.0.0.9>;expires=3599\r\n'))).toBe('423');
  });

  it('tells what remains, and forgets the binding when its time is over', async () => {
    const { register, clock, contacts } = world();
    await register('Contact: <sip:a@127.0.0.9>;expires=600\r\n');
    clock.advance(599_500);
    expect(fieldsOf(await register(''), 'Contact')).toEqual(['<sip:a@127.0.0.9>;expires=1']);
    clock.advance(500);
    expect(fieldsOf(await register(''), 'Contact')).toEqual([]);
    expect(contacts()).toEqual([]);
  });
});

describe('RFC 3261 §10.3 items 6 and 7: several contacts', () => {
  it('takes a list, in one field or several, and enumerates all bindings with their parameters', async () => {
    const { register } = world();
    const answer = await register(
      'Contact: "A, B" <sip:a@127.0.0.9>;q=0.3;audio , <sip:b@127.0.0.9;transport=tcp>;q=0.7\r\nm: sip:c@127.0.0.9;expires=120\r\n',
    );
    expect(fieldsOf(answer, 'Contact').toSorted()).toEqual([
      '<sip:a@127.0.0.9>;q=0.3;audio;expires=3600',
      '<sip:b@127.0.0.9;transport=tcp>;q=0.7;expires=3600',
      '<sip:c@127.0.0.9>;expires=120',
    ]);
  });

  it('offers the best q first to who looks up', async () => {
    const { register, contacts } = world();
    await register('Contact: <sip:a@127.0.0.9>;q=0.3, <sip:b@127.0.0.9>;q=1.000, <sip:c@127.0.0.9>;q=.5x\r\n');
    expect(
      contacts()
        .map(({ target, q }) => [target, q])
        .slice(2),
    ).toEqual([['sip:a@127.0.0.9', 300]]);
  });

  it('answers a query without changing anything', async () => {
    const { register, contacts } = world();
    await register(phone);
    const before = contacts();
    expect(fieldsOf(await register('Expires: 0\r\n'), 'Contact')).toHaveLength(1);
    expect(contacts()).toEqual(before);
  });

  it('removes by expires 0 what matches, and ignores what does not exist', async () => {
    const { register, contacts } = world();
    await register('Contact: <sip:a@127.0.0.9>, <sip:b@127.0.0.9>\r\n');
    const answer = await register('Contact: <sip:a@127.0.0.9>, <sip:nobody@127.0.0.9>\r\nExpires: 0\r\n');
    expect(fieldsOf(answer, 'Contact')).toEqual(['<sip:b@127.0.0.9>;expires=3600']);
    expect(contacts()).toHaveLength(1);
  });

  it('adds and removes in one request, all or nothing', async () => {
    const { register, contacts } = world();
    await register('Contact: <sip:a@127.0.0.9>, <sip:b@127.0.0.9>\r\n');
    await register('Contact: <sip:a@127.0.0.9>;expires=0, <sip:c@127.0.0.9>\r\n');
    expect(
      contacts()
        .map(({ target }) => target)
        .toSorted(),
    ).toEqual(['sip:b@127.0.0.9', 'sip:c@127.0.0.9']);
    const before = contacts();
    expect(statusOf(await register('Contact: <sip:d@127.0.0.9>, <sip:b@127.0.0.9\r\n'))).toBe('400');
    expect(contacts()).toEqual(before);
  });

  it('refuses with 403 more contacts than are allowed, counting after removals, and lets those there be refreshed', async () => {
    const { register, contacts } = world();
    const four = 'Contact: <sip:a@h1.net>, <sip:b@h1.net>, <sip:c@h1.net>, <sip:d@h1.net>\r\n';
    expect(statusOf(await register(four))).toBe('403');
    expect(contacts()).toHaveLength(0);
    await register('Contact: <sip:a@h1.net>, <sip:b@h1.net>, <sip:c@h1.net>\r\n');
    expect(statusOf(await register('Contact: <sip:d@h1.net>\r\n'))).toBe('403');
    expect(statusOf(await register('Contact: <sip:c@h1.net>\r\n'))).toBe('200');
    expect(statusOf(await register('Contact: <sip:a@h1.net>;expires=0, <sip:d@h1.net>\r\n'))).toBe('200');
  });

  it('is quick with the longest list that fits', async () => {
    const { register } = world({}, { maxContacts: 100 });
    const many = Array.from({ length: 1_000 }, (_, index) => `<sip:${index}@h>`).join(',');
    await register(`Contact: ${Array.from({ length: 100 }, (_, index) => `<sip:x${index}@h>`).join(',')}\r\n`);
    const started = performance.now();
    expect(statusOf(await register(`Contact: ${many}\r\nExpires: 0\r\n`))).toBe('200');
    expect(performance.now() - started).toBeLessThan(200);
  });

  it('accepts contacts of any scheme', async () => {
    const answer = await world().register('Contact: <tel:+1-201-555-0123>, <mailto:alice@example.com>\r\n');
    expect(fieldsOf(answer, 'Contact')).toHaveLength(2);
  });

  it.each([
    ['no URI', 'Contact: <>\r\n'],
    ['a question mark outside of brackets (RFC 3261 §20)', 'Contact: sip:a@127.0.0.9?Subject=x\r\n'],
    ['a bad host', 'Contact: <sip:a@>\r\n'],
    ['a value beyond measure', `Contact: <sip:a@127.0.0.9>;x=${'y'.repeat(5_000)}\r\n`],
  ])('answers 400 to %s', async (_, fields) => {
    expect(statusOf(await world().register(fields))).toBe('400');
  });
});

describe('RFC 3261 §10.3 item 6: Contact *', () => {
  it('removes every binding', async () => {
    const { register, contacts, locations } = world();
    await register('Contact: <sip:a@127.0.0.9>, <sip:b@127.0.0.9>\r\n');
    const answer = await register('Contact: *\r\nExpires: 0\r\n');
    expect(statusOf(answer)).toBe('200');
    expect(fieldsOf(answer, 'Contact')).toEqual([]);
    expect(contacts()).toEqual([]);
    expect(locations.size).toBe(0);
  });

  it.each([
    ['without Expires', 'Contact: *\r\n'],
    ['with another expiry', 'Contact: *\r\nExpires: 60\r\n'],
    ['with a malformed expiry', 'Contact: *\r\nExpires: zero\r\n'],
    ['with another contact', 'Contact: *\r\nContact: <sip:a@127.0.0.9>\r\nExpires: 0\r\n'],
  ])('is a bad request %s', async (_, fields) => {
    const { register, contacts } = world();
    await register(phone);
    expect(statusOf(await register(fields))).toBe('400');
    expect(contacts()).toHaveLength(1);
  });

  it('removes a binding of the same Call-ID only by a higher CSeq', async () => {
    const { register, contacts } = world();
    await register(phone, { cseq: 10 });
    expect(statusOf(await register('Contact: *\r\nExpires: 0\r\n', { cseq: 10 }))).toBe('500');
    expect(contacts()).toHaveLength(1);
    expect(statusOf(await register('Contact: *\r\nExpires: 0\r\n', { cseq: 1, callId: 'other' }))).toBe('200');
    expect(contacts()).toHaveLength(0);
  });

  it('leaves provisioned contacts and those of other protocols alone, and does not list them', async () => {
    const { register, contacts, locations } = world();
    const line: Contact = {
      protocol: 'mgcp',
      target: 'aaln/1@rgw1',
      key: 'aaln/1@rgw1',
      path: [],
      alternates: [],
      expiresMs: Number.POSITIVE_INFINITY,
      q: 1_000,
      updatedMs: 0,
    };
    await locations.save('alice@example.com', [line]);
    expect(fieldsOf(await register(phone), 'Contact')).toHaveLength(1);
    expect(contacts()).toHaveLength(2);
    await register('Contact: *\r\nExpires: 0\r\n');
    expect(contacts()).toEqual([line]);
  });
});

describe('RFC 3261 §10.3 item 7: order of requests', () => {
  it('refuses a lower CSeq of the same Call-ID and changes nothing', async () => {
    const { register, contacts } = world();
    await register(`${phone}Expires: 600\r\n`, { cseq: 10 });
    const before = contacts();
    expect(statusOf(await register(`${phone}Expires: 0\r\n`, { cseq: 9 }))).toBe('500');
    expect(statusOf(await register(`Contact: <sip:new@127.0.0.9>\r\n${phone}`, { cseq: 9 }))).toBe('500');
    expect(contacts()).toEqual(before);
  });

  it('takes a lower CSeq of another Call-ID: the telephone was restarted', async () => {
    const { register, contacts } = world();
    await register(phone, { cseq: 10 });
    expect(statusOf(await register(`${phone}Expires: 700\r\n`, { cseq: 1, callId: 'reg-2' }))).toBe('200');
    expect(contacts()).toMatchObject([{ callId: 'reg-2', cseq: 1 }]);
  });

  it('answers 200 to the same request once more, which a partner stored but did not live to answer', async () => {
    const { register, contacts, clock } = world();
    await register(`${phone}Expires: 600\r\n`, { cseq: 10 });
    const before = contacts();
    clock.advance(2_000);
    expect(fieldsOf(await register(`${phone}Expires: 600\r\n`, { cseq: 10 }), 'Contact')).toEqual([
      '<sip:alice@127.0.0.9:5062>;expires=598',
    ]);
    expect(contacts()).toEqual(before);
    expect(statusOf(await register(`${phone}Expires: 0\r\n`, { cseq: 10 }))).toBe('500');
  });

  it('lets one request name the same contact twice: the last counts', async () => {
    const { register, contacts } = world();
    await register('Contact: <sip:a@127.0.0.9>;q=0.1, <sip:a@127.0.0.9>;q=0.2\r\n');
    expect(contacts()).toMatchObject([{ q: 200 }]);
  });
});

describe('RFC 3261 §19.1.4: which contact it is', () => {
  it.each([
    ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtLanTa.CoM;Transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5'],
    ['sip:carol@chicago.com;newparam=5', 'sip:carol@chicago.com;security=on'],
    [
      'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
      'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
    ],
    [
      'sip:alice@atlanta.com?subject=project%20x&priority=urgent',
      'sip:alice@atlanta.com?priority=urgent&subject=project%20x',
    ],
    ['sip:a@[2001:db8::1]', 'sip:a@[2001:DB8:0:0::1]'],
    ['tel:+1-201-555-0123', 'tel:+1(201)5550123'],
  ])('%s is %s', async (one, other) => {
    const { register, contacts } = world();
    await register(`Contact: <${one}>\r\n`);
    await register(`Contact: <${other}>\r\n`);
    expect(contacts().map(({ target }) => target)).toEqual([other]);
  });

  it.each([
    ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;transport=udp'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting'],
    ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4'],
    ['sip:carol@chicago.com;security=on', 'sip:carol@chicago.com;security=off'],
    ['sip:carol@chicago.com', 'sips:carol@chicago.com'],
    ['sip:chicago.com', 'sip:carol@chicago.com'],
    ['sip:carol:secret@chicago.com', 'sip:carol@chicago.com'],
    ['sip:carol@chicago.com;user=phone', 'sip:carol@chicago.com'],
    ['sip:carol@chicago.com;maddr=10.0.0.1', 'sip:carol@chicago.com'],
    ['sip:a%3Bb@chicago.com', 'sip:a;b@chicago.com'],
    ['sip:a%2541@chicago.com', 'sip:a%41@chicago.com'],
  ])('%s is not %s', async (one, other) => {
    const { register, contacts } = world();
    await register(`Contact: <${one}>\r\n`);
    await register(`Contact: <${other}>\r\n`);
    expect(contacts()).toHaveLength(2);
    expect(new Set(contacts().map(({ key }) => key)).size).toBe(2);
  });

  it('keeps the key of a binding through its refreshes', async () => {
    const { register, contacts } = world();
    await register('Contact: <sip:carol@chicago.com;line=1>\r\n');
    const [first] = contacts();
    await register('Contact: <sip:carol@chicago.com>\r\n');
    expect(contacts()[0]?.key).toBe(first?.key);
  });
});
