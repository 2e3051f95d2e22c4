/** What every location service does, wherever it keeps contacts: the same questions to each driver. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Clock, Contact, LocationService } from '../../src/internal.ts';

export interface LocationBench {
  readonly clock: Clock;
  /** Another one on the same store each time, where there is a store. */
  open(options?: { readonly maxRecords?: number }): Promise<LocationService>;
  /** Lets so much time pass. */
  pass(ms: number): Promise<void>;
  /** Ends what it began. */
  end(): Promise<void>;
}

export interface LocationDriver {
  readonly name: string;
  /** Outlives its process. */
  readonly stores: boolean;
  bench(): Promise<LocationBench>;
}

const record = 'alice@example.com';

const keys = (service: LocationService, of = record): string[] => service.lookup(of).map(({ key }) => key);

export function contactAt(clock: Clock, key: string, more: Partial<Contact> = {}): Contact {
  return {
    protocol: 'sip',
    target: key,
    key,
    path: [],
    alternates: [],
    expiresMs: Math.round(clock.now()) + 3_600_000,
    q: 1_000,
    updatedMs: Math.round(clock.now()),
    ...more,
  };
}

export function examineLocationService(driver: LocationDriver): void {
  let benches: LocationBench[] = [];
  let opened: LocationService[] = [];

  const begin = async (): Promise<LocationBench> => {
    const bench = await driver.bench();
    benches.push(bench);
    return bench;
  };
  const opens = async (bench: LocationBench, options?: { readonly maxRecords?: number }): Promise<LocationService> => {
    const service = await bench.open(options);
    opened.push(service);
    return service;
  };
  /** Time passes until it holds. */
  const settled = async (bench: LocationBench, what: () => boolean): Promise<void> => {
    for (let turn = 0; turn < 500 && !what(); turn += 1) await bench.pass(20);
    expect(what()).toBe(true);
  };

  afterEach(async () => {
    for (const service of opened) await service.close();
    for (const bench of benches) await bench.end();
    opened = [];
    benches = [];
  });

  describe(`location service: ${driver.name}`, () => {
    it('answers with what was saved at once, before it is stored', async () => {
      const bench = await begin();
      const service = await opens(bench);
      const saving = service.save(record, [contactAt(bench.clock, 'a')]);
      expect(keys(service)).toEqual(['a']);
      await saving;
      expect(keys(service)).toEqual(['a']);
      expect(service.lookup('bob@example.com')).toEqual([]);
      expect(service.size).toBe(1);
    });

    it('puts the best q first, then the latest', async () => {
      const bench = await begin();
      const service = await opens(bench);
      const nowMs = Math.round(bench.clock.now());
      await service.save(record, [
        contactAt(bench.clock, 'low', { q: 100 }),
        contactAt(bench.clock, 'old', { q: 500, updatedMs: nowMs - 2 }),
        contactAt(bench.clock, 'new', { q: 500, updatedMs: nowMs - 1 }),
      ]);
      expect(keys(service)).toEqual(['new', 'old', 'low']);
    });

    it('takes the list as the whole: what is not in it any more is gone, an empty one removes the record', async () => {
      const bench = await begin();
      const service = await opens(bench);
      await service.save(record, [contactAt(bench.clock, 'a'), contactAt(bench.clock, 'b')]);
      await service.save(record, [contactAt(bench.clock, 'b'), contactAt(bench.clock, 'c')]);
      expect(keys(service).sort()).toEqual(['b', 'c']);
      await service.save(record, []);
      expect(keys(service)).toEqual([]);
      expect([...service.records()]).toEqual([]);
    });

    it('does not return what has lapsed, and keeps what is provisioned', async () => {
      const bench = await begin();
      const service = await opens(bench);
      await service.save(record, [
        contactAt(bench.clock, 'short', { expiresMs: Math.round(bench.clock.now()) + 400 }),
        contactAt(bench.clock, 'aaln/1@rgw1', { protocol: 'mgcp', expiresMs: Number.POSITIVE_INFINITY }),
      ]);
      expect(service.lookup(record)).toHaveLength(2);
      await bench.pass(600);
      expect(keys(service)).toEqual(['aaln/1@rgw1']);
    });

    it('refuses a new record where it is full, and takes changes of those it has', async () => {
      const bench = await begin();
      const service = await opens(bench, { maxRecords: 1 });
      await service.save(record, [contactAt(bench.clock, 'a')]);
      await expect(service.save('bob@example.com', [contactAt(bench.clock, 'a')])).rejects.toMatchObject({
        code: 'ERR_LOCATION',
      });
      await service.save(record, [contactAt(bench.clock, 'b')]);
      expect(keys(service)).toEqual(['b']);
    });

    it('lists every record', async () => {
      const bench = await begin();
      const service = await opens(bench);
      await Promise.all(
        Array.from({ length: 200 }, (_, user) => service.save(`${user}@example.com`, [contactAt(bench.clock, 'a')])),
      );
      expect([...service.records()].map(([name]) => name).sort()).toEqual(
        Array.from({ length: 200 }, (_, user) => `${user}@example.com`).sort(),
      );
    });

    it('may be closed twice', async () => {
      const bench = await begin();
      const service = await opens(bench);
      await service.close();
      await service.close();
    });
  });

  describe.runIf(driver.stores)(`location service: ${driver.name}, over processes`, () => {
    it('gives every field back', async () => {
      const bench = await begin();
      const full = contactAt(bench.clock, 'sip:alice@127.0.0.9:5061', {
        address: { transport: 'tcp', host: '2001:db8::9', port: 5061 },
        flow: 'AbC_d-17.x',
        path: ['<sip:p1.example.com;lr>', '<sip:p2.example.com;lr;x="a|b\\c">'],
        alternates: [
          { transport: 'udp', host: '127.0.0.8', port: 5060 },
          { transport: 'tls', host: 'b.example.com', port: 5061 },
        ],
        q: 700,
        instance: '<urn:uuid:00000000-0000-1000-8000-000a95a0e128>',
        regId: 1,
        callId: 'a84b4c76e66710@pc33.example.com',
        cseq: 1_826,
        userAgent: 'telephone/1.0 \t(äöü)',
        params: ';audio;description="<\n>"',
      });
      const first = await opens(bench);
      await first.save(record, [full]);
      await first.close();
      const second = await opens(bench);
      // Between calendar and clock lies a part of a millisecond.
      const near = (ms: number): unknown => expect.closeTo(ms, -1);
      expect(second.lookup(record)).toEqual([
        { ...full, expiresMs: near(full.expiresMs), updatedMs: near(full.updatedMs) },
      ]);
    });

    it('keeps records and contacts with odd characters apart', async () => {
      const bench = await begin();
      const first = await opens(bench);
      await first.save('a\0b@example.com', [contactAt(bench.clock, 'one')]);
      await first.save('a\0c@example.com', [contactAt(bench.clock, "t'wo;-- {s1}")]);
      await first.save('{s5}:loc:*@example.com', [contactAt(bench.clock, 'instance <urn:x> reg-id 1')]);
      await first.save('ä€😀@example.com', [contactAt(bench.clock, 'ü')]);
      await first.close();
      const second = await opens(bench);
      expect(keys(second, 'a\0b@example.com')).toEqual(['one']);
      expect(keys(second, 'a\0c@example.com')).toEqual(["t'wo;-- {s1}"]);
      expect(keys(second, '{s5}:loc:*@example.com')).toEqual(['instance <urn:x> reg-id 1']);
      expect(keys(second, 'ä€😀@example.com')).toEqual(['ü']);
    });

    it('does not bring back what was removed or has lapsed', async () => {
      const bench = await begin();
      const first = await opens(bench);
      await first.save(record, [
        contactAt(bench.clock, 'a'),
        contactAt(bench.clock, 'b'),
        contactAt(bench.clock, 'short', { expiresMs: Math.round(bench.clock.now()) + 300 }),
      ]);
      await first.save(
        record,
        first.lookup(record).filter(({ key }) => key !== 'a'),
      );
      await first.close();
      await bench.pass(500);
      expect(keys(await opens(bench))).toEqual(['b']);
    });

    it('shows each process what the others save and remove, and never undoes what another did to the same record', async () => {
      const bench = await begin();
      const one = await opens(bench);
      const other = await opens(bench);
      await Promise.all([
        one.save(record, [contactAt(bench.clock, 'a')]),
        other.save(record, [contactAt(bench.clock, 'b')]),
      ]);
      await settled(bench, () => keys(one).length === 2 && keys(other).length === 2);
      await one.save(
        record,
        one.lookup(record).filter(({ key }) => key !== 'a'),
      );
      await settled(bench, () => keys(other).join() === 'b');
      expect(keys(one)).toEqual(['b']);
    });

    it('refuses everything once it is closed, and stores what was under way', async () => {
      const bench = await begin();
      const service = await opens(bench);
      const saving = service.save(record, [contactAt(bench.clock, 'a')]);
      await service.close();
      await saving;
      await expect(service.save(record, [])).rejects.toMatchObject({ code: 'ERR_LOCATION' });
      expect(keys(await opens(bench))).toEqual(['a']);
    });
  });
}
