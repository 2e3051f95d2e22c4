/**
 * "Why did this call fail?" Failures of ten kinds are planted; each is answered by the list of failed calls, by the log, and by the trace.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { askAdmin } from '../../../src/admin-client.ts';
import { type Controller, type ControllerConfig, startController } from '../../../src/index.ts';
import { parseAddress } from '../../../src/signaling/controller-address.ts';
import { logLines } from '../../support/log-lines.ts';
import { SipPeer, sipRequest, sipResponse } from '../../support/sip-peer.ts';

interface Failed {
  readonly callId: string;
  readonly reason: string;
  readonly code?: string;
  readonly cause?: number;
  readonly where?: string;
  readonly detail?: string;
  readonly route?: string;
  readonly switches?: readonly unknown[];
}

const { log, lines } = logLines();
const open: { stop?(): Promise<void>; close?(): void }[] = [];
let callee: SipPeer;
let caller: SipPeer;
let deadPort: number;
/** At another host than the hops of the routes, which are trusted. */
let stranger: SipPeer;

beforeAll(async () => {
  callee = await SipPeer.open('127.0.0.1', (request) => {
    if (!request.startsWith('INVITE')) return request.startsWith('ACK') ? [] : [sipResponse(request, 200, 'OK')];
    const user = /^INVITE sip:9(\d+)@/.exec(request)?.[1];
    if (user === '486') return [sipResponse(request, 180, 'Ringing'), sipResponse(request, 486, 'Busy Here')];
    if (user === '488') return [sipResponse(request, 488, 'Not Acceptable Here')];
    if (user === '503') return [sipResponse(request, 503, 'Service Unavailable')];
    if (user === '408') return [];
    return [sipResponse(request, 200, 'OK')];
  });
  caller = await SipPeer.open('127.0.0.1');
  stranger = await SipPeer.open('127.0.0.3');
  const closed = await SipPeer.open('127.0.0.1');
  deadPort = closed.port;
  closed.close();
});

afterAll(() => {
  callee.close();
  caller.close();
  stranger.close();
});

afterEach(async () => {
  for (const each of open.splice(0)) await each.stop?.();
  lines.length = 0;
});

async function controller(config: NonNullable<ControllerConfig['sip']> = {}): Promise<Controller & { port: number }> {
  const started = await startController(
    {
      admin: '127.0.0.1:0',
      cluster: { secret: '0123456789abcdef0123456789abcdef' },
      sip: {
        listen: ['udp:127.0.0.1:0'],
        domains: ['example.com'],
        routes: [
          { prefix: '9', to: [`udp:127.0.0.1:${callee.port}`] },
          { prefix: '8', to: [`udp:127.0.0.1:${deadPort}`] },
          { prefix: '7', to: ['no-such-host.invalid'] },
        ],
        ...config,
      },
    },
    { logger: log },
  );
  open.push(started);
  return Object.assign(started, { port: Number(started.addresses[0]?.split(':').at(-1)) });
}

const ask = async ({ admin }: Controller, path: string): Promise<readonly Record<string, unknown>[]> => {
  const answer = await askAdmin(parseAddress(`tcp:${admin}`, { port: 1 }), path);
  return JSON.parse(JSON.stringify(answer)).items;
};

let calls = 0;

/** Places the call and gives what is said of it where operators look. */
async function why(
  on: Controller & { port: number },
  user: string,
  { from = caller, ...options }: { readonly maxForwards?: number; readonly from?: SipPeer } = {},
): Promise<{ failed: Failed; line: Record<string, unknown> | undefined; titles: readonly string[] }> {
  calls += 1;
  const callId = `planted-${calls}-${process.pid}`;
  const request = sipRequest({ method: 'INVITE', uri: `sip:${user}@example.com`, from, callId, ...options });
  from.send(request, on.port, '127.0.0.1');
  const failed = await expect
    .poll(async () => (await ask(on, `/calls?failed=1&about=${callId}`))[0], { timeout: 10_000 })
    .toBeDefined()
    .then(async () => (await ask(on, `/calls?failed=1&about=${callId}`))[0]);
  const trace = await ask(on, `/trace?about=${callId}`);
  return {
    failed: failed as unknown as Failed,
    line: lines.find(({ event, callId: said }) => event === 'callFailed' && said === callId),
    titles: trace.map(({ title }) => String(title)),
  };
}

