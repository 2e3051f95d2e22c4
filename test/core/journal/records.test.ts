/** Call records: one line for each call that ended, whole and in order, whatever happens to the disk. */
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { CallJournal } from '../../../src/journal/call-journal.ts';
import { CallRecords } from '../../../src/journal/call-records.ts';
import { RecordFile } from '../../../src/journal/record-file.ts';
import { Metrics } from '../../../src/metrics.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { logLines } from '../../support/log-lines.ts';

const folder = mkdtempSync(join(tmpdir(), 'altpath-records-'));
let count = 0;
const fresh = (): string => {
  count += 1;
  return join(folder, `calls-${count}.jsonl`);
};

afterEach(() => undefined);

function keeping(path: string) {
  const clock = new FakeClock();
  const journal = new CallJournal(clock);
  const { log, lines } = logLines('info');
  const records = new CallRecords({ clock, log, metrics: new Metrics(), journal, to: path, member: 'a' });
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
    await turn();
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
    records.stop();
  });

  it('go on in a new file after rename and reopen, none lost and none in both', async () => {
    const path = fresh();
    const { records, place } = keeping(path);
    place('before');
    await turn();
    renameSync(path, `${path}.1`);
    place('between');
    await turn();
    records.reopen();
    place('after');
    records.stop();
    expect(read(`${path}.1`).map(({ callId }) => callId)).toEqual(['before', 'between']);
    expect(read(path).map(({ callId }) => callId)).toEqual(['after']);
  });

  it('wait while the disk is full, within a bound, and come when there is room; each line whole', async () => {
    const path = fresh();
    const clock = new FakeClock();
    const events: string[] = [];
    let room = 50;
    const written: Buffer[] = [];
    const file = new RecordFile({
      path,
      clock,
      maxWaitingBytes: 400,
      stopped: (reason, waiting) => events.push(`stopped: ${reason}, ${waiting}`),
      resumed: (lost) => events.push(`resumed: ${lost} lost`),
      lost: () => events.push('lost'),
      write(_fd, bytes) {
        if (room === 0) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        const taken = Math.min(room, bytes.length);
        written.push(Buffer.from(bytes.subarray(0, taken)));
        room -= taken;
        return taken;
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
    const lines = Buffer.concat(written).toString().trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).line)).toEqual(lines.map((_, index) => index));
    expect(lines.length + events.filter((event) => event === 'lost').length).toBe(10);
    file.close();
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
    await turn();
    records.stop();
    expect(read(path).length).toBe(1_000);
    rmSync(folder, { recursive: true });
  });
});
