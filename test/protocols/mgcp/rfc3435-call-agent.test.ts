import { describe, expect, it } from 'vitest';
import { memberIndex } from '../../../src/internal.ts';
import { offence } from './abnf.ts';
import { address, backupHost, gatewayHosts, primaryHost, World, type WorldOptions } from './world.ts';

describe('call features of a line', () => {
  it('reorder for a number that does not exist, busy for a busy one', async () => {
    await inWorld({}, async (world) => {
      const a = world.line('200');
      a.offHook();
      await world.run(100);
      a.dial('999');
      await world.run(100);
      expect(a.hears).toBe('L/ro');
      a.onHook();
      await world.run(100);
      world.line('203').offHook();
      a.offHook();
      await world.run(100);
      a.dial('203');
      await world.run(100);
      expect(a.hears).toBe('L/bz');
    });
  });

  it('nobody answers: the bell stops, the caller hears busy', async () => {
    await inWorld({ config: { timers: { noAnswerMs: 20_000 } } }, async (world) => {
      const a = world.line('200');
      a.offHook();
      await world.run(100);
      a.dial('202');
      await world.run(19_000);
      expect(world.line('202').hears).toBe('L/rg');
      await world.run(1_500);
      expect(world.line('202').hears).toBe('');
      expect(a.hears).toBe('L/bz');
      expect(world.line('202').connections.size).toBe(0);
    });
  });

  it('nobody dials: reorder, then the howler, then silence, and dial tone again after hanging up', async () => {
    await inWorld({}, async (world) => {
      const a = world.line('200');
      a.offHook();
      await world.run(17_000);
      expect(a.hears).toBe('L/ro');
      await world.run(30_000);
      expect(a.hears).toBe('L/ot');
      await world.run(60_000);
      expect(a.hears).toBe('');
      a.onHook();
      await world.run(100);
      a.offHook();
      await world.run(100);
      expect(a.hears).toBe('L/dl');
    });
  });

  it('the caller hangs up while it rings: the bell stops', async () => {
    await inWorld({}, async (world) => {
      const a = world.line('200');
      a.offHook();
      await world.run(100);
      a.dial('202');
      await world.run(100);
      a.onHook();
      await world.run(100);
      expect(world.line('202').hears).toBe('');
      expect(world.calls(primaryHost)).toEqual([]);
    });
  });
});

describe('RFC 3435 §4.4.2 explicit detection: glare', () => {
  it('a handset that was off before the line was armed gets its dial tone (401)', async () => {
    await inWorld({}, async (world) => {
      world.line('200').offHook();
      world.gateways[0]?.restart();
      await world.run(1_000);
      expect(world.line('200').hears).toBe('L/dl');
    });
  });

  it('a hang-up at the very moment of any command is not lost (402)', async () => {
    for (let delayMs = 0; delayMs < 12; delayMs += 1) {
      await inWorld({}, async (world) => {
        const a = world.line('200');
        const b = world.line('202');
        a.offHook();
        await world.run(100);
        a.dial('202');
        await world.run(delayMs);
        a.onHook();
        await world.run(1_000);
        expect([a.hears, b.hears, a.connections.size, b.connections.size]).toEqual(['', '', 0, 0]);
        expect(world.calls(primaryHost)).toEqual([]);
      });
    }
  });

  it('both hang up at once', async () => {
    await inWorld({}, async (world) => {
      await talk(world);
      world.line('200').onHook();
      world.line('202').onHook();
      await world.run(1_000);
      expect(idle(world, '200') && idle(world, '202')).toBe(true);
    });
  });
});