describe('ten planted failures, and what the operator is told', () => {
  it('busy: who said so, as a status and as a cause of Q.850', async () => {
    const { failed, line, titles } = await why(await controller(), '9486');
    const told = { reason: 'busy', code: '486', cause: 17, where: `udp:127.0.0.1:${callee.port}`, route: 'route 9' };
    expect(failed).toMatchObject({ ...told, from: `udp:127.0.0.1:${caller.port}` });
    expect(line).toMatchObject({
      msg: 'call failed',
      ...told,
      callee: 'sip:9486@example.com',
      durationMs: expect.any(Number),
    });
    expect(titles).toContain('486 Busy Here (INVITE)');
  });

  it('unknown: no user has this name', async () => {
    const { failed, line } = await why(await controller(), 'nobody');
    expect(failed).toMatchObject({ reason: 'unknownNumber', code: '404', cause: 1 });
    expect(failed.where).toBeUndefined();
    expect(line).toMatchObject({ reason: 'unknownNumber' });
  });

  it('no route: the next hop has no address', async () => {
    const { failed, line } = await why(await controller(), '7123');
    expect(failed).toMatchObject({ reason: 'noRoute', cause: 3, route: 'route 7' });
    expect(failed.detail).toContain('no-such-host.invalid');
    expect(line?.['detail']).toContain('no-such-host.invalid');
  });

  it('timeout: the hop says nothing', async () => {
    const on = await controller({ timers: { t1Ms: 10 } });
    const { failed, titles } = await why(on, '9408');
    expect(failed).toMatchObject({ reason: 'timeout', code: '408', where: `udp:127.0.0.1:${callee.port}` });
    expect(titles.filter((title) => title.startsWith('INVITE')).length).toBeGreaterThan(3);
  });

  it('authentication: the caller had no credentials that are right', async () => {
    const on = await controller({
      auth: { invite: true, realm: 'example.com', users: [{ user: 'alice', password: 'wonder' }] },
    });
    const { failed, line, titles } = await why(on, '9200', { from: stranger });
    expect(failed).toMatchObject({ reason: 'unauthorized', cause: 21 });
    expect(line).toMatchObject({ reason: 'unauthorized' });
    expect(titles.some((title) => title.startsWith('407'))).toBe(true);
  });

  it('codec: the called party can do nothing with the offer', async () => {
    const { failed } = await why(await controller(), '9488');
    expect(failed).toMatchObject({ reason: 'notAcceptable', code: '488', where: `udp:127.0.0.1:${callee.port}` });
  });

  it('gateway down: the only hop refuses packets', async () => {
    const { failed, line } = await why(await controller(), '8200');
    expect(failed).toMatchObject({ reason: 'unreachable', where: `udp:127.0.0.1:${deadPort}` });
    expect(failed.detail).toMatch(/^tried udp:127\.0\.0\.1:\d+ refused$/);
    expect(line?.['detail']).toBe(failed.detail);
  });

  it('loop: the request has been everywhere already', async () => {
    const { failed } = await why(await controller(), '9200', { maxForwards: 0 });
    expect(failed).toMatchObject({ reason: 'loop', code: '483', cause: 25 });
  });

  it('overload: the hop takes no work', async () => {
    const { failed, titles } = await why(await controller(), '9503');
    expect(failed).toMatchObject({ reason: 'overload', where: `udp:127.0.0.1:${callee.port}`, code: '500' });
    expect(failed.detail).toContain('503');
    expect(titles).toContain('503 Service Unavailable (INVITE)');
  });

  it('dead peer: every hop of a route was tried, and what became of each is said', async () => {
    const other = await SipPeer.open('127.0.0.1');
    other.close();
    const on = await controller({
      routes: [{ prefix: '8', to: [`udp:127.0.0.1:${deadPort}`, `udp:127.0.0.1:${other.port}`] }],
    });
    const { failed } = await why(on, '8200');
    expect(failed).toMatchObject({ reason: 'unreachable' });
    expect(failed.detail).toContain(`udp:127.0.0.1:${deadPort} refused`);
    expect(failed.detail).toContain(`udp:127.0.0.1:${other.port}`);
    const died = () => lines.filter(({ event }) => event === 'peerDied').map(({ peer }) => peer);
    await expect.poll(died).toContain(`udp:127.0.0.1:${deadPort}`);
  });

  it('at debug, every decision is explained: targets, addresses with their state, and refusals', async () => {
    const on = await controller();
    await why(on, '9486');
    await why(on, 'nobody');
    const events = (name: string) => lines.filter(({ event }) => event === name);
    expect(events('requestRouted')[0]).toMatchObject({
      method: 'INVITE',
      uri: 'sip:9486@example.com',
      standing: 'open',
      route: 'route 9',
      targets: [`sip:9486@example.com by udp:127.0.0.1:${callee.port}`],
    });
    expect(events('requestSent')[0]).toMatchObject({ addresses: [`udp:127.0.0.1:${callee.port} up`] });
    expect(events('requestRefused')[0]).toMatchObject({
      uri: 'sip:nobody@example.com',
      status: 404,
      reason: 'Not Found',
    });
  });
});
