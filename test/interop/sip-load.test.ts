/** SIPp at 500 calls per second: nothing fails and nothing has to be said twice. */
import { afterEach, describe, expect, it } from 'vitest';
import { type LoadTransport, placeCalls } from './support/call-load.ts';
import { stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { missing } from './support/programs.ts';
import { startProxy } from './support/proxy.ts';

const absent = missing('sipp');

describe.skipIf(absent)(`2,000 calls at 500 per second${absent === undefined ? '' : ` (${absent})`}`, () => {
  afterEach(stopAll);

  const ways: readonly [LoadTransport, LoadTransport][] = [
    ['udp', 'udp'],
    ['udp', 'tcp'],
    ['tcp', 'udp'],
  ];

  it.each(ways)('all succeed from %s to %s, and no message is repeated', async (callerTransport, calledTransport) => {
    const proxy = await startProxy({
      host: await freeHost(),
      transports: ['tcp'],
      backups: ['127.0.0.2:5060'],
    });
    const { registering, caller, called } = await placeCalls(proxy, {
      caller: 'call.xml',
      called: 'answer.xml',
      calls: 2000,
      rate: 500,
      callerTransport,
      calledTransport,
    });
    const clean = { successful: 2000, failed: 0, sentAgain: 0, receivedAgain: 0, stray: 0 };
    expect(registering, registering?.errors).toMatchObject(clean);
    expect(caller, caller.errors).toMatchObject(clean);
    expect(called, called?.errors).toMatchObject(clean);
    expect(caller.callsPerSecond).toBeGreaterThan(450);
  });
});
