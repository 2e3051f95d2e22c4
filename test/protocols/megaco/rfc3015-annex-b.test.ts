import { describe, expect, it } from 'vitest';
import { decodeText } from '../../../protocols/megaco/codec/text/decode.ts';

/**
 * The rules of Annex B.2 in which RFC 3015 (November 2000) and RFC 3525 (June 2003) differ, and how each form is read:
 *
 * | Rule | RFC 3015 | RFC 3525 |
 * |---|---|---|
 * | commandRequestList, subtractRequest, auditRequest | `W-` before Subtract and audits alone | `W-` before any command |
 * | actionReply | an error, or command replies | command replies with an error behind them as well |
 * | auditOther | always with braces | the termination id alone is an answer |
 * | mtpAddress | octetString of two octets | 4 to 8 hexadecimal digits |
 * | eventBufferDescriptor, eventsDescriptor, embedFirst | always with braces | the bare token is an empty one |
 * | eventDM | `DM{…}` for a map of its own | `DM={…}` |
 * | RequestID | UINT32 | UINT32 or `*` |
 * | modemDescriptor | `NAME parmValue` | propertyParm |
 * | servChgReplyParm | no TimeStamp | TimeStamp |
 * | serviceChangeAddress | VALUE | mId or port number |
 * | statisticsParameter | with a value | the name alone as well |
 * | topologyDescriptor | one triple | several |
 * | quotedString | at least one character | may be empty |
 * Parentheses, comments and line breaks differ elsewhere, and mean the same.
 */
const read = (text: string) => {
  const decoded = decodeText(Buffer.from(`!/1 gw1\n${text}`));
  if (!decoded.ok) throw new Error(`${decoded.error.code} ${decoded.error.reason} at ${decoded.error.offset}`);
  const { body } = decoded.value;
  const [transaction] = body.kind === 'error' ? [] : body.transactions;
  if (transaction === undefined || transaction.kind === 'ack' || transaction.kind === 'pending') throw new Error(text);
  if (transaction.kind === 'request' && transaction.syntaxError !== undefined)
    throw new Error(transaction.syntaxError.reason);
  if (transaction.kind === 'reply' && transaction.unreadable === true)
    throw new Error(JSON.stringify(transaction.actions));
  return transaction.actions;
};

/** A reply to an audit that says this of the line. */
const audited = (descriptors: string) => read(`P=1{C=-{AV=aaln/1{${descriptors}}}}`)[0]?.commands[0]?.descriptors;
const modified = (descriptors: string) => read(`T=1{C=-{MF=aaln/1{${descriptors}}}}`)[0]?.commands[0]?.descriptors;

describe('RFC 3015 Annex B.2 and RFC 3525 Annex B.2: both forms mean the same', () => {
  it.each([
    ['eventDM', 'E=1{dd/ce{DM{T:16,S:4,L:8,(2xx)}}}', 'E=1{dd/ce{DM={T:16,S:4,L:8,(2xx)}}}'],
    ['eventDM, long form', 'Events=1{dd/ce{DigitMap {T:16,(2xx)}}}', 'Events=1{dd/ce{DigitMap = {T:16,(2xx)}}}'],
    [
      'eventDM in an embedded event',
      'E=1{al/of{EM{E=2{dd/ce{KA,DM{(2xx)}}},SG{cg/dt}}}}',
      'E=1{al/of{EM{E=2{dd/ce{KA,DM={(2xx)}}},SG{cg/dt}}}}',
    ],
    ['digitMapDescriptor', 'DM{(2xx|3x.)}', 'DM={(2xx|3x.)}'],
  ])('%s', (_rule, older, newer) => {
    expect(audited(older)).toEqual(audited(newer));
    expect(modified(older)).toEqual(modified(newer));
    expect(audited(older)?.[0]?.kind).not.toBe('empty');
  });

  it('eventDM: a map by name has its "=" in both', () => {
    expect(audited('E=1{dd/ce{DM=plan}}')).toMatchObject([{ events: [{ digitMap: { name: 'plan' } }] }]);
    expect(() => audited('E=1{dd/ce{DM plan}}')).toThrow();
  });

  it.each([
    ['SV{MT=RS,AD=5555,RE="901"}', '5555'],
    ['SV{MT=RS,AD="5555",RE="901"}', '5555'],
    ['SV{MT=RS,AD=[1.2.3.4]:5555,RE="901"}', '[1.2.3.4]:5555'],
    ['SV{MT=RS,AD="[1.2.3.4]:5555",RE="901"}', '[1.2.3.4]:5555'],
    ['SV{MT=RS,AD="1.2.3.4:5555",RE="901"}', '[1.2.3.4]:5555'],
    ['SV{MT=RS,AD=1.2.3.4,RE="901"}', '[1.2.3.4]'],
    ['SV{MT=RS,AD=<mg.example>:5555,RE="901"}', '<mg.example>:5555'],
    ['SV{MT=RS,AD=gw1,RE="901"}', 'gw1'],
  ])('serviceChangeAddress: %s', (text, address) => {
    expect(read(`T=1{C=-{SC=ROOT{${text}}}}`)[0]?.commands[0]?.descriptors).toMatchObject([{ address }]);
  });

  it.each(['', '"[1.2.3"', '"70000"', '70000', '1.2.3', '"{}"'])('serviceChangeAddress: %s is none', (text) => {
    expect(() => read(`T=1{C=-{SC=ROOT{SV{MT=RS,AD=${text},RE="901"}}}}`)).toThrow();
  });

  it('modemDescriptor: the name of a parameter, or the item of a package', () => {
    expect(modified('MD=V32b{bitrate=9600,ctyp/dtx=1}')).toMatchObject([
      { kind: 'Modem', types: ['v32b'], properties: [{ name: 'bitrate' }, { name: 'ctyp/dtx' }] },
    ]);
    expect(() => modified('MD=V32b{=9600}')).toThrow();
  });

  it.each(['MTP{00ab12}', 'MTP { 00AB12 }', 'MTP{a;}'])('mtpAddress: %s', (mId) => {
    const decoded = decodeText(Buffer.from(`!/1 ${mId}\nPN=1{}`));
    expect(decoded).toMatchObject({ ok: true, value: { mId: mId === 'MTP{a;}' ? 'MTP{613b}' : 'MTP{00ab12}' } });
  });

  it('topologyDescriptor: triples in one, or one after the other', () => {
    const older = read('T=1{C=1{TP{a,b,BW},TP{a,c,OW},AV=a{AT{}}}}')[0];
    const newer = read('T=1{C=1{TP{a,b,BW,a,c,OW},AV=a{AT{}}}}')[0];
    expect(older?.context?.topology).toHaveLength(2);
    expect(older).toEqual(newer);
  });

  it.each([
    'EB,E,SG',
    'E{},SG{}',
    'EB{al/on}',
    'E=*{al/on}',
    'SA{nt/dur}',
    'SA{nt/dur=12}',
    'OE=1{al/on{x=""}}',
    'E=1{al/of{EM{E}}}',
    'M,MD,MX,DM,OE,SA,PG',
  ])('an audit may say %s', (text) => expect(audited(text)).toBeDefined());

  it.each([
    'P=1{C=-{AV=aaln/1}}',
    'P=1{C=1{AV=aaln/1,ER=430{"x"}}}',
    'P=1{C=-{SC=ROOT{SV{V=1,20231114T22132010}}}}',
    'T=1{C=1{W-S=*{AT{}}}}',
    'T=1{C=*{O-W-AV=*{AT{}}}}',
  ])('%s is read', (text) => expect(read(text)).toHaveLength(1));
});

