import { describe, expect, it } from 'vitest';
import { decode, encode, plainNaming } from '../../../protocols/megaco/codec/codec.ts';
import { backupHost, primaryHost, World } from './world.ts';

describe('Q.1950 (expanded call progress tones): the howler is xcg/roh where the lines offer it, cg/wt else', () => {
  it.each([
    [['xcg'], 'xcg/roh', 'compact'],
    [['xcg'], 'xcg/roh', 'binary'],
    [[], 'cg/wt', 'compact'],
  ] as const)('packages %j: %s in %s', async (linePackages, signal, encoding) => {
    const world = await World.up({ gateway: { linePackages, encoding }, config: { timers: { diallingMs: 1_000 } } });
    world.line('200').offHook();
    const heard = new Set<string | undefined>();
    for (let step = 0; step < 1_000 && world.line('200').signal !== signal; step += 1) {
      await world.run(200);
      heard.add(world.line('200').signal);
    }
    expect([...heard]).toContain(signal);
    // The backup knows it for what it is.
    world.kill(primaryHost);
    await world.run(3_000);
    expect(world.line('200').signal).toBe(signal);
    expect(world.gateways[0]?.controller?.host).toBe(backupHost);
    world.line('200').onHook();
    await world.run(1_000);
    expect(world.idle('200', '201', '202', '203')).toBe(true);
  });

  it('has its registered number in BER', () => {
    const bytes = encode(
      {
        version: 1,
        mId: 'gw1',
        body: {
          kind: 'transactions',
          transactions: [
            {
              kind: 'request',
              transactionId: 1,
              actions: [
                {
                  contextId: 0,
                  commands: [
                    {
                      verb: 'Modify',
                      terminationId: 'aaln/1',
                      descriptors: [
                        { kind: 'Signals', signals: [{ kind: 'signal', name: 'xcg/roh', parameters: [] }] },
                      ],
                    },
                  ],
                },
              ],
            },
          ],
        },
      },
      { encoding: 'binary', version: 1 },
    );
    expect(bytes.includes(Buffer.from([0x00, 0x24, 0x00, 0x4b]))).toBe(true);
    expect(JSON.stringify(decode(bytes, () => plainNaming))).toContain('xcg/roh');
  });
});
