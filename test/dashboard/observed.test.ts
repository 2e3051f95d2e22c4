/** What the dashboard hears of a running controller: bounded, put together once a second, and there for who comes late. */
import { once } from 'node:events';
import { get } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { askAdmin, followAdmin } from '../../src/admin-client.ts';
import { CallLists } from '../../src/controller/call-lists.ts';
import { ControllerEvents } from '../../src/controller/events.ts';
import { FiguresHistory } from '../../src/controller/figures.ts';
import { Happenings } from '../../src/controller/happenings.ts';
import { type Controller, type ControllerConfig, startController } from '../../src/index.ts';
import { Metrics, silentLog } from '../../src/internal.ts';
import { CallJournal } from '../../src/journal/call-journal.ts';
import { CallMetrics } from '../../src/journal/call-metrics.ts';
import { delayAt } from '../../src/journal/post-dial-delays.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { SipPeer, sipRequest, sipResponse } from '../support/sip-peer.ts';

const open: { stop?(): Promise<void>; close?(): void }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) {
    await each.stop?.();
    each.close?.();
  }
});

async function controller(config: ControllerConfig) {
  const started: Controller = await startController({ admin: '127.0.0.1:0', ...config });
  open.push(started);
  const [host = '', port = ''] = (started.admin ?? '').split(':');
  const sip = Number(started.addresses[0]?.split(':').at(-1));
  return { started, sip, admin: { host, port: Number(port) } };
}

async function peer(answer?: (request: string) => readonly string[]): Promise<SipPeer> {
  const opened = await SipPeer.open('127.0.0.1', answer);
  open.push(opened);
  return opened;
}

describe('the stream for a dashboard', () => {
  it('has the calls, the cluster and what happened, and the lists say the same to who comes later', async () => {
    const callee = await peer((request) =>
      request.startsWith('INVITE')
        ? [sipResponse(request, 180, 'Ringing'), sipResponse(request, 486, 'Busy Here')]
        : [],
    );
    const closed = await SipPeer.open('127.0.0.1');
    closed.close();
    const { admin, sip } = await controller({
      sip: {
        listen: ['udp:127.0.0.1:0'],
        domains: ['example.com'],
        routes: [{ prefix: '9', to: [`udp:127.0.0.1:${closed.port}`, `udp:127.0.0.1:${callee.port}`] }],
      },
    });
    const caller = await peer();
    const callId = 'watched@127.0.0.1';
    caller.send(sipRequest({ method: 'INVITE', uri: 'sip:9123@example.com', from: caller, callId }), sip, '127.0.0.1');
    await caller.awaits(/^SIP\/2.0 486/);

    const seen = new Map<string, unknown>();
    for await (const { kind, data } of followAdmin(admin, '/events?kinds=calls,cluster,happenings,figures')) {
      seen.set(kind, data);
      if (seen.size === 4) break;
    }
    const call = { callId, reason: 'busy', code: '486', failed: true };
    expect(seen.get('calls')).toMatchObject({ open: { total: 0 }, failed: { total: 1, items: [call] } });
    expect(seen.get('cluster')).toMatchObject({
      state: 'ready',
      own: [{ protocol: 'sip' }],
      members: [{ kind: 'peer' }, { kind: 'peer' }],
      takeovers: [],
    });
    const moved = {
      what: 'message',
      from: `udp:127.0.0.1:${closed.port}`,
      to: `udp:127.0.0.1:${callee.port}`,
      because: 'refused',
    };
    expect(seen.get('happenings')).toMatchObject({ items: expect.arrayContaining([expect.objectContaining(moved)]) });
    expect(await askAdmin(admin, '/happenings')).toMatchObject({
      items: expect.arrayContaining([expect.objectContaining(moved)]),
    });

    for (const search of ['9123', 'watched@', `127.0.0.1:${callee.port}`])
      expect(await askAdmin(admin, `/calls?failed=1&search=${encodeURIComponent(search)}`)).toMatchObject({ total: 1 });
    expect(await askAdmin(admin, '/calls?failed=1&search=nobody')).toEqual({ total: 0, items: [] });
    expect(await askAdmin(admin, '/calls?failed=1&about=9123@example.com')).toMatchObject({ total: 1 });
    expect(await askAdmin(admin, '/figures')).toMatchObject({ items: expect.any(Array) });
    expect(await askAdmin(admin, '/lines')).toEqual({ total: 0, items: [] });

    const [response] = await once(get({ ...admin, path: `/trace?about=${callId}&format=pcap` }), 'response');
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    expect(response.headers['content-type']).toBe('application/vnd.tcpdump.pcap');
    expect(bytes.readUInt32LE(0)).toBe(0xa1b2c3d4);
    expect(bytes.toString('latin1')).toContain('INVITE sip:9123@example.com');
  });

  it('lists the lines of gateways, and finds them', async () => {
    const { admin } = await controller({
      mgcp: {
        listen: ['127.0.0.1:0'],
        gateways: [{ name: 'rgw1', addresses: ['127.0.0.1:1'] }],
        lines: [
          { number: '200', endpoint: 'aaln/1@rgw1' },
          { number: '201', endpoint: 'aaln/2@rgw1' },
        ],
      },
    });
    expect(await askAdmin(admin, '/lines')).toMatchObject({
      total: 2,
      items: [{ protocol: 'mgcp', number: '200', endpoint: 'aaln/1@rgw1', inService: false }, { number: '201' }],
    });
    expect(await askAdmin(admin, '/lines?search=AALN/2')).toMatchObject({ total: 1, items: [{ number: '201' }] });
    expect(await askAdmin(admin, '/lines?limit=1&offset=1')).toMatchObject({ total: 2, items: [{ number: '201' }] });
  });
});

