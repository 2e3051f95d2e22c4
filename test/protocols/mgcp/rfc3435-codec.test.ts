import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMgcpAdapter } from '../../../protocols/mgcp/adapter.ts';
import { decodeDatagram } from '../../../protocols/mgcp/codec/decode.ts';
import { encodeDatagram } from '../../../protocols/mgcp/codec/encode.ts';
import {
  type MgcpDatagram,
  type MgcpMessage,
  parameter,
  parameterValues,
} from '../../../protocols/mgcp/codec/messages.ts';
import {
  readObservedEvents,
  readRequestedEvents,
  readSignals,
  writeRequestedEvents,
  writeSignals,
} from '../../../protocols/mgcp/codec/values/events.ts';
import {
  option,
  readConnectionParameters,
  readOptions,
  readPackages,
} from '../../../protocols/mgcp/codec/values/lists.ts';
import { covers, readEndpointName, readNotifiedEntity } from '../../../protocols/mgcp/codec/values/names.ts';
import { isAbsent, readAudio } from '../../../protocols/mgcp/codec/values/sdp.ts';
import { examineAdapter } from '../../contract/protocol-adapter.contract.ts';
import { offence } from './abnf.ts';

const folder = new URL('../../vectors/mgcp/', import.meta.url);
const vectors = readdirSync(folder)
  .filter((name) => name.endsWith('.txt'))
  .flatMap((name) =>
    readFileSync(new URL(name, folder), 'latin1')
      .split('\n----\n')
      .map((text) => ({ name, text: text.endsWith('\n') ? text : `${text}\n` })),
  );

const read = (text: string): readonly MgcpMessage[] => {
  const decoded = decodeDatagram(Buffer.from(text, 'latin1'));
  return decoded.ok ? decoded.value.messages : [];
};

const one = (text: string): MgcpMessage | undefined => read(text)[0];

describe('every example of RFC 3435, 3660, 3149, 3991 and 3624', () => {
  it('is there', () => {
    expect(vectors.length).toBeGreaterThan(185);
  });

  it('decodes, and is the same message after a round through the encoder', () => {
    for (const { name, text } of vectors) {
      const messages = read(text);
      expect(messages.length, text).toBeGreaterThan(0);
      for (const message of messages) expect(message.kind, `${name}: ${text}`).not.toBe('broken');
      expect(read(Buffer.from(encodeDatagram({ messages }, undefined)).toString('latin1'))).toEqual(messages);
    }
  });

  it('has event lists, connection parameters, options and entities that their readers take', () => {
    for (const { text } of vectors) {
      for (const message of read(text)) {
        if (message.kind === 'broken') continue;
        const requested = parameter(message, 'R');
        if (requested !== undefined) {
          const events = readRequestedEvents(requested);
          expect(events, requested).toBeDefined();
          expect(readRequestedEvents(writeRequestedEvents(events ?? []))).toEqual(
            (events ?? []).map((event) =>
              event.actions.length === 0 && event.parameters !== undefined
                ? { ...event, actions: [{ kind: 'N' }] }
                : event,
            ),
          );
        }
        for (const code of ['S', 'O', 'T', 'ES']) {
          const value = parameter(message, code);
          if (value === undefined) continue;
          const signals = readSignals(value);
          expect(signals, `${code}: ${value}`).toBeDefined();
          expect(readSignals(writeSignals(signals ?? []))).toEqual(signals);
        }
        for (const value of parameterValues(message, 'P')) expect(readConnectionParameters(value)).toBeDefined();
        for (const value of parameterValues(message, 'L')) expect(readOptions(value)).toBeDefined();
        for (const value of parameterValues(message, 'N')) expect(readNotifiedEntity(value), value).toBeDefined();
        for (const sdp of message.sdp) if (!isAbsent(sdp)) expect(readAudio(sdp)?.port).toBeGreaterThan(0);
      }
    }
  });
});

