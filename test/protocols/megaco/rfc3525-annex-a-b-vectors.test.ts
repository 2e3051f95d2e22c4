import { describe, expect, it } from 'vitest';
import { decodeBinary } from '../../../protocols/megaco/codec/binary/decode.ts';
import { encodeBinary } from '../../../protocols/megaco/codec/binary/encode.ts';
import type { Descriptor, MegacoMessage } from '../../../protocols/megaco/codec/messages.ts';
import { decodeText } from '../../../protocols/megaco/codec/text/decode.ts';
import { encodeText } from '../../../protocols/megaco/codec/text/encode.ts';
import { vectorNaming, vectors } from './vectors.ts';

const fromText = (text: string): MegacoMessage => {
  const decoded = decodeText(Buffer.from(text, 'latin1'));
  if (!decoded.ok) throw new Error(`${decoded.error.code} ${decoded.error.reason} at ${decoded.error.offset}`);
  return decoded.value;
};

const fromBinary = (bytes: Uint8Array): MegacoMessage => {
  const decoded = decodeBinary(bytes, () => vectorNaming);
  if (!decoded.ok) throw new Error(`${decoded.error.reason} at ${decoded.error.offset}`);
  return decoded.value;
};

/** What the two encodings cannot both say is levelled: SDP line ends, order of audit items, digit map names, case of enumerations. */
const levelled = (message: MegacoMessage): unknown =>
  JSON.parse(
    JSON.stringify({ ...message, encoding: undefined })
      .replaceAll('\\r', '')
      .replaceAll('dialplan0', 'dm0')
      .replaceAll('"fm"', '"FM"'),
    (key, value: unknown) => {
      if (!Array.isArray(value)) return value;
      if (key === 'items') return [...value].sort();
      // OTP's BER cannot say that a descriptor is empty.
      return key === 'descriptors' ? value.filter((each) => !JSON.stringify(each).includes('"empty"')) : value;
    },
  );

describe.each(vectors)('RFC 3015 Appendix A.1 $name', ({ rfc, text, pretty, compact, ber }) => {
  it('reads the text of the RFC, and again what it writes of it, in both forms', () => {
    for (const source of [rfc, text, pretty, compact]) {
      const message = fromText(source);
      for (const style of ['pretty', 'compact'] as const) {
        expect(fromText(encodeText(message, style).toString('latin1'))).toEqual({ ...message, encoding: style });
      }
    }
  });

  it("reads OTP's pretty, compact and BER to the same message", () => {
    expect(levelled(fromText(pretty))).toEqual(levelled(fromText(compact)));
    expect(levelled(fromBinary(Buffer.from(ber, 'hex')))).toEqual(levelled(fromText(compact)));
  });

  it("writes the very octets of OTP's BER", () => {
    expect(encodeBinary(fromBinary(Buffer.from(ber, 'hex')), vectorNaming).toString('hex')).toBe(ber);
  });

  it('writes in binary what it read in text', () => {
    const message = fromText(compact);
    expect(levelled(fromBinary(encodeBinary(message, vectorNaming)))).toEqual(levelled(message));
  });
});

