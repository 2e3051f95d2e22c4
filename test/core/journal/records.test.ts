/** Call records: one line for each call that ended, whole and in order, whatever happens to the disk. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../../src/clock.ts';
import { startController } from '../../../src/index.ts';
import { CallJournal } from '../../../src/journal/call-journal.ts';
import { CallRecords } from '../../../src/journal/call-records.ts';
import { RecordFile } from '../../../src/journal/record-file.ts';
import { Metrics } from '../../../src/metrics.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { logLines } from '../../support/log-lines.ts';
import { SipPeer, sipHeader, sipRequest } from '../../support/sip-peer.ts';

const folder = mkdtempSync(join(tmpdir(), 'altpath-records-'));
let count = 0;
const fresh = (): string => {
  count += 1;
  return join(folder, `calls-${count}.jsonl`);
};

afterEach(() => undefined);

function keeping(path: string, timer: Pick<Clock, 'after'> | undefined = undefined) {
  const clock = new FakeClock();
  const journal = new CallJournal(clock);
  const { log, lines } = logLines('info');
  const recordClock: Clock = timer === undefined ? clock : Object.assign(Object.create(clock), timer);
  const records = new CallRecords({ clock: recordClock, log, metrics: new Metrics(), journal, to: path, member: 'a' });
  const place = (callId: string, answered = true): void => {
    const call = journal.begin({
      protocol: 'sip',
      callId,
      caller: 'sip:a@x',
      callee: 'sip:b@x',
      from: { transport: 'udp', remote: { host: '127.0.0.7', port: 5060 } },
    });
    call.sent('udp:127.0.0.9:5060', 'route 9');
    clock.advance(500);
    call.ringing();
    if (answered) {
      clock.advance(1_500);
      call.answered();
      clock.advance(30_000);
    }
    call.end(
      answered
        ? { reason: 'normal', cause: 16 }
        : { reason: 'busy', code: '486', cause: 17, where: 'udp:127.0.0.9:5060' },
    );
  };
  return { clock, journal, records, lines, place };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** So many lines are in the file. */
const written = (path: string, count: number) =>
  expect.poll(() => (existsSync(path) ? read(path).length : 0), { timeout: 10_000 }).toBe(count);

