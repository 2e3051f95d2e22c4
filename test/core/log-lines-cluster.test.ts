/** Lines about members, gateways that change hands, audits, strangers, carriers and the program itself, each by the event of its name. */
import { afterEach, describe, expect, it } from 'vitest';
import { type Controller, type ControllerConfig, startController } from '../../src/index.ts';
import * as megaco from '../protocols/megaco/world.ts';
import { address, backupHost, gatewayHosts, primaryHost, World, type WorldOptions } from '../protocols/mgcp/world.ts';
import { logLines } from '../support/log-lines.ts';
import { SipPeer, sipResponse } from '../support/sip-peer.ts';
import { LinkWorld, signalingPort } from './cluster/link-world.ts';

const { log, lines } = logLines();
const open: { stop?(): Promise<void>; close?(): void }[] = [];

afterEach(async () => {
  for (const each of open.splice(0)) {
    await each.stop?.();
    each.close?.();
  }
  lines.length = 0;
});

const said = (name: string) => lines.filter(({ event }) => event === name);
const [a, b] = ['127.0.0.1', '127.0.0.2'];

describe('members', () => {
  async function pair(): Promise<LinkWorld> {
    const world = new LinkWorld([a, b]);
    await world.start(a, { log });
    await world.start(b);
    await world.run(12_000);
    return world;
  }

  it('are found, suspected, die and return, one line each', async () => {
    const world = await pair();
    const member = `${b}:${signalingPort}`;
    expect(said('memberChanged')).toMatchObject([{ member, before: 'unknown' }]);
    world.network.silence(b);
    await world.run(3_000);
    world.network.crash(b);
    expect(said('memberSuspected')).toMatchObject([{ member, before: 'alive' }]);
    expect(said('memberDied')).toMatchObject([{ member, before: 'suspect' }]);
    world.network.revive(b);
    await world.start(b);
    await world.run(500);
    expect(said('memberChanged').at(-1)).toMatchObject({ member, before: 'dead' });
  });

  it('that were never there are no news that somebody died', async () => {
    const world = new LinkWorld([a, b]);
    await world.start(a, { log });
    await world.run(12_000);
    expect(said('memberAbsent')).toMatchObject([{ member: `${b}:${signalingPort}` }]);
    expect(said('memberDied')).toEqual([]);
  });

  it('a process that stood still, clocks that differ, and datagrams that are not believed', async () => {
    const world = new LinkWorld([a, b]);
    const one = await world.start(a, { log });
    await world.start(b, { link: { wallClock: () => world.clock.now() + 3_000 } });
    await world.run(3_000);
    expect(said('clocksDiffer')).toMatchObject([{ member: `${b}:9061`, differenceMs: expect.any(Number) }]);
    const listener = await world.network
      .host('127.0.0.66')
      .bind(
        { transport: 'udp', host: '127.0.0.66', port: 9061 },
        {},
        { received: () => undefined, failed: () => undefined },
      );
    listener.flowTo({ host: a, port: 9061 }).send(Buffer.alloc(80, 7));
    await world.run(100);
    expect(said('linkDropped')).toMatchObject([{ reason: expect.any(String), count: 1 }]);
    world.network.pause(a);
    await world.run(5_000);
    world.network.resume(a);
    await world.run(100);
    expect(said('processStoodStill')).toMatchObject([{ goneMs: expect.any(Number) }]);
    expect(one.absences).toBe(1);
  });
});

