/** A plain WebSocket client (RFC 7118) registers, is called from UDP, and calls a UDP phone. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { missing } from './support/programs.ts';
import { type RunningProxy, startProxy } from './support/proxy.ts';
import { headers } from './support/sip-text.ts';
import { runSipp, Sipp } from './support/sipp.ts';
import { WebPhone } from './support/web-phone.ts';

const absent = missing('sipp');

const body = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', 'm=audio 9 RTP/AVP 0', ''].join(
  '\r\n',
);

describe.skipIf(absent)(`RFC 7118 SIP over WebSocket${absent === undefined ? '' : ` (${absent})`}`, () => {
  let proxy: RunningProxy;

  beforeAll(async () => {
    proxy = await startProxy({
      kind: 'altpath',
      host: await freeHost(5060, 5080),
      transports: ['ws'],
      backups: ['127.0.0.2:5060'],
    });
  });

  afterAll(stopAll);

  const keys = (host: string, user: string) => ({
    user,
    via: 'UDP',
    cip: host,
    cport: '5060',
    cparams: '',
    contact_params: '',
  });

  it('registers, and is called over the same connection', async () => {
    const phone = await WebPhone.connect('web1', proxy.host, proxy.wsPort);
    expect(phone.subprotocol).toBe('sip');
    const registered = await phone.register();
    expect(headers(registered, 'Contact').join()).toContain('transport=ws');

    const callerHost = await freeHost();
    const answering = phone.answer(body);
    const caller = await runSipp({
      scenario: 'call.xml',
      host: callerHost,
      remote: proxy.address,
      calls: 1,
      // SIPp adds the number 1 to it.
      keys: keys(callerHost, 'web'),
    });
    const invite = await answering;
    expect(caller, caller.errors).toMatchObject({ successful: 1, failed: 0, sentAgain: 0 });
    // The next hop is a connection, so both sides of the proxy are in the route (RFC 5658 §6).
    expect(headers(invite, 'Record-Route').join(',').match(/<sip:/g)).toHaveLength(2);
    phone.close();
  });

  it('calls a phone on UDP', async () => {
    const calledHost = await freeHost(5060, 5070);
    const registered = await runSipp({
      scenario: 'register.xml',
      host: calledHost,
      port: 5070,
      remote: proxy.address,
      calls: 1,
      keys: keys(calledHost, 'desk'),
    });
    expect(registered.successful).toBe(1);
    const called = await new Sipp({
      scenario: 'answer.xml',
      host: calledHost,
      calls: 1,
      keys: keys(calledHost, 'desk'),
    }).ready();
    const phone = await WebPhone.connect('web2', proxy.host, proxy.wsPort);
    await phone.register();
    await phone.call(`sip:desk1@${proxy.host}`, body);
    const result = await called.finished(5000);
    expect(result, result.errors).toMatchObject({ successful: 1, failed: 0, sentAgain: 0, receivedAgain: 0 });
    phone.close();
  });

  it('does not talk to a client that offers no subprotocol sip (RFC 7118 §4.1)', async () => {
    const socket = new WebSocket(`ws://${proxy.host}:${proxy.wsPort}/`, 'chat');
    const outcome = await new Promise<string>((resolve) => {
      socket.once('open', () => resolve('open')).once('error', () => resolve('refused'));
    });
    socket.terminate();
    expect(outcome).toBe('refused');
  });
});
