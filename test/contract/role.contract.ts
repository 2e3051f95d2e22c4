/**
 * What every role of a controller does, whatever it speaks: the same questions to whole roles on the memory network, judged by what leaves
 * their sockets. A protocol's test brings a primary, its backup, peers of both and the adapter that reads their octets.
 */
import { expect } from 'vitest';
import type { ProtocolAdapter, Role } from '../../src/internal.ts';
import type { MemoryNetwork, MemoryPacket } from '../support/memory-network.ts';

export interface ExaminedRole<M = unknown> {
  readonly network: MemoryNetwork;
  readonly adapter: Pick<ProtocolAdapter<M>, 'decode' | 'paths'>;
  readonly primary: string;
  readonly backup: string;
  /** A machine that messages of the primary go to. */
  readonly peer: string;
  /** Every signaling message so far. */
  readonly packets: readonly MemoryPacket[];
  role(host: string): Role | undefined;
  run(ms: number): Promise<void>;
  /** One call from the first digit to the last hang-up; what did not happen, undefined: it went through. `midway`: the callee rings. */
  call(midway?: () => void): Promise<string | undefined>;
  /** What the primary cannot read but answers; absent where the answer has no place for the attribute. */
  readonly malformed?: string;
  /** What keeps a way open and is no message; absent where there is no such thing. */
  readonly keepAlive?: string;
  /** Has this message of the primary or backup no place for the attribute, by the protocol's own rules? */
  hasNoPlace?(text: string): boolean;
}

export type RoleCheck = <M>(examined: ExaminedRole<M>) => Promise<void>;

export const roleChecks: Readonly<Record<string, RoleCheck>> = {
  async 'names its backup in everything that leaves it'(examined) {
    const { primary, backup } = examined;
    expect(await examined.call()).toBeUndefined();
    const sent = sentBy(examined, primary, 0);
    expect(sent.length).toBeGreaterThan(4);
    for (const each of sent) expect(each).toEqual({ ...each, alternates: [backup] });
  },

  async 'names its backup in answers to what cannot be read, and answers no keep-alive'(examined) {
    const { malformed, keepAlive, primary, backup, peer: host } = examined;
    const port = portOf(examined);
    // Not every role answers strangers: another port of a peer's machine.
    const asker = await examined.network
      .host(host)
      .bind({ transport: 'udp', host, port: 5_099 }, {}, { received() {}, failed() {} });
    const answersTo = async (text: string) => {
      const before = examined.packets.length;
      asker.flowTo({ host: primary, port }).send(Buffer.from(text));
      await examined.run(50);
      return sentBy(examined, primary, before).filter(({ to, toPort }) => to === host && toPort === 5_099);
    };
    if (keepAlive !== undefined) expect(await answersTo(keepAlive)).toEqual([]);
    if (malformed !== undefined)
      expect(await answersTo(malformed)).toEqual([expect.objectContaining({ alternates: [backup] })]);
    await asker.close();
  },

  async 'is followed by the named backup where its port is closed'(examined) {
    await survives(examined, () => examined.network.crash(examined.primary));
  },

  async 'is followed by the named backup where nothing answers any more'(examined) {
    await survives(examined, () => {
      examined.network.crash(examined.primary);
      examined.network.silence(examined.primary);
    });
  },

  async 'loses no call that rings when it dies'(examined) {
    expect(await examined.call(() => examined.network.crash(examined.primary))).toBeUndefined();
  },

  async 'hands everything to its backup before it leaves'(examined) {
    const { backup, primary } = examined;
    const role = examined.role(primary);
    const drained = role?.drain(5_000);
    await examined.run(4_000);
    const before = examined.packets.length;
    expect(await examined.call()).toBeUndefined();
    expect(sentBy(examined, backup, before).length).toBeGreaterThan(4);
    await examined.run(5_000);
    await drained;
    await role?.stop();
  },

  async 'asks a peer that went silent whether it lives'(examined) {
    const { network, primary, peer, packets } = examined;
    expect(await examined.call()).toBeUndefined();
    network.crash(peer);
    network.silence(peer);
    // Whoever calls there waits in vain.
    await examined.call();
    const before = packets.length;
    await examined.run(20_000);
    expect(packets.slice(before).filter(({ from, to }) => from.host === primary && to.host === peer)).not.toEqual([]);
  },
};

/** The primary dies between two calls: the next one is the backup's, and whatever the backup sends names the primary in its turn. */
async function survives<M>(examined: ExaminedRole<M>, die: () => void): Promise<void> {
  const { primary, backup } = examined;
  expect(await examined.call()).toBeUndefined();
  die();
  await examined.run(6_000);
  const before = examined.packets.length;
  expect(await examined.call()).toBeUndefined();
  const sent = sentBy(examined, backup, before);
  expect(sent.length).toBeGreaterThan(4);
  for (const each of sent) expect(each).toEqual({ ...each, alternates: [primary] });
}

/** The port that the primary's messages leave from. */
const portOf = <M>({ packets, primary, network }: ExaminedRole<M>): number => {
  const port = packets.find(({ from }) => from.host === primary)?.from.port;
  if (port === undefined) throw new Error(`nothing of ${network.sent} messages left ${primary}`);
  return port;
};

/** What a controller said to others than its partner, and whom each of its messages names. */
function sentBy<M>(examined: ExaminedRole<M>, host: string, since: number) {
  const { adapter, packets, primary, backup, hasNoPlace = () => false } = examined;
  const partner = host === primary ? backup : primary;
  return packets.slice(since).flatMap(({ from, to, bytes }) => {
    const text = bytes.toString('latin1');
    if (from.host !== host || to.host === partner || hasNoPlace(text)) return [];
    const decoded = adapter.decode(bytes);
    if (!decoded.ok) throw new Error(`${decoded.error.reason}: ${text}`);
    const named = adapter.paths(decoded.value).map(({ alternates }) => alternates.map((each) => each.host));
    // A message may bear attributes of others as well: ours names the partner.
    return [
      { to: to.host, toPort: to.port, text, alternates: named.find((hosts) => hosts.includes(partner)) ?? named[0] },
    ];
  });
}