describe('RFC 3435 §3.2 and Appendix A: what is tolerated', () => {
  it('any case, LF or CRLF, extra white space, blanks before and after', () => {
    const message = one(
      '\r\n  rqnt  1201\taaln/1@rgw-2567.whatever.net   mgcp   1.0 \n x :  0123456789AC \r\nr:l/hd(n)\n',
    );
    expect(message).toMatchObject({
      kind: 'command',
      verb: 'RQNT',
      transactionId: 1201,
      endpoint: 'aaln/1@rgw-2567.whatever.net',
      parameters: [
        { code: 'X', value: '0123456789AC' },
        { code: 'R', value: 'l/hd(n)' },
      ],
    });
  });

  it('a profile name, and version 0.1 of the forerunner; others get 528', () => {
    expect(one('AUEP 1 *@g MGCP 1.0 NCS 1.0\n')).toMatchObject({ version: '1.0 NCS 1.0' });
    expect(one('AUEP 1 *@g MGCP 0.1\n')).toMatchObject({ version: '0.1' });
    expect(one('AUEP 7 *@g MGCP 2.0\n')).toMatchObject({ kind: 'broken', code: 528, transactionId: 7 });
  });

  it('two session descriptions, also an absent one (§3.3.7)', () => {
    const message = one('200 1203 OK\n\nv=0\no=- 1 1 IN IP4 1.2.3.4\n\nv=0\n');
    expect(message?.kind === 'response' ? message.sdp : []).toEqual(['v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\n', 'v=0\r\n']);
  });

  it('a response code of a package (§3.3)', () => {
    expect(one('800 1001 /SCRIPT failed\n')).toMatchObject({ code: 800, packageName: 'SCRIPT', comment: 'failed' });
  });
});

describe('RFC 3435 §3.5.5 piggy-backing', () => {
  it('processes each message on its own; a broken one is answered and does not touch its neighbours', () => {
    const messages = read('200 2005 OK\n.\nDLCX 1244 card23\n.\nNTFY 12 aaln/1@g MGCP 1.0\nX: 1\nO: L/hd\n');
    expect(messages.map(({ kind }) => kind)).toEqual(['response', 'broken', 'command']);
    expect(messages[1]).toMatchObject({ transactionId: 1244 });
  });

  it('parts a session description from the next message', () => {
    const messages = read('200 1 OK\nI: A\n\nv=0\ns=-\n.\nAUEP 2 *@g MGCP 1.0\n');
    expect(messages).toHaveLength(2);
  });
});

describe('RFC 3435 §2.4: what cannot be read is answered with its code', () => {
  const adapter = createMgcpAdapter();
  const answer = (text: string): string | undefined => {
    const decoded = adapter.decode(Buffer.from(text, 'latin1'));
    return decoded.ok || decoded.error.answer === undefined
      ? undefined
      : Buffer.from(decoded.error.answer(undefined)).toString();
  };
  it('a malformed endpoint 500, a missing version 510, a line that is no parameter 510', () => {
    expect(answer('RQNT 5 nowhere MGCP 1.0\n')).toMatch(/^500 5 /);
    expect(answer('RQNT 5 a@b\n')).toMatch(/^510 5 /);
    expect(answer('RQNT 5 a@b MGCP 1.0\nnonsense\n')).toMatch(/^510 5 /);
  });
  it('a broken response is never answered, nor what has no transaction id', () => {
    expect(answer('20 x\n')).toBeUndefined();
    expect(answer('RQNT five a@b MGCP 1.0\n')).toBeUndefined();
  });
});

