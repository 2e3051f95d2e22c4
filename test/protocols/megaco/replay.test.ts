import { describe, expect, it } from 'vitest';
import { sign } from '../../../protocols/megaco/authentication.ts';
import { ReplayGuard, SequenceNumbers } from '../../../protocols/megaco/replay-guard.ts';
import { primaryHost, World } from './world.ts';

const hex = (number: number): string => number.toString(16).padStart(8, '0');
const value = (number: number): string => `${hex(number)}${'0'.repeat(16)}`;

describe('RFC 2402 §3.4.3: the window of sequence numbers', () => {
  it('takes each number once, in any order within 64, and none behind', () => {
    const guard = new ReplayGuard(30_000);
    let content = 0;
    const accepts = (sequence: number) => {
      content += 1;
      return guard.accepts(hex(sequence), value(content), 0);
    };
    expect([100, 101, 100, 99, 99, 163, 100, 102, 102, 99].map(accepts)).toEqual([
      true,
      true,
      false,
      true,
      false,
      true,
      false,
      true,
      false,
      false,
    ]);
    expect(accepts(0xffff_ffff)).toBe(true);
    expect(accepts(0xffff_ffff - 63)).toBe(true);
    expect(accepts(0xffff_ffff - 64)).toBe(false);
  });

  it('the same transactions are a repetition within T-HIST, and a replay after it, whatever their number', () => {
    const guard = new ReplayGuard(30_000);
    expect(guard.accepts(hex(5), value(1), 0)).toBe(true);
    expect(guard.accepts(hex(5), value(1), 29_000)).toBe(true);
    expect(guard.accepts(hex(6), value(1), 29_000)).toBe(true);
    expect(guard.accepts(hex(5), value(1), 31_000)).toBe(false);
    expect(guard.accepts(hex(900), value(1).toUpperCase(), 31_000)).toBe(false);
  });

  it('our own numbers rise, also over a restart', () => {
    const nowMs = Date.UTC(2026, 0, 1);
    const one = new SequenceNumbers();
    const first = one.next(nowMs);
    const second = one.next(nowMs);
    expect(second).toBe(first + 1);
    expect(new SequenceNumbers().next(nowMs + 1_000)).toBeGreaterThan(second);
    expect(one.next(Date.UTC(2053, 0, 1))).toBeLessThan(2 ** 32);
  });
});

describe('RFC 3525 §10.2: an authentic message that was recorded', () => {
  const security = { spi: '0000abcd', key: 'a shared key of both' };
  const association = { securityParmIndex: security.spi, key: security.key };

  async function setUp(replay: boolean) {
    const world = new World({ backup: false, gatewayConfig: { security: { ...security, replay } } });
    await world.startController(primaryHost);
    const host = '127.0.0.11';
    let answers: string[] = [];
    const listener = await world.network
      .host(host)
      .bind(
        { transport: 'udp', host, port: 2944 },
        {},
        { received: (bytes) => answers.push(bytes.toString('latin1')), failed: () => undefined },
      );
    const flow = listener.flowTo({ host: primaryHost, port: 2944 });
    const signed = (text: string, sequence: number) =>
      sign(Buffer.from(text), association, sequence, { host, port: 2944 }, { host: primaryHost, port: 2944 });
    return {
      world,
      signed,
      /** What is answered to it. */
      says: async (bytes: Buffer) => {
        answers = [];
        flow.send(bytes);
        await world.run(50);
        return answers.filter((text) => /P=\d|Reply/.test(text));
      },
    };
  }

  const restart = '!/1 gw1\nT=77{C=-{SC=ROOT{SV{MT=RS,V=1,RE="901 Cold Boot"}}}}';

  it('is dropped without a word once its time is over, under a new number as well', async () => {
    const { world, signed, says } = await setUp(true);
    const recorded = signed(restart, 1_000);
    expect(await says(recorded)).toHaveLength(1);
    // A repetition: the same reply (Annex D.1.1).
    expect(await says(recorded)).toHaveLength(1);
    await world.run(40_000);
    expect(await says(recorded)).toEqual([]);
    const renumbered = Buffer.from(recorded.toString('latin1').replace('000003E8', '000F4240'), 'latin1');
    expect(await says(renumbered)).toEqual([]);
    expect(await says(signed(restart.replace('T=77', 'T=78'), 1_001))).toHaveLength(1);
  });

  it('is acted upon where the protection is off', async () => {
    const { world, signed, says } = await setUp(false);
    const recorded = signed(restart, 1_000);
    expect(await says(recorded)).toHaveLength(1);
    await world.run(40_000);
    expect(await says(recorded)).toHaveLength(1);
  });
});