describe('RFC 3525 Annex B.2 beyond the appendix', () => {
  const rich = `  ; a comment first
mEgAcO/1 <MGC1.example>:2944 ; another "quoted" one
TrAnSaCtIoN = 1 { Context = $ { Topology{ aaln/1 , rtp/1,oneway , a,b , Isolate} , PR=4, EmergencY ,
 ContextAudit{Topology,Priority}, O-W-Add = AALN/1@GW.example { Media { TerminationState { alternatepath/addr = "x y",
 ServiceStates=Test , Buffer = lockstep }, Stream = 7 { LocalControl { Mode = SO, ReservedGroup=ON, RV=off,
 nt/jit > 10, tdmc/gain=[1:5], x/y={1,2}, x/z=["a","b"] }, Local { v=0
a=x:{\\}
}, Remote{v=0
} } }, Events = 12 { al/of { KeepActive, strict=state }, dd/ce { DigitMap={T:16,S:4,L:8,([1-7]xxx|911)},
 Embed { Signals { cg/rt { Duration=50, SignalType=TimeOut, NotifyCompletion={TimeOut,IBE}, Stream=1, KA, p="q" },
 SignalList=3{cg/dt,cg/bt} }, Events=13 { al/on { Embed { Signals{} } } } } } }, EventBuffer { al/on {Stream=2} },
 DM = Plan { S:3, (x.) }, Mux=H223 {a,b}, Modem[V32b,V34]{x/y=1} } },
 C=* { W-AV=* {AT{}} }, C=- { SC = ROOT { Services { Method=x-abc, Delay=5, MgcIdToTry=[::1]:2945, V=3, PF=Prof/2,
 RE="900 Service Restored", 20000101T00000000, X-AltPth="[127.0.0.2]:2944", AD=4000 } } } }
Reply=2{IA,Er=400{"bad"}} K{1,5-9} PN=77 {} P=3{C=1{MF=a{ER=430{}}, AV=C{a,b/1}, ER=411{"x"}}}
 `;

  it('reads every production, any case, comments and all, and writes it back the same', () => {
    const message = fromText(rich);
    if (message.body.kind !== 'transactions') throw new Error('transactions expected');
    expect(message.body.transactions.map(({ kind }) => kind)).toEqual(['request', 'reply', 'ack', 'pending', 'reply']);
    for (const style of ['pretty', 'compact'] as const)
      expect(fromText(encodeText(message, style).toString('latin1'))).toEqual({ ...message, encoding: style });
    const [request] = message.body.transactions;
    if (request?.kind !== 'request') throw new Error('request expected');
    const [add] = request.actions[0]?.commands ?? [];
    expect(add).toMatchObject({
      verb: 'Add',
      optional: true,
      wildcardReturn: true,
      terminationId: 'aaln/1@gw.example',
    });
    const media = add?.descriptors.find((each: Descriptor) => each.kind === 'Media');
    expect(media).toMatchObject({
      streams: [
        {
          streamId: 7,
          local: 'v=0\na=x:{}',
          localControl: { mode: 'SendOnly', reserveGroup: true, reserveValue: false },
        },
      ],
    });
  });

  it('knows MTP, IPv6 and device mIds', () => {
    for (const [text, mId] of [
      ['MTP { 00AB12 }', 'MTP{00ab12}'],
      ['[2001:DB8::1]:2945', '[2001:db8::1]:2945'],
      ['gw_1/a@b.example', 'gw_1/a@b.example'],
    ]) {
      const message = fromText(`!/1 ${text} PN=1{}`);
      expect(message.mId).toBe(mId);
      expect(fromBinary(encodeBinary(message, vectorNaming)).mId).toBe(mId);
    }
  });

  it.each([
    ['MEGACO/1 [1.2.3.4] Transaction = 7 { Foo = 1 { } }', 421],
    ['MEGACO/1 [1.2.3.4] Transaction = 7 { Context = x { Notify=a } }', 422],
    ['MEGACO/1 [1.2.3.4] Transaction = 7 { Context = 1 { Explode=a } }', 443],
    ['MEGACO/1 [1.2.3.4] Transaction = 7 { Context = 1 { Modify=, Add=b } }', 442],
    ['MEGACO/1 [1.2.3.4] Transaction = 7 { Context = 1 { Modify=a{Nonsense{}} } }', 442],
    ['MEGACO/1 [1.2.3.4] Transaction = 7 { Context = 1 { Modify=a', 403],
  ])('keeps the transaction id of a broken request and the code to answer with: %s → %i', (text, code) => {
    const decoded = decodeText(Buffer.from(text));
    expect(decoded).toMatchObject({
      ok: true,
      value: { body: { transactions: [{ kind: 'request', transactionId: 7, actions: [], syntaxError: { code } }] } },
    });
  });

  it('reads the transactions behind a broken one', () => {
    const message = fromText('!/1 gw T=1{C=1{XX=a{"}"}}} T=2{C=-{N=a{OE=1{al/on}}}}');
    expect(message.body).toMatchObject({
      transactions: [
        { transactionId: 1, syntaxError: { code: 443 } },
        { transactionId: 2, syntaxError: undefined },
      ],
    });
  });

  it.each([
    ['', 400],
    ['HELLO', 400],
    ['MEGACO/1', 400],
    ['MEGACO/1 [1.2.3.4', 400],
    ['MEGACO/1 [999.2.3.4] PN=1{}', 400],
    ['MEGACO/7 [1.2.3.4] PN=1{}', 406],
    ['MEGACO/1 [1.2.3.4] Nonsense=1{}', 403],
    ['MEGACO/1 [1.2.3.4] PN=1{} trailing', 403],
    ['MEGACO/1 [1.2.3.4] Reply=1{', 400],
  ])('refuses what is no message: %j → %i', (text, code) => {
    expect(decodeText(Buffer.from(text))).toMatchObject({ ok: false, error: { code } });
  });

  it('says a decode failure of a binary transaction with its id', () => {
    const good = encodeBinary(fromText('!/1 gw T=9{C=1{N=a1{OE=1{al/on}}}}'), vectorNaming);
    // The tag of the command becomes one that Annex A does not have.
    const at = good.indexOf(Buffer.from('a6', 'hex'));
    good[at] = 0xaf;
    expect(decodeBinary(good, () => vectorNaming)).toMatchObject({
      ok: true,
      value: { body: { transactions: [{ transactionId: 9, syntaxError: { code: expect.any(Number) } }] } },
    });
  });
});

describe('the path attribute (docs/alternate-path.md)', () => {
  const path = ['[127.0.0.2]:2944', '<mgc3.example>:2944'];

  it.each(vectors)('stands before the last brace of $name and is read back', ({ compact, ber }) => {
    const text = encodeText({ ...fromText(compact), alternatePath: path }, 'compact').toString('latin1');
    expect(text).toMatch(/ ;AlternatePath=\[127\.0\.0\.2\]:2944 <mgc3\.example>:2944\n\}$/);
    expect(fromText(text).alternatePath).toEqual(path);
    const binary = encodeBinary({ ...fromBinary(Buffer.from(ber, 'hex')), alternatePath: path }, vectorNaming);
    expect(fromBinary(binary).alternatePath).toEqual(path);
  });

  it('is not taken from inside a session description or a string', () => {
    const message = fromText(
      '!/1 gw T=1{C=1{MF=a{M{L{v=0\n;AlternatePath=[6.6.6.6]:1\n}},E=1{x/y{p=";AlternatePath=[6.6.6.6]:1"}}}}}',
    );
    expect(message.alternatePath).toBeUndefined();
  });

  it('leaves out what is no address', () => {
    expect(fromText('!/1 gw PN=1{ ;AlternatePath=[1.2.3.4]:1 nonsense <a>:7 "x"\n}').alternatePath).toEqual([
      '[1.2.3.4]:1',
      '<a>:7',
    ]);
  });
});
