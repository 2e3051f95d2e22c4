/** The system clock's timers: order, cancelling, bounds, and that they keep nothing alive. Shared queues begin at 100 ms. */
import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';

const wait = (ms: number): Promise<number> => {
  const begunMs = performance.now();
  return new Promise((resolve) => systemClock.after(ms, () => resolve(performance.now() - begunMs)));
};

describe.concurrent('the system clock', () => {
  it('tells the time of the epoch and never runs backwards', ({ expect: claim }) => {
    claim(Math.abs(systemClock.now() - Date.now())).toBeLessThan(2_000);
    let last = systemClock.now();
    for (let i = 0; i < 10_000; i += 1) {
      const now = systemClock.now();
      if (now < last) claim.fail(`${now} after ${last}`);
      last = now;
    }
  });

  it.each([0, 1, 7, 99, 100, 101, 133.7, 150, -5, 0.25])('waits %d ms, not less, not for ever', async (ms) => {
    const tookMs = await wait(ms);
    expect(tookMs).toBeGreaterThanOrEqual(Math.max(0, ms) - 1);
    expect(tookMs).toBeLessThan(ms + 1_000);
  });

  it('runs waits of one length in the order they were begun', async ({ expect: claim }) => {
    const ran: number[] = [];
    for (let i = 0; i < 50; i += 1) systemClock.after(110, () => ran.push(i));
    await wait(110);
    claim(ran).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  it('runs the shorter of two waits first, whichever was begun first', async ({ expect: claim }) => {
    const ran: string[] = [];
    systemClock.after(240, () => ran.push('long'));
    systemClock.after(120, () => ran.push('short'));
    await wait(240);
    claim(ran).toEqual(['short', 'long']);
  });

  it('keeps the bounds of waits begun at different times in one queue', async ({ expect: claim }) => {
    const early = wait(160);
    await wait(60);
    const late = wait(160);
    claim(await early).toBeGreaterThanOrEqual(159);
    const tookMs = await late;
    claim(tookMs).toBeGreaterThanOrEqual(159);
    claim(tookMs).toBeLessThan(1_160);
  });

  it('ends long waits together that come due within a 64th of their length, none early', async ({ expect: claim }) => {
    const turns: number[] = [];
    let turn = 0;
    const count = (): void => {
      turn += 1;
      if (turns.length < 4) setImmediate(count);
    };
    const begunMs = performance.now();
    const waits = [0, 8, 16, 24].map(async (laterMs) => {
      await wait(laterMs);
      await new Promise<void>((resolve) =>
        systemClock.after(4_100, () => {
          if (turns.length === 0) count();
          turns.push(turn);
          resolve();
        }),
      );
      return performance.now() - begunMs - laterMs;
    });
    for (const tookMs of await Promise.all(waits)) claim(tookMs).toBeGreaterThanOrEqual(4_099);
    claim(new Set(turns).size).toBe(1);
  });

  it('forgets what was cancelled: at once, twice, from another timer, and after it ran', async ({ expect: claim }) => {
    const ran: string[] = [];
    for (const ms of [20, 125]) {
      const cancel = systemClock.after(ms, () => ran.push('cancelled'));
      cancel();
      cancel();
    }
    const first = systemClock.after(125, () => {
      ran.push('first');
      second();
    });
    const second = systemClock.after(125, () => ran.push('second'));
    systemClock.after(125, () => ran.push('third'));
    await wait(125);
    first();
    claim(ran).toEqual(['first', 'third']);
  });

  it('serves a queue again after it ran empty, and waits begun while it runs', async ({ expect: claim }) => {
    await wait(130);
    const tookMs = await new Promise<number>((resolve) => {
      systemClock.after(130, () => {
        const begunMs = performance.now();
        systemClock.after(130, () => resolve(performance.now() - begunMs));
      });
    });
    claim(tookMs).toBeGreaterThanOrEqual(129);
  });

  it('runs each of 50,000 waits once, but for those cancelled', async ({ expect: claim }) => {
    const runs = new Uint8Array(50_000);
    for (let i = 0; i < runs.length; i += 1) {
      const cancel = systemClock.after(140, () => {
        runs[i] = (runs[i] ?? 0) + 1;
      });
      if (i % 3 === 0) cancel();
    }
    await wait(140);
    claim(runs.every((count, i) => count === (i % 3 === 0 ? 0 : 1))).toBe(true);
  });

  it('gives lengths beyond the number of its queues timers of their own', async ({ expect: claim }) => {
    const took = await Promise.all(Array.from({ length: 100 }, (_, i) => wait(200 + i)));
    claim(took.every((tookMs, i) => tookMs >= 199 + i && tookMs < 1_200 + i)).toBe(true);
  });

  it('does not take a wait of more than 2^31 ms for none', async ({ expect: claim }) => {
    const ran: number[] = [];
    const long = [2_147_483_648, 2_147_483_648.5, 4_294_967_295_000, Number.POSITIVE_INFINITY];
    const cancels = long.map((ms) => systemClock.after(ms, () => ran.push(ms)));
    await wait(100);
    for (const cancel of cancels) cancel();
    claim(ran).toEqual([]);
  });

  it('runs the others when one throws; the error surfaces as uncaught', async ({ expect: claim }) => {
    const said = await inAProcess(`
      process.on('uncaughtException', (error) => console.log('uncaught', error.message));
      const held = setInterval(() => {}, 1_000);
      systemClock.after(100, () => console.log('a'));
      systemClock.after(100, () => { throw new Error('b'); });
      systemClock.after(100, () => console.log('c'));
      systemClock.after(180, () => console.log('d'));
      systemClock.after(20, () => { throw new Error('e'); });
      systemClock.after(100, () => systemClock.after(160, () => { console.log('f'); clearInterval(held); }));
    `);
    claim(said).toEqual({ code: 0, lines: ['uncaught e', 'a', 'uncaught b', 'c', 'd', 'f'] });
  });

  it('keeps no process alive', async ({ expect: claim }) => {
    const said = await inAProcess(`
      for (const ms of [0.5, 50, 60_000, 60_000.5, 4_294_967_295_000]) systemClock.after(ms, () => console.log('ran', ms));
      systemClock.after(60_000, () => {})();
    `);
    claim(said).toEqual({ code: 0, lines: [] });
  });
});

/** What a program with a clock of its own prints before it ends by itself; killed after 10 s. */
async function inAProcess(
  program: string,
): Promise<{ readonly code: number | null; readonly lines: readonly string[] }> {
  const url = new URL('../../src/clock.ts', import.meta.url).href;
  const child = spawn(
    process.execPath,
    ['--input-type=module', '--eval', `import { systemClock } from ${JSON.stringify(url)};\n${program}`],
    { stdio: ['ignore', 'pipe', 'inherit'], timeout: 10_000, killSignal: 'SIGKILL' },
  );
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, lines: text.split('\n').filter((line) => line !== '') };
}
