/** Design §5: pairs that are each other's backup, chains, failback, planned switches, and telephones directly on the pair. */
import { describe, expect, it } from 'vitest';
import { MemoryLocations } from '../../src/location/memory.ts';
import type { MemoryPacket } from '../support/memory-network.ts';
import type { Dialog, SimPhone } from '../support/sip-ua.ts';
import { domain, hosts, SipWorld, usualWorld } from '../support/sip-world.ts';

const bob = `sip:bob@${domain}`;

const firstLine = ({ bytes }: MemoryPacket): string => bytes.toString('latin1', 0, bytes.indexOf('\r\n'));

/** Calls and returns the dialog once both sides have it. */
function establish(world: SipWorld, caller: SimPhone, target = bob): Dialog {
  const callId = caller.call(target);
  world.clock.advance(3_000);
  const dialog = caller.dialog(callId);
  if (dialog?.state !== 'confirmed') throw new Error(`the call is ${dialog?.state}: ${caller.finals.join()}`);
  return dialog;
}

const messagesTo = (world: SipWorld, host: string): string[] => {
  const seen: string[] = [];
  world.network.onArrival((packet) => {
    if (packet.to.host === host) seen.push(firstLine(packet));
  });
  return seen;
};

describe('two proxies, each the backup of the other', () => {
  it('each serves calls of its own, and those of both survive the death of either', async () => {
    for (const victim of [hosts.primary, hosts.backup]) {
      const world = new SipWorld();
      await world.pair();
      await world.edge(hosts.callerEdge);
      await world.edge(hosts.calleeEdge, { defaultRoute: [`${hosts.backup}:5060`, `${hosts.primary}:5060`] });
      const alice = await world.phone({ address: '127.0.3.1', user: 'alice', edge: hosts.callerEdge });
      const bobPhone = await world.phone({ address: '127.0.3.2', user: 'bob', edge: hosts.calleeEdge });
      alice.register();
      bobPhone.register();
      await world.clock.advanceAsync(100);
      const fromAlice = establish(world, alice);
      const fromBob = establish(world, bobPhone, `sip:alice@${domain}`);
      world.network.crash(victim);
      alice.bye(fromAlice);
      bobPhone.bye(fromBob);
      world.clock.advance(40_000);
      expect(alice.finals).toEqual(['REGISTER 200', 'INVITE 200', 'BYE 200']);
      expect(bobPhone.finals).toEqual(['REGISTER 200', 'INVITE 200', 'BYE 200']);
      expect([...alice.complaints, ...bobPhone.complaints]).toEqual([]);
    }
  });
});

describe('the branches of a cluster', () => {
  for (const [secret, rings] of [
    ['one secret for all', 1],
    ['another one', 2],
  ] as const)
    it(`with ${rings === 1 ? 'the same secret' : 'different secrets'} a call that moves rings ${rings === 1 ? 'once' : 'twice'}`, async () => {
      const world = new SipWorld();
      const config = { domains: [domain] };
      await world.primary();
      await world.node(hosts.backup, { config, backups: [hosts.primary], backupFor: [hosts.primary], secret });
      await world.edge(hosts.callerEdge);
      await world.edge(hosts.calleeEdge);
      const alice = await world.phone({ address: '127.0.3.1', user: 'alice', edge: hosts.callerEdge });
      const callee = await world.phone({ address: '127.0.3.2', user: 'bob', edge: hosts.calleeEdge });
      callee.register();
      await world.clock.advanceAsync(100);
      callee.answering = 'ring';
      const callId = alice.call(bob);
      world.clock.advance(300);
      world.network.crash(hosts.primary);
      world.clock.advance(4_000);
      expect(callee.rung.get(callId)).toBe(rings);
    });
});

