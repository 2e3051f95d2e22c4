/** Telephones on TCP that registered with one member of a pair: its death, at 20 calls a second, costs no call and misleads none. */
import { describe, expect, it } from 'vitest';
import { isLost, TcpPhone } from '../support/sip-tcp-phone.ts';
import { domain, hosts, SipWorld } from '../support/sip-world.ts';

const tcp = (host: string) => ({ transport: 'tcp', host, port: 5_060 }) as const;

const callers = 10;

type At = 'primary' | 'both';

/** `at`: everybody registered with the primary alone, or the callers with the backup and the others with the primary. */
async function drill(how: 'crash' | 'silence', atMs: number, listens: boolean, at: At = 'primary') {
  const world = new SipWorld({}, 1 + atMs);
  await world.pair();
  const { network, clock } = world;
  const members = [tcp(hosts.primary), tcp(hosts.backup)];
  const phone = async (user: string, address: string, servers = members): Promise<TcpPhone> => {
    const made = new TcpPhone({
      network: network.host(address),
      clock: network.host(address).clock,
      address: tcp(address),
      user,
      domain,
      servers,
      listens,
      ringMs: 400,
      talkMs: 600,
    });
    await made.start();
    return made;
  };
  const from: TcpPhone[] = [];
  const to: TcpPhone[] = [];
  for (let n = 0; n < callers; n += 1) {
    from.push(await phone(`caller${n}`, `127.0.4.${n + 1}`, at === 'both' ? members.toReversed() : members));
    to.push(await phone(`callee${n}`, `127.0.5.${n + 1}`));
  }
  // Connections of others at the backup: their ids are those that the primary's tokens name.
  for (let n = 0; n < 2 * callers; n += 1) {
    const stranger = new TcpPhone({
      ...(from[0] as TcpPhone).options,
      network: network.host(`127.0.6.${n + 1}`),
      clock: network.host(`127.0.6.${n + 1}`).clock,
      address: tcp(`127.0.6.${n + 1}`),
      user: `stranger${n}`,
      servers: [tcp(hosts.backup)],
    });
    await stranger.start();
    to.push(stranger);
  }
  await clock.advanceAsync(200);
  let strikeIn = atMs;
  for (let n = 0; n < 67; n += 1) {
    from[n % callers]?.call(`sip:callee${(n * 3) % callers}@${domain}`);
    if (strikeIn >= 0 && strikeIn < 50) {
      await clock.advanceAsync(strikeIn);
      if (how === 'crash') network.crash(hosts.primary);
      else network.silence(hosts.primary);
      await clock.advanceAsync(50 - strikeIn);
    } else await clock.advanceAsync(50);
    strikeIn -= 50;
  }
  await clock.advanceAsync(40_000);
  const calls = from.flatMap((each) => [...each.calls.values()]);
  const result = {
    calls: calls.length,
    lost: calls.filter(isLost),
    misdirected: [...from, ...to].flatMap(({ misdirected }) => misdirected),
  };
  await Promise.all([...from, ...to].map((each) => each.stop()));
  await world.stop();
  return result;
}

describe('a pair on TCP, callers registered with the backup, the others with the primary', () => {
  for (const listens of [true, false])
    for (const how of ['crash', 'silence'] as const)
      it(`${how} of the primary loses no call of telephones ${listens ? 'that listen' : 'behind NAT'}`, async () => {
        for (const atMs of [1_000, 1_013, 1_027, 2_401]) {
          const { calls, lost, misdirected } = await drill(how, atMs, listens, 'both');
          expect(calls).toBe(67);
          expect({ atMs, lost, misdirected }).toEqual({ atMs, lost: [], misdirected: [] });
        }
      }, 60_000);
});

describe('a pair on TCP, every telephone registered with the primary alone', () => {
  for (const listens of [true, false])
    for (const how of ['crash', 'silence'] as const)
      it(`${how} of the primary loses no call of telephones ${listens ? 'that listen' : 'behind NAT'}, at any moment`, async () => {
        for (const atMs of [1_000, 1_013, 1_027, 1_750, 2_401, 3_344]) {
          const { calls, lost, misdirected } = await drill(how, atMs, listens);
          expect(calls).toBe(67);
          expect({ atMs, lost, misdirected }).toEqual({ atMs, lost: [], misdirected: [] });
        }
      }, 60_000);
});