describe('RFC 3435 §2.3.12 RestartInProgress', () => {
  it('restart in the middle of a call: the other party hears a tone, all lines are armed again', async () => {
    await inWorld({}, async (world) => {
      await talk(world);
      world.gateways[1]?.restart();
      world.line('202').onHook();
      await world.run(1_000);
      expect(world.line('200').hears).toBe('L/ro');
      expect(world.line('200').connections.size).toBe(0);
      expect(idle(world, '202') && idle(world, '203')).toBe(true);
    });
  });

  it('forced takes lines out of service, graceful keeps calls and takes no new ones, cancel-graceful ends that', async () => {
    await inWorld({}, async (world) => {
      await talk(world);
      const say = async (method: string, id: number) => {
        await inject(world, gatewayHosts[1], `RSIP ${id} *@rgw2 MGCP 1.0\r\nRM: ${method}\r\n`);
        await world.run(50);
      };
      await say('graceful', 71);
      expect(world.talking('200', '202')).toBe(true);
      expect(await dial(world, '201', '203')).toBe('L/ro');
      await say('cancel-graceful', 72);
      expect(await dial(world, '201', '203')).toBe('G/rt');
      await say('forced', 73);
      expect(world.line('200').hears).toBe('L/ro');
    });
  });

  it('an unknown method gets 536', async () => {
    await inWorld({}, async (world) => {
      const before = world.packets.length;
      await inject(world, gatewayHosts[0], 'RSIP 74 *@rgw1 MGCP 1.0\r\nRM: strange\r\n');
      await world.run(50);
      expect(world.summary(before).some((line) => line.includes('536 74'))).toBe(true);
    });
  });
});

describe('RFC 3435 §2.3.9: the gateway deletes a connection', () => {
  it('ends the call for the other party too', async () => {
    await inWorld({}, async (world) => {
      await talk(world);
      const [connection] = [...world.line('202').connections.values()];
      world.line('202').connections.clear();
      await inject(
        world,
        gatewayHosts[1],
        `DLCX 75 aaln/1@rgw2 MGCP 1.0\r\nI: ${connection?.id}\r\nE: 900 Hardware error\r\n`,
      );
      await world.run(200);
      expect(world.line('200').hears).toBe('L/ro');
      expect(world.calls(primaryHost)).toEqual([]);
    });
  });

  it('is answered 515 or 516, and changes nothing, where it names another connection or another call', async () => {
    await inWorld({}, async (world) => {
      await talk(world);
      const [connection] = [...world.line('202').connections.values()];
      const from = world.packets.length;
      await inject(world, gatewayHosts[1], `DLCX 76 aaln/1@rgw2 MGCP 1.0\r\nC: ${connection?.callId}\r\nI: FFFF\r\n`);
      await inject(world, gatewayHosts[1], `DLCX 77 aaln/1@rgw2 MGCP 1.0\r\nC: ABC\r\nI: ${connection?.id}\r\n`);
      await inject(world, gatewayHosts[1], `DLCX 78 aaln/9@rgw2 MGCP 1.0\r\nC: ABC\r\nI: ${connection?.id}\r\n`);
      await world.run(200);
      for (const answer of ['515 76', '516 77', '500 78'])
        expect(
          world.summary(from).some((line) => line.includes(answer)),
          answer,
        ).toBe(true);
      expect(world.talking('200', '202')).toBe(true);
    });
  });
});

