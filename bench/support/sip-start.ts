/** From the start of the process to its first answer, and what an idle one takes; both beside a Node that does nothing. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child } from '../../test/interop/support/child.ts';
import { freeHost } from '../../test/interop/support/hosts.ts';
import { answersOptions } from '../../test/interop/support/ping.ts';
import { scratchDirectory } from '../../test/interop/support/scratch.ts';
import { memory } from './process-cost.ts';

export interface StartFigures {
  readonly startMs: number;
  /** Some seconds later. */
  readonly idlePssMiB: number;
  readonly barePssMiB: number;
}

const built = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));

/** Only what is built starts as it does in service. */
export const isBuilt = (): boolean => existsSync(built);

export async function measureStart(): Promise<StartFigures> {
  const host = await freeHost();
  const config = join(scratchDirectory('config'), 'altpath.yaml');
  writeFileSync(config, JSON.stringify({ sip: { listen: [`udp:${host}:5060`] } }));
  const env = { NODE_ENV: 'production' };
  const begun = performance.now();
  const proxy = new Child('altpath', process.execPath, [built, 'sip', '-c', config, '--location', 'memory'], { env });
  const bare = new Child('bare', process.execPath, ['-e', 'setInterval(() => undefined, 1e6)'], {});
  try {
    const answers = await answersOptions(host, 5060, 15_000, () => proxy.exited !== undefined);
    const startMs = performance.now() - begun;
    if (!answers) throw new Error(`altpath does not answer:\n${proxy.output.slice(-2000)}`);
    await pause(8_000);
    return { startMs, idlePssMiB: memory(proxy.pid).pssMiB, barePssMiB: memory(bare.pid).pssMiB };
  } finally {
    await proxy.stop();
    await bare.stop();
  }
}
