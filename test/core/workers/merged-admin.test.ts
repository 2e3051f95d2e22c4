/** The admin server in front of two workers', over HTTP: what one asks of it, and what each of them is asked. */
import { afterEach, describe, expect, it } from 'vitest';
import { type AdminServer, type AdminView, startAdmin } from '../../../src/admin.ts';
import { askAdmin, askAdminText, followAdmin } from '../../../src/admin-client.ts';
import type { EventKind } from '../../../src/admin-stream.ts';
import { AltpathError } from '../../../src/errors.ts';
import { Metrics, silentLog, systemClock } from '../../../src/internal.ts';
import { MergedAdmin } from '../../../src/workers/merged-admin.ts';

const open: AdminServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0).reverse()) await server.close();
});

const token = 'token-that-workers-want-to-see-too';
const local = { host: '127.0.0.1', port: 0 };

interface Worker {
  readonly admin: AdminServer;
  readonly asked: string[];
  readonly bans: Set<string>;
  tell(kind: EventKind, data: unknown): void;
}

async function worker(index: number): Promise<Worker> {
  const metrics = new Metrics();
  metrics.counter('messages_received_total', 'Messages').add(index * 10);
  const asked: string[] = [];
  const bans = new Set(['192.0.2.9']);
  const listeners = new Set<(kind: EventKind, data: unknown) => void>();
  const list = (name: string, items: readonly Readonly<Record<string, unknown>>[]) => (query: URLSearchParams) => {
    asked.push(`${name}?${query}`);
    return { total: items.length, items: items.slice(0, Number(query.get('limit') ?? 1_000)) };
  };
  const view: AdminView = {
    metrics,
    log: silentLog,
    state: () => 'ready',
    status: () => ({ memoryBytes: index, uptimeSeconds: 5, location: 'memory', roles: { sip: { pending: index } } }),
    calls: () => [],
    peers: () => [],
    registrations: () => [[`user${index}@x`, []]],
    explain: () => ({ by: index }),
    drain: () => undefined,
    events: {
      listen(_kinds, _about, tell) {
        listeners.add(tell);
        return () => listeners.delete(tell);
      },
    },
    lists: {
      '/calls': list('calls', [
        { id: `c${index}`, callId: `call-${index}`, begunMs: index * 100 },
        { id: 'both', begunMs: 1_000, isAdopted: index === 2 },
      ]),
      '/peers': list('peers', [{ address: 'udp:192.0.2.1:5060', health: 'up', lastHeardMs: index }]),
      '/trace': (query) => {
        asked.push(`trace?${query}`);
        const at = { transport: 'udp', direction: 'in', from: '192.0.2.1:5060', to: '192.0.2.2:5060' };
        return {
          items: [
            { sequence: 1, wallMs: 10 - index, protocol: 'sip', title: `INVITE ${index}`, octets: 'QQ==', ...at },
          ],
        };
      },
      '/bans': () => ({ items: [...bans].map((source) => ({ source, dropped: index, leftSeconds: index })) }),
      '/figures': () => ({ items: [{ wallMs: 1_000 + index, callsOpen: index, seconds: 5 }] }),
      '/happenings': () => ({ items: [{ sequence: 1, wallMs: index, lastMs: index, what: 'died' }] }),
    },
    orders: { '/bans': (query) => ({ source: query.get('source') }) },
    removals: {
      '/bans': (query) => {
        if (!bans.delete(query.get('source') ?? '')) throw new AltpathError('ERR_BAN', 'it is not banned');
        return { lifted: query.get('source') };
      },
    },
  };
  const admin = await startAdmin(local, view, token);
  open.push(admin);
  return {
    admin,
    asked,
    bans,
    tell: (kind, data) => {
      for (const each of listeners) each(kind, data);
    },
  };
}

async function front(lead = 1) {
  const workers = [await worker(1), await worker(2)] as const;
  const metrics = new Metrics();
  let drained = 0;
  const merged = new MergedAdmin({
    supervisor: {
      lead,
      workers: () => [
        ...workers.map(({ admin }, at) => ({
          index: at + 1,
          state: 'ready' as const,
          pid: at + 100,
          starts: 1,
          deaths: 0,
          sinceMs: 0,
          admin: admin.address,
        })),
        { index: 3, state: 'down', pid: undefined, starts: 2, deaths: 1, sinceMs: 0, admin: undefined },
      ],
    },
    clock: systemClock,
    log: silentLog,
    metrics,
    version: '1',
    token,
    startedMs: systemClock.now(),
    state: () => 'ready',
    drain: () => {
      drained += 1;
    },
  });
  const admin = await startAdmin(local, merged.view(), token);
  open.push(admin);
  const ask = async (path: string, method: 'GET' | 'POST' | 'DELETE' = 'GET') =>
    (await askAdmin(admin.address, path, { token, method })) as Readonly<Record<string, never>> & {
      readonly total: number;
      readonly items: readonly Readonly<Record<string, unknown>>[];
    };
  return { workers, admin, ask, drained: () => drained };
}

