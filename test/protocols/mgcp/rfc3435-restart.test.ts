import { describe, expect, it } from 'vitest';
import { readEndpointList } from '../../../protocols/mgcp/listing.ts';
import { gatewayHosts, primaryHost, World, type WorldOptions } from './world.ts';

/** Three lines per gateway are provisioned: 200 to 202 and 203 to 205; the gateways have two. */
const short: WorldOptions = { linesPerGateway: 3, gateway: { lines: 2 } };

describe('RFC 3435 §2.3.12, §4.4.6: a restarted gateway is asked which endpoints it has', () => {
  it('answers the restart, asks with the wildcard of the restart, then arms: one audit per gateway', async () => {
    await inWorld({}, async (world) => {
      const before = world.packets.length;
      world.gateways[0]?.restart();
      await world.run(500);
      const sent = world
        .summary(before)
        .filter((line) => line.startsWith(`${primaryHost} > ${gatewayHosts[0]}`))
        .flatMap((line) => line.slice(line.indexOf('127.0.0.11 ') + 11).split(' + '))
        .map((text) => text.replace(/(\S+) \d+( \S+)?.*/, '$1$2'));
      expect(sent).toEqual(['200', 'AUEP *@rgw1', 'RQNT aaln/1@rgw1', 'RQNT aaln/2@rgw1']);
      expect(armed(world, '200') && armed(world, '201')).toBe(true);
    });
  });

  it('a provisioned line that the gateway does not list is never armed, and shown in the status', async () => {
    await inWorld(short, async (world) => {
      const before = world.packets.length;
      world.gateways[0]?.restart();
      await world.run(120_000);
      expect(commandsTo(world, before, 'aaln/3@rgw1')).toEqual([]);
      expect(world.roles.get(primaryHost)?.status()).toMatchObject({ lines: 6, linesServed: 4, linesUnlisted: 2 });
      expect(world.line('200').notification.request.events.map(({ id }) => id)).toContain('hd');
    });
  });

  it('a line that the gateway does not list takes no calls; one that speaks for itself exists', async () => {
    await inWorld({}, async (world) => {
      const covered = world.gateways[0]?.covered.bind(world.gateways[0]);
      const [gateway] = world.gateways;
      if (gateway === undefined || covered === undefined) throw new Error('no gateway');
      gateway.covered = (local) => covered(local).filter((line) => line.local !== 'aaln/2');
      gateway.restart();
      await world.run(500);
      expect(world.roles.get(primaryHost)?.status()).toMatchObject({ linesUnlisted: 1 });
      gateway.covered = covered;
      await inject(world, 'RSIP 900 aaln/2@rgw1 MGCP 1.0\r\nRM: restart\r\n');
      await world.run(500);
      expect(world.roles.get(primaryHost)?.status()).toMatchObject({ linesUnlisted: 0, linesServed: 4 });
      expect(armed(world, '201')).toBe(true);
    });
  });

  it('a gateway that answers with an error, or not at all, has every line armed without more ado', async () => {
    for (const reply of ['500', 'silence'])
      await inWorld({}, async (world) => {
        const [gateway] = world.gateways;
        if (gateway === undefined) throw new Error('no gateway');
        const covered = gateway.covered.bind(gateway);
        gateway.covered = (local) => (local === '*' && reply === '500' ? [] : covered(local));
        // Nobody's response instead of the audit: nothing comes back.
        if (reply === 'silence')
          world.network.onPacket(({ bytes }) => {
            const at = bytes.indexOf('AUEP ');
            if (at >= 0 && bytes.includes(' *@rgw1', at)) bytes.write('200  ', at);
          });
        gateway.restart();
        await world.run(400);
        expect(armed(world, '200')).toBe(reply === '500');
        await world.run(600);
        expect(armed(world, '200') && armed(world, '201')).toBe(true);
        expect(world.roles.get(primaryHost)?.status()).toMatchObject({ linesUnlisted: 0 });
      });
  });

  it('cancel-graceful asks too, and keeps calls', async () => {
    await inWorld({}, async (world) => {
      const before = world.packets.length;
      await inject(world, 'RSIP 901 aaln/*@rgw1 MGCP 1.0\r\nRM: cancel-graceful\r\n');
      await world.run(200);
      expect(commandsTo(world, before, 'aaln/*@rgw1')).toHaveLength(1);
    });
  });
});