describe('values', () => {
  it('embedded requests in either order (§3.2.2.16)', () => {
    const [event] = readRequestedEvents('L/hd(A, E(S(L/dl),R(L/oc, L/hu, D/[0-9#*T](D)),D((0T|91xx.T))))') ?? [];
    const [, embedded] = event?.actions ?? [];
    expect(embedded).toMatchObject({
      kind: 'E',
      embedded: { signals: [{ packageName: 'L', id: 'dl' }], digitMap: '(0T|91xx.T)' },
    });
  });
  it('digit strings become digits (§3.2.2.12)', () => {
    expect(
      readObservedEvents('D/8295555T')
        ?.map(({ id }) => id)
        .join(''),
    ).toBe('8295555T');
    expect(readObservedEvents('8,2,L/hu')?.map(({ id }) => id)).toEqual(['8', '2', 'hu']);
  });
  it('quoted strings keep their commas and parentheses (§3.2.2.4)', () => {
    expect(readSignals('L/ci(10/14/17/26,"555 (1), x","a ""b"""), L/rg')).toHaveLength(2);
  });
  it('packages of capabilities and of lists (§3.2.2.3, §3.2.2.13)', () => {
    expect(readPackages(option(readOptions('a:PCMU;G728, p:10-100, v:L;red, m:sendonly') ?? [], 'v') ?? '')).toEqual([
      'L',
      'RED',
    ]);
    expect(readPackages('L:1,G:1,D:0')).toEqual(['L', 'G', 'D']);
  });
  it('wildcards cover what stands behind them (§2.1.2)', () => {
    expect(covers('*', 'aaln/1')).toBe(true);
    expect(covers('aaln/*', 'aaln/1')).toBe(true);
    expect(covers('aaln/*', 'ds/1')).toBe(false);
    expect(covers('aaln/1', 'AALN/1')).toBe(true);
    expect(covers('aaln/1', 'aaln/11')).toBe(false);
  });

  it('ranges of numbers in a term (Appendix E.5)', () => {
    expect(covers('ds/ds1-1/[1-12]', 'ds/ds1-1/12')).toBe(true);
    expect(covers('ds/ds1-1/[1,3,20-24]', 'ds/ds1-1/21')).toBe(true);
    expect(covers('ds/ds1-1/[1,3,20-24]', 'ds/ds1-1/2')).toBe(false);
    expect(covers('DS/ds1-[1-2]/*', 'ds/ds1-2/7')).toBe(true);
    for (const local of ['aaln/0', 'aaln/4', 'aaln/01', 'aaln/', 'aaln/1a', 'aaln', 'aaln/1/1', 'aaln/12'])
      expect(covers('aaln/[1-3]', local), local).toBe(false);
    for (const pattern of ['aaln/[', 'aaln/[1-3', 'aaln/[]', 'aaln/[-]', 'aaln/[a-z]', 'aaln/[3-1]'])
      expect(covers(pattern, 'aaln/2'), pattern).toBe(false);
  });
  it('notified entities with a name, a literal, a port (§3.2.1.3)', () => {
    expect(readNotifiedEntity('ca@ca1.whatever.net:5678')).toEqual({
      transport: 'udp',
      user: 'ca',
      host: 'ca1.whatever.net',
      port: 5678,
    });
    expect(readNotifiedEntity('[128.96.41.12]')).toMatchObject({ host: '128.96.41.12', port: 2727 });
    expect(readNotifiedEntity('ca@[2001:db8::1]')).toMatchObject({ host: '2001:db8::1' });
    expect(readNotifiedEntity('ca@host:99999')).toBeUndefined();
    expect(readEndpointName('aaln/1@[127.0.0.1]')).toEqual({ local: 'aaln/1', domain: '127.0.0.1' });
  });
});

