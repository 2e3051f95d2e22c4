import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBinary } from '../../../protocols/megaco/codec/binary/decode.ts';
import { toDefinite } from '../../../protocols/megaco/codec/binary/definite.ts';
import { encodeBinary } from '../../../protocols/megaco/codec/binary/encode.ts';
import { TerminationNaming } from '../../../protocols/megaco/codec/binary/termination-naming.ts';
import type { MegacoMessage } from '../../../protocols/megaco/codec/messages.ts';
import { decodeText } from '../../../protocols/megaco/codec/text/decode.ts';
import { encodeText } from '../../../protocols/megaco/codec/text/encode.ts';
import { vectors } from './vectors.ts';

const naming = new TerminationNaming();
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const termination = fc.oneof(
  fc.constantFrom('ROOT', '*', '$', 'aaln/*', 'rtp/$'),
  fc.integer({ min: 0, max: 9_999 }).map((n) => `aaln/${n}`),
  fc.integer({ min: 0, max: 9_999 }).map((n) => `rtp/${n}`),
);
const plain = fc.stringMatching(/^[a-zA-Z0-9 .:-]{0,12}$/);
const value = fc.oneof(
  plain.map((text) => `"${text}"`),
  fc.integer({ min: -100_000, max: 4_000_000_000 }).map(String),
  fc.constantFrom('on', 'off'),
);
const parameter = (names: string[]) =>
  fc.oneof(
    fc.record({
      name: fc.constantFrom(...names),
      relation: fc.constantFrom('=', '>', '<', '#'),
      values: fc.tuple(value),
    }),
    fc.record({ name: fc.constantFrom(...names), relation: fc.constant('range'), values: fc.tuple(value, value) }),
    fc.record({
      name: fc.constantFrom(...names),
      relation: fc.constantFrom('sublist', 'alternatives'),
      values: fc.array(value, { minLength: 2, maxLength: 3 }),
    }),
  );
const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { maxLength: 3 });
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const sdp = fc.constantFrom(
  'v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 0',
  'v=0\nc=IN IP4 127.0.0.1\nm=audio 4000 RTP/AVP 8\na=x:{}\nv=0\nm=audio 1 RTP/AVP 0',
);
const properties = some(parameter(['nt/jit', 'tdmc/gain', 'tdmc/ec', 'x0101/x0002']));
const signal = fc.record({
  kind: fc.constant('signal'),
  name: fc.constantFrom('cg/dt', 'al/ri', 'cg/rt', 'x0102/x0304'),
  streamId: maybe(uint16),
  type: maybe(fc.constantFrom('OnOff', 'TimeOut', 'Brief')),
  duration: maybe(uint16),
  notifyCompletion: maybe(fc.constantFrom(['TimeOut'], ['TimeOut', 'OtherReason'])),
  keepActive: maybe(fc.constant(true)),
  parameters: some(parameter(['x0701', 'x0702'])),
});
const signals = fc.record({
  kind: fc.constant('Signals'),
  signals: some(
    fc.oneof(
      signal,
      fc.record({ kind: fc.constant('list'), id: uint16, signals: fc.array(signal, { minLength: 1, maxLength: 2 }) }),
    ),
  ),
});
const digitMapValue = fc.record({
  startTimer: maybe(fc.integer({ min: 1, max: 99 })),
  shortTimer: maybe(fc.integer({ min: 1, max: 99 })),
  longTimer: maybe(fc.integer({ min: 1, max: 99 })),
  durationTimer: maybe(fc.integer({ min: 1, max: 99 })),
  body: fc.constantFrom('(0|00|[1-7]xxx)', '(x.)'),
});
const event = (embedEvents: fc.Arbitrary<unknown>) =>
  fc.record({
    name: fc.constantFrom('al/on', 'al/of', 'dd/ce', 'it/ito'),
    streamId: maybe(uint16),
    keepActive: maybe(fc.constant(true)),
    digitMap: maybe(fc.oneof(fc.record({ name: fc.constantFrom('dm0', 'dm77') }), fc.record({ value: digitMapValue }))),
    embedSignals: maybe(signals),
    embedEvents,
    parameters: some(parameter(['x0701', 'x0709'])),
  });
const events = (inner: fc.Arbitrary<unknown>) =>
  fc.oneof(
    fc.record({
      kind: fc.constant('Events'),
      requestId: uint32,
      events: fc.array(event(inner), { minLength: 1, maxLength: 2 }),
    }),
    fc.constant({ kind: 'Events', requestId: undefined, events: [] }),
  );
const stream = (streamId: fc.Arbitrary<number | undefined>) =>
  fc.record({
    streamId,
    localControl: maybe(
      fc.record({
        mode: fc.constantFrom('SendOnly', 'ReceiveOnly', 'SendReceive', 'Inactive', 'Loopback'),
        reserveGroup: maybe(fc.boolean()),
        reserveValue: maybe(fc.boolean()),
        properties,
      }),
    ),
    local: maybe(sdp),
    remote: sdp,
  });
