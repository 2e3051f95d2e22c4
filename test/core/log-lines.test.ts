/** The lines that operators wait for, each by the event of its name: takeovers, peers that die and return, refused registrations, floods. */
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Controller, type ControllerConfig, startController } from '../../src/index.ts';
import { CallJournal } from '../../src/journal/call-journal.ts';
import { CallRecords } from '../../src/journal/call-records.ts';
import { FailedCallsLog } from '../../src/journal/failed-calls-log.ts';
import { TakeoverLog } from '../../src/journal/takeover-log.ts';
import { openLog } from '../../src/log.ts';
import { LogControl, logChange } from '../../src/log-control.ts';
import { Metrics } from '../../src/metrics.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { logLines } from '../support/log-lines.ts';
import { SipPeer, sipRequest, sipResponse } from '../support/sip-peer.ts';

const { log, lines } = logLines();
const open: { stop?(): Promise<void>; close?(): void }[] = [];

afterEach(async () => {
  for (const each of open.splice(0)) {
    await each.stop?.();
    each.close?.();
  }
  lines.length = 0;
});

const said = (name: string) => lines.filter(({ event }) => event === name);

async function controller(sip: NonNullable<ControllerConfig['sip']>): Promise<Controller & { port: number }> {
  const started = await startController(
    {
      cluster: { secret: '0123456789abcdef0123456789abcdef' },
      sip: { listen: ['udp:127.0.0.1:0'], domains: ['example.com'], ...sip },
    },
    { logger: log },
  );
  open.push(started);
  return Object.assign(started, { port: Number(started.addresses[0]?.split(':').at(-1)) });
}

async function peer(host: string, answer?: (request: string) => readonly string[], port?: number): Promise<SipPeer> {
  const opened = await SipPeer.open(host, answer, port);
  open.push(opened);
  return opened;
}

describe('failed calls', () => {
  it('have a line each, and of a flood some, and a count of the others', () => {
    const clock = new FakeClock();
    const journal = new CallJournal(clock);
    const failed = new FailedCallsLog(log, clock, journal);
    for (let call = 0; call < 500; call += 1)
      journal.begin({ protocol: 'sip', callId: `c${call}` }).end({ reason: 'busy', cause: 17 });
    expect(said('callFailed')).toHaveLength(100);
    clock.advance(60_000);
    expect(said('callsFailed')).toMatchObject([{ count: 400, reasons: { busy: 400 } }]);
    failed.stop();
  });

  it('those that were hung up or given up are none', () => {
    const clock = new FakeClock();
    const journal = new CallJournal(clock);
    const failed = new FailedCallsLog(log, clock, journal);
    journal.begin({ protocol: 'sip', callId: 'a' }).end({ reason: 'cancelled' });
    const call = journal.begin({ protocol: 'sip', callId: 'b' });
    call.answered();
    call.end({ reason: 'normal' });
    expect(said('callFailed')).toEqual([]);
    const lost = journal.begin({ protocol: 'mgcp', callId: 'c' });
    lost.answered();
    lost.end({ reason: 'gatewayLost', cause: 27 });
    expect(said('callFailed')).toMatchObject([{ callId: 'c', reason: 'gatewayLost' }]);
    failed.stop();
  });
});

describe('a takeover', () => {
  it('is told when it begins, with how long nobody served, and in sum while it lasts', async () => {
    const clock = new FakeClock();
    const metrics = new Metrics();
    const takeovers = new TakeoverLog({ clock, log, metrics, protocol: 'sip' });
    const lastMs = clock.now();
    clock.advance(250);
    takeovers.adopted('udp:127.0.0.2:5060', 'response', 'c1', lastMs);
    takeovers.adopted('udp:127.0.0.2:5060', 'request', 'c1', lastMs);
    takeovers.adopted('udp:127.0.0.2:5060', 'request', 'c2', lastMs);
    expect(said('takeover')).toMatchObject([{ partner: 'udp:127.0.0.2:5060', what: 'response', gapMs: 250 }]);
    clock.advance(10_000);
    expect(said('takeoverCounts')).toMatchObject([{ requests: 2, responses: 1, calls: 2, forMs: 10_000 }]);
    clock.advance(60_000);
    expect(said('takeoverCounts')).toHaveLength(1);
    expect(takeovers.list()).toEqual([]);
    const text = await metrics.text();
    expect(text).toMatch(/altpath_takeovers_total\{(?=.*what="request")(?=.*partner="udp:127.0.0.2:5060").*\} 2/);
    expect(text).toContain('altpath_takeover_gap_seconds_bucket{le="0.5",protocol="sip"} 1');
    takeovers.stop();
  });
});

