/** kill -9 between registration and call: what was acknowledged is still there after the restart. */
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { placeCalls } from './support/call-load.ts';
import { stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { missing } from './support/programs.ts';
import { type ProxyOptions, startProxy } from './support/proxy.ts';
import { scratchDirectory } from './support/scratch.ts';
import { runSipp } from './support/sipp.ts';

const absent = missing('sipp');

describe.skipIf(absent)(`Registrations outlive the proxy${absent === undefined ? '' : ` (${absent})`}`, () => {
  afterEach(stopAll);

  it('a call reaches everybody who registered before kill -9, without registering again', async () => {
    const options: ProxyOptions = {
      kind: 'altpath',
      host: await freeHost(),
      location: `sqlite:${join(scratchDirectory('location'), 'locations.sqlite')}`,
    };
    const first = await startProxy(options);
    const calledHost = await freeHost(5060, 5070);
    const registered = await runSipp({
      scenario: 'register.xml',
      host: calledHost,
      port: 5070,
      remote: first.address,
      calls: 500,
      rate: 1000,
      keys: { user: 'u', via: 'UDP', cip: calledHost, cport: '5060', cparams: '', contact_params: '' },
    });
    expect(registered, registered.errors).toMatchObject({ successful: 500, failed: 0, sentAgain: 0 });
    // At once: the last 200 OK has only just been sent.
    expect(await first.child.stop('SIGKILL')).toMatchObject({ signal: 'SIGKILL' });

    const second = await startProxy(options);
    const { caller, called } = await placeCalls(second, {
      caller: 'call.xml',
      called: 'answer.xml',
      calls: 500,
      rate: 200,
      users: 'u',
      calledHost,
      registeredBefore: true,
    });
    expect(caller, caller.errors).toMatchObject({ successful: 500, failed: 0, sentAgain: 0 });
    expect(called, called?.errors).toMatchObject({ successful: 500, failed: 0 });
  });
});
