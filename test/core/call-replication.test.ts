/** Records of calls between members, for gateways that do not keep them (design §17). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CallRecord } from '../../src/calls/call-record.ts';
import { CallReplication } from '../../src/calls/call-replication.ts';
import {
  maxParcelBytes,
  RecordStore,
  type ReplicatedRecord,
  readParcel,
  writeReceived,
  writeRecords,
} from '../../src/calls/replicated-records.ts';
import { LinkWorld, type Node } from './cluster/link-world.ts';

const a = '127.0.0.1';
const b = '127.0.0.2';

const record = (callId: string, phase: CallRecord['phase'] = 'ringing', fields = ['tag']): CallRecord => ({
  protocol: 'far',
  side: 'callee',
  phase,
  callId,
  number: '900',
  fields,
});

const place = (callId: string) => ({ gateway: 'gw1', endpoint: 'aaln/1@gw1', callId });

interface Member {
  readonly node: Node;
  readonly replication: CallReplication;
}

async function member(world: LinkWorld, host: string): Promise<Member> {
  const node = await world.start(host);
  if (node.link === undefined) throw new Error('no link');
  const { clock } = world.network.host(host);
  return { node, replication: new CallReplication({ clock, metrics: node.metrics, link: node.link }) };
}

async function pair(conditions = {}): Promise<{ world: LinkWorld; one: Member; other: Member }> {
  const world = new LinkWorld([a, b], conditions);
  const one = await member(world, a);
  const other = await member(world, b);
  await world.run(1_000);
  return { world, one, other };
}

const phases = ({ replication }: Member): readonly string[] =>
  replication.find('gw1', 'aaln/1@gw1').map(({ callId, phase }) => `${callId} ${phase}`);

describe('records of calls told to the other members', () => {
  it('are there a moment later, confirmed, and gone when the call is over', async () => {
    const { world, one, other } = await pair();
    let kept = 0;
    one.replication.publish(place('A1'), record('A1'));
    one.replication.whenKept('A1', () => {
      kept = world.clock.now();
    });
    const began = world.clock.now();
    await world.run(15);
    expect(phases(other)).toEqual(['A1 ringing']);
    expect(other.replication.find('gw1', 'aaln/1@gw1')).toEqual([record('A1')]);
    expect(kept - began).toBeLessThan(10);
    one.replication.publish(place('A1'), record('A1', 'talking', ['tag', 'target']));
    await world.run(15);
    expect(phases(other)).toEqual(['A1 talking']);
    one.replication.publish(place('A1'), undefined);
    await world.run(15);
    expect(phases(other)).toEqual([]);
    await world.run(80_000);
    expect(one.replication.size).toBe(0);
  });

  it('wait for a member that does not answer no longer than 20 ms', async () => {
    const { world, one } = await pair();
    world.kill(b);
    let kept = 0;
    const began = world.clock.now();
    one.replication.publish(place('A1'), record('A1'));
    one.replication.whenKept('A1', () => {
      kept = world.clock.now();
    });
    await world.run(100);
    expect(kept - began).toBe(20);
    expect(await one.node.metrics.text()).toMatch(/call_records_unconfirmed_total 1/);
  });

  it('without another member nothing is waited for', async () => {
    const world = new LinkWorld([a, b]);
    const one = await member(world, a);
    one.replication.publish(place('A1'), record('A1'));
    let kept = false;
    one.replication.whenKept('A1', () => {
      kept = true;
    });
    expect(kept).toBe(true);
  });

  it('come through loss and disorder, and the last word counts', async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const { world, one, other } = await pair({ loss: 0.3, reordering: 0.3, duplication: 0.2 });
      for (let call = 0; call < 20; call += 1)
        for (const phase of ['calling', 'ringing', 'answered', 'talking'] as const)
          one.replication.publish({ ...place(`C${call}`), endpoint: `aaln/${call}@gw1` }, record(`C${call}`, phase));
      one.replication.publish({ ...place('C3'), endpoint: 'aaln/3@gw1' }, undefined);
      await world.run(10_000);
      for (let call = 0; call < 20; call += 1) {
        const found = other.replication.find('gw1', `aaln/${call}@gw1`).map(({ phase }) => phase);
        expect(found).toEqual(call === 3 ? [] : ['talking']);
      }
    }
  });

  it('a member that comes back gets all that still stands, also what it wrote itself', async () => {
    const { world, one, other } = await pair();
    one.replication.publish(place('A1'), record('A1', 'talking'));
    other.replication.publish({ ...place('B1'), endpoint: 'aaln/2@gw1' }, record('B1', 'talking'));
    await world.run(100);
    world.kill(a);
    one.replication.stop();
    await world.run(500);
    const again = await member(world, a);
    await world.run(2_000);
    expect(phases(again)).toEqual(['A1 talking']);
    expect(again.replication.find('gw1', 'aaln/2@gw1')).toEqual([record('B1', 'talking')]);
  });

  it('ten thousand calls of a member that comes back cross in a few seconds, in parcels that fit a datagram', async () => {
    const { world, one, other } = await pair();
    for (let call = 0; call < 10_000; call += 1)
      one.replication.publish(
        { ...place(`C${call}`), endpoint: `aaln/${call}@gw1` },
        record(`C${call}`, 'talking', ['x'.repeat(200)]),
      );
    await world.run(5_000);
    world.kill(b);
    other.replication.stop();
    let longest = 0;
    world.network.onPacket(({ bytes }) => {
      longest = Math.max(longest, bytes.length);
    });
    const back = await member(world, b);
    await world.run(5_000);
    for (const call of [0, 4_711, 9_999]) expect(back.replication.find('gw1', `aaln/${call}@gw1`)).toHaveLength(1);
    expect(longest).toBeLessThanOrEqual(1_300);
  });
});

describe('records of calls: what is kept of others', () => {
  const replicated = (callId: string, version: number, phase: CallRecord['phase'] = 'ringing'): ReplicatedRecord => ({
    member: 'm1',
    version,
    phase,
    ...place(callId),
    octets: Buffer.alloc(100),
  });

  it('a higher version counts, of equal ones the later phase', () => {
    const store = new RecordStore();
    expect(store.put(replicated('A', 5), 0)).toBe(true);
    expect(store.put(replicated('A', 4, 'talking'), 0)).toBe(false);
    expect(store.put(replicated('A', 5, 'answered'), 0)).toBe(true);
    expect(store.put(replicated('A', 5, 'ringing'), 0)).toBe(false);
    expect(store.put(replicated('A', 6, 'over'), 0)).toBe(true);
    expect(store.put(replicated('A', 5, 'talking'), 0)).toBe(false);
    expect(store.at('gw1', 'AALN/1@GW1')).toEqual([]);
    store.expire(63_999);
    expect(store.size).toBe(1);
    store.expire(64_000);
    expect(store.size).toBe(0);
  });

  it('is bounded in number and in octets: the oldest go', () => {
    const few = new RecordStore({ records: 3, octets: 1_000_000 });
    for (let call = 0; call < 10; call += 1) few.put(replicated(`C${call}`, call + 1), call);
    expect(few.size).toBe(3);
    expect(few.evicted).toBe(7);
    const small = new RecordStore({ records: 1_000, octets: 2_000 });
    for (let call = 0; call < 100; call += 1) small.put(replicated(`C${call}`, call + 1), call);
    expect(small.octets).toBeLessThanOrEqual(2_000);
    for (const { callId } of [...small.of('m1')]) small.drop(callId, 'gw1', 'aaln/1@gw1');
    expect([small.size, small.octets]).toEqual([0, 0]);
  });

  it('parcels come back as they were written, and any octets are a parcel or none', () => {
    const one = fc.record({
      member: fc.constantFrom('m1', 'm2'),
      version: fc.integer({ min: 0, max: 2 ** 47 }),
      phase: fc.constantFrom('calling', 'ringing', 'answered', 'talking', 'over') as fc.Arbitrary<CallRecord['phase']>,
      gateway: fc.string({ maxLength: 20 }),
      endpoint: fc.string({ maxLength: 20 }),
      callId: fc.string({ maxLength: 32 }),
      octets: fc.uint8Array({ maxLength: 600 }).map((octets) => Buffer.from(octets)),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 12 }), (records) => {
        const parcels = writeRecords(records, 'm1');
        for (const parcel of parcels) expect(parcel.length).toBeLessThanOrEqual(maxParcelBytes);
        const read = parcels.flatMap((parcel) => {
          const each = readParcel(parcel, 'm1');
          return each?.kind === 'records' ? each.records : [];
        });
        expect(read).toEqual(records.map((each) => ({ ...each, isRelayed: each.member !== 'm1' })));
        const [received] = writeReceived(read.slice(0, 5));
        if (received !== undefined)
          expect(readParcel(received, 'm1')).toEqual({
            kind: 'received',
            received: read.slice(0, 5).map(({ version, isRelayed }) => ({ version, isRelayed })),
          });
      }),
      { seed: 20_261_128, numRuns: 200 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
        readParcel(Buffer.from(octets), 'm1');
        readParcel(Buffer.from([1, ...octets]), 'm1');
        readParcel(Buffer.from([2, ...octets]), 'm1');
      }),
      { seed: 20_261_128, numRuns: 500 },
    );
  });
});