describe('peers and registrations', () => {
  it('a peer that dies, returns, or takes no work; and the message that moved', async () => {
    const first = await peer('127.0.0.5');
    const { port } = first;
    first.close();
    open.splice(open.indexOf(first), 1);
    const second = await peer('127.0.0.6', (request) =>
      request.startsWith('INVITE') ? [sipResponse(request, 486, 'Busy Here')] : [],
    );
    const on = await controller({
      routes: [{ prefix: '9', to: [`udp:127.0.0.5:${port}`, `udp:127.0.0.6:${second.port}`] }],
      timers: { downProbeMs: 200 },
    });
    const caller = await peer('127.0.0.1');
    const call = (callId: string) =>
      caller.send(
        sipRequest({ method: 'INVITE', uri: 'sip:9@example.com', from: caller, callId }),
        on.port,
        '127.0.0.1',
      );
    call('d1');
    await caller.awaits(/^SIP\/2.0 486/);
    const [dead, alternate] = [`udp:127.0.0.5:${port}`, `udp:127.0.0.6:${second.port}`];
    expect(said('messageMoved')).toMatchObject([{ from: dead, to: alternate, because: 'refused' }]);
    await expect.poll(() => said('peerDied')).toMatchObject([{ peer: dead, failure: 'refused' }]);
    let refuses = false;
    await peer(
      '127.0.0.5',
      (request) => {
        if (request.startsWith('ACK')) return [];
        return refuses
          ? [sipResponse(request, 503, 'Service Unavailable', ['Retry-After: 30'])]
          : [sipResponse(request, request.startsWith('OPTIONS') ? 483 : 486, 'No')];
      },
      port,
    );
    await expect
      .poll(() => said('peerReturned'), { timeout: 8_000 })
      .toMatchObject([
        { peer: dead, heldMs: expect.any(Number), newWorkAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) },
      ]);
    refuses = true;
    // After its return it gets new work again only when it was up for a while.
    await expect
      .poll(
        () => {
          call(`d${Math.random()}`);
          return said('peerRefuses');
        },
        { timeout: 20_000, interval: 500 },
      )
      .not.toEqual([]);
    expect(said('peerRefuses')[0]).toMatchObject({ peer: dead, forMs: 30_000 });
  }, 40_000);

  it('a registration that is refused, and credentials that are wrong: one line a minute for each source', async () => {
    const on = await controller({
      auth: { register: true, realm: 'example.com', users: [{ user: 'alice', password: 'wonder' }] },
    });
    const phone = await peer('127.0.0.4');
    const register = (callId: string, fields: readonly string[]) =>
      phone.send(
        sipRequest({
          method: 'REGISTER',
          uri: 'sip:example.com',
          to: 'sip:alice@example.com',
          from: phone,
          callId,
          fields,
        }),
        on.port,
        '127.0.0.1',
      );
    register('r1', ['Require: wonders']);
    await phone.awaits(/^SIP\/2.0 420/);
    register('r2', ['Require: wonders']);
    register('r3', []);
    const challenge = await phone.awaits(/^SIP\/2.0 401/);
    const nonce = /nonce="([^"]+)"/.exec(challenge)?.[1];
    register('r4', [
      `Authorization: Digest username="alice", realm="example.com", nonce="${nonce}", uri="sip:example.com", algorithm=MD5, qop=auth, nc=00000001, cnonce="x", response="00000000000000000000000000000000"`,
    ]);
    await expect.poll(() => said('authenticationFailed')).toMatchObject([{ to: 'sip:alice@example.com' }]);
    expect(said('registrationRefused')).toMatchObject([
      { to: 'sip:alice@example.com', status: 420, reason: 'Bad Extension' },
    ]);
  });
});

