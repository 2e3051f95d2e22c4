import { describe, expect, it } from 'vitest';
import { readTrustRule } from '../../src/internal.ts';
import { answerTo, fieldsOf, gist, request } from '../protocols/sip/world.ts';
import { domain } from '../support/sip-world.ts';
import { backup, bob, crowd, empty, establish, member, outbound, Phone, pair, primary } from './sip-flow-harness.ts';

describe('RFC 5626 §7 a telephone that is connected to one member', () => {
  for (const contact of [undefined, 'sip:bob@df7jal23ls0d.invalid;transport=ws'])
    it(`is called, and hung up on, through the other as well (${contact ?? 'a TCP contact'})`, async () => {
      const world = await pair();
      const strangers = await crowd(world, backup, 4);
      const phone = await Phone.at(world, 'bob', `${contact === undefined ? 'tcp' : 'ws'}:127.0.7.2:5060`, contact);
      const caller = await Phone.at(world, 'alice', 'tcp:127.0.7.1:5060');
      expect(await phone.register(primary, outbound)).toBe(200);
      expect(await caller.register(backup)).toBe(200);
      const call = await establish(caller, phone, backup);
      await caller.ask('ACK', backup, {
        uri: phone.contact,
        to: `<${bob}>;tag=b1`,
        callId: 'c1',
        fields: call.callerRoutes,
      });
      await caller.ask('BYE', backup, {
        uri: phone.contact,
        to: `<${bob}>;tag=b1`,
        callId: 'c1',
        cseq: 2,
        fields: call.callerRoutes,
      });
      expect(gist(phone.texts)).toEqual(['ACK', 'BYE']);
      phone.answer(answerTo(phone.last, 200));
      await world.clock.advanceAsync(20);
      expect(gist(caller.take())).toEqual(['200']);
      for (const stranger of strangers) expect(stranger.take()).toEqual([]);
    });

  it('gets what its dialogs bring over a new connection to the partner, when its member is dead', async () => {
    const world = await pair();
    const strangers = await crowd(world, backup, 6);
    const phone = await Phone.at(world, 'bob', 'ws:127.0.7.2:5060', 'sip:bob@df7jal23ls0d.invalid;transport=ws');
    const caller = await Phone.at(world, 'alice', 'ws:127.0.7.1:5060', 'sip:alice@x7jal23ls0d.invalid;transport=ws');
    for (const each of [phone, caller]) expect(await each.register(primary)).toBe(200);
    const call = await establish(caller, phone, primary);
    world.network.crash(primary);
    await world.clock.advanceAsync(20);
    for (const each of [phone, caller]) expect(await each.register(backup)).toBe(200);
    await caller.ask('BYE', backup, {
      uri: phone.contact,
      to: `<${bob}>;tag=b1`,
      callId: 'c1',
      fields: call.callerRoutes,
    });
    expect(gist(phone.take())).toEqual(['BYE']);
    phone.send(
      request('BYE', {
        transport: 'WS',
        uri: caller.contact,
        branch: 'z9hG4bKback',
        from: `<${bob}>;tag=b1`,
        to: `<sip:alice@${domain}>;tag=alice`,
        callId: 'c1',
        fields: call.calleeRoutes,
      }),
      phone.to(backup),
    );
    await world.clock.advanceAsync(20);
    expect(gist(caller.take())).toEqual(['BYE']);
    for (const stranger of strangers) expect(stranger.take()).toEqual([]);
  });

  it('is found by its binding where its contact changed with the connection', async () => {
    const world = await pair();
    const first = await Phone.at(world, 'bob', 'tcp:127.0.7.2:5060', 'sip:bob@10.0.0.5:41000;transport=tcp;ob');
    const caller = await Phone.at(world, 'alice', 'tcp:127.0.7.1:5060');
    await first.register(primary, outbound);
    await caller.register(primary);
    const call = await establish(caller, first, primary);
    world.network.crash(primary);
    await world.clock.advanceAsync(20);
    const again = await Phone.at(world, 'bob', 'tcp:127.0.7.3:5060', 'sip:bob@10.0.0.5:42000;transport=tcp;ob');
    await again.register(backup, outbound);
    await caller.ask('BYE', backup, {
      uri: first.contact,
      to: `<${bob}>;tag=b1`,
      callId: 'c1',
      fields: call.callerRoutes,
    });
    expect(gist(again.take())).toEqual(['BYE']);
  });

  it('that cannot be dialled and is not back yet: 430 in a dialog, 480 to a new call, and no stranger hears of it', async () => {
    const world = await pair();
    const strangers = await crowd(world, backup, 6);
    const phone = await Phone.at(world, 'bob', 'ws:127.0.7.2:5060', 'sip:bob@df7jal23ls0d.invalid;transport=ws');
    const caller = await Phone.at(world, 'alice', 'tcp:127.0.7.1:5060');
    await phone.register(primary);
    await caller.register(primary);
    const call = await establish(caller, phone, primary);
    world.network.crash(primary);
    await caller.ask('BYE', backup, {
      uri: phone.contact,
      to: `<${bob}>;tag=b1`,
      callId: 'c1',
      fields: call.callerRoutes,
    });
    await caller.ask('INVITE', backup, { uri: bob, to: `<${bob}>`, callId: 'c2' });
    await world.clock.advanceAsync(10_000);
    expect(gist(caller.take()).filter((each) => each !== '100')).toEqual(['430', '480']);
    for (const stranger of strangers) expect(stranger.take()).toEqual([]);
  });
});

