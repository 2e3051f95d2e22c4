import { describe, expect, it } from 'vitest';
import { decodeDatagram } from '../../../protocols/mgcp/codec/decode.ts';
import { offenceOf } from '../../../protocols/mgcp/gateway/parameter-rules.ts';
import { carriedBy, judgeRefusal } from '../../../protocols/mgcp/refusals.ts';
import { backupHost, primaryHost, World, type WorldOptions } from './world.ts';

const dial = [
  { code: 'X', value: '21' },
  { code: 'R', value: 'L/hu(N),D/[0-9#*T](D),L/oc(N)' },
  { code: 'S', value: 'L/dl' },
  { code: 'Q', value: 'loop' },
];

const judged = (code: number, parameters: readonly { code: string; value: string }[], packages?: readonly string[]) => {
  const verdict = judgeRefusal(code, carriedBy(parameters, parameters === dial), packages);
  return verdict.kind === 'stands' ? 'stands' : `${verdict.kind} ${verdict.without.join(' ')}`;
};

describe('RFC 3435 §2.4: what a refusal says about the command that was refused', () => {
  it('508, 512, 513, 522 leave out what that command carried, and stand where it carried nothing of the kind', () => {
    expect(judged(508, dial)).toBe('repeat noLoop');
    expect(judged(512, dial)).toBe('repeat no:L/oc');
    expect(judged(513, dial)).toBe('repeat no:L/dl');
    expect(judged(522, dial)).toBe('repeat no:L/oc');
    for (const code of [508, 512, 513, 522]) expect(judged(code, [])).toBe('stands');
  });

  it('511 and 539 leave out the attribute; 510 and what is unknown leave it in doubt', () => {
    expect(judged(511, dial)).toBe('repeat noPath');
    expect(judged(539, dial)).toBe('repeat noPath');
    for (const code of [510, 507, 599, 800]) expect(judged(code, dial)).toBe('doubtful noPath');
    for (const code of [510, 511, 507, 599, 800]) expect(judged(code, [])).toBe('stands');
  });

  it('518 is judged by the package list that came with it', () => {
    const ringback = [
      { code: 'S', value: 'G/rt' },
      { code: 'RED/NL', value: 'ca@[127.0.0.1]' },
    ];
    expect(judged(518, ringback, ['L', 'G'])).toBe('repeat noRedirectList');
    expect(judged(518, ringback, ['L', 'RED'])).toBe('repeat no:G/rt');
    expect(judged(518, ringback.slice(0, 1))).toBe('repeat no:G/rt');
    expect(judged(518, dial, ['L', 'D'])).toBe('repeat noPath');
  });

  it('codes for codecs leave out the list, then every codec', () => {
    expect(judged(534, [{ code: 'L', value: 'p:20, a:PCMU;PCMA' }])).toBe('repeat oneCodec');
    expect(judged(532, [{ code: 'L', value: 'p:20, a:PCMU' }])).toBe('repeat noCodecs');
    expect(judged(534, [{ code: 'L', value: 'p:20' }])).toBe('stands');
  });

  it('the packetization period is left out where the code names it, or where no codec is left that could be meant', () => {
    expect(judged(535, [{ code: 'L', value: 'p:20, a:PCMU' }])).toBe('repeat noPeriod');
    expect(judged(541, [{ code: 'L', value: 'p:20' }])).toBe('repeat noPeriod');
    expect(judged(535, [{ code: 'L', value: 'a:PCMU' }])).toBe('stands');
  });

  it('517 names the mode, where there is another', () => {
    expect(judged(517, [{ code: 'M', value: 'recvonly' }])).toBe('repeat noReceiveOnly');
    expect(judged(517, [{ code: 'M', value: 'inactive' }])).toBe('repeat noInactive');
    expect(judged(517, [{ code: 'M', value: 'sendrecv' }])).toBe('stands');
  });

  it('transient codes and those about endpoint, connection or mode are about no parameter that can be spared', () => {
    for (const code of [400, 401, 402, 403, 404, 405, 406, 407, 409, 500, 501, 502, 515, 516, 517, 527, 540])
      expect(judged(code, dial)).toBe('stands');
  });
});