describe('the level of the log', () => {
  const opened = () => {
    const clock = new FakeClock();
    const process = openLog({ level: 'info', format: 'json' });
    const written: { level: string; msg: string; event?: string; callId?: string }[] = [];
    process.tap((line) => written.push(JSON.parse(line)));
    const sip = process.logger.child({ protocol: 'sip' });
    const mgcp = process.logger.child({ protocol: 'mgcp' });
    return {
      clock,
      sip,
      mgcp,
      written,
      control: new LogControl(process, clock),
      messages: () => written.map(({ msg }) => msg),
    };
  };

  it('changes for one part, and goes back by itself', () => {
    const { clock, sip, mgcp, control, messages, written } = opened();
    control.change(logChange(new URLSearchParams('level=debug&part=sip&minutes=5'), ['sip', 'mgcp']));
    sip.debug('seen');
    mgcp.debug('unseen');
    clock.advance(5 * 60_000);
    sip.debug('unseen');
    expect(messages()).toEqual(['log level changed', 'seen', 'log level is what it was']);
    expect(written.map(({ event }) => event)).toEqual(['logLevelChanged', undefined, 'logLevelRestored']);
    expect(control.status()).toEqual({ level: 'info' });
  });

  it('changes for what is about one call, and no other line comes at that level', () => {
    const { sip, control, messages } = opened();
    control.change(logChange(new URLSearchParams('level=debug&about=call-1'), ['sip']));
    sip.debug({ callId: 'call-1' }, 'about it');
    sip.debug({ callId: 'call-2' }, 'about another');
    sip.info({ callId: 'call-2' }, 'of the level that is configured');
    control.restore();
    sip.debug({ callId: 'call-1' }, 'too late');
    expect(messages().slice(1, 3)).toEqual(['about it', 'of the level that is configured']);
    expect(messages()).not.toContain('too late');
  });

  it('says what is wrong with a wish', () => {
    const wish = (words: string) => () => logChange(new URLSearchParams(words), ['sip', 'core']);
    expect(wish('level=loud')).toThrow('the level is one of trace, debug, info');
    expect(wish('level=debug&part=x25')).toThrow('the part is one of sip, core');
    expect(wish('level=debug&minutes=-1')).toThrow('minutes are from 0');
  });
});

describe('call records on a full disk', () => {
  it.skipIf(!existsSync('/dev/full'))('say that they wait, and do not keep calls from being made', async () => {
    const clock = new FakeClock();
    const journal = new CallJournal(clock);
    const records = new CallRecords({
      clock,
      log,
      metrics: new Metrics(),
      journal,
      to: '/dev/full',
      member: undefined,
    });
    const call = journal.begin({ protocol: 'sip', callId: 'a' });
    call.sent('udp:127.0.0.9:5060', 'default');
    call.end({ reason: 'busy' });
    await expect.poll(() => said('recordsStopped')).toMatchObject([{ file: '/dev/full', waiting: 1 }]);
    expect(journal.failed()).toHaveLength(1);
    await records.stop();
  });

  it('are written again when there is room', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'altpath-full-'));
    const path = join(folder, 'calls.jsonl');
    symlinkSync('/dev/full', path);
    const clock = new FakeClock();
    const journal = new CallJournal(clock);
    const records = new CallRecords({ clock, log, metrics: new Metrics(), journal, to: path, member: undefined });
    const call = journal.begin({ protocol: 'sip', callId: 'a' });
    call.sent('udp:127.0.0.9:5060', 'default');
    call.end({ reason: 'busy' });
    await expect.poll(() => said('recordsStopped')).toHaveLength(1);
    rmSync(path);
    records.reopen();
    await expect.poll(() => said('recordsResumed')).toMatchObject([{ file: path, lost: 0 }]);
    expect(readFileSync(path, 'utf8')).toContain('"callId":"a"');
    await records.stop();
    rmSync(folder, { recursive: true });
  });
});
