/**
 * What every role of a controller does, whatever it speaks: the same questions to whole roles on the memory network, judged by what leaves
 * their sockets. A protocol's test brings a primary, its backup, peers of both and the adapter that reads their octets.
 */
import { expect, vi } from 'vitest';
import { Assembler, type ControllerAddress, type ProtocolAdapter, type Role } from '../../src/internal.ts';
import type { MemoryNetwork, MemoryPacket } from '../support/memory-network.ts';

export interface ExaminedRole<M = unknown> {
  readonly network: MemoryNetwork;
  readonly adapter: Pick<ProtocolAdapter<M>, 'decode' | 'paths'>;
  readonly primary: string;
  /** The primary's first backup. */
  readonly backup: string;
  /** A third member, which knows the others over the member link as they know it; absent in a pair. */
  readonly third?: string | undefined;
  /** A machine that messages of the primary go to. */
  readonly peer: string;
  /** Every signaling message so far. */
  readonly packets: readonly MemoryPacket[];
  role(host: string): Role | undefined;
  /** A member again, after `network.crash`. */
  restart(host: string): Promise<void>;
  run(ms: number): Promise<void>;
  /**
   * One call from the first digit to the last hang-up; what did not happen, undefined: it went through. `midway`: the callee rings; `late`:
   * they talk.
   */
  call(midway?: () => void, late?: () => Promise<void>): Promise<string | undefined>;
  /** What the primary cannot read but answers; absent where the answer has no place for the attribute. */
  readonly malformed?: string;
  /** What keeps a way open and is no message; absent where there is no such thing. */
  readonly keepAlive?: string;
  /** What keeps a connection open, and what the peer waits for. */
  readonly ping?: {
    readonly transport: ControllerAddress['transport'];
    readonly port: number;
    readonly ask: string;
    readonly answer: string;
  };
  /** A gateway that is provisioned by its DNS name gets another address, and the name says so, for a time to live of 30 s. */
  renumber?(): void;
  /** The messages of a datagram, where it may have several. */
  messagesIn?(text: string): readonly string[];
  /** Is this no more than a question whether somebody lives, or its answer? */
  isSignOfLife?(text: string): boolean;
  /** Has this message of the primary or backup no place for the attribute, by the protocol's own rules? */
  hasNoPlace?(text: string): boolean;
}

export type RoleCheck = <M>(examined: ExaminedRole<M>) => Promise<void>;

