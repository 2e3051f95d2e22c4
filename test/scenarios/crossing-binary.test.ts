/** A MEGACO gateway that speaks binary (RFC 3525 Annex A): the record of a call and the display of who calls are as good there as in text. */
import { afterEach, describe, expect, it } from 'vitest';
import { decode, encode, plainNaming } from '../../protocols/megaco/codec/codec.ts';
import type { MegacoMessage } from '../../protocols/megaco/codec/messages.ts';
import { readRecords, withRecord } from '../../src/calls/record-text.ts';
import { peerSdp } from '../protocols/sip/user-agent/rig.ts';
import { reached } from '../support/reached.ts';
import { realDescriptions } from '../support/session-descriptions.ts';
import { confirmed, everyMessage, holds, lineCalls, phoneCalls } from './crossing-scene.ts';
import { backupHost, CrossingWorld, primaryHost, sipDomain } from './crossing-world.ts';

let open: CrossingWorld | undefined;

afterEach(async () => {
  await open?.stop();
  open = undefined;
});

const request = (remote: string, ddb: string): MegacoMessage => ({
  version: 1,
  mId: '[127.0.0.1]:2944',
  body: {
    kind: 'transactions',
    transactions: [
      {
        kind: 'request',
        transactionId: 7,
        actions: [
          {
            contextId: 1,
            commands: [
              {
                verb: 'Modify',
                terminationId: 'aaln/1',
                descriptors: [
                  {
                    kind: 'Signals',
                    signals: [
                      {
                        kind: 'signal',
                        name: 'andisp/dwa',
                        parameters: [{ name: 'ddb', relation: '=', values: [ddb] }],
                      },
                    ],
                  },
                  {
                    kind: 'Media',
                    streams: [{ streamId: 1, localControl: { mode: 'SendReceive', properties: [] }, remote }],
                  },
                ],
              },
            ],
          },
        ],
      },
    ],
  },
});

function afterEncoding(message: MegacoMessage): { remote: string; ddb: string | undefined } {
  const decoded = decode(encode(message, { encoding: 'binary', version: 1 }), () => plainNaming);
  if (!decoded.ok || decoded.value.body.kind === 'error') throw new Error('not decoded');
  const [transaction] = decoded.value.body.transactions;
  if (transaction?.kind !== 'request') throw new Error('no request');
  let remote = '';
  let ddb: string | undefined;
  for (const each of transaction.actions[0]?.commands[0]?.descriptors ?? []) {
    if (each.kind === 'Media') remote = each.streams[0]?.remote ?? '';
    if (each.kind === 'Signals' && each.signals[0]?.kind === 'signal') ddb = each.signals[0].parameters[0]?.values[0];
  }
  return { remote, ddb };
}

describe('through the binary codec', () => {
  it.each([40, 162, 371, 700])('a record of %i octets beside any description comes back whole', (length) => {
    const sealed = Buffer.from(Array.from({ length }, (_, index) => (index * 37 + length) % 256));
    for (const description of [peerSdp, ...realDescriptions]) {
      const { remote } = afterEncoding(request(withRecord(description, sealed), '80'));
      const read = readRecords(remote);
      expect(read.sealed).toEqual([sealed]);
      expect(read.description.replaceAll('\r\n', '\n')).toBe(description.replaceAll('\r\n', '\n'));
    }
  });

  it.each(['80', '800102', '123456789012', '0000', 'ff00ff', '80180108303931343137323602073439333031323307034164610f'])(
    'the display data block %s is the octets that it says',
    (ddb) => {
      expect(afterEncoding(request(peerSdp, ddb)).ddb).toBe(ddb);
    },
  );
});

describe('a line of a gateway that speaks binary', () => {
  it('shows which telephone calls, before and after its controller died', async () => {
    const world = await CrossingWorld.up({ sip: {}, encoding: 'binary', displays: true });
    open = world;
    const phone = await world.phone('7001', '127.0.0.31');
    const shown = (): string => {
      const [signal] = world.megaco?.lines[0]?.signals.signals ?? [];
      const block = signal?.kind === 'signal' ? signal.parameters.find(({ name }) => name === 'ddb')?.values[0] : '';
      return Buffer.from(block ?? '', 'hex').toString('latin1');
    };
    const rings = (): boolean => world.megaco?.lines[0]?.signal === 'andisp/dwa';
    phone.call(`sip:300@${sipDomain}`);
    expect(await reached(world, rings, 5_000)).toBe(true);
    expect(shown()).toContain('7001');
    world.megaco?.lines[0]?.offHook();
    await world.run(500);
    world.megaco?.lines[0]?.onHook();
    await world.run(2_000);
    world.kill(primaryHost);
    expect(
      await reached(world, () => world.megaco?.lines[0]?.contextId === 0 && confirmed(phone) === undefined, 30_000),
    ).toBe(true);
    await world.run(10_000);
    expect(world.calls(backupHost)).toBe(0);
  });

  it('calls, is called, holds: whenever the controller dies, nothing is lost', async () => {
    // A seventh of the messages each, other ones in each call.
    let first = 1;
    for (const script of [lineCalls, phoneCalls, holds('phone')])
      for (const records of ['keepsRemote', 'forgets'] as const) {
        const how = first % 2 === 0 ? 'silence' : 'crash';
        expect(
          await everyMessage(script, '300', how, { encoding: 'binary', records }, { every: 7, first }),
        ).toBeGreaterThan(2);
        first += 1;
      }
  }, 60_000);
});

describe('datagrams that overtake each other', () => {
  it.each(['compact', 'binary'] as const)(
    'a call each way, MEGACO in %s, whatever order they come in',
    async (encoding) => {
      for (let seed = 1; seed <= 6; seed += 1) {
        const world = await CrossingWorld.up({ sip: {}, encoding, seed });
        open = world;
        const phone = await world.phone('7001', '127.0.0.31', { answering: 'answer', ringMs: 800 });
        world.network.conditions = { ...world.network.conditions, reordering: 0.35, reorderMs: 60, duplication: 0.15 };
        const line = world.telephone('300');
        const until = (holdsNow: () => boolean): Promise<boolean> => reached(world, holdsNow, 40_000, 50);
        phone.call(`sip:300@${sipDomain}`);
        expect(await until(() => line.hears() === 'ring')).toBe(true);
        line.offHook();
        expect(await until(() => line.media().sendsTo === '127.0.0.1:40000' && confirmed(phone) !== undefined)).toBe(
          true,
        );
        await world.run(1_000);
        line.onHook();
        expect(await until(() => line.isIdle() && confirmed(phone) === undefined)).toBe(true);
        line.offHook();
        expect(await until(() => line.hears() === 'dial')).toBe(true);
        line.dial('7001');
        expect(await until(() => line.media().sendsTo === '127.0.0.1:40000' && confirmed(phone) !== undefined)).toBe(
          true,
        );
        // In the middle of it the controller dies.
        world.kill(primaryHost);
        expect(await until(() => world.calls(backupHost) > 0)).toBe(true);
        await world.run(3_000);
        expect(line.media().sendsTo).toBe('127.0.0.1:40000');
        line.onHook();
        expect(await until(() => line.isIdle() && confirmed(phone) === undefined)).toBe(true);
        await world.stop();
        open = undefined;
      }
    },
  );
});
