/**
 * Bad input around a call between a SIP telephone and a line: strangers who claim a line's number, records of calls that somebody planted,
 * moved, changed or kept from another call. Refused or left aside, counted, and no call is harmed.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { withRecord } from '../../src/calls/record-text.ts';
import { RecordSeal } from '../../src/calls/sealed-record.ts';
import { Metrics, readRecords, systemRandom } from '../../src/internal.ts';
import { Peer, peerSdp } from '../protocols/sip/user-agent/rig.ts';
import { reached } from '../support/reached.ts';
import type { SimPhone } from '../support/sip-ua.ts';
import { confirmed, lines } from './crossing-scene.ts';
import { backupHost, CrossingWorld, primaryHost, sipDomain } from './crossing-world.ts';

const phoneHost = '127.0.0.31';
const attackerHost = '127.0.0.66';
let world: CrossingWorld;

afterEach(async () => {
  await world.stop();
});

const until = (holds: () => boolean, limitMs = 40_000): Promise<boolean> => reached(world, holds, limitMs, 50);
const talks = (line: string): boolean => world.telephone(line).media().sendsTo === '127.0.0.1:40000';

async function talking(line: string, options = {}): Promise<SimPhone> {
  world = await CrossingWorld.up({ sip: {}, ...options });
  const phone = await world.phone('7001', phoneHost, { answering: 'answer', ringMs: 500 });
  await call(line);
  return phone;
}

async function call(line: string): Promise<void> {
  const telephone = world.telephone(line);
  telephone.offHook();
  await until(() => telephone.hears() === 'dial');
  telephone.dial('7001');
  expect(await until(() => talks(line))).toBe(true);
  await world.run(1_000);
}

async function counted(name: string, host = primaryHost): Promise<number> {
  const text = (await world.services.get(host)?.metrics.text()) ?? '';
  let sum = 0;
  for (const [, value] of text.matchAll(new RegExp(`^altpath_${name}(?:\\{[^}]*\\})? (\\d+)`, 'gm')))
    sum += Number(value);
  return sum;
}

describe.each(lines)('a telephone that claims the number of %s', (_, line) => {
  const other = line === '200' ? '201' : '301';
  const mine = `<sip:${line}@${sipDomain}>`;

  async function attacker(): Promise<Peer> {
    const peer = new Peer(world.network, attackerHost);
    await peer.start();
    return peer;
  }

  it('by REGISTER: refused and counted, and the line is called as before', async () => {
    const phone = await talking(line);
    const peer = await attacker();
    for (const to of [mine, `<sip:${line}@${sipDomain};user=phone>`, `<sip:%3${line[0]}${line.slice(1)}@${sipDomain}>`])
      peer.request('REGISTER', { uri: `sip:${sipDomain}`, to, callId: to, fields: 'Expires: 3600\r\n' });
    await world.run(500);
    expect(peer.responses('REGISTER').map(({ status }) => status)).toEqual([403, 403, 403]);
    expect(await counted('sip_line_numbers_claimed_total')).toBe(3);
    expect(talks(line)).toBe(true);
    world.telephone(line).onHook();
    await until(() => world.telephone(line).isIdle());
    peer.request('INVITE', { uri: `sip:${line}@${sipDomain}`, to: mine, body: peerSdp, callId: 'calls' });
    await world.run(500);
    expect(world.telephone(line).hears()).toBe('ring');
    expect(phone.complaints).toEqual([]);
  });

  it.each([
    ['another line', () => `sip:${other}@${sipDomain}`],
    ['a user', () => `sip:7001@${sipDomain}`],
    ['nobody', () => `sip:7999@${sipDomain}`],
  ])('in From, calling %s: refused and counted, nobody rings', async (_name, uri) => {
    const phone = await talking(line);
    const peer = await attacker();
    const before = phone.rung.size;
    const claims = [mine, `"Anna" ${mine}`, `<sips:${line}@${sipDomain}>`, `<sip:${line}@${primaryHost}:5060>`];
    for (const [index, from] of claims.entries())
      peer.request('INVITE', { uri: uri(), to: `<${uri()}>`, from, body: peerSdp, callId: `claim ${index}` });
    await world.run(500);
    expect(
      peer
        .responses('INVITE')
        .filter(({ status }) => status >= 200)
        .map(({ status }) => status),
    ).toEqual(claims.map(() => 403));
    expect(await counted('sip_false_callers_total')).toBeGreaterThanOrEqual(claims.length);
    expect(world.telephone(other).hears()).toBe('nothing');
    expect(phone.rung.size).toBe(before);
    expect(talks(line)).toBe(true);
  });

  it('in P-Asserted-Identity: nobody is told so (RFC 3325 §5)', async () => {
    await talking(line);
    const peer = await attacker();
    const before = world.packets.length;
    peer.request('INVITE', {
      uri: `sip:${other}@${sipDomain}`,
      to: `<sip:${other}@${sipDomain}>`,
      from: `<sip:7009@${sipDomain}>`,
      fields: `P-Asserted-Identity: "The Boss" ${mine}\r\nP-Preferred-Identity: ${mine}\r\n`,
      body: peerSdp,
    });
    await world.run(500);
    expect(world.telephone(other).hears()).toBe('ring');
    const towards = world.packets
      .slice(before)
      .filter(({ to }) => to.host === '127.0.0.11' || to.host === '127.0.0.21');
    expect(towards.length).toBeGreaterThan(0);
    for (const { bytes } of towards) expect(bytes.toString('latin1')).not.toContain('The Boss');
    expect(talks(line)).toBe(true);
  });

  it('in Contact: its requests come back to nobody, and the line hears nothing of them', async () => {
    await talking(line);
    const peer = await attacker();
    peer.request('INVITE', {
      uri: `sip:${other}@${sipDomain}`,
      to: `<sip:${other}@${sipDomain}>`,
      fields: `Contact: ${mine}\r\n`,
      contact: false,
      body: peerSdp,
    });
    await world.run(500);
    world.telephone(other).offHook();
    await world.run(500);
    const tag = peer.responses('INVITE', 200)[0]?.toTag;
    const address = { uri: `sip:${other}@${primaryHost}:5060`, to: `<sip:${other}@${sipDomain}>;tag=${tag}` };
    peer.request('ACK', { ...address, cseq: peer.responses('INVITE', 200)[0]?.cseq ?? 1 });
    await world.run(500);
    // Its BYE goes where the Contact says: to a line that is not the other end.
    world.telephone(other).onHook();
    await world.run(60_000);
    expect(talks(line)).toBe(true);
    expect(world.telephone(other).isIdle()).toBe(true);
    expect(world.calls(primaryHost)).toBe(
      world.roles.get(primaryHost)?.filter((role) => role.calls().length > 0).length,
    );
  });
});

describe.each(lines)('records that a telephone plants in its descriptions, call with %s', (_, line) => {
  const planted = [
    `${peerSdp}a=x-altpath:${'A'.repeat(80)}\r\n`,
    peerSdp.replace('t=0 0', `t=0 0\r\na=x-altpath:${Buffer.alloc(60).toString('base64url')}`),
    `${peerSdp}${'a=X-AltPath:AAAA\r\n'.repeat(12)}`,
    `${peerSdp}a=x-altpath\r\na=x-altpath:\r\na=x-altpath-call:zz\r\n`,
    `${peerSdp}m=audio 0 RTP/AVP 0\r\na=x-altpath:${Buffer.alloc(99, 7).toString('base64url')}\r\n`,
  ];

  it.each(planted.map((body, index) => [index, body] as const))(
    'form %i: it reaches nobody, and the call survives its controller',
    async (_index, body) => {
      world = await CrossingWorld.up({ sip: {} });
      const peer = new Peer(world.network, phoneHost);
      await peer.start();
      const address = { uri: `sip:${line}@${sipDomain}`, to: `<sip:${line}@${sipDomain}>` };
      peer.request('INVITE', { ...address, body });
      await until(() => world.telephone(line).hears() === 'ring');
      world.telephone(line).offHook();
      await until(() => peer.responses('INVITE', 200).length > 0);
      const answer = peer.responses('INVITE', 200)[0];
      peer.request('ACK', {
        uri: `sip:${line}@${primaryHost}:5060`,
        to: `${address.to};tag=${answer?.toTag}`,
        cseq: answer?.cseq ?? 1,
      });
      await world.run(1_000);
      for (const { to, bytes } of world.packets) {
        const text = bytes.toString('latin1');
        if (to.host === phoneHost) expect(text).not.toMatch(/x-altpath/i);
        const found = readRecords(text).sealed;
        // What a gateway gets is one record, and ours.
        if (to.host === '127.0.0.11' || to.host === '127.0.0.21') {
          expect(text.match(/x-altpath/gi)?.length ?? 0).toBeLessThanOrEqual(1);
          for (const octets of found) expect(octets[0]).toBe(1);
        }
      }
      world.kill(primaryHost);
      expect(await until(() => world.calls(backupHost) > 0)).toBe(true);
      await world.run(5_000);
      expect(world.telephone(line).media().sendsTo).toBe(`${phoneHost}:40000`);
      expect(peer.requests('INVITE').length).toBeGreaterThan(0);
      expect(await counted('call_records_refused_total', backupHost)).toBe(0);
    },
  );
});

describe.each(lines)('what the gateway of %s gives back is not what it was given', (_, line) => {
  const other = line === '200' ? '201' : '301';
  const isMgcp = line === '200';

  /** The remote description as the gateway keeps it. */
  function place(of: string): { remote: string | undefined } {
    const index = Number(of) % 100;
    if (isMgcp) {
      const [connection] = world.mgcp?.line(index + 1)?.connections.values() ?? [];
      if (connection === undefined) throw new Error('no connection');
      return connection;
    }
    const termination = world.megaco?.lines[index];
    const rtp = world.megaco?.contexts.members(termination?.contextId ?? 0).find(({ kind }) => kind === 'rtp');
    if (rtp === undefined) throw new Error('no termination');
    return rtp;
  }

  const recordOf = (of: string): Buffer => {
    const [sealed] = readRecords(place(of).remote ?? '').sealed;
    if (sealed === undefined) throw new Error('no record');
    return sealed;
  };

  const put = (...records: readonly Uint8Array[]): void => {
    const at = place(line);
    let { description } = readRecords(at.remote ?? '');
    for (const record of records) description = withRecord(description, record);
    at.remote = description;
  };

  const flipped = (octets: Buffer, at: number): Buffer => {
    const copy = Buffer.from(octets);
    copy[at] = (copy[at] ?? 0) ^ 0x40;
    return copy;
  };

  const otherKey = (): Buffer => {
    const seal = new RecordSeal({
      secret: 'of another cluster',
      clock: world.clock,
      random: systemRandom,
      metrics: new Metrics(),
    });
    const record = {
      protocol: 'sip',
      side: 'callee',
      phase: 'talking',
      callId: 'X',
      number: '7001',
      fields: [],
    } as const;
    const endpoint = isMgcp ? 'aaln/1@rgw1' : 'aaln/1';
    const octets = seal.seal(record, { gateway: isMgcp ? 'rgw1' : 'gw1', endpoint, callId: undefined });
    if (octets === undefined) throw new Error('not sealed');
    return octets;
  };

  const spoilt: readonly (readonly [string, () => void])[] = [
    ['one bit of the key id', () => put(flipped(recordOf(line), 1))],
    ['one bit of the nonce', () => put(flipped(recordOf(line), 5))],
    ['one bit of what is sealed', () => put(flipped(recordOf(line), 20))],
    ['one bit of the tag', () => put(flipped(recordOf(line), recordOf(line).length - 1))],
    ['a record cut short', () => put(recordOf(line).subarray(0, 40))],
    ['next to nothing', () => put(Buffer.of(1))],
    ['a version of another time', () => put(flipped(recordOf(line), 0))],
    ['the record of another line', () => put(recordOf(other))],
    ['one of another cluster', () => put(otherKey())],
  ];

  it.each(spoilt)('%s: counted, the line hears the end, no other call is harmed', async (_name, spoil) => {
    await talking(line);
    await call(other);
    spoil();
    world.kill(primaryHost);
    await world.run(30_000);
    expect(await counted('call_records_refused_total', backupHost)).toBeGreaterThan(0);
    expect(talks(other)).toBe(true);
    // Nothing is known of its other party: it hears so, and is a line like any other afterwards.
    expect(['reorder', 'busy', 'nothing']).toContain(world.telephone(line).hears());
    world.telephone(line).onHook();
    expect(await until(() => world.telephone(line).isIdle())).toBe(true);
    await call(line);
    expect(talks(other)).toBe(true);
  });

  const harmless: readonly (readonly [string, () => void])[] = [
    ['twice', () => put(recordOf(line), recordOf(line))],
    [
      'behind forged ones',
      () =>
        put(otherKey(), flipped(recordOf(line), 20), recordOf(line).subarray(0, 50), Buffer.alloc(80), recordOf(line)),
    ],
    ['before a forged one', () => put(recordOf(line), otherKey())],
    [
      'at session level',
      () => {
        const at = place(line);
        const { description } = readRecords(at.remote ?? '');
        const attribute = `a=x-altpath:${recordOf(line).toString('base64url')}`;
        at.remote = description.replace(/^m=/m, `${attribute}\r\nm=`);
      },
    ],
  ];

  it.each(harmless)('the right one %s: the call goes on', async (_name, change) => {
    const phone = await talking(line);
    change();
    world.kill(primaryHost);
    await world.run(20_000);
    expect(talks(line)).toBe(true);
    world.telephone(line).onHook();
    expect(await until(() => confirmed(phone) === undefined)).toBe(true);
    expect(await until(() => world.telephone(line).isIdle())).toBe(true);
  });

  it('the record of an earlier call of this line: that call stays over, and the line is free afterwards', async () => {
    const phone = await talking(line);
    const old = recordOf(line);
    world.telephone(line).onHook();
    expect(await until(() => world.telephone(line).isIdle() && confirmed(phone) === undefined)).toBe(true);
    const [earlier = ''] = phone.dialogs.keys();
    await call(line);
    put(old);
    const before = world.packets.length;
    world.kill(primaryHost);
    await world.run(30_000);
    const later = world.packets.slice(before).map(({ bytes }) => bytes.toString('latin1'));
    const inEarlier = later.filter((text) => /^[A-Z]+ /.test(text) && text.includes(`Call-ID: ${earlier}\r\n`));
    if (isMgcp) {
      // Its place names the call (RFC 3435 §2.1.3.2): the record does not open there.
      expect(inEarlier).toEqual([]);
      expect(await counted('call_records_refused_total', backupHost)).toBeGreaterThan(0);
    }
    expect(phone.dialog(earlier)?.state).toBe('ended');
    world.telephone(line).onHook();
    expect(await until(() => world.telephone(line).isIdle())).toBe(true);
    await call(line);
  });
});