describe('RFC 5626 §5.3.1 a token of an earlier life', () => {
  it("leads to no connection of this one: not carol's, who came first after the restart", async () => {
    const world = await pair();
    const phone = await Phone.at(world, 'bob', 'tcp:127.0.7.2:5060');
    const caller = await Phone.at(world, 'alice', 'tcp:127.0.7.1:5060');
    await phone.register(primary);
    await caller.register(primary);
    const call = await establish(caller, phone, primary);
    world.network.crash(primary);
    world.network.revive(primary);
    await member(world, primary, backup);
    const strangers = await crowd(world, primary, 4);
    await caller.ask('BYE', primary, {
      uri: phone.contact,
      to: `<${bob}>;tag=b1`,
      callId: 'c1',
      fields: call.callerRoutes,
    });
    await world.clock.advanceAsync(40_000);
    for (const stranger of strangers) expect(stranger.take()).toEqual([]);
    await phone.register(primary);
    await caller.ask('BYE', primary, {
      uri: phone.contact,
      to: `<${bob}>;tag=b1`,
      callId: 'c1',
      fields: call.callerRoutes,
    });
    expect(gist(phone.take())).toEqual(['BYE']);
  });
});

describe('RFC 5626 §5.3.2 the token of the sender itself', () => {
  it('does not lead the request back to it', async () => {
    const world = await pair();
    const caller = await Phone.at(world, 'alice', 'tcp:127.0.7.1:5060');
    const phone = await Phone.at(world, 'bob', 'tcp:127.0.7.2:5060');
    await caller.register(primary);
    await phone.register(primary);
    const call = await establish(caller, phone, primary);
    // The entry of the caller's side is the last for the callee, the first for the caller.
    const [own = ''] = call.callerRoutes.split('\r\n');
    await caller.ask('MESSAGE', primary, { uri: bob, to: `<${bob}>`, callId: 'm1', fields: `${own}\r\n` });
    expect(gist(phone.take())).toEqual(['MESSAGE']);
    expect(gist(caller.take())).toEqual([]);
  });
});