const read = (path: string): readonly Record<string, unknown>[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

describe('call records', () => {
  it('say who called whom, when, by which way, and how it ended', async () => {
    const path = fresh();
    const { records, place } = keeping(path);
    place('one');
    place('two', false);
    await written(path, 2);
    expect(read(path)).toMatchObject([
      {
        record: 'call',
        id: expect.stringMatching(/^[0-9a-f]{24}$/),
        protocol: 'sip',
        callId: 'one',
        caller: 'sip:a@x',
        callee: 'sip:b@x',
        begunMs: expect.any(Number),
        ringingMs: expect.any(Number),
        answeredMs: expect.any(Number),
        endedMs: expect.any(Number),
        talkedMs: 30_000,
        from: 'udp:127.0.0.7:5060',
        to: 'udp:127.0.0.9:5060',
        route: 'route 9',
        reason: 'normal',
        cause: 16,
        failed: false,
        member: 'a',
      },
      { callId: 'two', reason: 'busy', code: '486', cause: 17, where: 'udp:127.0.0.9:5060', failed: true },
    ]);
    expect(read(path)[1]).not.toHaveProperty('answeredMs');
    await records.stop();
  });

  it('go on in a new file after rename and reopen, none lost and none in both', async () => {
    const path = fresh();
    const { records, place } = keeping(path);
    place('before');
    await written(path, 1);
    renameSync(path, `${path}.1`);
    place('between');
    records.reopen();
    place('after');
    await records.stop();
    expect(read(`${path}.1`).map(({ callId }) => callId)).toEqual(['before', 'between']);
    expect(read(path).map(({ callId }) => callId)).toEqual(['after']);
  });

  it('wait while the disk is full, within a bound, and come when there is room; each line whole', async () => {
    const path = fresh();
    const clock = new FakeClock();
    const events: string[] = [];
    let room = 50;
    const octets: Buffer[] = [];
    const file = new RecordFile({
      path,
      clock,
      maxWaitingBytes: 400,
      stopped: (reason, waiting) => events.push(`stopped: ${reason}, ${waiting}`),
      resumed: (lost) => events.push(`resumed: ${lost} lost`),
      lost: () => events.push('lost'),
      write(_fd, bytes, done) {
        if (room === 0) {
          done(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }), 0);
          return;
        }
        const taken = Math.min(room, bytes.length);
        octets.push(Buffer.from(bytes.subarray(0, taken)));
        room -= taken;
        done(null, taken);
      },
    });
    for (let line = 0; line < 10; line += 1) {
      file.add(`{"line":${line},"pad":"${'x'.repeat(30)}"}`);
      await turn();
    }
    expect(events.filter((event) => event === 'lost').length).toBeGreaterThan(0);
    expect(events[0]).toMatch(/^stopped: no space left on device, [12]$/);
    room = 1_000_000;
    clock.advance(1_500);
    expect(events.at(-1)).toMatch(/^resumed: \d lost$/);
    const lines = Buffer.concat(octets).toString().trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).line)).toEqual(lines.map((_, index) => index));
    expect(lines.length + events.filter((event) => event === 'lost').length).toBe(10);
    await file.close();
  });

  it('cannot begin where the file cannot be opened, and says so', () => {
    expect(() => keeping('/no/such/folder/calls.jsonl')).toThrow(
      'cannot write call records to "/no/such/folder/calls.jsonl": no such file or directory',
    );
  });

  it('leave out most of a flood of calls that are refused at once', async () => {
    const path = fresh();
    const { journal, records } = keeping(path);
    for (let index = 0; index < 5_000; index += 1)
      journal.begin({ protocol: 'sip', callId: `f${index}` }).end({ reason: 'forbidden' });
    await records.stop();
    expect(read(path).length).toBe(1_000);
  });

  it('wait for a slow disk in order, one write at a time, and nobody waits for it; at the end all are written', async () => {
    const path = fresh();
    const octets: Buffer[] = [];
    let underWay = 0;
    let mostAtOnce = 0;
    const file = new RecordFile({
      path,
      clock: new FakeClock(),
      stopped: () => undefined,
      resumed: () => undefined,
      lost: () => undefined,
      write(_fd, bytes, done) {
        underWay += 1;
        mostAtOnce = Math.max(mostAtOnce, underWay);
        // Some of it, later.
        const taken = Math.max(1, Math.floor(bytes.length / 3));
        setTimeout(() => {
          octets.push(Buffer.from(bytes.subarray(0, taken)));
          underWay -= 1;
          done(null, taken);
        }, 5);
      },
    });
    for (let line = 0; line < 50; line += 1) {
      file.add(`{"line":${line}}`);
      if (line % 10 === 0) await turn();
    }
    expect(file.waiting).toBeGreaterThan(0);
    await file.close();
    expect(file.waiting).toBe(0);
    expect(mostAtOnce).toBe(1);
    const lines = Buffer.concat(octets).toString().trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).line)).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  it('that the disk does not take at the end are counted', async () => {
    let lost = 0;
    const file = new RecordFile({
      path: fresh(),
      clock: new FakeClock(),
      stopped: () => undefined,
      resumed: () => undefined,
      lost: (count) => {
        lost += count;
      },
      write: (_fd, _bytes, done) => done(Object.assign(new Error('input/output error'), { code: 'EIO' }), 0),
    });
    for (let line = 0; line < 5; line += 1) file.add('{}');
    await file.close();
    expect(lost).toBe(5);
  });

  it('go through a pipe whose reader is slow, whole and in order, and keep nobody waiting', async () => {
    const path = fresh();
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    const { records, place } = keeping(path, systemClock);
    for (let call = 0; call < 1_000; call += 1) place(`piped-${call}`);
    // Some 400 kB, of which a pipe takes 64.
    await turn();
    let text = '';
    const chunk = Buffer.alloc(65_536);
    let isOver = false;
    const end = records.stop().then(() => {
      isOver = true;
    });
    while (!isOver || text.split('\n').length <= 1_000) {
      try {
        text += chunk.toString('utf8', 0, readSync(reader, chunk));
      } catch {
        // Nothing there just now.
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await end;
    const calls = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).callId);
    expect(calls).toEqual(Array.from({ length: 1_000 }, (_, index) => `piped-${index}`));
    closeSync(reader);
  });

  it('that were accepted are in the file when an orderly stop is over', async () => {
    const path = fresh();
    const controller = await startController(
      { callRecords: { file: path }, sip: { listen: ['udp:127.0.0.1:0'], domains: ['example.com'] } },
      { logger: logLines('info').log },
    );
    const caller = await SipPeer.open('127.0.0.1');
    const port = Number(controller.addresses[0]?.split(':').at(-1));
    for (let call = 0; call < 40; call += 1)
      caller.send(
        sipRequest({ method: 'INVITE', uri: 'sip:nobody@example.com', from: caller, callId: `stop-${call}` }),
        port,
        '127.0.0.1',
      );
    await expect
      .poll(
        () =>
          new Set(
            caller.received.filter((text) => text.startsWith('SIP/2.0 404')).map((text) => sipHeader(text, 'Call-ID')),
          ).size,
        { timeout: 10_000 },
      )
      .toBe(40);
    await controller.stop();
    caller.close();
    expect(read(path).length).toBe(40);
    rmSync(folder, { recursive: true });
  });
});