describe('what changes no call', () => {
  it('garbage, oversized and half datagrams from a gateway', async () => {
    await inWorld({}, async (world) => {
      await talk(world);
      for (const text of [
        '',
        '\r\n',
        'x'.repeat(65_000),
        'NTFY',
        'NTFY 1',
        'NTFY 9 aaln/1@rgw1 MGCP 1.0',
        '200',
        '.\r\n.\r\n',
        '\u0000\u0001\u00ff',
      ])
        await inject(world, gatewayHosts[0], text);
      await inject(world, gatewayHosts[0], 'NTFY 76 aaln/1@rgw1 MGCP 1.0\r\nX+EVIL: 1\r\nX: 1\r\nO: L/hu\r\n');
      await world.run(500);
      expect(world.talking('200', '202')).toBe(true);
      expect(world.calls(primaryHost)).toHaveLength(1);
    });
  });

  it('commands and responses from an address that is not the gateway’s', async () => {
    await inWorld({}, async (world) => {
      await talk(world);
      const before = world.packets.length;
      await inject(world, '127.0.0.99', 'NTFY 77 aaln/1@rgw1 MGCP 1.0\r\nX: 1\r\nO: L/hu\r\n');
      await inject(world, '127.0.0.99', 'RSIP 78 *@rgw1 MGCP 1.0\r\nRM: restart\r\n');
      await inject(world, '127.0.0.99', 'DLCX 79 aaln/1@rgw1 MGCP 1.0\r\n');
      await inject(world, '127.0.0.99', 'NTFY 80 aaln/1@unheard-of MGCP 1.0\r\nX: 1\r\nO: L/hu\r\n');
      await world.run(500);
      expect(world.talking('200', '202')).toBe(true);
      // Nothing is answered either: no amplifier.
      expect(world.packets.slice(before).some(({ to }) => to.host === '127.0.0.99')).toBe(false);
    });
  });

  it('every datagram of a whole call, sent again', async () => {
    await inWorld({}, async (world) => {
      const from = world.packets.length;
      await talk(world);
      const replayed = world.packets.slice(from).filter(({ to }) => to.host === primaryHost);
      for (const { from: source, bytes } of replayed) await inject(world, source.host, bytes.toString('latin1'));
      await world.run(1_000);
      expect(world.talking('200', '202')).toBe(true);
      expect(world.calls(primaryHost)).toHaveLength(1);
    });
  });
});

describe('RFC 3435 Appendix A: what is emitted', () => {
  it('is in the strict grammar, datagram by datagram, through calls, takeover and return', async () => {
    await inWorld({}, async (world) => {
      await talk(world);
      world.kill(primaryHost);
      world.line('200').onHook();
      await world.run(3_000);
      world.line('202').onHook();
      world.network.revive(primaryHost);
      await world.startAgent(primaryHost);
      await world.run(30_000);
      expect(world.packets.length).toBeGreaterThan(60);
      for (const { bytes } of world.packets)
        expect(offence(bytes.toString('latin1')), bytes.toString('latin1')).toBeUndefined();
    });
  });
});

