/** Processor time for each call of a relay that knows nothing: what receiving and sending alone cost on this machine right now. */
import { fileURLToPath } from 'node:url';
import { Child } from '../../test/interop/support/child.ts';
import { freeHost } from '../../test/interop/support/hosts.ts';
import { runSipp, Sipp } from '../../test/interop/support/sipp.ts';
import { cpuSeconds } from './process-cost.ts';
import { sippKeys } from './sip-load.ts';

export async function floorUs(options: { calls: number; warmUp: number; rate: number }): Promise<number> {
  const [host, caller, called] = [await freeHost(), await freeHost(), await freeHost()];
  const program = fileURLToPath(new URL('../sip/relay.ts', import.meta.url));
  const relay = new Child('relay', process.execPath, [program, host, caller, called]);
  let answering: Sipp | undefined;
  try {
    await relay.waitForOutput(/ready/, 10_000);
    answering = await new Sipp({
      scenario: 'answer.xml',
      host: called,
      calls: 1_000_000_000,
      keys: sippKeys(called),
    }).ready();
    const place = (calls: number, rate: number) =>
      runSipp(
        { scenario: 'call.xml', host: caller, remote: `${host}:5060`, calls, rate, keys: sippKeys(caller) },
        60_000 + (calls / rate) * 1000,
      );
    await place(options.warmUp, 500);
    const before = cpuSeconds(relay.pid);
    const { successful } = await place(options.calls, options.rate);
    return ((cpuSeconds(relay.pid) - before) * 1e6) / Math.max(1, successful);
  } finally {
    await answering?.stop();
    await relay.stop();
  }
}