describe('one 510 does not switch the attribute off for a gateway', () => {
  it('a fault that passes: the command is repeated without, all others go on to carry it', async () => {
    for (const fault of [510, 507, 599])
      await inWorld({ gateway: { habits: { faults: [] } } }, async (world) => {
        const faults = world.gateways[0]?.options.habits?.faults;
        faults?.push(fault);
        await talk(world, '200', '202');
        expect(faults).toEqual([]);
        await world.run(1_000);
        const before = world.packets.length;
        world.line('200').onHook();
        await world.run(500);
        expect(world.line('202').hears).toBe('L/bz');
        expect(carriers(world, before)).toBeGreaterThan(0);
        expect(bearers(world, before)).toBe(carriers(world, before));
      });
  });

  it('a gateway that refuses it in every command is found out by an audit that carries nothing else', async () => {
    await inWorld({ gateway: { habits: { refusesExtensions: { code: 510 } } } }, async (world) => {
      const before = world.packets.length;
      await talk(world, '200', '202');
      expect(carriers(world, before)).toBeGreaterThan(0);
      expect(bearers(world, before)).toBe(0);
    });
  });

  it('a gateway that refuses it in DeleteConnection only has every connection deleted all the same', async () => {
    const habits = { refusesExtensions: { code: 510 as const, verbs: ['DLCX'] } };
    await inWorld({ gateway: { habits } }, async (world) => {
      for (let round = 0; round < 4; round += 1) {
        await talk(world, '200', '202');
        world.line('200').onHook();
        world.line('202').onHook();
        await world.run(500);
        for (const number of ['200', '202']) expect(world.line(number).connections.size).toBe(0);
      }
    });
  });

  it('refusals that pass in the middle of a takeover drop no call', async () => {
    for (const fault of [400, 403, 406, 507, 510, 511, 518, 522, 539])
      for (let later = 0; later < 8; later += 1)
        await inWorld({ gateway: { habits: { faults: [] } } }, async (world) => {
          await talk(world, '200', '202');
          await talk(world, '201', '203');
          world.kill(primaryHost);
          const faults = world.gateways[0]?.options.habits?.faults;
          let seen = 0;
          world.network.onArrival(({ from, to }) => {
            if (from.host !== backupHost || to.host !== '127.0.0.11') return;
            if (seen === later) faults?.push(fault);
            seen += 1;
          });
          await world.run(12_000);
          expect([world.talking('200', '202'), world.talking('201', '203')], `${fault} at ${later}`).toEqual([
            true,
            true,
          ]);
        });
  }, 30_000);
});

describe('RFC 3435 §3.2.2, §2.3.7, §2.3.9: what the simulated gateway refuses', () => {
  const code = (text: string): number | undefined => {
    const decoded = decodeDatagram(Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1'));
    const [command] = decoded.ok ? decoded.value.messages : [];
    return command?.kind === 'command' ? offenceOf(command)?.code : -1;
  };

  it('a DeleteConnection that names a connection without its call', () => {
    expect(code('DLCX 1 aaln/1@rgw1 MGCP 1.0\nI: 1\n')).toBe(510);
    expect(code('DLCX 1 aaln/1@rgw1 MGCP 1.0\nC: 1\nI: 1\nX: 1\nR: L/hd\n')).toBeUndefined();
    expect(code('DLCX 1 aaln/*@rgw1 MGCP 1.0\nC: 1\nI: 1\n')).toBe(510);
  });

  it('a request inside a deletion of several connections', () => {
    expect(code('DLCX 1 aaln/1@rgw1 MGCP 1.0\n')).toBeUndefined();
    expect(code('DLCX 1 aaln/1@rgw1 MGCP 1.0\nC: 1\n')).toBeUndefined();
    expect(code('DLCX 1 aaln/1@rgw1 MGCP 1.0\nC: 1\nX: 1\nR: L/hd\n')).toBe(510);
    expect(code('DLCX 1 aaln/$@rgw1 MGCP 1.0\n')).toBe(510);
  });

  it('missing, repeated and forbidden parameters', () => {
    expect(code('CRCX 1 aaln/1@rgw1 MGCP 1.0\nC: 1\n')).toBe(510);
    expect(code('MDCX 1 aaln/1@rgw1 MGCP 1.0\nC: 1\n')).toBe(510);
    expect(code('RQNT 1 aaln/1@rgw1 MGCP 1.0\nR: L/hd\n')).toBe(510);
    expect(code('AUCX 1 aaln/1@rgw1 MGCP 1.0\nF: C\n')).toBe(510);
    expect(code('CRCX 1 aaln/1@rgw1 MGCP 1.0\nC: 1\nM: recvonly\nR: L/hd\n')).toBe(510);
    expect(code('RQNT 1 aaln/1@rgw1 MGCP 1.0\nX: 1\nX: 2\n')).toBe(510);
    expect(code('AUEP 1 aaln/1@rgw1 MGCP 1.0\nN: ca@[127.0.0.1]\n')).toBe(539);
    expect(code('RQNT 1 aaln/1@rgw1 MGCP 1.0\nX: 1\nM: sendrecv\n')).toBe(539);
  });
});

/** Commands of the primary to the first gateway about its lines, and those of them with the attribute. */
const commands = (world: World, from: number): readonly string[] =>
  world.packets
    .slice(from)
    .filter((packet) => packet.from.host === primaryHost && packet.to.host === '127.0.0.11')
    .flatMap(({ bytes }) => bytes.toString('latin1').split(/^\.\r\n/m))
    .filter((text) => /^(RQNT|CRCX|MDCX|DLCX) /.test(text));

const carriers = (world: World, from: number): number => commands(world, from).length;
const bearers = (world: World, from: number): number =>
  commands(world, from).filter((text) => text.includes('X-ALTPTH:')).length;

async function inWorld(options: WorldOptions, play: (world: World) => Promise<void>): Promise<void> {
  const world = await World.up(options);
  try {
    await play(world);
  } finally {
    await world.stop();
  }
}

async function talk(world: World, from: string, to: string): Promise<void> {
  const a = world.line(from);
  const b = world.line(to);
  a.offHook();
  await world.run(200);
  a.dial(to);
  await world.run(300);
  b.offHook();
  await world.run(200);
  expect(world.talking(from, to)).toBe(true);
}
