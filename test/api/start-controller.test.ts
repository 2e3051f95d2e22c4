/** What `import { startController } from 'altpath'` promises: several controllers in one process, on real sockets. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { Telephone } from '../../protocols/sip/telephone/index.ts';
import { type Controller, type ControllerConfig, type ControllerEvent, startController } from '../../src/index.ts';
import { createNetwork, Metrics, silentLog, systemClock, systemRandom } from '../../src/internal.ts';

const directory = mkdtempSync(join(tmpdir(), 'altpath-api-'));
afterAll(() => rmSync(directory, { recursive: true }));

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function start(config: ControllerConfig, options?: Parameters<typeof startController>[1]): Promise<Controller> {
  const controller = await startController(config, options);
  ends.push(() => controller.stop());
  return controller;
}

async function telephone(user: string, server: string): Promise<Telephone> {
  const [host = '', port] = server.replace('udp:', '').split(':');
  const parts = { clock: systemClock, random: systemRandom, log: silentLog, metrics: new Metrics() };
  const made = new Telephone(
    { ...parts, network: createNetwork(parts) },
    {
      user,
      domain: 'example.com',
      listen: { transport: 'udp', host: '127.0.41.9', port: 0 },
      servers: [{ transport: 'udp', host, port: Number(port) }],
      incoming: { ringMs: 20 },
    },
  );
  await made.start();
  ends.push(() => made.stop());
  return made;
}

function heard(controller: Controller): ControllerEvent[] {
  const events: ControllerEvent[] = [];
  for (const kind of ['call', 'switch', 'peer'] as const) controller.on(kind, (event) => events.push(event));
  return events;
}

const primaryAddress = '127.0.41.1:41060';
const backupAddress = '127.0.41.2:41060';

const member = (listen: string, other: string): ControllerConfig => ({
  cluster: { secret: '0123456789abcdef' },
  location: `sqlite:${join(directory, 'locations.sqlite')}`,
  shutdownSeconds: 2,
  sip: { listen: [listen], backup: [other], backupFor: [other], domains: ['example.com'] },
});

describe('startController', () => {
  it('runs primary, backup and an edge in one process, and says what moves when the primary goes', async () => {
    const primary = await start(member(primaryAddress, backupAddress));
    const backup = await start(member(backupAddress, primaryAddress));
    const edge = await start({
      sip: {
        listen: ['127.0.41.3:0'],
        domains: [],
        defaultRoute: [primaryAddress, backupAddress],
        timers: { holdMs: 100, downProbeMs: 100 },
      },
    });
    expect(primary.addresses).toEqual([`udp:${primaryAddress}`]);
    const [atEdge, atPrimary, atBackup] = [heard(edge), heard(primary), heard(backup)];
    const [alice, bob] = await Promise.all(['alice', 'bob'].map((user) => telephone(user, edge.addresses[0] ?? '')));
    if (alice === undefined || bob === undefined) throw new Error('no telephones');
    expect(await alice.register()).toMatchObject({ status: 200 });
    expect(await bob.register()).toMatchObject({ status: 200 });

    const first = alice.call('bob');
    await vi.waitFor(() => expect(first.state).toBe('answered'), { timeout: 5_000 });
    first.hangUp();
    await vi.waitFor(() => expect(alice.calls).toHaveLength(0), { timeout: 5_000 });
    const call = { kind: 'call', protocol: 'sip', callId: first.id, caller: 'sip:alice@example.com' };
    expect(atPrimary).toEqual([
      { ...call, phase: 'begun', callee: 'sip:bob@example.com' },
      { ...call, phase: 'answered', callee: 'sip:bob@example.com' },
      { ...call, phase: 'ended', callee: expect.stringContaining('sip:bob@127.0.41.9'), reason: 'hungUp' },
    ]);
    expect(atBackup).toEqual([]);

    await primary.stop();
    atEdge.length = 0;
    const second = alice.call('bob');
    await vi.waitFor(() => expect(second.state).toBe('answered'), { timeout: 5_000 });
    const moved = { kind: 'switch', what: 'message', protocol: 'sip', to: `udp:${backupAddress}` };
    expect(atEdge).toContainEqual({ ...moved, from: `udp:${primaryAddress}`, because: expect.any(String) });
    // The message moves on at once, the verdict on its hop comes a little later.
    const died = { kind: 'peer', state: 'died', protocol: 'sip', address: `udp:${primaryAddress}`, because: 'refused' };
    await vi.waitFor(() => expect(atEdge).toContainEqual(died), { timeout: 2_000 });
    expect(atBackup).toContainEqual(expect.objectContaining({ phase: 'answered', callId: second.id }));
    second.hangUp();

    await start(member(primaryAddress, backupAddress));
    await vi.waitFor(
      () => expect(atEdge).toContainEqual(expect.objectContaining({ kind: 'peer', state: 'returned' })),
      { timeout: 5_000 },
    );
  });

  it('two call agents tell of the death and the return of each other, and of the gateways that move', async () => {
    const agent = (own: number, other: number): ControllerConfig => ({
      cluster: { secret: '0123456789abcdef' },
      mgcp: {
        listen: [`127.0.41.${own}:42727`],
        backup: [`127.0.41.${other}:42727`],
        backupFor: [`127.0.41.${other}:42727`],
        gateways: [{ name: 'rgw1', addresses: ['127.0.41.8:42427'], home: '127.0.41.4:42727' }],
        timers: { startGraceMs: 200 },
      },
    });
    const primary = await start(agent(4, 5));
    const backup = await start(agent(5, 4));
    const events = heard(backup);
    const address = 'udp:127.0.41.4:42727';
    const hasLink = () =>
      JSON.stringify(backup.peers()).includes('"returning"') || backup.peers().some(({ state }) => state === 'alive');
    await vi.waitFor(() => expect(hasLink()).toBe(true), { timeout: 5_000 });
    await primary.stop();
    await vi.waitFor(
      () =>
        expect(events).toEqual(
          expect.arrayContaining([
            expect.objectContaining({ kind: 'peer', state: 'died', protocol: 'mgcp', address }),
            {
              kind: 'switch',
              what: 'gateway',
              protocol: 'mgcp',
              from: address,
              to: 'udp:127.0.41.5:42727',
              because: 'died',
            },
          ]),
        ),
      { timeout: 8_000 },
    );
    await start(agent(4, 5));
    await vi.waitFor(
      () => expect(events).toContainEqual(expect.objectContaining({ kind: 'peer', state: 'returned', address })),
      { timeout: 8_000 },
    );
  }, 20_000);

  it('says everything that is wrong with a configuration, and where', async () => {
    const config = { sip: { listen: ['x y'], domain: ['example.com'] }, shutdownSeconds: '1' };
    const error = await startController(config as unknown as ControllerConfig).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ERR_CONFIG' });
    const lines = String(error instanceof Error ? error.message : error).split('\n');
    expect(lines).toContainEqual(expect.stringMatching(/^sip\.listen\[0\]: "x y" is not an address: write /));
    expect(lines).toContainEqual(expect.stringMatching(/^sip: unknown key "domain" \(did you mean "domains"\?\)$/));
    expect(lines).toContainEqual(expect.stringMatching(/^shutdownSeconds: must be a number, is text/));
  });

  it.each([undefined, null, [], 'sip', {}])('refuses %j as a configuration', async (config) => {
    await expect(startController(config as unknown as ControllerConfig)).rejects.toMatchObject({ code: 'ERR_CONFIG' });
  });

  it('chooses a node as told', async () => {
    const config: ControllerConfig = {
      cluster: { secret: '0123456789abcdef' },
      nodes: { a: { sip: ['127.0.41.6:0'] }, b: { sip: ['127.0.41.7:41060'] } },
      sip: {},
    };
    await expect(startController(config)).rejects.toThrow('say which one to run with node a|b');
    const controller = await start(config, { node: 'a' });
    expect(controller.status()).toMatchObject({ state: 'ready', node: 'a' });
    expect(controller.addresses[0]).toMatch(/^udp:127\.0\.41\.6:\d+$/);
  });

  it('leaves nothing open where it cannot start', async () => {
    const config = (admin: string): ControllerConfig => ({ admin, sip: { listen: [primaryAddress] } });
    await start(config('off'));
    await expect(startController(config('127.0.41.1:41061'))).rejects.toMatchObject({ code: 'ERR_BIND' });
    // The admin port that the failed start had is free again.
    const next = await start({ admin: '127.0.41.1:41061', sip: { listen: ['127.0.41.6:0'] } });
    expect(next.admin).toBe('127.0.41.1:41061');
  });

  it('ends once, by whatever way, and takes its sockets, streams and no signal handler along', async () => {
    const signals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'uncaughtException', 'unhandledRejection'];
    const before = signals.map((signal) => process.listenerCount(signal));
    const controller = await startController({ sip: { listen: [primaryAddress] } });
    expect(signals.map((signal) => process.listenerCount(signal))).toEqual(before);
    const seen: ControllerEvent[] = [];
    const reading = (async () => {
      for await (const event of controller.events()) seen.push(event);
    })();
    await Promise.all([controller.drain(), controller.drain(), controller.stop()]);
    await controller.ended;
    await reading;
    expect(seen).toEqual([]);
    expect(controller.status()).toMatchObject({ state: 'stopped', roles: {} });
    expect(await controller.events().next()).toEqual({ done: true, value: undefined });
    await start({ sip: { listen: [primaryAddress] } });
  });

  it('ends when its admin server is asked to', async () => {
    const controller = await start({ admin: '127.0.41.1:0', sip: { listen: ['127.0.41.6:0'] } });
    await fetch(`http://${controller.admin}/drain`, { method: 'POST', headers: { 'x-altpath': 'drain' } });
    await controller.ended;
    expect(controller.status()).toMatchObject({ state: 'stopped' });
    expect(controller.admin).toBeUndefined();
  });
});
