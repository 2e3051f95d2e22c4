/**
 * Plain telephones on a floating address with real keepalived: what becomes of 160 calls when the address moves in their midst. The hosts
 * are network namespaces; the file of keepalived is the one that we ship.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { stopAll } from './support/child.ts';
import { FloatingPair, floatingAddress, type Load, type PairKind } from './support/floating-pair.ts';
import { lanMissing } from './support/lan.ts';
import { missing } from './support/programs.ts';
import { until } from './support/until.ts';

const absent = missing('sipp', 'keepalived', 'ip') ?? lanMissing();
const title = (text: string, why = absent): string => `${text}${why === undefined ? '' : ` (${why})`}`;

let pair: FloatingPair | undefined;
const start = async (kind: PairKind): Promise<FloatingPair> => {
  pair = new FloatingPair(kind);
  return pair.start();
};
afterEach(async () => {
  await pair?.end();
  pair = undefined;
  await stopAll();
});

const errorsOf = ({ answered, cancelled }: Load): string => `${answered.errors}\n${cancelled.errors}`;

describe.skipIf(absent)(title('A floating address'), () => {
  it('moves as planned, after kill -9 and when its host dies: no call is lost', async () => {
    const hosts = await start('altpath');
    const first = hosts.active;
    if (first === undefined) throw new Error('nobody has the address');
    expect(hosts.status(first)).toMatch(/udp:10\.99\.0\.10:5060 +here, bound/);

    const planned = await hosts.underLoad(async () => {
      const second = await hosts.move();
      expect(hosts.status(second)).toMatch(/udp:10\.99\.0\.10:5060 +here, bound/);
      await until('the first host says so', 5_000, () => /elsewhere/.test(hosts.status(first)));
      // And back, in the midst of the same calls.
      expect(await hosts.move()).toBe(first);
    });
    expect(planned, errorsOf(planned)).toMatchObject({ placed: 160, lost: 0 });
    expect(hosts.log(first)).toMatch(new RegExp(`"event":"vipLeft","address":"udp:${floatingAddress}:5060"`));

    const killed = await hosts.underLoad(() => hosts.kill());
    expect(killed, errorsOf(killed)).toMatchObject({ placed: 160, lost: 0 });
    expect(hosts.active).not.toBe(first);
    await hosts.restart(first);

    const died = await hosts.underLoad(async () => {
      await hosts.unplug();
    });
    expect(died, errorsOf(died)).toMatchObject({ placed: 160, lost: 0 });
    expect(hosts.active).toBe(first);
  }, 240_000);

  it('control: with 0.0.0.0 and advertise, the calls that ring are lost after kill -9', async () => {
    const hosts = await start('wildcard');
    const killed = await hosts.underLoad(() => hosts.kill());
    console.info(`0.0.0.0 + advertise: ${killed.lost} of 160 calls lost`);
    expect(killed.lost, errorsOf(killed)).toBeGreaterThan(5);
  }, 120_000);
});

const withoutKamailio = absent ?? missing('kamailio');

describe.skipIf(withoutKamailio)(title('A floating address', withoutKamailio), () => {
  it('control: two Kamailios that listen on it, registrations on both, after kill -9', async () => {
    const hosts = await start('kamailio');
    const { lost, answered, cancelled } = await hosts.underLoad(() => hosts.kill());
    console.info(`Kamailio: ${lost} of 160 calls lost`);
    // It passes answers on by their Via alone; a CANCEL without its transaction goes nowhere, and the telephone rings on.
    expect(answered.successful, answered.errors).toBeGreaterThan(100);
    expect(cancelled.failed, cancelled.errors).toBeGreaterThan(5);
  }, 120_000);
});