describe('what reaches the backup before the INVITE does', () => {
  it('a CANCEL stops the telephone that the primary made ring, and its 487 comes back; the ACK goes the same way', async () => {
    const { world, callees } = await usualWorld();
    const [callee] = callees;
    if (callee !== undefined) callee.answering = 'ring';
    const told: string[] = [];
    const self = '127.0.3.9';
    const phone = await world.network.host(self).bind(
      { transport: 'udp', host: self, port: 5_060 },
      {},
      {
        received: (bytes) =>
          told.push(bytes.toString('latin1', 8, 11) + (/CSeq: 1 (\w+)/.exec(bytes.toString('latin1'))?.[1] ?? '')),
        failed: () => undefined,
      },
    );
    const send = (host: string, method: string, to = ''): void =>
      phone
        .flowTo({ host, port: 5_060 })
        .send(
          Buffer.from(
            `${method} ${bob} SIP/2.0\r\nVia: SIP/2.0/UDP ${self}:5060;branch=z9hG4bKaware;rport\r\nMax-Forwards: 70\r\n` +
              `Route: <sip:${hosts.primary}:5060;lr>;AlternatePath="sip:${hosts.backup}:5060"\r\n` +
              `From: <sip:eve@${domain}>;tag=1\r\nTo: <${bob}>${to}\r\nCall-ID: aware\r\nCSeq: 1 ${method}\r\n` +
              `Contact: <sip:eve@${self}:5060>\r\nContent-Length: 0\r\n\r\n`,
          ),
        );
    send(hosts.primary, 'INVITE');
    world.clock.advance(100);
    expect([told, callee?.ringing.size]).toEqual([['180INVITE'], 1]);
    world.network.crash(hosts.primary);
    send(hosts.backup, 'CANCEL');
    world.clock.advance(400);
    expect(callee?.ringing.size).toBe(0);
    expect([...new Set(told)].sort()).toEqual(['180INVITE', '200CANCEL', '487INVITE']);
    send(hosts.backup, 'ACK', ';tag=whatever');
    world.clock.advance(40_000);
    // Acknowledged at the callee's edge: the 487 was not repeated for 32 seconds.
    expect(told.filter((line) => line === '487INVITE').length).toBeLessThan(3);
    expect(world.transactions(hosts.calleeEdge, hosts.backup)).toBe(0);
  });
});

describe('a chain of two backups', () => {
  it('a call survives the death of the primary and then of the first backup', async () => {
    const chain = [hosts.primary, hosts.backup, hosts.second] as const;
    const world = new SipWorld();
    for (const host of chain) {
      const others = chain.filter((other) => other !== host);
      await world.node(host, { config: { domains: [domain] }, backups: others, backupFor: others });
    }
    const defaultRoute = chain.map((host) => `${host}:5060`);
    for (const host of [hosts.callerEdge, hosts.calleeEdge]) await world.edge(host, { defaultRoute });
    const alice = await world.phone({ address: '127.0.3.1', user: 'alice', edge: hosts.callerEdge });
    const callee = await world.phone({ address: '127.0.3.2', user: 'bob', edge: hosts.calleeEdge, ringMs: 6_000 });
    alice.register();
    callee.register();
    await world.clock.advanceAsync(100);
    const callId = alice.call(bob);
    world.clock.advance(500);
    world.network.crash(hosts.primary);
    world.clock.advance(2_500);
    world.network.silence(hosts.backup);
    world.network.crash(hosts.backup);
    world.clock.advance(6_000);
    const dialog = alice.dialog(callId);
    expect([dialog?.state, callee.rung.get(callId)]).toEqual(['confirmed', 1]);
    if (dialog !== undefined) alice.bye(dialog);
    world.clock.advance(40_000);
    expect(alice.finals).toEqual(['REGISTER 200', 'INVITE 200', 'BYE 200']);
    expect(world.transactions(hosts.callerEdge, hosts.calleeEdge, hosts.second)).toBe(0);
  });
});

