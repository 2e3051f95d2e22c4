import { describe, expect, it } from 'vitest';
import { decode, encode, plainNaming } from '../../../protocols/megaco/codec/codec.ts';
import type { CommandReply, Transaction } from '../../../protocols/megaco/codec/messages.ts';

const audited = (terminationId: string): CommandReply => ({
  verb: 'AuditValue',
  terminationId,
  descriptors: [{ kind: 'Events', requestId: 7, events: [{ name: 'al/of', parameters: [] }] }],
});

const reply: Transaction = {
  kind: 'reply',
  transactionId: 9,
  immAckRequired: false,
  actions: [{ contextId: 0, commands: [audited('aaln/1'), audited('aaln/2')] }],
};

const bytes = encode(
  { version: 1, mId: 'gw1', body: { kind: 'transactions', transactions: [reply, { ...reply, transactionId: 10 }] } },
  { encoding: 'binary', version: 1 },
);

describe('RFC 3525 Annex A: a part of a reply that cannot be read costs that part', () => {
  it('an event whose name has three octets', () => {
    const broken = Buffer.from(bytes);
    // PkgdName of al/of in the first answer: [0] 4 octets.
    const at = broken.indexOf(Buffer.from([0x80, 0x04, 0x00, 0x09, 0x00, 0x05]));
    expect(at).toBeGreaterThan(0);
    broken[at + 1] = 3;
    const decoded = decode(broken, () => plainNaming);
    expect(decoded).toMatchObject({
      ok: true,
      value: {
        body: {
          transactions: [
            {
              transactionId: 9,
              unreadable: true,
              actions: [
                {
                  commands: [
                    { terminationId: 'aaln/1', unreadable: true, descriptors: [{ kind: 'Error', code: 400 }] },
                    { terminationId: 'aaln/2', descriptors: [{ kind: 'Events', requestId: 7 }] },
                  ],
                },
              ],
            },
            { transactionId: 10, unreadable: undefined },
          ],
        },
      },
    });
  });

  it('whatever octet of the first transaction is wrong, the second is read, or the message is refused as a whole', () => {
    const second = bytes.indexOf(Buffer.from([0x80, 0x01, 0x0a]));
    let kept = 0;
    for (let at = bytes.indexOf(Buffer.from([0x80, 0x01, 0x09])); at < second - 2; at += 1)
      for (const value of [0x00, 0x7f, 0x80, 0xff]) {
        const broken = Buffer.from(bytes);
        broken[at] = value;
        const decoded = decode(broken, () => plainNaming);
        if (!decoded.ok || decoded.value.body.kind === 'error') continue;
        if (decoded.value.body.transactions.some((each) => each.kind === 'reply' && each.transactionId === 10))
          kept += 1;
      }
    expect(kept).toBeGreaterThan((second - 2) * 2);
  });
});