describe('the admin server of several workers', () => {
  it('shows each worker and what all have in sum', async () => {
    const { ask, admin } = await front();
    const status = await ask('/status');
    expect(status).toMatchObject({ state: 'ready', version: '1', roles: { sip: { pending: 3 } } });
    expect(status['workers']).toMatchObject([{ worker: 1, lead: true }, { worker: 2 }, { worker: 3, state: 'down' }]);
    expect(await askAdminText(admin.address, '/metrics')).toContain('altpath_messages_received_total 30');
    expect(await askAdminText(admin.address, '/healthz')).toBe('ready\n');
  });

  it('lists calls of all as one would: in the order of time, each once, page by page', async () => {
    const { ask } = await front();
    const all = await ask('/calls');
    expect(all.total).toBe(3);
    expect(all.items.map(({ id, worker }) => [id, worker])).toEqual([
      ['c1', 1],
      ['c2', 2],
      ['both', 1],
    ]);
    expect((await ask('/calls?newest=1&limit=2')).items.map(({ id }) => id)).toEqual(['both', 'c2']);
    expect((await ask('/calls?newest=1&limit=2&offset=2')).items.map(({ id }) => id)).toEqual(['c1']);
    expect((await ask('/peers')).items).toEqual([{ address: 'udp:192.0.2.1:5060', health: 'up', lastHeardMs: 1 }]);
    expect((await ask('/figures')).items).toEqual([{ wallMs: 1_002, callsOpen: 3, seconds: 5 }]);
    expect((await ask('/happenings')).items.map(({ worker }) => worker)).toEqual([2, 1]);
  });

  it('asks the one that has the gateways for what one has for all', async () => {
    const { ask } = await front(2);
    expect(await ask('/explain?number=200')).toEqual({ by: 2 });
    expect(await ask('/registrations')).toMatchObject({ total: 0 });
  });

  it('traces what is about a call at every worker by all of its ids, in the order of time, as a capture, too', async () => {
    const { ask, workers, admin } = await front();
    const rows = (await ask('/trace?about=200')).items;
    expect(rows.map(({ title }) => title)).toEqual(['INVITE 2', 'INVITE 1']);
    expect(new Set(rows.map(({ sequence }) => sequence)).size).toBe(2);
    for (const { asked } of workers)
      expect(asked.filter((each) => each.startsWith('trace'))).toEqual([
        'trace?about=200',
        'trace?about=call-1',
        'trace?about=call-2',
      ]);
    const pcap = await fetch(`http://127.0.0.1:${admin.address.port}/trace?format=pcap`);
    expect(pcap.headers.get('content-type')).toBe('application/vnd.tcpdump.pcap');
    expect(Buffer.from(await pcap.arrayBuffer()).readUInt32LE(0)).toBe(0xa1b2c3d4);
  });

  it('bans at all and lifts at all; a source that several banned is shown once', async () => {
    const { ask, workers } = await front();
    expect((await ask('/bans')).items).toEqual([{ source: '192.0.2.9', dropped: 3, leftSeconds: 2 }]);
    expect(await ask('/bans?source=192.0.2.7', 'POST')).toEqual({ source: '192.0.2.7' });
    expect(await ask('/bans?source=192.0.2.9', 'DELETE')).toEqual({ lifted: '192.0.2.9' });
    for (const { bans } of workers) expect(bans.size).toBe(0);
    await expect(ask('/bans?source=192.0.2.9', 'DELETE')).rejects.toThrow(/says: it is not banned$/);
  });

  it('drains the program, not a worker, and obeys nobody without the token', async () => {
    const { ask, drained, admin } = await front();
    await expect(askAdmin(admin.address, '/drain', { method: 'POST' })).rejects.toThrow(/token/);
    expect(drained()).toBe(0);
    await ask('/drain', 'POST');
    expect(drained()).toBe(1);
  });

  it('follows all: figures as a sum, a board of calls of all, everything else with its worker', async () => {
    const { admin, workers } = await front();
    const events = followAdmin(admin.address, '/events?kinds=figures,calls,call,cluster', { token });
    const seen = new Map<string, unknown>();
    const telling = setInterval(() => {
      for (const [at, each] of workers.entries()) {
        each.tell('figures', { wallMs: 5, callsOpen: at + 1 });
        each.tell('calls', {
          open: { total: 1, items: [{ id: `c${at}`, begunMs: at }] },
          failed: { total: 0, items: [] },
        });
        each.tell('cluster', { state: `worker ${at + 1}` });
      }
      workers[1].tell('call', { id: 'x' });
    }, 100);
    for await (const { kind, data } of events) {
      seen.set(kind, data);
      const { callsOpen } = (seen.get('figures') ?? {}) as { callsOpen?: number };
      const { open: board } = (seen.get('calls') ?? {}) as { open?: { total: number } };
      if (callsOpen === 3 && board?.total === 2 && seen.has('call') && seen.has('cluster')) break;
    }
    clearInterval(telling);
    expect(seen.get('calls')).toMatchObject({
      open: {
        items: [
          { id: 'c1', worker: 2 },
          { id: 'c0', worker: 1 },
        ],
      },
    });
    expect(seen.get('call')).toEqual({ id: 'x', worker: 2 });
    expect(seen.get('cluster')).toEqual({ state: 'worker 1', worker: 1 });
  });
});