describe('failback', () => {
  it('new calls return to the primary only after the hold time; calls begun at either can be hung up at either', async () => {
    const { world, caller, callees } = await usualWorld();
    const [callee] = callees;
    const atPrimary = establish(world, caller);
    world.network.crash(hosts.primary);
    const atBackup = establish(world, caller);
    world.network.revive(hosts.primary);
    await world.primary();
    const seen = messagesTo(world, hosts.primary);
    world.clock.advance(2_000);
    const early = establish(world, caller);
    expect(seen.filter((line) => line.startsWith('INVITE'))).toEqual([]);
    world.clock.advance(14_000);
    const late = establish(world, caller);
    expect(seen.filter((line) => line.startsWith('INVITE'))).toHaveLength(1);
    // The backup goes, the primary that came back without any memory serves them all.
    world.network.crash(hosts.backup);
    for (const dialog of [atPrimary, atBackup, early, late]) caller.bye(dialog);
    world.clock.advance(40_000);
    expect(caller.finals.filter((final) => final === 'BYE 200')).toHaveLength(4);
    expect([callee?.served, caller.complaints, callee?.complaints]).toEqual([['BYE', 'BYE', 'BYE', 'BYE'], [], []]);
  });

  it('a backup in front of nothing but its primary is left as soon as it dies: the primary knows whom it named', async () => {
    // One-sided: only the primary names a backup, only the backup stands in.
    const world = new SipWorld();
    const config = { domains: [domain] };
    await world.node(hosts.primary, { config, backups: [hosts.backup] });
    await world.node(hosts.backup, { config, backupFor: [hosts.primary] });
    await world.edge(hosts.callerEdge);
    await world.edge(hosts.calleeEdge);
    const alice = await world.phone({ address: '127.0.3.1', user: 'alice', edge: hosts.callerEdge });
    const callee = await world.phone({ address: '127.0.3.2', user: 'bob', edge: hosts.calleeEdge });
    alice.register();
    callee.register();
    await world.clock.advanceAsync(100);
    world.network.crash(hosts.primary);
    const atBackup = establish(world, alice);
    world.network.revive(hosts.primary);
    await world.node(hosts.primary, { config, backups: [hosts.backup] });
    world.network.crash(hosts.backup);
    alice.bye(atBackup);
    world.clock.advance(40_000);
    expect([alice.finals.at(-1), callee.served]).toEqual(['BYE 200', ['BYE']]);
  });
});

describe('a backup that shares no location store', () => {
  it('still takes over what belongs to a dialog', async () => {
    const world = new SipWorld();
    await world.primary();
    await world.node(hosts.backup, {
      config: { domains: [domain] },
      backups: [hosts.primary],
      backupFor: [hosts.primary],
      locations: new MemoryLocations({ clock: world.clock }),
    });
    await world.edge(hosts.callerEdge);
    await world.edge(hosts.calleeEdge);
    const alice = await world.phone({ address: '127.0.3.1', user: 'alice', edge: hosts.callerEdge });
    const callee = await world.phone({ address: '127.0.3.2', user: 'bob', edge: hosts.calleeEdge });
    alice.register();
    callee.register();
    await world.clock.advanceAsync(100);
    const dialog = establish(world, alice);
    world.network.crash(hosts.primary);
    alice.inDialog(dialog, 'UPDATE');
    world.clock.advance(2_000);
    alice.bye(dialog);
    world.clock.advance(40_000);
    expect(alice.finals).toEqual(['REGISTER 200', 'INVITE 200', 'UPDATE 200', 'BYE 200']);
  });
});