describe('RFC 5626 §7 several flows of one instance', () => {
  it('are tried one at a time, the next when one has failed, and never both', async () => {
    const world = await pair();
    const caller = await Phone.at(world, 'alice', 'tcp:127.0.7.1:5060');
    const first = await Phone.at(world, 'bob', 'tcp:127.0.7.2:5060');
    const second = await Phone.at(world, 'bob', 'tcp:127.0.7.3:5060');
    await caller.register(primary);
    await first.register(primary, outbound);
    await second.register(backup, outbound.replace('reg-id=1', 'reg-id=2'));
    await caller.ask('INVITE', primary, { uri: bob, to: `<${bob}>`, callId: 'c1' });
    expect([gist(first.texts), gist(second.texts)]).toEqual([[], ['INVITE']]);
    second.answer(answerTo(second.last, 486));
    await world.clock.advanceAsync(20);
    world.network.crash(backup);
    await world.clock.advanceAsync(20);
    await caller.ask('INVITE', primary, { uri: bob, to: `<${bob}>`, callId: 'c2' });
    await world.clock.advanceAsync(3_000);
    expect(gist(first.take())).toEqual(['INVITE']);
  });

  it('count as one without reg-id as well: the latest contact of the instance is called', async () => {
    const world = await pair();
    const caller = await Phone.at(world, 'alice', 'tcp:127.0.7.1:5060');
    const before = await Phone.at(world, 'bob', 'udp:127.0.7.2:5060', 'sip:bob@127.0.7.2:5060');
    const after = await Phone.at(world, 'bob', 'udp:127.0.7.3:5060', 'sip:bob@127.0.7.3:5060');
    await caller.register(primary);
    for (const phone of [before, after]) await phone.register(primary, outbound.replace(';reg-id=1', ''));
    await caller.ask('INVITE', primary, { uri: bob, to: `<${bob}>`, callId: 'c1' });
    expect([gist(before.take()), gist(after.take())]).toEqual([[], ['INVITE']]);
  });

  it('get no second try where the instance has answered', async () => {
    const world = await pair();
    const caller = await Phone.at(world, 'alice', 'tcp:127.0.7.1:5060');
    const first = await Phone.at(world, 'bob', 'tcp:127.0.7.2:5060');
    const second = await Phone.at(world, 'bob', 'tcp:127.0.7.3:5060');
    await caller.register(primary);
    await first.register(primary, outbound);
    await second.register(primary, outbound.replace('reg-id=1', 'reg-id=2'));
    await caller.ask('INVITE', primary, { uri: bob, to: `<${bob}>`, callId: 'c1' });
    const [invite = ''] = second.texts;
    second.answer(answerTo(invite, 486));
    await world.clock.advanceAsync(1_000);
    expect(gist(first.take())).toEqual([]);
    expect(gist(caller.take()).at(-1)).toBe('486');
  });
});

describe('RFC 5626 §7 a connection that ends', () => {
  it('takes its binding along: 480 at once, and the store is clean a moment later', async () => {
    const world = await pair();
    const caller = await Phone.at(world, 'alice', 'tcp:127.0.7.1:5060');
    await caller.register(primary);
    const page = await Phone.at(world, 'bob', 'ws:127.0.7.2:5060', 'sip:bob@df7jal23ls0d.invalid;transport=ws');
    await page.register(primary);
    page.listener?.flowTo(page.to(primary)).close();
    await world.clock.advanceAsync(5);
    await caller.ask('INVITE', primary, { uri: bob, to: `<${bob}>`, callId: 'c1' });
    expect(gist(caller.take())).toEqual(['480']);
    await world.clock.advanceAsync(1_000);
    expect(world.locations.lookup(`bob@${domain}`)).toEqual([]);
  });

  it('leaves the binding of a telephone that listens (RFC 3261 §18.2.2)', async () => {
    const world = await pair();
    const caller = await Phone.at(world, 'alice', 'tcp:127.0.7.1:5060');
    await caller.register(primary);
    const phone = await Phone.at(world, 'bob', 'tcp:127.0.7.2:5060', 'sip:bob@127.0.7.2:5060;transport=tcp');
    await phone.register(primary);
    phone.listener?.flowTo(phone.to(primary)).close();
    await world.clock.advanceAsync(1_000);
    await caller.ask('INVITE', primary, { uri: bob, to: `<${bob}>`, callId: 'c1' });
    expect(gist(phone.take())).toEqual(['INVITE']);
  });
});

