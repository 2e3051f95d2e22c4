/**
 * "Why did this call fail?", where a line calls: the ten failures of planted-failures.test.ts, planted at gateways of both protocols and at
 * what their lines call over SIP. Which of them a gateway's protocol has itself, and which it has not:
 *
 * - busy, unknown, timeout, codec, gateway down, overload, dead peer happen between a controller and its gateways.
 * - no route and loop do not: a controller sends to gateways that it is provisioned with, never where a message says, and an endpoint does
 *   not send a command on (RFC 3435 §2.1, RFC 3525 §4), so there is no hop to resolve and nothing that could come back. A line meets both
 *   where its call goes on over SIP.
 * - authentication is no part of a call: RFC 3435 §5 leaves it to IPsec, RFC 3525 §10 to IPsec or an AH of its own, per message. Whoever
 *   fails it has no call that could be listed; his messages are refused, and the log says so. What a line's call can fail for is a
 *   carrier that does not take our credentials.
 */
import { createSocket } from 'node:dgram';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LineHouse } from '../../support/line-house.ts';
import { logLines } from '../../support/log-lines.ts';
import { SipPeer, sipRequest, sipResponse } from '../../support/sip-peer.ts';

const patience = { timeout: 20_000, interval: 50 };

describe.each([
  ['mgcp', 71, 'CRCX', { busy: 'L/bz', dial: 'L/dl', ringback: 'G/rt' }, { codec: 534, overload: 404 }],
  ['megaco', 72, 'Add', { busy: 'cg/bt', dial: 'cg/dt', ringback: 'cg/rt' }, { codec: 515, overload: 526 }],
] as const)('ten failures planted where a line of %s calls', (protocol, net, addCommand, tones, codes) => {
  const { log, lines } = logLines();
  let house: LineHouse;
  let callee: SipPeer;
  let deadPort: number;
  const host = `127.0.${net}.1`;
  const seen = new Set<string>();

  beforeAll(async () => {
    callee = await SipPeer.open(`127.0.${net}.31`, (request) => {
      if (request.startsWith('ACK')) return [];
      if (!request.startsWith('INVITE')) return [sipResponse(request, 200, 'OK')];
      const [, code = ''] = /^INVITE sip:\+?[69](\d{3})@/.exec(request) ?? [];
      const phrase = phrases[code];
      return phrase === undefined ? [] : [sipResponse(request, Number(code), phrase)];
    });
    const closed = await SipPeer.open(`127.0.${net}.31`);
    deadPort = closed.port;
    closed.close();
    const digitMap: string[] = ['9xxx', '8xxx', '7xxx', '5xx'];
    house = await LineHouse.up(protocol, {
      net,
      log,
      config: {
        sip: {
          listen: [`udp:${host}:0`],
          domains: ['example.com'],
          trunks: [
            {
              name: 'carrier',
              to: [`udp:127.0.${net}.31:${callee.port}`],
              user: 'us',
              password: 'not the one',
              prefixes: ['6'],
              format: 'dialled',
              pingSeconds: 0,
            },
          ],
        },
      },
      digitMap,
    });
    // Users whose names are numbers: their telephones are what the lines call.
    const port = house.controller.addresses.find(
      (each) => each.startsWith(`udp:${host}`) && !/:(2727|2944)$/.test(each),
    );
    const register = async (user: string, contact: string): Promise<void> => {
      const callId = `register-${user}`;
      const fields = [`Contact: <${contact}>`, 'Expires: 3600'];
      const request = sipRequest({
        method: 'REGISTER',
        uri: 'sip:example.com',
        caller: `sip:${user}@example.com`,
        to: `sip:${user}@example.com`,
        from: callee,
        callId,
        fields,
      }).replace(/Contact: <sip:peer@[^\r]*\r\n/, '');
      callee.send(request, Number(port?.split(':').at(-1)), host);
      await callee.awaits(new RegExp(`^SIP/2.0 200[^]*Call-ID: ${callId}`));
    };
    for (const code of Object.keys(phrases)) await register(`9${code}`, `sip:9${code}@${callee.host}:${callee.port}`);
    await register('8000', `sip:8000@${callee.host}:${deadPort}`);
    await register('7000', 'sip:7000@no-such-host.invalid');
  }, 60_000);

  afterAll(async () => {
    await house.stop();
    callee.close();
  });

  beforeEach(() => {
    lines.length = 0;
  });

  /** Lifts the handset, waits for the dial tone, dials. */
  async function call(from: string, number: string): Promise<void> {
    const telephone = house.telephone(from);
    telephone.offHook();
    await expect.poll(() => telephone.hears, patience).toBe(tones.dial);
    telephone.dial(number);
  }

  async function hangUp(...numbers: readonly string[]): Promise<void> {
    for (const number of numbers) house.telephone(number).onHook();
    for (const number of numbers)
      await expect.poll(async () => (await house.ask(`/calls?about=${number}`)).length, patience).toBe(0);
    for (const number of numbers) await expect.poll(() => house.telephone(number).hears, patience).toBe('');
  }

  /** What is said of the newest failed call of this line where operators look: the list, the log, the trace of the number. */
  async function why(from: string, about: string) {
    const newest = async () =>
      (await house.ask(`/calls?failed=1&about=${from}`)).find(
        ({ id, caller, callee: to }) => caller === from && to === about && !seen.has(String(id)),
      );
    await expect.poll(newest, patience).toBeDefined();
    const failed = (await newest()) ?? {};
    seen.add(String(failed['id']));
    const line = lines.findLast(
      ({ event, caller, callee: to }) => event === 'callFailed' && caller === from && to === about,
    );
    // The log says what the list says.
    expect(line).toMatchObject({ msg: 'call failed', protocol: failed['protocol'], reason: failed['reason'] });
    for (const field of ['code', 'cause', 'where', 'detail']) expect(line?.[field]).toEqual(failed[field]);
    const trace = async (of: string) => (await house.ask(`/trace?about=${of}`)).map(({ title }) => String(title));
    return { failed, titles: await trace(about), ofCaller: await trace(from) };
  }

  async function whyFails(from: string, number: string) {
    await call(from, number);
    const told = await why(from, number);
    await hangUp(from);
    return told;
  }

  it('busy: the line is in a call, and no command goes to it', async () => {
    house.telephone('201').offHook();
    await expect.poll(() => house.telephone('201').hears, patience).toBe(tones.dial);
    const { failed, ofCaller } = await whyFails('200', '201');
    expect(failed).toMatchObject({ reason: 'busy', cause: 17, detail: expect.stringContaining('aaln/2@') });
    expect(ofCaller.length).toBeGreaterThan(0);
    await hangUp('201');
  });

  it('busy: the telephone that a line calls over SIP says so', async () => {
    const { failed, titles } = await whyFails('200', '9486');
    expect(failed).toMatchObject({
      reason: 'busy',
      code: '486',
      cause: 17,
      where: `udp:${callee.host}:${callee.port}`,
    });
    expect(titles).toContain('486 Busy Here (INVITE)');
  });

  it('unknown: nobody has the number', async () => {
    const { failed } = await whyFails('200', '555');
    expect(failed).toMatchObject({ reason: 'unknownNumber', cause: 1, detail: 'nobody has the number 555' });
  });

  it('no route: where the called user lives has no address', async () => {
    const { failed } = await whyFails('200', '7000');
    expect(failed).toMatchObject({
      reason: 'noRoute',
      cause: 3,
      detail: expect.stringContaining('no-such-host.invalid'),
    });
  });

  it('timeout: the telephone rings, and nobody answers', async () => {
    const { failed, titles } = await whyFails('200', '202');
    expect(failed).toMatchObject({ reason: 'noAnswer', cause: 19, detail: 'rang for 2 s' });
    expect(titles.some((title) => title.includes(addCommand))).toBe(true);
  });

  it('authentication: the carrier does not take our credentials', async () => {
    const { failed, titles } = await whyFails('200', '6407');
    expect(failed).toMatchObject({ reason: 'unauthorized', where: `udp:${callee.host}:${callee.port}` });
    expect(titles.some((title) => title.startsWith('407'))).toBe(true);
  });

  it('authentication: who is no gateway of ours has no call, and the log says that he was refused', async () => {
    const stranger = createSocket('udp4');
    await new Promise<void>((resolve) => stranger.bind(0, `127.0.${net}.66`, resolve));
    const [text, port] =
      protocol === 'mgcp'
        ? (['NTFY 1 aaln/1@rgw9 MGCP 1.0\r\nX: 1\r\nO: L/hd\r\n\r\n', 2727] as const)
        : (['!/1 stranger T=1{C=-{SC=ROOT{SV{MT=RS,RE="901 Cold Boot"}}}}', 2944] as const);
    const before = (await house.ask('/calls?failed=1')).length;
    stranger.send(text, port, host);
    await expect
      .poll(() => lines.some((line) => JSON.stringify(line).includes(`127.0.${net}.66`)), patience)
      .toBe(true);
    expect((await house.ask('/calls?failed=1')).length).toBe(before);
    const trace = await house.ask(`/trace?about=127.0.${net}.66`);
    expect(trace.length).toBeGreaterThan(0);
    stranger.close();
  });

  it('codec: the gateway has none that is asked for', async () => {
    house.gateway(1).refuseMedia(codes.codec);
    const { failed, titles } = await whyFails('200', '202');
    house.gateway(1).refuseMedia(undefined);
    expect(failed).toMatchObject({
      reason: 'notAcceptable',
      code: String(codes.codec),
      cause: 88,
      where: house.gateway(1).address,
      detail: expect.stringContaining(house.telephone('202').endpoint),
    });
    expect(titles.some((title) => title.includes(String(codes.codec)))).toBe(true);
  });

  it('codec: the telephone that a line calls can do nothing with the offer', async () => {
    const { failed } = await whyFails('200', '9488');
    expect(failed).toMatchObject({ reason: 'notAcceptable', code: '488', where: `udp:${callee.host}:${callee.port}` });
  });

  it('loop: the request that left for the line has been everywhere already', async () => {
    const { failed, titles } = await whyFails('200', '9483');
    expect(failed).toMatchObject({
      reason: 'loop',
      code: '483',
      cause: 25,
      where: `udp:${callee.host}:${callee.port}`,
    });
    expect(titles).toContain('483 Too Many Hops (INVITE)');
  });

  it('overload: the gateway has no bandwidth left', async () => {
    house.gateway(1).refuseMedia(codes.overload);
    const { failed } = await whyFails('200', '202');
    house.gateway(1).refuseMedia(undefined);
    expect(failed).toMatchObject({
      reason: 'overload',
      code: String(codes.overload),
      cause: 42,
      where: house.gateway(1).address,
    });
  });

  it('overload: the hop takes no work', async () => {
    const { failed } = await whyFails('200', '9503');
    expect(failed).toMatchObject({ reason: 'overload', where: `udp:${callee.host}:${callee.port}` });
    expect(failed['detail']).toContain('503');
  });

  it('dead peer: the telephone is gone', async () => {
    const { failed } = await whyFails('200', '8000');
    expect(failed).toMatchObject({ reason: 'unreachable', where: `udp:${callee.host}:${deadPort}`, cause: 38 });
    expect(failed['detail']).toContain('refused');
  });

  it('timeout: the gateway hears nothing, in the middle of a call and when it is called', async () => {
    const gateway = house.gateway(1);
    await call('200', '202');
    await expect.poll(() => house.telephone('200').hears, patience).toBe(tones.ringback);
    house.telephone('202').offHook();
    await expect.poll(async () => (await house.ask('/calls'))[0]?.['state'], patience).toBe('talking');
    gateway.isDeaf = true;
    const { failed, titles } = await why('200', '202');
    expect(failed).toMatchObject({
      reason: 'gatewayLost',
      cause: 27,
      answeredMs: expect.any(Number),
      where: gateway.address,
      detail: `gateway ${gateway.name} does not answer`,
    });
    expect(titles.length).toBeGreaterThan(0);
    expect(lines.some(({ event, gateway: name }) => event === 'gatewayDown' && name === gateway.name)).toBe(true);
    await hangUp('200');
    house.telephone('202').onHook();
    // Gateway down: known to be, so nothing is sent.
    const down = await whyFails('201', '203');
    expect(down.failed).toMatchObject({ reason: 'unavailable', cause: 20 });
    expect(down.failed['detail']).toMatch(/no gateway that has it answers|unavailable/);
    const status = (await house.ask('/peers')).find(({ name }) => name === gateway.name);
    expect(status).toMatchObject({ state: 'down' });
    gateway.isDeaf = false;
    await expect
      .poll(() => lines.some(({ event, gateway: name }) => event === 'gatewayUp' && name === gateway.name), {
        timeout: 40_000,
      })
      .toBe(true);
  }, 90_000);
});

const phrases: Readonly<Record<string, string>> = {
  407: 'Proxy Authentication Required',
  483: 'Too Many Hops',
  486: 'Busy Here',
  488: 'Not Acceptable Here',
  503: 'Service Unavailable',
};
