import { describe, expect, it } from 'vitest';
import { decode, encode, isBinary, plainNaming } from '../../../protocols/megaco/codec/codec.ts';
import type { Encoding, MegacoMessage, Transaction } from '../../../protocols/megaco/codec/messages.ts';
import { megacoConfigSchema } from '../../../protocols/megaco/config.ts';
import { EncodingChoice } from '../../../protocols/megaco/encoding-choice.ts';
import { backupHost, World } from './world.ts';

const formOf = (bytes: Uint8Array): Encoding =>
  isBinary(bytes) ? 'binary' : Buffer.from(bytes).toString('latin1').startsWith('!') ? 'compact' : 'pretty';

/** A gateway that reads one encoding, and answers the others with an error in its own, or not at all. */
async function onlyReads(world: World, own: Encoding, other: 'error' | 'silence') {
  const heard: Encoding[] = [];
  const methods: string[] = [];
  const listener = await world.network.host('127.0.0.11').bind(
    { transport: 'udp', host: '127.0.0.11', port: 2944 },
    {},
    {
      received: (bytes, flow) => {
        const form = formOf(bytes);
        heard.push(form);
        const say = (body: MegacoMessage['body']) =>
          flow.send(encode({ version: 1, mId: 'gw1', body }, { encoding: own, version: 1 }));
        if ((form === 'binary') !== (own === 'binary')) {
          if (other === 'error')
            say({ kind: 'error', error: { kind: 'Error', code: 406, text: 'Version not supported' } });
          return;
        }
        const decoded = decode(bytes, () => plainNaming);
        if (!decoded.ok || decoded.value.body.kind === 'error') return;
        const replies = decoded.value.body.transactions.flatMap((transaction): Transaction[] => {
          if (transaction.kind !== 'request') return [];
          for (const { commands } of transaction.actions)
            for (const { descriptors } of commands)
              for (const each of descriptors) if (each.kind === 'Services') methods.push(String(each.method));
          const actions = transaction.actions.map(({ contextId, commands }) => ({
            contextId,
            commands: commands.map(({ verb, terminationId }) => ({ verb, terminationId, descriptors: [] })),
          }));
          return [{ kind: 'reply', transactionId: transaction.transactionId, immAckRequired: false, actions }];
        });
        if (replies.length > 0) say({ kind: 'transactions', transactions: replies });
      },
      failed: () => undefined,
    },
  );
  return { heard, methods, listener };
}

describe('a backup that has never heard a gateway finds out what it reads', () => {
  it.each([
    ['binary', 'error', 'compact'],
    ['binary', 'silence', 'compact'],
    ['binary', 'silence', 'pretty'],
    ['compact', 'error', 'binary'],
    ['pretty', 'silence', 'binary'],
  ] as const)('it reads %s, answers others with %s; provisioned: %s', async (own, other, encoding) => {
    const world = new World({ config: { encoding } });
    const gateway = await onlyReads(world, own, other);
    // Its primary was never there: the HandOff goes out once that is known.
    await world.startController(backupHost);
    await world.run(5_000);
    expect(gateway.methods).toEqual(['HandOff']);
    const first = gateway.heard.indexOf(own);
    expect(gateway.heard.slice(0, first).every((each) => (each === 'binary') !== (own === 'binary'))).toBe(true);
    // It is remembered: nothing more in another one.
    expect(gateway.heard.slice(first).every((each) => (each === 'binary') === (own === 'binary'))).toBe(true);
  });

  it('two peers that refuse each other do not chase each other', async () => {
    const world = new World();
    let heard = 0;
    await world.network.host('127.0.0.11').bind(
      { transport: 'udp', host: '127.0.0.11', port: 2944 },
      {},
      {
        received: (bytes, flow) => {
          heard += 1;
          const encoding = isBinary(bytes) ? 'compact' : 'binary';
          const error = { kind: 'Error' as const, code: 400, text: 'no' };
          flow.send(encode({ version: 1, mId: 'gw1', body: { kind: 'error', error } }, { encoding, version: 1 }));
        },
        failed: () => undefined,
      },
    );
    await world.startController(backupHost);
    await world.run(10_000);
    expect(heard).toBeLessThan(40);
  });
});

describe('EncodingChoice', () => {
  it('once the gateway has spoken, silence changes nothing, and its word does', () => {
    const choice = new EncodingChoice('compact');
    choice.heard('binary');
    expect(choice.next()).toBe(false);
    expect(choice.current).toBe('binary');
    choice.heard('pretty');
    expect(choice.current).toBe('pretty');
  });
});

describe('altpath megaco --encoding', () => {
  it.each([
    ['ber', 'binary'],
    ['BINARY', 'binary'],
    ['pretty', 'pretty'],
    ['compact', 'compact'],
  ])('%s is %s', (flag, encoding) => expect(megacoConfigSchema.parse({ encoding: flag }).encoding).toBe(encoding));

  it('anything else is refused; compact without a word', () => {
    expect(megacoConfigSchema.safeParse({ encoding: 'xml' }).success).toBe(false);
    expect(megacoConfigSchema.parse({}).encoding).toBe('compact');
  });
});