describe('gateways', () => {
  const up = async (options: WorldOptions = {}): Promise<World> => {
    const world = await World.up({ ...options, log });
    open.push(world);
    return world;
  };

  it('that were a dead member’s: who serves them, what is asked, and what came of it', async () => {
    const world = await up();
    world.line('200').offHook();
    await world.run(1_000);
    lines.length = 0;
    world.kill(primaryHost);
    await world.run(4_000);
    const home = 'udp:127.0.0.1:2727';
    expect(said('gatewaysOwned')).toMatchObject([
      { home, because: 'died', from: 'theirs', to: 'taking' },
      { home, because: 'auditDone', to: 'ours' },
    ]);
    expect(said('linesWanted')).toMatchObject([{ home, lines: 4 }]);
    expect(said('linesTaken')).toMatchObject([{ gateways: ['rgw1', 'rgw2'], lines: 4, calls: 0 }]);
  });

  it('one that goes to another member by itself is told once at each, and its ownership at debug alone', async () => {
    const world = await up();
    for (const number of ['200', '201']) world.gateways[0]?.setEntity(world.line(number), address(backupHost));
    lines.length = 0;
    world.line('200').offHook();
    await world.run(3_000);
    expect(said('gatewayElsewhere')).toMatchObject([{ gateway: 'rgw1', member: 'udp:127.0.0.2:2727' }]);
    expect(said('gatewaysOwned')).toEqual([]);
    expect(lines.filter(({ msg }) => msg === 'ownership of one gateway').every(({ level }) => level === 20)).toBe(true);
    const told = lines.filter(
      ({ level, gateway, gateways }) => level > 20 && (gateway === 'rgw1' || gateways !== undefined),
    );
    expect(told.map(({ event }) => event).toSorted()).toEqual([...new Set(told.map(({ event }) => event))].toSorted());
  });

  it('one that falls silent and comes back', async () => {
    const world = await up({ config: { timers: { tMaxMs: 2_000, gatewayQuietMs: 2_000 } } });
    lines.length = 0;
    world.network.crash(gatewayHosts[0]);
    await world.run(10_000);
    expect(said('gatewayDown').filter(({ gateway }) => gateway === 'rgw1')).toMatchObject([
      { address: 'udp:127.0.0.11:2427' },
    ]);
    world.network.revive(gatewayHosts[0]);
    await world.startGateway(0);
    await world.run(20_000);
    expect(said('gatewayUp').filter(({ gateway }) => gateway === 'rgw1')).toMatchObject([
      { address: 'udp:127.0.0.11:2427', downMs: expect.any(Number) },
    ]);
  });

  it('one that may be anywhere: it moves, and a stranger with its name is refused', async () => {
    const world = await up({ config: { gateways: ['rgw1', 'rgw2'].map((name) => ({ name, addresses: 'any' })) } });
    const stranger = await world.network
      .host('127.0.0.66')
      .bind(
        { transport: 'udp', host: '127.0.0.66', port: 2427 },
        {},
        { received: () => undefined, failed: () => undefined },
      );
    for (let turn = 0; turn < 12; turn += 1) {
      stranger
        .flowTo({ host: primaryHost, port: 2727 })
        .send(Buffer.from(`RSIP ${7_000 + turn} *@rgw1 MGCP 1.0\nRM: restart\n`));
      await world.run(500);
    }
    expect(said('gatewayClaimed')).toContainEqual(
      expect.objectContaining({ gateway: 'rgw1', address: 'udp:127.0.0.11:2427' }),
    );
    expect(said('gatewayClaimRefused')).toMatchObject([{ gateway: 'rgw1', lives: 'udp:127.0.0.11:2427' }]);
    world.network.renumber(gatewayHosts[1], '127.0.0.22');
    world.line('203').offHook();
    await world.run(8_000);
    expect(said('gatewayMoved').at(-1)).toMatchObject({ gateway: 'rgw2', address: 'udp:127.0.0.22:2427' });
  });

  it('one that is not ours is refused', async () => {
    const world = await up();
    const stranger = await world.network
      .host('127.0.0.66')
      .bind(
        { transport: 'udp', host: '127.0.0.66', port: 2427 },
        {},
        { received: () => undefined, failed: () => undefined },
      );
    const to = stranger.flowTo({ host: primaryHost, port: 2727 });
    to.send(Buffer.from('NTFY 1 aaln/1@rgw9 MGCP 1.0\nX: 1\nO: L/hd\n'));
    to.send(Buffer.from('no command\n'));
    await world.run(100);
    expect(said('strangerRefused')).toMatchObject([{ from: '127.0.0.66:2427', named: 'aaln/1@rgw9' }]);
    expect(said('malformedMessage')).toMatchObject([{ from: '127.0.0.66:2427', transport: 'udp' }]);
  });

  it('what one refuses: a parameter that can be left out, a command, a line, an audit', async () => {
    const refuses: Record<string, number> = {};
    const world = await up({ gateway: { habits: { refusesExtensions: { code: 511 }, refuses } } });
    expect(said('gatewayRefuses').find(({ gateway }) => gateway === 'rgw1')).toMatchObject({
      without: expect.arrayContaining([expect.any(String)]),
    });
    const dial = async (): Promise<void> => {
      world.line('200').offHook();
      await world.run(500);
      world.line('200').dial('202', 60);
      await world.run(2_000);
      world.line('200').onHook();
      await world.run(2_000);
    };
    refuses['CRCX'] = 403;
    await dial();
    expect(said('commandRefused').at(-1)).toMatchObject({ endpoint: 'aaln/1@rgw1', command: 'create', code: 403 });
    refuses['CRCX'] = 501;
    await dial();
    expect(said('endpointMissing')).toMatchObject([{ endpoint: 'aaln/1@rgw1' }]);
    delete refuses['CRCX'];
    refuses['AUEP'] = 500;
    lines.length = 0;
    world.kill(primaryHost);
    await world.run(30_000);
    expect(said('lineNotAudited').at(-1)).toMatchObject({ endpoint: expect.stringContaining('@rgw'), code: 500 });
  });

  it('a call of which an audit found one end only', async () => {
    const world = await megaco.World.up({ log });
    world.line('200').offHook();
    await world.run(50);
    world.line('200').dial('202');
    await world.run(100);
    world.line('202').offHook();
    await world.run(500);
    const line = world.line('200');
    const describeLine = line.describe.bind(line);
    line.describe = (items) =>
      describeLine(items).map((each) =>
        each.kind === 'Events' ? { ...each, events: [{ name: 'nonsense', parameters: [] }] } : each,
      );
    world.kill(megaco.primaryHost);
    await world.run(4_000);
    expect(said('partyAlone')).toMatchObject([{ endpoint: 'aaln/1@gw2' }]);
  });
});