export const roleChecks: Readonly<Record<string, RoleCheck>> = {
  async 'names its backups, in their order, in everything that leaves it'(examined) {
    const { primary } = examined;
    expect(await examined.call()).toBeUndefined();
    const sent = sentBy(examined, primary, 0);
    expect(sent.length).toBeGreaterThan(4);
    for (const each of sent) expect(each).toEqual({ ...each, alternates: others(examined, primary) });
  },

  async 'lets nothing leave that the Assembler has not put together'(examined) {
    const { primary, packets } = examined;
    const assembled = watchAssembler();
    const before = packets.length;
    expect(await examined.call()).toBeUndefined();
    const { malformed } = examined;
    if (malformed !== undefined) await answersTo(examined, malformed);
    const sent = packets.slice(before).filter(({ from }) => from.host === primary);
    expect(sent.length).toBeGreaterThan(4);
    const { messagesIn = (text) => [text] } = examined;
    for (const { bytes } of sent)
      for (const text of messagesIn(bytes.toString('latin1'))) expect(assembled(text), text).toBe(true);
  },

  async 'names its backup in answers to what cannot be read, and answers no keep-alive'(examined) {
    const { malformed, keepAlive, primary } = examined;
    if (keepAlive !== undefined) expect(await answersTo(examined, keepAlive)).toEqual([]);
    if (malformed !== undefined)
      expect(await answersTo(examined, malformed)).toEqual([
        expect.objectContaining({ alternates: others(examined, primary) }),
      ]);
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

  async 'takes back a call that its backup stood in for, when that is gone in its turn'(examined) {
    const { network, primary, backup } = examined;
    let isOver = false;
    const outcome = await examined.call(
      () => network.crash(primary),
      async () => {
        await examined.run(2_000);
        network.revive(primary);
        await examined.restart(primary);
        await examined.run(20_000);
        network.crash(backup);
        isOver = true;
      },
    );
    expect([outcome, isOver]).toEqual([undefined, true]);
  },

  async 'answers what keeps a connection open'(examined) {
    const { network, ping, primary } = examined;
    if (ping === undefined) return;
    const { transport, port, ask, answer } = ping;
    const heard: string[] = [];
    const events = { received: (bytes: Buffer) => void heard.push(bytes.toString('latin1')), failed() {} };
    const client = await network.host('127.0.9.8').bind({ transport, host: '127.0.9.8', port: 5_098 }, {}, events);
    client.flowTo({ host: primary, port }).send(Buffer.from(ask));
    await examined.run(50);
    await client.close();
    expect(heard).toEqual([answer]);
  },

  async 'follows a peer whose name leads elsewhere'(examined) {
    const { renumber } = examined;
    if (renumber === undefined) return;
    expect(await examined.call()).toBeUndefined();
    renumber();
    await examined.run(38_000);
    expect(await examined.call()).toBeUndefined();
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

  async 'names a member that is known to be dead last'(examined) {
    const { backup, primary, third, network } = examined;
    if (third === undefined) return;
    network.crash(backup);
    await examined.run(3_000);
    const before = examined.packets.length;
    expect(await examined.call()).toBeUndefined();
    const sent = sentBy(examined, primary, before);
    expect(sent.length).toBeGreaterThan(4);
    for (const each of sent) expect(each).toEqual({ ...each, alternates: [third, backup] });
  },

  async 'goes on as it was while a third member dies, starts, stands still and goes on'(examined) {
    const { third, network } = examined;
    if (third === undefined) return;
    expect(await examined.call()).toBeUndefined();
    const steps: (() => unknown)[] = [
      () => network.crash(third),
      () => network.silence(third),
      async () => {
        network.revive(third);
        await examined.restart(third);
      },
      () => network.pause(third),
      () => network.resume(third),
    ];
    for (const step of steps) {
      const before = examined.packets.length;
      expect(await examined.call(() => void step())).toBeUndefined();
      await examined.run(20_000);
      expect(await examined.call()).toBeUndefined();
      expect(others(examined, examined.primary).flatMap((host) => workOf(examined, host, before))).toEqual([]);
    }
  },

  async 'is followed by the third member where primary and backup are gone'(examined) {
    const { third, primary, backup, network } = examined;
    if (third === undefined) return;
    expect(await examined.call()).toBeUndefined();
    network.crash(primary);
    await examined.run(8_000);
    network.crash(backup);
    await examined.run(8_000);
    const before = examined.packets.length;
    expect(await examined.call()).toBeUndefined();
    expect(workOf(examined, third, before).length).toBeGreaterThan(4);
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
  const { primary, backup, third } = examined;
  expect(await examined.call()).toBeUndefined();
  die();
  await examined.run(6_000);
  const before = examined.packets.length;
  expect(await examined.call()).toBeUndefined();
  const sent = sentBy(examined, backup, before);
  expect(sent.length).toBeGreaterThan(4);
  // Its own backups in their order, the dead one last.
  const alternates = third === undefined ? [primary] : [third, primary];
  for (const each of sent) expect(each).toEqual({ ...each, alternates });
  if (third !== undefined) expect(workOf(examined, third, before)).toEqual([]);
}

/** The other members in the operator's order. */
const others = <M>({ primary, backup, third }: ExaminedRole<M>, host: string): readonly string[] =>
  [primary, backup, ...(third === undefined ? [] : [third])].filter((each) => each !== host);

/** What a member does for gateways, telephones and other peers beyond saying that it lives. */
const workOf = <M>(examined: ExaminedRole<M>, host: string, since: number): readonly string[] =>
  sentBy(examined, host, since)
    .map(({ to, text }) => `${host} > ${to} ${text}`)
    .filter((text) => examined.isSignOfLife?.(text) !== true);

/** What the primary answers to this text; not every role answers strangers, so it comes from another port of a peer's machine. */
async function answersTo<M>(examined: ExaminedRole<M>, text: string) {
  const { network, packets, peer: host, primary } = examined;
  const port = portOf(examined);
  const asker = await network
    .host(host)
    .bind({ transport: 'udp', host, port: 5_099 }, {}, { received() {}, failed() {} });
  const before = packets.length;
  asker.flowTo({ host: primary, port }).send(Buffer.from(text));
  await examined.run(50);
  await asker.close();
  return sentBy(examined, primary, before).filter(({ to, toPort }) => to === host && toPort === 5_099);
}

/** Tells of any octets whether an Assembler put them together after this call. */
function watchAssembler(): (text: string) => boolean {
  const known = new Set<string>();
  for (const name of ['octets', 'answer'] as const) {
    const own = Assembler.prototype[name] as (...parts: unknown[]) => Uint8Array | undefined;
    vi.spyOn(Assembler.prototype, name).mockImplementation(function (this: unknown, ...parts: unknown[]) {
      const bytes = own.apply(this, parts);
      if (bytes !== undefined) known.add(Buffer.from(bytes).toString('latin1'));
      return bytes as Uint8Array<ArrayBuffer>;
    });
  }
  return (text) => known.has(text);
}

/** The port that the primary's messages leave from. */
const portOf = <M>({ packets, primary, network }: ExaminedRole<M>): number => {
  const port = packets.find(({ from }) => from.host === primary)?.from.port;
  if (port === undefined) throw new Error(`nothing of ${network.sent} messages left ${primary}`);
  return port;
};

/** What a controller said to others than its partner, and whom each of its messages names. */
function sentBy<M>(examined: ExaminedRole<M>, host: string, since: number) {
  const { adapter, packets, hasNoPlace = () => false } = examined;
  const partners = others(examined, host);
  return packets.slice(since).flatMap(({ from, to, bytes }) => {
    const text = bytes.toString('latin1');
    if (from.host !== host || partners.includes(to.host) || hasNoPlace(text)) return [];
    const decoded = adapter.decode(bytes);
    if (!decoded.ok) throw new Error(`${decoded.error.reason}: ${text}`);
    const named = adapter.paths(decoded.value).map(({ alternates }) => alternates.map((each) => each.host));
    // A message may bear attributes of others as well: ours names our partners.
    const ours = named.find((hosts) => partners.some((partner) => hosts.includes(partner)));
    return [{ to: to.host, toPort: to.port, text, alternates: ours ?? named[0] }];
  });
}
