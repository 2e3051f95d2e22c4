/** Two baresip telephones register with the proxy and call each other. */
import { afterEach, describe, expect, it } from 'vitest';
import { Phone, phonesMissing } from './support/baresip.ts';
import { makeCertificate } from './support/certificate.ts';
import { stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { missing } from './support/programs.ts';
import { startProxy } from './support/proxy.ts';

const absent = missing('baresip', 'openssl') ?? phonesMissing();

describe.skipIf(absent)(`baresip calls baresip${absent === undefined ? '' : ` (${absent})`}`, () => {
  afterEach(stopAll);

  it.each(['udp', 'tcp', 'tls'] as const)('over %s: both see the call established, and ended', async (transport) => {
    const host = await freeHost(5060, 5061);
    const [aliceHost, bobHost] = [await freeHost(5060, 5061, 4444), await freeHost(5060, 5061, 4444)];
    const certificate = makeCertificate(host, aliceHost, bobHost);
    const started = await startProxy({
      host,
      transports: ['tcp', 'tls'],
      certificate,
      backups: ['127.0.0.2:5060'],
    });
    const proxy = `${host}:${transport === 'tls' ? started.tlsPort : started.port}`;
    const alice = await Phone.start({ user: 'alice', host: aliceHost, proxy, transport, certificate });
    const bob = await Phone.start({ user: 'bob', host: bobHost, proxy, transport, certificate, answer: 'auto' });

    alice.dial(`sip:bob@${proxy}`);
    await Promise.all([alice.waitFor('CALL_ESTABLISHED'), bob.waitFor('CALL_ESTABLISHED')]);
    // The one who was called ends it: its BYE takes the recorded route the other way round.
    bob.hangUp();
    await Promise.all([alice.waitFor('CALL_CLOSED'), bob.waitFor('CALL_CLOSED')]);

    expect(alice.has('CALL_RINGING')).toBe(true);
    // Sound arrived: the session descriptions came through as they were written.
    expect(alice.has('CALL_RTPESTAB') || bob.has('CALL_RTPESTAB')).toBe(true);
    await Promise.all([alice.stop(), bob.stop()]);
  });

  it('a call that nobody answers is taken back', async () => {
    const [host, aliceHost, bobHost] = [await freeHost(), await freeHost(5060, 4444), await freeHost(5060, 4444)];
    const proxy = await startProxy({ host, backups: ['127.0.0.2:5060'] });
    const alice = await Phone.start({ user: 'alice', host: aliceHost, proxy: proxy.address, transport: 'udp' });
    const bob = await Phone.start({ user: 'bob', host: bobHost, proxy: proxy.address, transport: 'udp' });

    alice.dial(`sip:bob@${proxy.address}`);
    await Promise.all([alice.waitFor('CALL_RINGING'), bob.waitFor('CALL_INCOMING')]);
    alice.hangUp();
    await Promise.all([alice.waitFor('CALL_CLOSED'), bob.waitFor('CALL_CLOSED')]);

    expect(bob.has('CALL_ESTABLISHED')).toBe(false);
    await Promise.all([alice.stop(), bob.stop()]);
  });
});