describe('a program', () => {
  const start = async (host: string, config: NonNullable<ControllerConfig['sip']>): Promise<Controller> => {
    const started = await startController(
      {
        cluster: { secret: '0123456789abcdef0123456789abcdef', port: 9075 },
        sip: { listen: [`udp:${host}:5075`], domains: ['example.com'], ...config },
      },
      { logger: log.child({ host }) },
    );
    open.push(started);
    return started;
  };

  it('is ready, is linked with its partner, and ends; of two members the first registers with the carrier', async () => {
    const [first, second] = ['127.0.75.1', '127.0.75.2'];
    let status = 403;
    const carrier = await SipPeer.open('127.0.75.9', (request) =>
      request.startsWith('REGISTER')
        ? [sipResponse(request, status, status === 200 ? 'OK' : 'Forbidden', ['Expires: 3600'])]
        : [sipResponse(request, 200, 'OK')],
    );
    open.push(carrier);
    const trunks = [
      {
        name: 'carrier',
        to: [`udp:127.0.75.9:${carrier.port}`],
        user: 'us',
        password: 'secret',
        register: true,
        pingSeconds: 0,
      },
    ];
    const one = await start(first, { trunks, backup: [`udp:${second}:5075`] });
    expect(said('ready')).toMatchObject([{ addresses: [`udp:${first}:5075`], admin: expect.any(String) }]);
    expect(said('memberLink')).toMatchObject([{ address: `${first}:9075`, partners: [`${second}:9075`] }]);
    const patience = { timeout: 20_000, interval: 100 };
    await expect.poll(() => said('trunkNotRegistered'), patience).toMatchObject([{ trunk: 'carrier' }]);
    status = 200;
    await expect.poll(() => said('trunkRegistered'), patience).toMatchObject([{ trunk: 'carrier', host: first }]);
    await start(second, { trunks, backupFor: [`udp:${first}:5075`] });
    await one.drain();
    expect(said('stopped')).toMatchObject([{ host: first }]);
    const registeredAt = (host: string) => said('trunkRegistered').filter((line) => line['host'] === host).length;
    await expect.poll(() => registeredAt(second), patience).toBeGreaterThan(0);
    await start(first, { trunks, backup: [`udp:${second}:5075`] });
    await expect
      .poll(() => said('trunkElsewhere').filter(({ host }) => host === second), { ...patience, timeout: 40_000 })
      .toMatchObject([{ trunk: 'carrier' }]);
  }, 120_000);
});