describe('RFC 3525 §7.2.5: a part of a reply that cannot be read costs that part', () => {
  const reply = (text: string) => {
    const decoded = decodeText(Buffer.from(`!/1 gw1\n${text}`));
    if (!decoded.ok || decoded.value.body.kind === 'error') throw new Error('unreadable message');
    return decoded.value.body.transactions;
  };
  const good = 'AV=aaln/2{E=1{al/on}}';

  it.each([
    ['an unknown descriptor', 'AV=aaln/1{XY{z}}'],
    ['an event without a package', 'AV=aaln/1{E=1{nonsense{x=1}}}'],
    ['quotes and braces in its strings', 'AV=aaln/1{E=1{al/on{a="}"}},??{"}"}}'],
    ['a session description with quotes and semicolons before it', 'AV=aaln/1{M{L{v=0\na=fmtp:1 x="y;z}},??}'],
    ['a session description behind it', 'AV=aaln/1{??,M{ST=1{L{v=0\ns="\na=fmtp:1 a;b},R{v=0\na=x;"}}}}'],
  ])('%s', (_name, bad) => {
    const [first] = reply(`P=7{C=-{${bad},${good}}}`);
    expect(first).toMatchObject({ kind: 'reply', transactionId: 7, unreadable: true, error: undefined });
    expect(first).toMatchObject({
      actions: [
        {
          commands: [
            { terminationId: 'aaln/1', unreadable: true, descriptors: [{ kind: 'Error', code: 400 }] },
            { terminationId: 'aaln/2', descriptors: [{ kind: 'Events', requestId: 1 }] },
          ],
        },
      ],
    });
  });

  it('an action that cannot be read costs the action', () => {
    const [first] = reply(`P=7{C=1{AV=??},C=2{${good}}}`);
    expect(first).toMatchObject({
      unreadable: true,
      actions: [
        { contextId: 1, unreadable: true, error: { code: 400 } },
        { contextId: 2, commands: [{ terminationId: 'aaln/2' }] },
      ],
    });
  });

  it('a transaction that cannot be read costs the transaction', () => {
    const [first, second] = reply(`P=7{??{}}P=8{C=-{${good}}}`);
    expect(first).toMatchObject({ transactionId: 7, unreadable: true, error: { code: 400 } });
    expect(second).toMatchObject({ transactionId: 8, actions: [{ commands: [{ terminationId: 'aaln/2' }] }] });
  });

  it('a message that is cut off still tells whose reply it was, and what stood before the cut', () => {
    const whole = `P=7{C=-{${good},AV=aaln/3{E=1{al/on}}}}`;
    for (let length = 'P=7{C'.length; length < whole.length; length += 1)
      expect(reply(whole.slice(0, length)), String(length)).toMatchObject([
        { kind: 'reply', transactionId: 7, unreadable: true, error: { code: 400 } },
      ]);
    expect(reply(`P=7{C=-{${good},AV=aaln/3{E=1{al/on},`)).toMatchObject([
      {
        actions: [
          {
            commands: [
              { terminationId: 'aaln/2', descriptors: [{ kind: 'Events' }] },
              { terminationId: 'aaln/3', descriptors: [{ kind: 'Error' }] },
            ],
          },
        ],
      },
    ]);
  });

  it('without a transaction id there is nothing to be read', () => {
    expect(decodeText(Buffer.from('!/1 gw1\nP=x{C=-{AV=a}}')).ok).toBe(false);
  });
});
