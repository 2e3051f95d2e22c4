/** `workers: 2` as processes: calls cross from worker to worker and survive the death of each; one program to its operator (docs/workers.md). */
import { afterEach, describe, expect, it } from 'vitest';
import type { CallRecord } from '../../protocols/sip/demo/call-record.ts';
import { domain, settle, Telephones, until, WorkersProcess } from '../support/workers-process.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start(host: string, adminPort: number): Promise<WorkersProcess> {
  const altpath = new WorkersProcess(
    { sip: { listen: [`${host}:5060`, `tcp:${host}:5060`], domains: [domain] } },
    { host: '127.0.0.1', port: adminPort },
  );
  closing.push(() => altpath.close());
  await altpath.ready();
  return altpath;
}

describe('two workers on one address', () => {
  it('lose no call by kill -9 of each in turn, are one program to their operator, and end in order', async () => {
    const host = '127.0.43.1';
    const altpath = await start(host, 19_431);
    const telephones = new Telephones();
    closing.push(() => telephones.stop());
    const proxy = { transport: 'udp', host, port: 5_060 } as const;
    // Each has a port of its own: the system spreads them over the workers.
    await telephones.start('plain', 6, '127.0.43.2', proxy);
    await telephones.start('aware', 4, '127.0.43.3', proxy);

    let isOver = false;
    const struck = (async () => {
      for (const worker of [1, 2]) {
        const before = telephones.records.size;
        await until(() => telephones.records.size > before + 20, 'calls', 90_000);
        process.kill(await altpath.pidOf(worker), 'SIGKILL');
        await altpath.logged('workerEnded', worker);
        // Who is where is in memory: one of them has to live.
        await altpath.served(worker, 2);
      }
    })().finally(() => {
      isOver = true;
    });
    const calls: CallRecord[] = [];
    while (!isOver) calls.push(...(await telephones.call(20, 40, 600)));
    await struck;
    calls.push(...(await telephones.call(20, 40, 100)));
    await settle(calls);
    expect(calls.filter(({ isLost }) => isLost).map(({ complaint }) => complaint)).toEqual([]);

    expect((await altpath.workers()).map(({ worker, state, starts }) => [worker, state, starts])).toEqual([
      [1, 'ready', 2],
      [2, 'ready', 2],
    ]);
    const metrics = async (): Promise<string> => (await fetch('http://127.0.0.1:19431/metrics')).text();
    const value = (text: string, series: string): number =>
      Number(new RegExp(`^altpath_${series} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
    const first = await metrics();
    // The responses of a callee come to one worker, half of the requests to the other.
    expect(value(first, 'worker_taken_in_total')).toBeGreaterThan(0);
    expect(value(first, 'worker_deaths_total')).toBe(2);
    expect(value(first, 'workers_ready')).toBe(2);
    expect(first).toMatch(/^altpath_sip_transactions\{worker="1"\} \d+$/m);

    altpath.kill('SIGHUP');
    for (const worker of [1, 2])
      await until(() => new RegExp(`"worker":${worker},.*nothing changed`).test(altpath.said), `a reload at ${worker}`);

    const pids = (await altpath.workers()).map(({ pid }) => pid);
    altpath.kill('SIGTERM');
    expect(await altpath.exit).toBe(0);
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow();
  }, 180_000);

  it('say in one sentence that a port is another program’s, and end with the process above them, however it ends', async () => {
    const altpath = await start('127.0.47.1', 19_471);
    const second = new WorkersProcess(
      { sip: { listen: ['127.0.47.1:5060'], domains: [domain] } },
      { host: '127.0.0.1', port: 19_472 },
    );
    closing.push(() => second.close());
    expect(await second.exit).toBe(1);
    expect(second.said.split('\n').filter((line) => line.startsWith('altpath: '))).toEqual([
      expect.stringContaining('127.0.47.1:5060'),
    ]);
    const pids = (await altpath.workers()).map(({ pid }) => pid);
    altpath.kill('SIGKILL');
    await altpath.exit;
    const isGone = (pid: number): boolean => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    };
    await until(() => pids.every(isGone), 'the workers to end');
  }, 120_000);
});
