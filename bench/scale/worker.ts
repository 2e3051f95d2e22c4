/**
 * One measurement of the scale benchmark, in a process of its own, so that no other one's garbage counts:
 * `node --expose-gc worker.ts table|calls|fill|start|storm CONTACTS FILE`. Prints its figures as JSON.
 */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { type Contact, Metrics, silentLog, systemClock } from '../../src/internal.ts';
import { MemoryLocations } from '../../src/location/memory.ts';
import { SqliteLocations } from '../../src/location/sqlite.ts';
import type { LocationService } from '../../src/location-service.ts';
import { placeCalls } from './calls.ts';

const [, , mode = '', words = '0', path = ''] = process.argv;
const contacts = Number(words);

export const record = (n: number): string => `u${n}@example.com`;

const agents = [
  'Yealink SIP-T46S 66.85.0.5',
  'snomD785/10.1.54.13',
  'Grandstream GXP2170 1.0.11.57',
  'baresip v1.0.0 (x86_64/linux)',
];

/** As a telephone registers; strings of its own, as from the wire. */
function contact(n: number, cseq = 1): Contact {
  const host = `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
  const target = `sip:u${n}@${host}:5060`;
  return {
    protocol: 'sip',
    target,
    key: target,
    address: { transport: 'udp', host, port: 5060 },
    path: [],
    alternates: [],
    expiresMs: systemClock.now() + 3_600_000,
    q: 1_000,
    callId: `${(n * 2_654_435_761).toString(16).padStart(14, '0')}${n.toString(16).padStart(8, '0')}@${host}`,
    cseq,
    userAgent: Buffer.from(agents[n % agents.length] ?? '').toString('latin1'),
    updatedMs: systemClock.now(),
    params: '',
  };
}

const bytes = (): number => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

const mebibytes = (octets: number): number => octets / 1_048_576;

const sqlite = (): SqliteLocations =>
  new SqliteLocations({ path, clock: systemClock, log: silentLog, metrics: new Metrics() });

async function fill(locations: LocationService): Promise<void> {
  for (let n = 0; n < contacts; n += 1) {
    const saved = locations.save(record(n), [contact(n)]);
    if (n % 2_000 === 1_999) await saved;
  }
}

interface Gaps {
  /** By the clock, other programs of the machine included; and by this thread's own processor time. */
  readonly gapMs: number;
  readonly heldMs: number;
}

/** The longest time that the event loop was held up meanwhile. */
async function longestGap(work: () => Promise<unknown>): Promise<Gaps> {
  let gapMs = 0;
  let heldMs = 0;
  let atMs = performance.now();
  let used = process.threadCpuUsage();
  const look = (): void => {
    const nowMs = performance.now();
    const { user, system } = process.threadCpuUsage(used);
    gapMs = Math.max(gapMs, nowMs - atMs);
    heldMs = Math.max(heldMs, (user + system) / 1_000);
    atMs = nowMs;
    used = process.threadCpuUsage();
  };
  const ticking = setInterval(look, 1);
  await work();
  clearInterval(ticking);
  return { gapMs, heldMs };
}

/** Refreshes at this rate, spread over the records, for so many seconds. */
async function refresh(locations: LocationService, perSecond: number, seconds: number): Promise<number> {
  const beganMs = performance.now();
  let sent = 0;
  let stored = 0;
  for (;;) {
    const elapsedMs = performance.now() - beganMs;
    if (elapsedMs >= seconds * 1_000) break;
    for (const due = Math.floor((elapsedMs * perSecond) / 1_000); sent < due; sent += 1) {
      const n = (sent * 7_919) % contacts;
      // As the registrar does: it looks what is there, and replaces it.
      locations.lookup(record(n));
      void locations.save(record(n), [contact(n, 2 + sent)]).then(() => {
        stored += 1;
      });
    }
    await pause(1);
  }
  await nextTurn();
  return stored / seconds;
}

async function table(): Promise<object> {
  const locations = new MemoryLocations({ clock: systemClock, maxRecords: 2 * contacts });
  const before = bytes();
  await fill(locations);
  const perContact = (bytes() - before) / contacts;
  const beganMs = performance.now();
  let found = 0;
  for (let n = 0; n < 200_000; n += 1) found += locations.lookup(record((n * 7_919) % contacts)).length;
  const lookUpMicroseconds = ((performance.now() - beganMs) * 1_000) / 200_000;
  return { perContact, lookUpMicroseconds, found, rss: mebibytes(process.memoryUsage.rss()) };
}

async function calls(): Promise<object> {
  const locations = new MemoryLocations({ clock: systemClock, maxRecords: 2 * contacts });
  await fill(locations);
  const placed = await placeCalls(locations, record, 100_000);
  return { ...placed, rss: mebibytes(process.memoryUsage.rss()) };
}

async function start(): Promise<object> {
  const locations = sqlite();
  let openMs = 0;
  let loadedMs = 0;
  let missed = 0;
  const beganMs = performance.now();
  await locations.open();
  openMs = performance.now() - beganMs;
  const gaps = await longestGap(async () => {
    let isLoaded = false;
    void locations.loaded.then(() => {
      isLoaded = true;
    });
    // Calls meanwhile: whoever is called is there.
    for (let n = 0; !isLoaded; n += 1) {
      const called = (n * 104_729) % contacts;
      if (locations.lookup(record(called)).length !== 1) missed += 1;
      await pause(1);
    }
    loadedMs = performance.now() - beganMs;
  });
  const { size } = locations;
  const rss = mebibytes(process.memoryUsage.rss());
  await locations.close();
  return { openMs, loadedMs, ...gaps, missed, size, rss };
}

async function storm(): Promise<object> {
  const locations = sqlite();
  await locations.open();
  await locations.loaded;
  globalThis.gc?.();
  let stored = 0;
  const gaps = await longestGap(async () => {
    stored = await refresh(locations, 3_300, 15);
  });
  const rss = mebibytes(process.memoryUsage.rss());
  await locations.close();
  return { ...gaps, stored, rss };
}

async function filled(): Promise<object> {
  const locations = sqlite();
  await locations.open();
  await fill(locations);
  await locations.close();
  return {};
}

const works: Readonly<Record<string, () => Promise<object>>> = { table, calls, start, storm, fill: filled };
const work = works[mode];
if (work === undefined) throw new Error(`no measurement ${mode}`);
process.stdout.write(`${JSON.stringify(await work())}\n`);
process.exit(0);