describe('a planned switch (design §5.4)', () => {
  it('new work goes to the backup, what is open finishes, and drain ends as soon as nothing is open', async () => {
    const { world, caller, callees } = await usualWorld();
    const open = establish(world, caller);
    const ringing = caller.call(bob);
    world.clock.advance(300);
    let isDrained = false;
    const primary = world.roleAt(hosts.primary)?.role;
    primary?.drain(60_000).then(
      () => {
        isDrained = true;
      },
      () => undefined,
    );
    const seen = messagesTo(world, hosts.backup);
    const during = caller.call(bob);
    await world.clock.advanceAsync(100);
    expect([isDrained, seen.filter((line) => line.startsWith('INVITE')).length]).toEqual([false, 1]);
    await world.clock.advanceAsync(2_000);
    expect(isDrained).toBe(true);
    await primary?.stop();
    world.network.crash(hosts.primary);
    for (const callId of [open.callId, ringing, during]) {
      const dialog = caller.dialog(callId);
      expect(dialog?.state).toBe('confirmed');
      if (dialog !== undefined) caller.bye(dialog);
    }
    world.clock.advance(40_000);
    expect(caller.finals.filter((final) => final === 'BYE 200')).toHaveLength(3);
    expect([caller.complaints, callees[0]?.complaints]).toEqual([[], []]);
    expect([...(callees[0]?.rung.values() ?? [])]).toEqual([1, 1, 1]);
  });

  it('a 503 of the draining primary is paid once: the next call goes to the backup directly', async () => {
    const { world, caller } = await usualWorld();
    await world.roleAt(hosts.primary)?.role.drain(0);
    caller.call(bob);
    world.clock.advance(500);
    const seen = messagesTo(world, hosts.primary);
    caller.call(bob);
    world.clock.advance(500);
    expect(seen.filter((line) => line.startsWith('INVITE'))).toEqual([]);
  });

  it('a 503 from beyond is not taken for the hop: the caller is told, nothing moves', async () => {
    const { world, caller } = await usualWorld();
    const edge = world.roleAt(hosts.callerEdge);
    // Bob's telephone itself says 503; the primary turns it into a 500 (RFC 3261 §16.7 item 6).
    const [callee] = world.phones.slice(1);
    if (callee !== undefined) callee.answering = 'unavailable';
    caller.call(bob);
    world.clock.advance(40_000);
    expect(caller.finals.at(-1)).toBe('INVITE 500');
    expect(edge?.role.peers().map(({ health }) => health)).toEqual(['up', 'up']);
  });
});

describe('plain telephones directly on the pair', () => {
  async function direct(): Promise<{ world: SipWorld; alice: SimPhone; callee: SimPhone }> {
    const world = new SipWorld();
    await world.pair();
    const alice = await world.phone({ address: '127.0.3.1', user: 'alice', edge: hosts.primary });
    const callee = await world.phone({ address: '127.0.3.2', user: 'bob', edge: hosts.primary });
    alice.register();
    callee.register();
    await world.clock.advanceAsync(100);
    return { world, alice, callee };
  }

  it('call as over any proxy while it lives', async () => {
    const { world, alice, callee } = await direct();
    const dialog = establish(world, alice);
    alice.bye(dialog);
    world.clock.advance(40_000);
    expect([alice.finals, callee.served, alice.complaints, callee.complaints]).toEqual([
      ['REGISTER 200', 'INVITE 200', 'BYE 200'],
      ['BYE'],
      [],
      [],
    ]);
  });

  it('are no worse off than with a plain proxy when it dies: the request fails after Timer F, nothing is placed twice', async () => {
    const { world, alice, callee } = await direct();
    const dialog = establish(world, alice);
    world.network.crash(hosts.primary);
    alice.bye(dialog);
    world.clock.advance(40_000);
    expect([alice.finals.at(-1), [...callee.rung.values()]]).toEqual(['BYE 0', [1]]);
  });

  it('a plain callee answers only to where the first INVITE came from: the call fails as with any proxy, and rings once', async () => {
    const { world } = await direct();
    await world.edge(hosts.callerEdge);
    const carol = await world.phone({ address: '127.0.3.3', user: 'carol', edge: hosts.callerEdge });
    const callee = world.phones[1];
    const callId = carol.call(bob);
    world.clock.advance(300);
    world.network.crash(hosts.primary);
    world.clock.advance(80_000);
    expect([carol.finals, callee?.rung.get(callId), callee?.ringing.size]).toEqual([['INVITE 408'], 1, 0]);
    expect(world.transactions(hosts.callerEdge, hosts.backup)).toBe(0);
    // The next call reaches it through the backup at once.
    const next = establish(world, carol);
    carol.bye(next);
    world.clock.advance(5_000);
    expect(carol.finals).toEqual(['INVITE 408', 'INVITE 200', 'BYE 200']);
  });
});