describe('RFC 5626 §7 telephones behind NAT, by datagrams', () => {
  it('get ACK, BYE and re-INVITE of both sides where they registered from', async () => {
    const world = await pair();
    const caller = await Phone.at(world, 'alice', 'udp:127.0.7.1:40001', 'sip:alice@10.0.0.4:5060');
    const phone = await Phone.at(world, 'bob', 'udp:127.0.7.2:40002', 'sip:bob@10.0.0.5:5060');
    expect(await caller.register(primary, outbound)).toBe(200);
    expect(await phone.register(primary, outbound.replace('128"', '129"'))).toBe(200);
    const call = await establish(caller, phone, primary);
    const dialog = { uri: phone.contact, to: `<${bob}>;tag=b1`, callId: 'c1', fields: call.callerRoutes };
    await caller.ask('ACK', primary, dialog);
    await caller.ask('BYE', primary, { ...dialog, cseq: 2 });
    expect(gist(phone.take())).toEqual(['ACK', 'BYE']);
    phone.send(
      request('INVITE', {
        via: phone.via,
        branch: 'z9hG4bKre',
        uri: caller.contact,
        from: `<${bob}>;tag=b1`,
        to: `<sip:alice@${domain}>;tag=alice`,
        callId: 'c1',
        fields: call.calleeRoutes,
      }),
      phone.to(primary),
    );
    await world.clock.advanceAsync(20);
    expect(gist(caller.take())).toEqual(['INVITE']);
  });
});

describe('RFC 5626 §5.1 an edge in front of the registrar', () => {
  const edgeHost = '127.0.1.9';

  it('says ob and names the flow: the registrar applies reg-id, and calls come back over the flow', async () => {
    const world = await pair();
    await world.edge(edgeHost);
    for (const [user, address, contact] of [
      ['bob', 'tcp:127.0.7.2:5060', 'sip:bob@10.0.0.5:41000;transport=tcp;ob'],
      ['carol', 'udp:127.0.7.3:40003', 'sip:carol@10.0.0.6:5060;ob'],
    ] as const) {
      const phone = await Phone.at(world, user, address, contact);
      expect(await phone.register(edgeHost, outbound)).toBe(200);
      const [binding] = world.locations.lookup(`${user}@${domain}`);
      expect(binding).toMatchObject({ regId: 1, flow: undefined });
      expect(binding?.path[0]).toMatch(/^<sip:~[^@]+@127\.0\.1\.9:5060;(?:transport=tcp;)?lr;ob>/);
      const caller = await Phone.at(world, `dave${user}`, `tcp:127.0.7.${user === 'bob' ? 8 : 9}:5060`);
      await caller.register(primary);
      await caller.ask('INVITE', primary, {
        uri: `sip:${user}@${domain}`,
        to: `<sip:${user}@${domain}>`,
        callId: `to-${user}`,
      });
      expect(gist(phone.texts)).toEqual(['INVITE']);
      // §5.3.1: the dialog's later requests find the flow by our Record-Route.
      expect(fieldsOf(phone.last, 'record-route')[0]).toMatch(/^<sip:~[^@]+@127\.0\.1\.9:5060/);
    }
  });

  it('knows its tokens of an earlier life as such: the call goes to nobody else, and ends in 480', async () => {
    const world = await pair();
    const start = () =>
      world.node(edgeHost, {
        config: { listen: [`udp:${edgeHost}:5060`, `ws:${edgeHost}:5080`], defaultRoute: [`${primary}:5060`] },
      });
    await start();
    const phone = await Phone.at(world, 'bob', 'ws:127.0.7.2:5060', 'sip:bob@df7jal23ls0d.invalid;transport=ws');
    const caller = await Phone.at(world, 'alice', 'tcp:127.0.7.1:5060');
    await caller.register(primary);
    expect(await phone.register(edgeHost)).toBe(200);
    world.network.crash(edgeHost);
    world.network.revive(edgeHost);
    await start();
    const strangers: Phone[] = [];
    for (let n = 0; n < 3; n += 1) {
      const stranger = await Phone.at(
        world,
        `carol${n}`,
        `ws:127.0.8.${n + 1}:5060`,
        `sip:c${n}@c${n}.invalid;transport=ws`,
      );
      await stranger.register(edgeHost);
      strangers.push(stranger);
    }
    await caller.ask('INVITE', primary, { uri: bob, to: `<${bob}>`, callId: 'c1' });
    await world.clock.advanceAsync(10_000);
    for (const stranger of strangers) expect(stranger.take()).toEqual([]);
    expect(gist(caller.take()).at(-1)).toBe('480');
  });
});