const media = fc.record({
  kind: fc.constant('Media'),
  terminationState: maybe(
    fc.record({
      properties,
      serviceStates: fc.constantFrom('Test', 'OutOfService', 'InService'),
      buffer: maybe(fc.constantFrom('OFF', 'LockStep')),
    }),
  ),
  streams: fc.oneof(
    stream(fc.constant(undefined)).map((only) => [only]),
    fc.array(stream(uint16), { minLength: 1, maxLength: 2 }),
  ),
});
const time = fc.constantFrom('19990729T22000000', '20261122T18300099');
const observed = fc.record({
  kind: fc.constant('ObservedEvents'),
  requestId: uint32,
  events: fc.array(
    fc.record({
      name: fc.constantFrom('al/on', 'dd/ce'),
      timeStamp: maybe(time),
      streamId: maybe(uint16),
      parameters: some(parameter(['x0701', 'x0709'])),
    }),
    { minLength: 1, maxLength: 2 },
  ),
});
const error = fc.record({ kind: fc.constant('Error'), code: fc.integer({ min: 1, max: 999 }), text: maybe(plain) });
const audit = fc.constantFrom(
  { kind: 'Audit', items: [] },
  { kind: 'Audit', items: ['Media', 'Events', 'Signals'] },
  { kind: 'Audit', items: ['Packages', 'EventBuffer'] },
);
const services = fc.record({
  kind: fc.constant('Services'),
  method: fc.constantFrom('Restart', 'HandOff', 'Disconnected'),
  address: maybe(fc.constantFrom('2944', '[127.0.0.1]:2944', '[2001:db8::7]:1', '<a.example>')),
  version: maybe(fc.integer({ min: 1, max: 3 })),
  profile: maybe(fc.constant('resgw/1')),
  reason: fc.constantFrom('901 Cold Boot', '909'),
  delay: maybe(uint32),
  mgcId: maybe(fc.constantFrom('[127.0.0.1]:2944', 'mgc1')),
  timeStamp: maybe(time),
  extensions: maybe(fc.constant([{ name: 'x-altpth', relation: '=', values: ['"[127.0.0.2]:2944"'] }])),
});
const command = fc.oneof(
  fc.record({
    verb: fc.constantFrom('Add', 'Move', 'Modify'),
    terminationId: termination,
    descriptors: some(fc.oneof(media, signals, events(maybe(events(fc.constant(undefined)))), audit)),
    optional: fc.boolean(),
    wildcardReturn: fc.boolean(),
  }),
  fc.record({
    verb: fc.constantFrom('Subtract', 'AuditValue', 'AuditCapability'),
    terminationId: termination,
    descriptors: fc.tuple(audit),
    optional: fc.boolean(),
    wildcardReturn: fc.boolean(),
  }),
  fc.record({
    verb: fc.constant('Notify'),
    terminationId: termination,
    descriptors: fc.tuple(observed),
    optional: fc.boolean(),
    wildcardReturn: fc.boolean(),
  }),
  fc.record({
    verb: fc.constant('ServiceChange'),
    terminationId: termination,
    descriptors: fc.tuple(services),
    optional: fc.boolean(),
    wildcardReturn: fc.boolean(),
  }),
);
const attributes = fc.record({
  topology: maybe(fc.constant([{ from: 'aaln/1', to: 'rtp/2', direction: 'Oneway' }])),
  priority: fc.integer({ min: 0, max: 15 }),
  emergency: maybe(fc.constant(true)),
});
const contextId = fc.oneof(uint32, fc.constantFrom(0, 0xfffffffe, 0xffffffff));
const transaction = fc.oneof(
  fc.record({
    kind: fc.constant('request'),
    transactionId: uint32,
    actions: fc.array(
      fc.record({
        contextId,
        context: maybe(attributes),
        contextAudit: maybe(fc.constant(['Topology', 'Priority'])),
        commands: fc.array(command, { minLength: 1, maxLength: 3 }),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    syntaxError: fc.constant(undefined),
  }),
  fc.record({
    kind: fc.constant('reply'),
    transactionId: uint32,
    immAckRequired: fc.boolean(),
    error: fc.constant(undefined),
    actions: fc.array(
      fc.record({
        contextId,
        error: maybe(error),
        context: maybe(attributes),
        commands: fc.array(
          fc.record({
            verb: fc.constantFrom('Add', 'Modify', 'AuditValue', 'Subtract'),
            terminationId: termination,
            descriptors: some(fc.oneof(media, error, signals, observed)),
            contextTerminations: fc.constant(undefined),
          }),
          { minLength: 1, maxLength: 2 },
        ),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  }),
  fc.record({
    kind: fc.constant('reply'),
    transactionId: uint32,
    immAckRequired: fc.boolean(),
    error,
    actions: fc.constant([]),
  }),
  fc.record({ kind: fc.constant('pending'), transactionId: uint32 }),
  fc.record({ kind: fc.constant('ack'), ranges: fc.array(fc.tuple(uint32, uint32), { minLength: 1, maxLength: 3 }) }),
);

/** Made of what both encodings can say. The cast is the test's own: the records above have the model's shape. */
const message = fc.record({
  version: fc.integer({ min: 1, max: 3 }),
  mId: fc.constantFrom('[127.0.0.1]:2944', '<mgc.example>', 'gw1', '[2001:db8::1]'),
  body: fc.oneof(
    fc.record({
      kind: fc.constant('transactions'),
      transactions: fc.array(transaction, { minLength: 1, maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant('error'), error }),
  ),
  authentication: fc.constant(undefined),
  alternatePath: maybe(fc.constantFrom(['[127.0.0.2]:2944'], ['[127.0.0.2]:2944', '<mgc3.example>'])),
}) as fc.Arbitrary<MegacoMessage>;

describe('the codecs', () => {
  it.each(['pretty', 'compact'] as const)('decode(encode(m)) is m in %s', (style) => {
    check(
      fc.property(message, (m) => {
        expect(decodeText(encodeText(m, style))).toEqual({ ok: true, value: { ...m, encoding: style } });
      }),
      { numRuns: 300 },
    );
  });

  it('decode(encode(m)) is m in BER, and with indefinite lengths too', () => {
    check(
      fc.property(message, (m) => {
        const bytes = encodeBinary(m, naming);
        const expected = { ok: true, value: { ...m, encoding: 'binary' } };
        expect(decodeBinary(bytes, () => naming)).toEqual(expected);
        expect(toDefinite(bytes)).toEqual(bytes);
        expect(decodeBinary(Buffer.from(indefinite(bytes)), () => naming)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('never throw on any octets', () => {
    check(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        decodeText(bytes);
        decodeBinary(bytes, () => naming);
        decodeBinary(Uint8Array.of(0x30, 0x82, bytes.length >> 8, bytes.length & 255, ...bytes), () => naming);
      }),
      { numRuns: 500 },
    );
  });

  it('never throw on a message with octets changed, cut or doubled', () => {
    check(
      fc.property(
        fc.constantFrom(...vectors),
        fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.nat(3)), { minLength: 1, maxLength: 8 }),
        ({ compact, pretty, ber }, edits) => {
          for (const source of [
            Buffer.from(compact, 'latin1'),
            Buffer.from(pretty, 'latin1'),
            Buffer.from(ber, 'hex'),
          ]) {
            const bytes = [...source];
            for (const [at, octet, how] of edits) {
              const pos = at % Math.max(1, bytes.length);
              if (how === 0) bytes[pos] = octet;
              else if (how === 1) bytes.splice(pos, 1);
              else if (how === 2) bytes.splice(pos, 0, octet);
              else bytes.length = Math.max(1, pos);
            }
            decodeText(Uint8Array.from(bytes));
            decodeBinary(Uint8Array.from(bytes), () => naming);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each([
    ['braces', '{'],
    ['opened transactions', 'T=1{C=1{'],
    ['requests without end', 'T=1{C=1{MF=a{M{ST=1{'],
    ['comments', ';'],
    ['comment lines', ';AlternatePath=[\n'],
    ['quotes', 'T=1{"'],
    ['digits', '9'],
    ['signals', 'T=1{C=1{MF=a{SG{a/b,'],
  ])('take linear time for 64 kB of %s', (_name, unit) => {
    const bytes = Buffer.from(`!/1 gw ${unit.repeat(Math.ceil(64_000 / unit.length))}`);
    decodeText(bytes);
    expect(best(() => decodeText(bytes))).toBeLessThan(50);
  });

  it.each([
    ['nested elements', '30820fff'],
    ['indefinite elements', '3080'],
    ['embedded events', 'a280a180'],
  ])('take linear time for 64 kB of %s in BER', (_name, unit) => {
    const bytes = Buffer.from(unit.repeat(16_000), 'hex').subarray(0, 64_000);
    decodeBinary(bytes, () => naming);
    expect(best(() => decodeBinary(bytes, () => naming))).toBeLessThan(50);
  });
});

/** The least of five: what the machine does besides is not the decoder's. */
function best(run: () => unknown): number {
  return Math.min(
    ...Array.from({ length: 5 }, () => {
      const start = performance.now();
      run();
      return performance.now() - start;
    }),
  );
}

/** The same elements with every constructed one of indefinite length. */
function indefinite(bytes: Uint8Array): number[] {
  const out: number[] = [];
  let pos = 0;
  while (pos < bytes.length) {
    const tag = bytes[pos] ?? 0;
    let length = bytes[pos + 1] ?? 0;
    pos += 2;
    if (length > 0x80) {
      const octets = length & 0x7f;
      length = 0;
      for (let index = 0; index < octets; index += 1) length = length * 256 + (bytes[pos + index] ?? 0);
      pos += octets;
    }
    const content = bytes.subarray(pos, pos + length);
    pos += length;
    if ((tag & 0x20) !== 0) out.push(tag, 0x80, ...indefinite(content), 0, 0);
    else if (length < 0x80) out.push(tag, length, ...content);
    else out.push(tag, 0x82, length >> 8, length & 0xff, ...content);
  }
  return out;
}

/** Properties here are synchronous. */
function check<T>(property: fc.IProperty<T>, options: fc.Parameters<T>): void {
  void fc.assert(property, options);
}
