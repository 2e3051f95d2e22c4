import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import type { SipMessage } from '../../../protocols/sip/codec/messages.ts';
import { Identity } from '../../../protocols/sip/identity.ts';
import type { FlowTokens } from '../../../protocols/sip/proxy/flow-token.ts';
import { ContactPlaces } from '../../../protocols/sip/registrar/contact-places.ts';
import { Registrar, type RegistrarParts, type RegistrarRules } from '../../../protocols/sip/registrar/registrar.ts';
import {
  type Contact,
  type ControllerAddress,
  type Flow,
  formatSocketAddress,
  type Listener,
  type LocationService,
  Metrics,
  silentLog,
  type Transport,
} from '../../../src/internal.ts';
import { MemoryLocations } from '../../../src/location/memory.ts';
import { assemblerOf } from '../../support/assembler.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { flowStore } from '../../support/sip-flow-store.ts';

const rules: RegistrarRules = {
  minExpiresSeconds: 60,
  maxExpiresSeconds: 7_200,
  defaultExpiresSeconds: 3_600,
  maxContacts: 3,
  serviceRoute: false,
  path: 'strict',
};

interface World {
  readonly clock: FakeClock;
  readonly locations: LocationService;
  /** Sends wire bytes, returns the answer as text ('' where none has come yet). */
  readonly send: (text: string, flow?: Flow) => string;
  /** The last answer, after promises settled. */
  readonly answer: () => Promise<string>;
  readonly register: (fields: string, options?: RegisterOptions) => Promise<string>;
  /** Live contacts of Alice. */
  readonly contacts: () => readonly Contact[];
  /** Open connections; those that requests came over are. */
  readonly open: Map<string, Flow>;
  /** What the flow tokens of Alice's contacts name. */
  readonly flowIds: () => readonly (string | undefined)[];
}

interface RegisterOptions {
  readonly callId?: string;
  readonly cseq?: number;
  readonly to?: string;
  readonly uri?: string;
  readonly vias?: string;
  readonly flow?: Flow;
}

function world(more: Partial<RegistrarParts> = {}, moreRules: Partial<RegistrarRules> = {}): World {
  const clock = new FakeClock();
  const locations = more.locations ?? new MemoryLocations({ clock });
  const backup: ControllerAddress = { transport: 'udp', host: '127.0.0.2', port: 5_060 };
  const assembler = assemblerOf<SipMessage>({ backups: [backup], backupFor: [] });
  const identity = new Identity(
    {
      domains: ['example.com', 'example.org', '2001:db8::10', '2001:db8::10:5070'],
      placement: 'header',
      partners: [backup],
      secret: 's',
    },
    assembler,
  );
  identity.bound([listener]);
  const { tokens, flows, open } = flowStore();
  const registrar = new Registrar({
    locations,
    clock,
    log: silentLog,
    metrics: new Metrics(),
    identity,
    flows,
    rules: { ...rules, ...moreRules },
    authorize: () => undefined,
    places: new ContactPlaces({ identity, allow: [], isUser: () => false }),
    trustedAlternates: (named) => named ?? [],
    ...more,
  });
  let last = '';
  let cseq = 0;
  const send = (text: string, flow = flowOf('udp')) => {
    const decoded = decode(Buffer.from(text, 'latin1'));
    if (!decoded.ok) throw new Error(`test request does not decode: ${decoded.error.reason}`);
    last = '';
    if (flow.reliable) open.set(flow.id, flow);
    registrar.register(decoded.value, flow, (status, text) => {
      expect(last).toBe('');
      last = text;
      expect(last.startsWith(`SIP/2.0 ${status} `)).toBe(true);
      const readable = decode(Buffer.from(last, 'latin1'));
      expect(readable.ok).toBe(true);
    });
    return last;
  };
  const answer = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return last;
  };
  return {
    clock,
    locations,
    send,
    answer,
    contacts: () => locations.lookup('alice@example.com'),
    open,
    flowIds: () => locations.lookup('alice@example.com').map(({ flow }) => idOf(tokens, flow)),
    register(fields, options = {}) {
      cseq += 1;
      const to = options.to ?? 'sip:alice@example.com';
      send(
        `REGISTER ${options.uri ?? 'sip:example.com'} SIP/2.0\r\n${options.vias ?? 'Via: SIP/2.0/UDP 127.0.0.9:5062;branch=z9hG4bKa\r\n'}From: <${to}>;tag=f1\r\nTo: <${to}>\r\nCall-ID: ${options.callId ?? 'reg-1'}\r\nCSeq: ${options.cseq ?? cseq} REGISTER\r\nMax-Forwards: 70\r\n${fields}Content-Length: 0\r\n\r\n`,
        options.flow,
      );
      return answer();
    },
  };
}

function idOf(tokens: FlowTokens, token: string | undefined): string | undefined {
  const way = token === undefined ? undefined : tokens.read(token)?.way;
  return way?.kind === 'datagram' ? formatSocketAddress(way.remote) : way?.id;
}

const listener: Listener = {
  local: { transport: 'udp', host: '127.0.0.1', port: 5_060 },
  flowTo: (remote) => flowOf('udp', { ...remote }),
  flowById: () => undefined,
  connections: 0,
  close: () => Promise.resolve(),
};

function flowOf(transport: Transport, remote = { host: '127.0.0.9', port: 5_062 }): Flow {
  return {
    transport,
    reliable: transport !== 'udp',
    local: { host: '127.0.0.1', port: 5_060 },
    remote,
    id: `${transport}-7`,
    send: () => undefined,
    close: () => undefined,
  };
}

const fieldsOf = (answer: string, name: string): readonly string[] =>
  answer
    .split('\r\n')
    .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    .map((line) => line.slice(name.length + 1).trim());

const statusOf = (answer: string): string => answer.slice(8, 11);

const phone = 'Contact: <sip:alice@127.0.0.9:5062>\r\n';

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