describe('the path attribute', () => {
  it('is on every command and every response to a gateway, N: only where §3.2.2 allows it', async () => {
    await inWorld({}, async (world) => {
      await talk(world);
      const toGateways = world.packets.filter(
        ({ from, to }) => from.host === primaryHost && to.host.startsWith('127.0.0.1'),
      );
      for (const { bytes, to } of toGateways) {
        const text = bytes.toString('latin1');
        if (to.host === primaryHost || /^AUEP \d+ \*@\[/.test(text) || text.includes('F: A\r\n')) continue;
        for (const message of text.split('.\r\n').filter((part) => !/^AUEP.*\r\nF: A/.test(part)))
          expect(message).toContain('X-ALTPTH: ca@[127.0.0.2]\r\n');
      }
      expect(world.gateways[0]?.destination(world.line('200')).alternates).toEqual([
        { ...address(backupHost), user: 'ca' },
      ]);
    });
  });

  it('is left out after a refusal, remembered per gateway, and calls go on', async () => {
    await inWorld({ gateway: { refusesExtensions: true } }, async (world) => {
      await talk(world);
      const before = world.packets.length;
      world.line('200').onHook();
      world.line('202').onHook();
      await world.run(500);
      const commands = world.packets
        .slice(before)
        .filter(({ from, to }) => from.host === primaryHost && to.port === 2427);
      expect(commands.some(({ bytes }) => /^(RQNT|DLCX)[^.]*X-ALTPTH/m.test(bytes.toString('latin1')))).toBe(false);
    });
  });

  it('comes as RED/NL too where the gateway lists package RED (RFC 3991 §2.1)', async () => {
    await inWorld({ gateway: { red: true } }, async (world) => {
      const before = world.packets.length;
      await talk(world);
      expect(
        world.packets.slice(before).some(({ bytes }) => bytes.includes('RED/NL: ca@[127.0.0.1], ca@[127.0.0.2]')),
      ).toBe(true);
    });
  });
});

describe('primary and backup', () => {
  it('the primary comes back, gets its lines back after the hold time, and the call in progress with them', async () => {
    await inWorld({}, async (world) => {
      await talk(world);
      world.kill(primaryHost);
      await world.run(3_000);
      expect(world.owner('200')).toBe(backupHost);
      world.network.revive(primaryHost);
      await world.startAgent(primaryHost);
      await world.run(8_000);
      expect(world.owner('200')).toBe(backupHost);
      await world.run(8_000);
      expect(['200', '201', '202', '203'].map((number) => world.owner(number))).toEqual(Array(4).fill(primaryHost));
      expect(world.talking('200', '202')).toBe(true);
      expect(world.calls(primaryHost)).toHaveLength(1);
      expect(world.calls(backupHost)).toEqual([]);
      world.line('202').onHook();
      await world.run(200);
      expect(world.line('200').hears).toBe('L/bz');
    });
  });

  it('drain hands everything to the backup at once, calls included', async () => {
    await inWorld({}, async (world) => {
      await talk(world);
      let drained = false;
      void world.roles
        .get(primaryHost)
        ?.drain(10_000)
        .then(() => {
          drained = true;
        });
      await world.run(1_000);
      expect(drained).toBe(true);
      expect(['200', '202'].map((number) => world.owner(number))).toEqual([backupHost, backupHost]);
      expect(world.talking('200', '202')).toBe(true);
      expect(world.calls(backupHost)).toHaveLength(1);
    });
  });

  it('an agent without backup finds its calls again after its own death (RFC 3435 G.1.2)', async () => {
    await inWorld({ backup: false }, async (world) => {
      await talk(world);
      world.kill(primaryHost);
      await world.run(500);
      world.network.revive(primaryHost);
      await world.startAgent(primaryHost);
      await world.run(500);
      expect(world.calls(primaryHost)).toHaveLength(1);
      expect(world.talking('200', '202')).toBe(true);
    });
  });

  it('members never share transaction ids, whoever is named first', () => {
    const [a, b, c] = [address('127.0.0.1'), address('127.0.0.2'), address('127.0.0.3')];
    expect(new Set([memberIndex(a, [b, c]), memberIndex(b, [c, a]), memberIndex(c, [a, b])]).size).toBe(3);
  });

  it('both look away from a partition between them, and calls go on after it', async () => {
    await inWorld({}, async (world) => {
      await talk(world);
      world.network.partition(primaryHost, backupHost);
      await world.run(5_000);
      expect(world.talking('200', '202')).toBe(true);
      world.network.heal();
      await world.run(20_000);
      expect(world.talking('200', '202')).toBe(true);
      expect(world.owner('200')).toBe(primaryHost);
      expect(world.calls(primaryHost)).toHaveLength(1);
      expect(world.calls(backupHost)).toEqual([]);
      world.line('200').onHook();
      await world.run(500);
      world.line('202').onHook();
      await world.run(500);
      expect(idle(world, '200') && idle(world, '202')).toBe(true);
    });
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

async function talk(world: World): Promise<void> {
  const a = world.line('200');
  const b = world.line('202');
  a.offHook();
  await world.run(100);
  a.dial('202');
  await world.run(100);
  b.offHook();
  await world.run(100);
  expect(world.talking('200', '202')).toBe(true);
}

async function dial(world: World, from: string, to: string): Promise<string> {
  const a = world.line(from);
  a.offHook();
  await world.run(100);
  a.dial(to);
  await world.run(100);
  const { hears } = a;
  a.onHook();
  await world.run(100);
  return hears;
}

function idle(world: World, number: string): boolean {
  const { hook, connections, hears, notification } = world.line(number);
  return (
    hook === 'on' && connections.size === 0 && hears === '' && notification.request.events.some(({ id }) => id === 'hd')
  );
}

/** A datagram to the primary from any port of `host`. */
async function inject(world: World, host: string, text: string): Promise<void> {
  const listener = await world.network
    .host(host)
    .bind({ transport: 'udp', host, port: 0 }, {}, { received() {}, failed() {} });
  listener.flowTo(address(primaryHost)).send(Buffer.from(text, 'latin1'));
  await world.run(5);
  await listener.close();
}