describe('properties', () => {
  const token = fc.stringMatching(/^[A-Za-z0-9/.-]{1,12}$/);
  const value = fc.stringMatching(/^([!-~]([ -~]{0,30}[!-~])?)?$/);
  const code = fc.constantFrom(
    'X',
    'R',
    'S',
    'N',
    'C',
    'I',
    'L',
    'M',
    'RM',
    'ES',
    'X-ALTPTH',
    'X+Foo',
    'RED/NL',
    'PKG/Name-1',
  );
  const parameters = fc.array(fc.record({ code, value }), { maxLength: 8 });
  const sdp = fc.array(fc.constantFrom('v=0\r\n', 'v=0\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nm=audio 4 RTP/AVP 0\r\n'), {
    maxLength: 2,
  });
  const message = fc.oneof(
    fc.record({
      kind: fc.constant('command' as const),
      verb: fc.constantFrom('CRCX', 'MDCX', 'DLCX', 'RQNT', 'NTFY', 'AUEP', 'AUCX', 'RSIP', 'EPCF', 'XABC'),
      transactionId: fc.integer({ min: 1, max: 999_999_999 }),
      endpoint: fc.tuple(token, token).map(([a, b]) => `${a}@${b}`),
      version: fc.constant('1.0'),
      parameters,
      sdp,
    }),
    fc.record({
      kind: fc.constant('response' as const),
      code: fc.integer({ min: 0, max: 799 }),
      transactionId: fc.integer({ min: 1, max: 999_999_999 }),
      packageName: fc.constant(undefined),
      comment: value.filter((text) => !text.startsWith('/')),
      parameters,
      sdp,
    }),
  );

  it('decode(encode(m)) equals m', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), (messages) => {
        const decoded = decodeDatagram(encodeDatagram({ messages }, undefined));
        expect(decoded).toEqual({ ok: true, value: { messages } });
      }),
    );
  });

  it('the readers of values never throw', () => {
    const near = fc.oneof(
      fc.string({ maxLength: 60 }),
      fc
        .array(fc.constantFrom('L/hd', '(', ')', 'E(', 'R(', 'S(', 'D(', ',', '"', '[0-9', ']', '@', '$', 'N', ' '), {
          maxLength: 40,
        })
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(near, (text) => {
        readRequestedEvents(text);
        readSignals(text);
        readObservedEvents(text);
        readOptions(text);
        readConnectionParameters(text);
        readNotifiedEntity(text);
        readEndpointName(text);
        readAudio(text);
      }),
      { numRuns: 500 },
    );
  });

  it('readers of values take linear time for 64 kB', () => {
    for (const text of [
      '('.repeat(65_000),
      'L/hd(E(R('.repeat(7_000),
      '"'.repeat(65_000),
      'a,'.repeat(32_000),
      'L/hd(('.repeat(10_000),
    ]) {
      let best = Number.POSITIVE_INFINITY;
      for (let run = 0; run < 5; run += 1) {
        const started = performance.now();
        readRequestedEvents(text);
        readSignals(text);
        readOptions(text);
        best = Math.min(best, performance.now() - started);
      }
      expect(best).toBeLessThan(15);
    }
  });

  it('the strict grammar takes the canonical form of a typical command', () => {
    const text =
      'CRCX 1 aaln/1@rgw1 MGCP 1.0\r\nC: A1\r\nL: p:20, a:PCMU\r\nM: recvonly\r\nX: 1\r\nR: L/hu(N)\r\nS:\r\n';
    expect(offence(text)).toBeUndefined();
    expect(offence(text.replace('C: A1', 'C: XYZ'))).toBe('C: XYZ');
    expect(offence(text.replace('M: recvonly', 'F: X'))).toBe('CRCX must not have F: X');
  });
});

const address = (host: string, port: number) => ({ transport: 'udp' as const, host, port, user: 'ca' });

examineAdapter<MgcpDatagram>('mgcp', () => ({
  adapter: createMgcpAdapter(),
  exchanges: [
    {
      request: Buffer.from('RQNT 1201 aaln/1@rgw MGCP 1.0\r\nX: 1\r\nR: L/hd(N)\r\n'),
      responses: [Buffer.from('100 1201 Pending\r\n'), Buffer.from('200 1201 OK\r\n')],
    },
    {
      request: Buffer.from(
        'CRCX 1204 aaln/1@rgw MGCP 1.0\r\nC: A3C47F21456789F0\r\nL: p:10, a:PCMU\r\nM: recvonly\r\n',
      ),
      responses: [
        Buffer.from(
          '200 1204 OK\r\nI: FDE234C8\r\n\r\nv=0\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 3456 RTP/AVP 0\r\n',
        ),
      ],
    },
  ],
  events: [Buffer.from('000 1206\r\n')],
  garbage: [
    Buffer.from(''),
    Buffer.from('\r\n\r\n'),
    Buffer.from('INVITE sip:a@b SIP/2.0\r\n\r\n'),
    Buffer.from([0, 255, 17]),
  ],
  ours: {
    bytes: Buffer.from('RQNT 7 aaln/1@rgw MGCP 1.0\r\nN: ca@[127.0.0.1]:2727\r\nX: 1\r\nR: L/hd(N)\r\n'),
    self: address('127.0.0.1', 2727),
  },
  alternates: [
    address('127.0.0.2', 2727),
    address('127.0.0.3', 2728),
    address('ca.example.net', 2727),
    address('2001:db8::1', 2729),
  ],
}));