describe('what is kept for who comes later', () => {
  it('counts moved messages in one entry for each pair of addresses and ten seconds, whatever flood there is', () => {
    const clock = new FakeClock();
    const events = new ControllerEvents(silentLog);
    const happenings = new Happenings(clock, events);
    for (let n = 0; n < 10_000; n += 1) events.moved('a', 'b', 'refused');
    expect(happenings.list()).toMatchObject([{ what: 'message', count: 10_000, from: 'a', to: 'b' }]);
    clock.advance(11_000);
    events.moved('a', 'b', 'refused');
    expect(happenings.list().map(({ count }) => count)).toEqual([1, 10_000]);
    for (let n = 0; n < 10_000; n += 1) events.moved(`a${n}`, 'b', 'refused');
    expect(happenings.list().length).toBeLessThanOrEqual(200);
    happenings.stop();
    events.moved('a', 'b', 'refused');
    expect(happenings.list()[0]).toMatchObject({ from: 'a9999' });
  });

  it('hears of deaths without making the roles tell of calls', () => {
    const events = new ControllerEvents(silentLog);
    const happenings = new Happenings(new FakeClock(), events);
    expect(events.isHeard).toBe(false);
    events.news({ kind: 'peer', state: 'died', protocol: 'x', address: 'udp:127.0.0.1:1', because: 'silent' });
    expect(happenings.list()).toMatchObject([
      { what: 'died', protocol: 'x', address: 'udp:127.0.0.1:1', because: 'silent' },
    ]);
  });

  it('samples the figures of the last hour, and no more', () => {
    const clock = new FakeClock();
    const journal = new CallJournal(clock);
    const metrics = new CallMetrics(new Metrics(), journal);
    const history = new FiguresHistory({ clock, journal, metrics, messages: () => 0 });
    for (let n = 0; n < 5; n += 1) journal.begin({ protocol: 'x' }).end({ reason: 'busy' });
    const rings = journal.begin({ protocol: 'x' });
    clock.advance(100);
    rings.ringing();
    clock.advance(4_900);
    expect(history.list()).toMatchObject([
      { begunPerSecond: 1.2, failedPerSecond: 1, failures: { busy: 5 }, callsOpen: 1 },
    ]);
    const [median = 0] = history.list()[0]?.postDialMs ?? [];
    expect(median).toBeGreaterThan(75);
    expect(median).toBeLessThanOrEqual(100);
    clock.advance(5_000);
    expect(history.list()[1]).toMatchObject({ begunPerSecond: 0, failures: {} });
    expect(history.list()[1]?.postDialMs).toBeUndefined();
    for (let n = 0; n < 2_000; n += 1) clock.advance(5_000);
    expect(history.list()).toHaveLength(720);
    history.stop();
    metrics.stop();
  });

  it('reads delays from counts', () => {
    expect(delayAt([], 0.5)).toBeUndefined();
    expect(delayAt([0, 0, 4], 0.5)).toBe(3.5);
    expect(delayAt([1, 0, 1], 0.95)).toBeGreaterThan(2);
  });
});

describe('lists of calls', () => {
  it('shows the newest of very many, and counts them all', () => {
    const clock = new FakeClock();
    const journal = new CallJournal(clock);
    const lists = new CallLists(clock, journal);
    for (let n = 0; n < 30_000; n += 1) journal.begin({ protocol: 'x', callId: `call-${n}`, caller: `sip:u${n}@x` });
    const board = lists.board();
    expect(board.open.total).toBe(30_000);
    expect(board.open.items).toHaveLength(60);
    expect(board.open.items[0]).toMatchObject({ callId: 'call-29999' });
    // Nothing changed: nothing is computed anew.
    const stop = lists.watch();
    const watched = lists.board();
    expect(lists.board()).toBe(watched);
    journal.begin({ protocol: 'x', callId: 'call-30000' });
    expect(lists.board().open.items[0]).toMatchObject({ callId: 'call-30000' });
    stop();
  });

  it('searches very many in pieces, so that others are served in between', async () => {
    const clock = new FakeClock();
    const journal = new CallJournal(clock);
    const lists = new CallLists(clock, journal);
    for (let n = 0; n < 50_000; n += 1) journal.begin({ protocol: 'x', callId: `call-${n}`, caller: `sip:u${n}@x` });
    let others = 0;
    const count = (): void => {
      others += 1;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    const found = await lists.list(new URLSearchParams({ about: 'u4999@x' }));
    clearImmediate(timer);
    expect(found).toMatchObject({ total: 1, items: [{ callId: 'call-4999' }] });
    expect(others).toBeGreaterThan(5);
    expect(await lists.list(new URLSearchParams({ newest: '1', limit: '1' }))).toMatchObject({
      total: 50_000,
      items: [{ callId: 'call-49999' }],
    });
  });
});
