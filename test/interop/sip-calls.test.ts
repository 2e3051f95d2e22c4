/** SIPp places calls through the proxy: every way a call can go, over every transport, at load. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CallLoadResult, type LoadTransport, placeCalls } from './support/call-load.ts';
import { type Certificate, makeCertificate } from './support/certificate.ts';
import { stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { missing } from './support/programs.ts';
import { type RunningProxy, startProxy } from './support/proxy.ts';

const absent = missing('sipp', 'openssl');

describe.skipIf(absent)(`SIPp calls through the proxy${absent === undefined ? '' : ` (${absent})`}`, () => {
  let proxy: RunningProxy;
  let certificate: Certificate;
  let callerHost: string;
  let calledHost: string;

  beforeAll(async () => {
    const host = await freeHost(5060, 5061);
    callerHost = await freeHost(5060, 5061, 5070, 5090);
    calledHost = await freeHost(5060, 5061, 5070, 5090);
    certificate = makeCertificate(host, callerHost, calledHost);
    proxy = await startProxy({
      host,
      transports: ['tcp', 'tls'],
      certificate,
      backups: ['127.0.0.2:5060'],
      // Timer B, so that a silent called side costs a test 3.2 s instead of 32 s.
      settings: { timers: { t1Ms: 50 } },
    });
  });

  afterAll(stopAll);

  const place = (caller: string, called: string | undefined, calls: number, rate: number, over: Partial<Over> = {}) =>
    placeCalls(proxy, {
      caller,
      ...(called === undefined ? {} : { called }),
      calls,
      rate,
      certificate,
      callerHost,
      calledHost,
      ...over,
    });

  describe('RFC 3261 §24.2 a call along the recorded route', () => {
    const ways: readonly [LoadTransport, LoadTransport][] = [
      ['udp', 'udp'],
      ['tcp', 'tcp'],
      ['tls', 'tls'],
      ['udp', 'tcp'],
      ['tcp', 'udp'],
      ['tls', 'udp'],
    ];
    it.each(ways)('succeeds from %s to %s, 200 times', async (callerTransport, calledTransport) => {
      expectClean(await place('call.xml', 'answer.xml', 200, 100, { callerTransport, calledTransport }), 200);
    });

    it('is hung up by the called side along the same route', async () => {
      expectClean(await place('call-hung-up-on.xml', 'answer-and-hang-up.xml', 100, 50), 100);
    });

    it('carries a re-INVITE (RFC 3261 §14)', async () => {
      expectClean(await place('call-reinvite.xml', 'answer-reinvite.xml', 100, 50), 100);
    });

    it('carries a re-INVITE between transports', async () => {
      const over = { callerTransport: 'tcp', calledTransport: 'udp' } as const;
      expectClean(await place('call-reinvite.xml', 'answer-reinvite.xml', 100, 50, over), 100);
    });
  });

  describe('RFC 3261 §16.7 a call that does not come about', () => {
    it('is taken back while it rings: CANCEL, 487, ACK (RFC 3261 §16.10)', async () => {
      expectClean(await place('cancel.xml', 'cancelled.xml', 100, 50), 100);
    });

    it('is taken back while it rings on another transport', async () => {
      const over = { callerTransport: 'udp', calledTransport: 'tcp' } as const;
      expectClean(await place('cancel.xml', 'cancelled.xml', 100, 50, over), 100);
    });

    it('meets a busy phone: 486 comes through', async () => {
      expectClean(await place('call-busy.xml', 'busy.xml', 100, 50), 100);
    });

    it('to a user nobody registered gets 404', async () => {
      const { caller } = await placeCalls(proxy, {
        caller: 'call-unknown.xml',
        calls: 1,
        rate: 1,
        callerHost: await freeHost(),
      });
      expect(caller).toMatchObject({ failed: 0, successful: 1, sentAgain: 0 });
    });

    it('to a phone that says nothing gets 408 (RFC 3261 §17.1.1.2, Timer B)', async () => {
      // A called side that is there (no ICMP) and never answers.
      const { caller } = await place('call-no-answer.xml', 'silent.xml', 10, 10);
      expect(caller).toMatchObject({ failed: 0, successful: 10, sentAgain: 0 });
    });
  });
});

interface Over {
  readonly callerTransport: LoadTransport;
  readonly calledTransport: LoadTransport;
}

/** Every call succeeded on both sides, and nobody had to say anything twice. */
function expectClean({ registering, caller, called }: CallLoadResult, calls: number): void {
  const clean = { successful: calls, failed: 0, sentAgain: 0, receivedAgain: 0, stray: 0 };
  expect(registering, registering?.errors).toMatchObject(clean);
  expect(caller, `${caller.errors}\n${called?.errors}`).toMatchObject(clean);
  expect(called, called?.errors).toMatchObject(clean);
}
