/** The supervisor over fake processes: who is started when, who does what one does for all, what is said of a crash loop. */
import { describe, expect, it } from 'vitest';
import { AltpathError } from '../../../src/errors.ts';
import { Metrics } from '../../../src/internal.ts';
import { BackOff } from '../../../src/workers/back-off.ts';
import type { ToWorker } from '../../../src/workers/messages.ts';
import { Supervisor, type WorkerEvents } from '../../../src/workers/supervisor.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { logLines } from '../../support/log-lines.ts';

class FakeWorker {
  readonly index: number;
  readonly events: WorkerEvents;
  readonly heard: ToWorker[] = [];
  readonly signals: NodeJS.Signals[] = [];
  readonly pid: number;

  constructor(index: number, events: WorkerEvents, pid: number) {
    this.index = index;
    this.events = events;
    this.pid = pid;
  }

  send(message: ToWorker): void {
    this.heard.push(message);
  }

  kill(signal: NodeJS.Signals): void {
    this.signals.push(signal);
  }

  serve(): void {
    this.events.said({ kind: 'linked', path: `/socket/${this.pid}` });
    this.events.said({ kind: 'ready', admin: { host: '127.0.0.1', port: this.pid } });
  }

  get roster() {
    return this.heard.flatMap((message) => (message.kind === 'roster' ? [message] : [])).at(-1);
  }
}

function world(count = 2) {
  const clock = new FakeClock();
  const lives: FakeWorker[] = [];
  const { log, lines } = logLines();
  const supervisor = new Supervisor({
    count,
    clock,
    log,
    metrics: new Metrics(),
    directory: '/sockets',
    secret: 'secret',
    life: 'l',
    holdMs: 10_000,
    spawn(index, events) {
      const life = new FakeWorker(index, events, 100 + lives.length);
      lives.push(life);
      return life;
    },
  });
  const started = supervisor.start();
  started.catch(() => undefined);
  const now = (index: number): FakeWorker => {
    const life = lives.findLast((each) => each.index === index);
    if (life === undefined) throw new Error(`no worker ${index}`);
    return life;
  };
  const logged = (event: string): readonly unknown[] =>
    lines.flatMap((line) => (line.event === event ? [line['worker']] : []));
  return { clock, lives, supervisor, started, now, logged };
}

describe('a start', () => {
  it('tells each who the others are, and is done when all serve', async () => {
    const { supervisor, started, now, logged } = world();
    now(1).serve();
    now(2).serve();
    await started;
    expect(now(1).heard[0]).toMatchObject({ kind: 'start', index: 1, count: 2, secret: 'secret', life: 'lw1s1' });
    expect(now(1).roster?.workers.map(({ index, life }) => [index, life])).toEqual([
      [1, 'lw1s1'],
      [2, 'lw2s1'],
    ]);
    expect(now(2).roster?.lead).toBe(1);
    expect(supervisor.workers().map(({ state }) => state)).toEqual(['ready', 'ready']);
    expect(logged('workerServes')).toEqual([1, 2]);
  });

  it('fails with the sentence of the worker that cannot', async () => {
    const { started, now } = world();
    now(1).events.said({ kind: 'failed', code: 'ERR_BIND', message: 'the port is in use' });
    now(1).events.exited('exit code 1');
    await expect(started).rejects.toThrow(new AltpathError('ERR_BIND', 'the port is in use'));
  });
});

describe('a death', () => {
  it('is followed by a new life with another name, and the siblings are told at once', async () => {
    const { clock, started, now, lives, supervisor } = world();
    for (const life of [now(1), now(2)]) life.serve();
    await started;
    clock.advance(60_000);
    for (const life of [now(1), now(2)]) life.events.said({ kind: 'pong' });
    now(2).events.exited('SIGKILL');
    expect(now(1).roster?.workers.map(({ index }) => index)).toEqual([1]);
    clock.advance(100);
    expect(lives).toHaveLength(3);
    now(2).serve();
    expect(now(1).roster?.workers.map(({ life }) => life)).toEqual(['lw1s1', 'lw2s2']);
    expect(supervisor.workers()[1]).toMatchObject({ state: 'ready', starts: 2, pid: 102 });
  });

  it('of the first worker makes the next one do what one does for all, until it is back for the hold time', async () => {
    const { clock, started, now, logged } = world();
    for (const life of [now(1), now(2)]) life.serve();
    await started;
    now(1).events.exited('SIGKILL');
    expect(now(2).roster?.lead).toBe(2);
    clock.advance(200);
    now(1).serve();
    expect(now(1).roster?.lead).toBe(2);
    clock.advance(9_900);
    for (const life of [now(1), now(2)]) life.events.said({ kind: 'pong' });
    expect(now(2).roster?.lead).toBe(2);
    clock.advance(200);
    expect(now(1).roster?.lead).toBe(1);
    expect(now(2).roster?.lead).toBe(1);
    expect(logged('workerLeads')).toEqual([2, 1]);
  });

  it('again and again is answered later and later, and without bound never', async () => {
    const { clock, started, now, lives, supervisor } = world();
    for (const life of [now(1), now(2)]) life.serve();
    await started;
    for (let death = 0; death < 12; death += 1) {
      now(2).events.exited('exit code 1');
      const before = lives.length;
      clock.advance(30_000);
      expect(lives).toHaveLength(before + 1);
      now(1).events.said({ kind: 'pong' });
    }
    expect(supervisor.workers()[1]).toMatchObject({ deaths: 12, starts: 13 });
  });

  it('of a worker that does not answer for 20 s is brought about', async () => {
    const { clock, started, now, logged } = world();
    for (const life of [now(1), now(2)]) life.serve();
    await started;
    for (let second = 0; second < 25; second += 1) {
      clock.advance(1_000);
      now(1).events.said({ kind: 'pong' });
    }
    expect(now(1).signals).toEqual([]);
    expect(now(2).signals[0]).toBe('SIGKILL');
    expect(logged('workerStuck')).toContain(2);
  });
});

describe('the end', () => {
  it('is asked of each and waited for; nobody is started any more', async () => {
    const { clock, started, now, lives, supervisor } = world();
    for (const life of [now(1), now(2)]) life.serve();
    await started;
    const ended = supervisor.end(30_000);
    expect(now(1).signals).toEqual(['SIGTERM']);
    now(1).events.exited('exit code 0');
    clock.advance(60_000);
    now(2).events.exited('exit code 0');
    await ended;
    expect(lives).toHaveLength(2);
  });
});

describe('the wait before a restart', () => {
  it('doubles with each early death, has a bound, and begins anew after a long life', () => {
    const backOff = new BackOff();
    expect([0, 0, 0].map((ms) => backOff.next(ms))).toEqual([100, 200, 400]);
    for (let n = 0; n < 50; n += 1) backOff.next(10);
    expect(backOff.next(10)).toBe(30_000);
    expect(backOff.next(60_000)).toBe(100);
  });
});
