import { afterEach, describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { ackFor, cancelFor } from '../../../protocols/sip/transactions/hop-requests.ts';
import { nextWaitMs } from '../../../protocols/sip/transactions/host.ts';
import { serverKey } from '../../../protocols/sip/transactions/keys.ts';
import {
  inviteClient,
  inviteServer,
  type Machine,
  nonInviteClient,
  nonInviteServer,
} from '../../../protocols/sip/transactions/machines.ts';
import { answerTo, branchOf, fieldsOf, gist, headerLines, type Peer, request, SipWorld, startLine } from './world.ts';

let open: SipWorld | undefined;

afterEach(async () => {
  await open?.down();
  open = undefined;
});

interface Scene {
  readonly world: SipWorld;
  readonly caller: Peer;
  readonly callee: Peer;
  /** When the proxy sent a message that begins so, in milliseconds from now. */
  readonly times: (start: string) => readonly number[];
}

async function scene(timers: Readonly<Record<string, number>> = {}): Promise<Scene> {
  const world = await SipWorld.up({ config: { timers } });
  open = world;
  world.network.conditions = { ...world.network.conditions, latencyMs: 0 };
  const startMs = world.clock.now();
  const log: { readonly text: string; readonly atMs: number }[] = [];
  world.network.onPacket(({ from, bytes }) => {
    if (from.host === '127.0.0.1') log.push({ text: bytes.toString('latin1'), atMs: world.clock.now() - startMs });
  });
  return {
    world,
    caller: await world.peer('127.0.0.9:5062'),
    callee: await world.peer('127.0.0.20:5070'),
    times: (start) => log.filter(({ text }) => text.startsWith(start)).map(({ atMs }) => atMs),
  };
}

const machines: Readonly<Record<string, Machine<string, string>>> = {
  inviteClient,
  nonInviteClient,
  inviteServer,
  nonInviteServer,
};

describe('the four machines', () => {
  it.each(Object.entries(machines))(
    '%s: every state knows every event and leads to a state it has',
    (_name, machine) => {
      const states = Object.keys(machine);
      for (const rows of Object.values(machine))
        for (const { next, effects } of Object.values(rows)) {
          expect(states).toContain(next);
          expect(Array.isArray(effects)).toBe(true);
        }
    },
  );

  it.each(Object.entries(machines))('%s: nothing wakes the dead', (_name, machine) => {
    const rows = Object.values(machine['terminated'] ?? {});
    expect(rows.length).toBeGreaterThan(0);
    for (const { next, effects } of rows) expect([next, effects]).toEqual(['terminated', []]);
  });

  it('only a first final response ends an INVITE client transaction in accepted or completed (RFC 6026 §7.2)', () => {
    for (const state of ['calling', 'proceeding'] as const) {
      expect(inviteClient[state].success.next).toBe('accepted');
      expect(inviteClient[state].failure.next).toBe('completed');
      expect(inviteClient[state].failure.effects).toContain('acknowledge');
    }
    expect(inviteClient.accepted.success.effects).toEqual(['deliver']);
    expect(inviteClient.accepted.failure.effects).toEqual([]);
    expect(inviteClient.completed.failure.effects).toEqual(['acknowledge']);
    expect(inviteClient.completed.success.effects).toEqual([]);
  });

  it('an INVITE server transaction repeats its last word until the ACK (RFC 3261 §17.2.1)', () => {
    expect(inviteServer.proceeding.request.effects).toEqual(['repeat']);
    expect(inviteServer.completed.request.effects).toEqual(['repeat']);
    expect(inviteServer.completed.ack.next).toBe('confirmed');
    expect(inviteServer.accepted.request.effects).toEqual([]);
    expect(inviteServer.accepted.sendFailure.effects).toEqual([]);
  });

  it('another final response than the first is never sent by a non-INVITE server transaction (§17.2.2)', () => {
    expect(nonInviteServer.trying.request.effects).toEqual([]);
    for (const event of ['sendProvisional', 'sendSuccess', 'sendFailure'] as const)
      expect(nonInviteServer.completed[event].effects).toEqual([]);
    expect(nonInviteServer.completed.request.effects).toEqual(['repeat']);
  });
});

describe('client timers over UDP', () => {
  it('Timers A and B: an INVITE goes out seven times in 64*T1, each wait twice the last (§17.1.1.2)', async () => {
    const { world, caller, times } = await scene();
    // Somebody is there, and says nothing.
    await world.peer('127.0.0.66');
    caller.send(request('INVITE', { uri: 'sip:x@127.0.0.66' }));
    await world.run(40_000);
    expect(times('INVITE')).toEqual([0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    expect(times('SIP/2.0 408')[0]).toBe(32_000);
  });

  it('Timers E and F: another request is repeated at most every T2 (§17.1.2.2)', async () => {
    const { world, caller, times } = await scene();
    // Somebody is there, and says nothing.
    await world.peer('127.0.0.66');
    caller.send(request('OPTIONS', { uri: 'sip:x@127.0.0.66' }));
    await world.run(40_000);
    expect(times('OPTIONS')).toEqual([0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
  });

  it("T1 and T2 are the operator's", async () => {
    const { world, caller, times } = await scene({ t1Ms: 100, t2Ms: 300 });
    // Somebody is there, and says nothing.
    await world.peer('127.0.0.66');
    caller.send(request('OPTIONS', { uri: 'sip:x@127.0.0.66' }));
    await world.run(1_000);
    expect(times('OPTIONS')).toEqual([0, 100, 300, 600, 900]);
  });

  it('a provisional stops the INVITE, and slows another request down to T2', async () => {
    const { world, caller, callee, times } = await scene();
    caller.send(request('INVITE'));
    caller.send(request('OPTIONS', { branch: 'z9hG4bKo' }));
    await world.run(0);
    for (const text of callee.take()) callee.send(answerTo(text, 100));
    await world.run(9_000);
    expect(times('INVITE')).toEqual([0]);
    // The wait that was running when the provisional came runs out first.
    expect(times('OPTIONS')).toEqual([0, 500, 4_500, 8_500]);
  });

  it('nextWaitMs doubles up to its cap', () => {
    expect([500, 1_000, 2_000, 4_000].map((waitMs) => nextWaitMs(waitMs, 4_000))).toEqual([1_000, 2_000, 4_000, 4_000]);
  });
});

describe('server timers over UDP', () => {
  it('Timers G and H: a refusal is repeated until its ACK, at most for 64*T1 (§17.2.1)', async () => {
    const { world, caller, callee, times } = await scene();
    caller.send(request('INVITE'));
    await world.run(0);
    callee.answer(answerTo(callee.last, 486));
    await world.run(60_000);
    expect(times('SIP/2.0 486')).toEqual([0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
  });

  it('the ACK ends the repetition, and is not forwarded', async () => {
    const { world, caller, callee, times } = await scene();
    caller.send(request('INVITE'));
    await world.run(0);
    callee.answer(answerTo(callee.last, 486));
    await world.run(600);
    callee.take();
    caller.send(request('ACK', { to: '<sip:bob@biloxi.example>;tag=b1' }));
    await world.run(60_000);
    expect(times('SIP/2.0 486')).toEqual([0, 500]);
    expect(gist(callee.texts)).toEqual([]);
  });

  it('Timer J: the answer to another request is given again for 64*T1, and then forgotten (§17.2.2)', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('OPTIONS'));
    await world.run(0);
    callee.answer(answerTo(callee.last, 200));
    await world.run(31_000);
    caller.send(request('OPTIONS'));
    await world.run(0);
    expect(gist(caller.texts)).toEqual(['200', '200']);
    expect(callee.heard.length).toBe(1);
    await world.run(2_000);
    expect(world.transactions).toBe(0);
    caller.send(request('OPTIONS'));
    await world.run(0);
    expect(callee.heard.length).toBe(2);
  });

  it('a repeated INVITE gets the last provisional again, and nothing after a 2xx but what comes from behind', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run(0);
    callee.answer(answerTo(callee.last, 180));
    await world.run(0);
    caller.send(request('INVITE'));
    await world.run(0);
    expect(gist(caller.take())).toEqual(['180', '180']);
    callee.answer(answerTo(callee.last, 200));
    await world.run(0);
    caller.send(request('INVITE'));
    await world.run(0);
    expect(gist(caller.texts)).toEqual(['200']);
    expect(callee.heard.length).toBe(1);
  });

  it('Timers L and M: a 2xx is let through for 64*T1, then both transactions are gone (RFC 6026 §7)', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run(0);
    const ok = answerTo(callee.last, 200);
    callee.answer(ok);
    await world.run(31_900);
    callee.answer(ok);
    await world.run(0);
    expect(gist(caller.texts)).toEqual(['200', '200']);
    // They leave in groups, a 64th of the wait late at most.
    await world.run(100 + 32_000 / 64);
    expect(world.transactions).toBe(0);
  });

  it('Timer D: a repeated refusal is acknowledged for at least 32 s, whatever T1', async () => {
    const { world, caller, callee } = await scene({ t1Ms: 50 });
    // No INVITE of an earlier life of the proxy can be under way any more.
    await world.run(180_000);
    caller.send(request('INVITE'));
    await world.run(0);
    const busy = answerTo(callee.take()[0] ?? '', 486);
    callee.send(busy);
    await world.run(31_000);
    callee.send(busy);
    await world.run(0);
    expect(gist(callee.texts)).toEqual(['ACK', 'ACK']);
    await world.run(2_000);
    callee.take();
    callee.send(busy);
    await world.run(0);
    expect(callee.texts).toEqual([]);
  });
});

describe('reliable transports', () => {
  it('repeat nothing, and keep nothing after the final response (Timers I, J, K are zero)', async () => {
    const { world } = await scene();
    const caller = await world.peer('tcp:127.0.0.9:5062');
    const callee = await world.peer('tcp:127.0.0.20:5071');
    const uri = 'sip:bob@127.0.0.20:5071;transport=tcp';
    caller.send(request('OPTIONS', { uri, transport: 'TCP' }));
    caller.send(request('INVITE', { uri, transport: 'TCP', branch: 'z9hG4bKi' }));
    await world.run(10_000);
    expect(gist(callee.texts)).toEqual(['OPTIONS', 'INVITE']);
    for (const text of callee.texts) callee.answer(answerTo(text, text.startsWith('INVITE') ? 486 : 200));
    await world.run(10);
    expect(gist(callee.texts)).toEqual(['OPTIONS', 'INVITE', 'ACK']);
    caller.send(request('ACK', { uri, transport: 'TCP', branch: 'z9hG4bKi', to: '<sip:bob@biloxi.example>;tag=b1' }));
    await world.run(10);
    expect(world.transactions).toBe(0);
    await world.run(40_000);
    expect(gist(caller.texts).toSorted()).toEqual(['100', '200', '486']);
  });
});

describe('RFC 3261 §17.2.3 matching', () => {
  const key = (text: string, method?: string): string => {
    const decoded = decode(Buffer.from(text, 'latin1'));
    if (!decoded.ok) throw new Error(decoded.error.reason);
    return serverKey(decoded.value, method ?? decoded.value.method);
  };

  it('goes by branch, sent-by and method where the branch has the cookie', () => {
    expect(key(request('INVITE'))).toBe(key(request('INVITE', { callId: 'other', cseq: 9 })));
    expect(key(request('ACK'), 'INVITE')).toBe(key(request('INVITE')));
    expect(key(request('INVITE'))).not.toBe(key(request('INVITE', { via: '127.0.0.10:5062' })));
    expect(key(request('INVITE'))).not.toBe(key(request('CANCEL')));
  });

  it.each([
    ['Request-URI', { uri: 'sip:other@127.0.0.20:5070' }],
    ['From tag', { from: '<sip:alice@atlanta.example>;tag=other' }],
    ['Call-ID', { callId: 'other' }],
    ['CSeq', { cseq: 2 }],
    ['top Via', { via: '127.0.0.10' }],
  ])('goes by %s, among others, where it has not (RFC 2543)', (_what, options) => {
    const old = { branch: '1' };
    expect(key(request('OPTIONS', old))).toBe(key(request('OPTIONS', old)));
    expect(key(request('OPTIONS', { ...old, ...options }))).not.toBe(key(request('OPTIONS', old)));
  });
});

describe('what belongs to an INVITE on one hop', () => {
  const invite = request('INVITE', {
    fields:
      'v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKbelow\r\nRoute: <sip:r1;lr>,\r\n <sip:r2;lr>\r\nroute: <sip:r3;lr>\r\nContact: <sip:a@h>\r\nProxy-Require: x\r\n',
    from: '"J\xc3\xa0" <sip:alice@atlanta.example>;tag=a1;x=\xc3\xa0',
    body: 'v=0\r\n\r\nvia: not a header',
  });

  it('ACK of a refusal (§17.1.1.3): its first Via alone, its routes, To of the response, no body', () => {
    const response = decode(Buffer.from(answerTo(invite, 486), 'latin1'));
    if (!response.ok) throw new Error(response.error.reason);
    const ack = ackFor(invite, response.value);
    expect(startLine(ack)).toBe('ACK sip:bob@127.0.0.20:5070 SIP/2.0');
    expect([...fieldsOf(ack, 'via'), ...fieldsOf(ack, 'v')]).toEqual(fieldsOf(invite, 'via'));
    expect(fieldsOf(ack, 'route')).toEqual(['<sip:r1;lr>,\r\n <sip:r2;lr>', '<sip:r3;lr>']);
    expect(fieldsOf(ack, 'to')).toEqual(['<sip:bob@biloxi.example>;tag=b1']);
    expect(fieldsOf(ack, 'from')).toEqual(fieldsOf(invite, 'from'));
    expect(fieldsOf(ack, 'cseq')).toEqual(['1 ACK']);
    expect(headerLines(ack).some((line) => /^(contact|proxy-require)/i.test(line))).toBe(false);
    expect(ack.endsWith('Content-Length: 0\r\n\r\n')).toBe(true);
  });

  it('CANCEL (§9.1): To as the INVITE had it', () => {
    const cancel = cancelFor(invite, 'Reason: SIP;cause=200\r\n');
    expect(startLine(cancel)).toBe('CANCEL sip:bob@127.0.0.20:5070 SIP/2.0');
    expect(fieldsOf(cancel, 'to')).toEqual(['<sip:bob@biloxi.example>']);
    expect(fieldsOf(cancel, 'cseq')).toEqual(['1 CANCEL']);
    expect(fieldsOf(cancel, 'reason')).toEqual(['SIP;cause=200']);
    expect(branchOf(cancel)).toBe(branchOf(invite));
    expect(fieldsOf(cancel, 'proxy-require')).toEqual([]);
  });
});