describe('RFC 5626 §7, implementation note: several UDP sockets', () => {
  it('the one that a telephone registered at sends to it, in and outside of dialogs', async () => {
    const world = empty();
    await world.node(primary, {
      config: { domains: [domain], listen: [`udp:${primary}:5060`, `udp:${primary}:5070`] },
    });
    const at = { host: primary, port: 5_070 };
    const phone = await Phone.at(world, 'bob', 'udp:127.0.7.2:5060', 'sip:bob@127.0.7.2:5060');
    phone.to = () => at;
    const caller = await Phone.at(world, 'alice', 'udp:127.0.7.1:5060', 'sip:alice@127.0.7.1:5060');
    await phone.register(primary);
    await caller.register(primary);
    const from: unknown[] = [];
    world.network.onPacket((packet) => {
      if (packet.to.host === '127.0.7.2') from.push(packet.from.port);
    });
    const call = await establish(caller, phone, primary);
    const dialog = { uri: phone.contact, to: `<${bob}>;tag=b1`, callId: 'c1', fields: call.callerRoutes };
    await caller.ask('ACK', primary, dialog);
    await caller.ask('BYE', primary, { ...dialog, cseq: 2 });
    expect(gist(phone.take())).toEqual(['ACK', 'BYE']);
    expect(from).toEqual([5_070, 5_070, 5_070]);
  });
});

describe('a token in the hand of a stranger, where INVITE asks for credentials', () => {
  it('opens no connection: neither a new request nor an invented dialog goes over it', async () => {
    const world = empty();
    const near = readTrustRule('127.0.7.0/24');
    if (near === undefined) throw new Error('no rule');
    await world.node(primary, {
      config: {
        domains: [domain],
        auth: { invite: true, users: [{ user: 'alice', password: 'a secret' }] },
        routes: [{ prefix: '00', to: ['127.0.7.9:5060'] }],
      },
      trust: { trust: [near], allow: [], strip: 'none' },
    });
    const caller = await Phone.at(world, 'alice', 'tcp:127.0.7.1:5060');
    const phone = await Phone.at(world, 'bob', 'tcp:127.0.7.2:5060');
    await caller.register(primary);
    await phone.register(primary);
    const call = await establish(caller, phone, primary);
    const stranger = await Phone.at(world, 'mallory', 'udp:127.0.9.9:5060');
    const target = { uri: phone.contact, callId: 'm1', fields: call.callerRoutes };
    for (const to of [`<${bob}>`, `<${bob}>;tag=invented`])
      for (const method of ['INVITE', 'MESSAGE', 'BYE', 'ACK']) await stranger.ask(method, primary, { ...target, to });
    expect(phone.take()).toEqual([]);
    expect(new Set(gist(stranger.take()))).toEqual(new Set(['407']));
    // Who is in the dialog goes on.
    await caller.ask('BYE', primary, { ...target, callId: 'c1', to: `<${bob}>;tag=b1`, cseq: 2 });
    expect(gist(phone.take())).toEqual(['BYE']);
  });
});