describe('RFC 3435 §2.3.12: what RestartInProgress may say', () => {
  it('the "any of" wildcard is refused, and nothing restarts', async () => {
    await inWorld({}, async (world) => {
      const before = world.packets.length;
      await inject(world, 'RSIP 910 $@rgw1 MGCP 1.0\r\nRM: restart\r\n');
      await world.run(200);
      expect(world.summary(before).filter((text) => text.includes(' 510 910'))).toHaveLength(1);
      expect(commandsTo(world, before, 'aaln/1@rgw1')).toEqual([]);
    });
  });

  it('a restart that is announced: calls are over; the lines serve when the gateway says so, or some seconds after the delay', async () => {
    for (const says of [true, false])
      await inWorld({}, async (world) => {
        world.line('200').offHook();
        await world.run(200);
        world.line('200').dial('202');
        await world.run(300);
        world.line('202').offHook();
        await world.run(300);
        expect(world.talking('200', '202')).toBe(true);
        const [gateway] = world.gateways;
        for (const line of gateway?.lines ?? []) line.reset();
        await inject(world, 'RSIP 911 *@rgw1 MGCP 1.0\r\nRM: restart\r\nRD: 10\r\n');
        await world.run(5_000);
        expect(world.line('202').hears).toMatch(/^L\/(bz|ro)$/);
        expect(armed(world, '201')).toBe(false);
        for (const number of ['200', '202']) world.line(number).onHook();
        await world.run(5_000);
        if (says) await inject(world, 'RSIP 912 *@rgw1 MGCP 1.0\r\nRM: restart\r\n');
        await world.run(says ? 1_000 : 6_000);
        expect(['200', '201', '202', '203'].every((number) => armed(world, number))).toBe(true);
      });
  });

  it('ranges of endpoints restart (Appendix E.5)', async () => {
    await inWorld({ linesPerGateway: 3 }, async (world) => {
      const [gateway] = world.gateways;
      for (const line of gateway?.lines ?? []) line.reset();
      await inject(world, 'RSIP 915 aaln/[1,3-5]@rgw1 MGCP 1.0\r\nRM: restart\r\n');
      await world.run(200);
      expect(['200', '201', '202'].map((number) => armed(world, number))).toEqual([true, false, true]);
    });
  });

  it('a gateway may call itself by its address, also for one line (§2.1.2)', async () => {
    await inWorld({}, async (world) => {
      const before = world.packets.length;
      await inject(world, 'NTFY 913 AALN/1@[127.0.0.11] MGCP 1.0\r\nX: 1\r\nO: L/hf\r\n');
      await inject(world, 'NTFY 914 aaln/9@[127.0.0.11] MGCP 1.0\r\nX: 1\r\nO: L/hf\r\n');
      await world.run(200);
      expect(world.summary(before).filter((text) => / (200 913|500 914)/.test(text))).toHaveLength(2);
    });
  });
});

describe('the list of endpoints (RFC 3435 §2.3.10, RFC 3624 §2.1.1.3)', () => {
  const has = (values: readonly string[], local: string) => readEndpointList(values)?.(local);

  it('is read from Z lines, ranges and wildcards, in any case', () => {
    expect(has(['aaln/1@rgw1', 'AALN/2@rgw1'], 'aaln/2')).toBe(true);
    expect(has(['aaln/1@rgw1', 'AALN/2@rgw1'], 'aaln/3')).toBe(false);
    expect(has(['aaln/[1-10]', 'ds/ds1-[1-3]/[1,3-5,8-24]'], 'ds/ds1-2/8')).toBe(true);
    expect(has(['aaln/[1-10]', 'ds/ds1-[1-3]/[1,3-5,8-24]'], 'ds/ds1-2/7')).toBe(false);
    expect(has(['cnf/*'], 'cnf/17')).toBe(true);
  });

  it('says nothing where it is empty, malformed or endless', () => {
    for (const value of ['', 'aaln/[', 'aaln/[1-]', 'aaln/[1-999999999]', 'a[1-999]/[1-999]/[1-999]', 'a]b'])
      expect(readEndpointList([value])).toBeUndefined();
  });
});

async function inWorld(options: WorldOptions, play: (world: World) => Promise<void>): Promise<void> {
  const world = await World.up(options);
  try {
    await play(world);
  } finally {
    await world.stop();
  }
}

const armed = (world: World, number: string): boolean =>
  world.line(number).notification.request.events.some(({ id }) => id === 'hd');

const commandsTo = (world: World, from: number, endpoint: string): readonly string[] =>
  world.summary(from).filter((line) => line.includes(` ${endpoint} `) && line.startsWith(`${primaryHost} >`));

/** A datagram from the first gateway's host to the primary. */
async function inject(world: World, text: string): Promise<void> {
  const [host] = gatewayHosts;
  const listener = await world.network
    .host(host)
    .bind({ transport: 'udp', host, port: 0 }, {}, { received() {}, failed() {} });
  listener.flowTo({ host: primaryHost, port: 2727 }).send(Buffer.from(text, 'latin1'));
  await world.run(5);
  await listener.close();
}
