import { describe, expect, it } from 'vitest';
import { a, b, c, makeBench } from './transmitter-harness.ts';

describe('the order of addresses', () => {
  it('ICMP moves a message within a round trip, and the peer is remembered', async () => {
    const harness = await makeBench();
    await harness.peer(b);
    const { switches } = harness.send([a, b]);
    harness.clock.advance(5);
    expect([switches, harness.arrived]).toEqual([['1>2 refused'], ['2 hello']]);
    harness.send([a, b], 'again');
    harness.clock.advance(1);
    expect(harness.arrived).toEqual(['2 hello', '2 again']);
  });

  it('a silent peer costs the first message the silence limit, and the later ones nothing', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b);
    harness.send([a, b]);
    harness.clock.advance(990);
    expect(harness.arrived).toEqual([]);
    harness.clock.advance(15);
    expect(harness.arrived).toEqual(['2 hello']);
    harness.send([a, b], 'again');
    harness.clock.advance(2);
    expect(harness.arrived).toEqual(['2 hello', '2 again']);
  });

  it('a living peer that is slow with one answer is not declared dead; after some seconds the other way is tried as well', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    const { switches } = harness.send([a, b]);
    harness.clock.advance(3_400);
    expect(switches).toEqual([]);
    harness.clock.advance(1_000);
    expect([switches, harness.pool.find(a)?.health]).toEqual([['1>2 silent'], 'up']);
  });

  it('the other way of a slow answer is not tried where nobody answers there', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    harness.network.silence(b.host);
    const { switches, tried } = harness.send([a, b]);
    const refused = harness.send([a, c]);
    harness.clock.advance(20_000);
    expect([switches, refused.switches, tried, refused.tried]).toEqual([[], [], [], []]);
    await harness.peer(b);
    harness.network.revive(b.host);
    harness.clock.advance(8_000);
    expect(switches).toEqual(['1>2 silent']);
  });

  it('where the protocol has no probe, silence alone decides', async () => {
    const harness = await makeBench({}, false);
    await harness.peer(a, 'nothing');
    await harness.peer(b);
    const { switches } = harness.send([a, b]);
    harness.clock.advance(1_010);
    expect(switches).toEqual(['1>2 silent']);
  });

  it('a stall of our own process condemns nobody: what came meanwhile is read first', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    harness.network.silence(a.host);
    const { switches } = harness.send([a, b]);
    harness.clock.advance(990);
    // The timer of the last look comes late; what the hop has to say is read only after it.
    harness.network.revive(a.host);
    harness.stalledMs = 1_500;
    harness.clock.advance(1_000);
    expect([switches, harness.pool.find(a)?.health]).toEqual([[], 'up']);
  });

  it('each address once: when all refuse, what was tried is said once', async () => {
    const harness = await makeBench();
    const { switches, tried } = harness.send([a, b, c]);
    harness.clock.advance(100);
    expect(switches).toEqual(['1>2 refused', '2>3 refused']);
    expect(tried).toEqual([a, b, c].map((address) => ({ address, failure: 'refused' })));
  });

  it('silence of the last one left is not the end: the message stays with it', async () => {
    const harness = await makeBench();
    for (const each of [a, b]) harness.network.silence(each.host);
    const { switches, tried } = harness.send([a, b]);
    harness.clock.advance(30_000);
    expect([switches, tried]).toEqual([['1>2 silent'], []]);
  });
});

describe('a peer of which nothing is known (RFC 3261 §18.4)', () => {
  const tried = [{ address: a, failure: 'refused' }];

  it('that is gone is found out by the first repetition, not by the last', async () => {
    const harness = await makeBench();
    const sent = harness.send([a]);
    harness.clock.advance(500);
    expect(sent.tried).toEqual([]);
    sent.delivery.repeat();
    harness.clock.advance(300);
    expect(sent.tried).toEqual(tried);
  });

  it('is not given up for a forged report, nor for many where it answers', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'nothing');
    const forge = () =>
      harness.transmitter.flowFailed(harness.flowTo(a), { reason: 'refused', detail: 'ECONNREFUSED' });
    const silent = harness.send([a], 'silent');
    forge();
    harness.clock.advance(20);
    // The message itself asked.
    expect(harness.arrived).toEqual(['1 silent', '1 silent']);
    harness.clock.advance(1_000);
    const ringing = harness.send([a], 'ringing');
    ringing.delivery.provisional();
    for (let i = 0; i < 5; i += 1) forge();
    silent.delivery.answered();
    harness.clock.advance(1_000);
    expect([silent.tried, ringing.tried]).toEqual([[], []]);
  });

  it('to which our own system cannot send is given up at once', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    const sent = harness.send([a]);
    harness.transmitter.flowFailed(harness.flowTo(a), { reason: 'unreachable', detail: 'ENETUNREACH', isLocal: true });
    harness.clock.advance(1);
    expect(sent.tried).toEqual([{ address: a, failure: 'unreachable' }]);
  });

  it('goes on ringing where our own system cannot send another datagram there', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'nothing');
    const ringing = harness.send([a], 'ringing');
    ringing.delivery.provisional();
    const asked = harness.send([a], 'asked');
    harness.transmitter.flowFailed(harness.flowTo(a), { reason: 'unreachable', detail: 'EPERM', isLocal: true });
    harness.clock.advance(1_000);
    expect(asked.tried).toEqual([{ address: a, failure: 'unreachable' }]);
    expect(ringing.tried).toEqual([]);
  });
});

describe('watching what is pending', () => {
  it('a peer that answered provisionally and then goes dark loses the message to the alternate', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    const { delivery, switches } = harness.send([a, b]);
    harness.clock.advance(100);
    delivery.provisional();
    harness.clock.advance(60_000);
    expect(switches).toEqual([]);
    harness.network.silence(a.host);
    harness.clock.advance(1_600);
    expect(switches).toEqual(['1>2 silent']);
  });

  it('an answered message never moves, and nobody is probed for it', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'all');
    const { delivery, switches } = harness.send([a, b]);
    harness.clock.advance(10);
    delivery.answered();
    const before = harness.network.sent;
    harness.network.crash(a.host);
    harness.clock.advance(60_000);
    expect([switches, harness.network.sent - before, harness.clock.pending]).toEqual([[], 0, 0]);
  });

  it('a dead peer is asked whether it is back, and gets new work again after the hold time', async () => {
    const harness = await makeBench();
    await harness.peer(b, 'all');
    harness.send([a, b]).delivery.unanswerable();
    harness.clock.advance(200);
    await harness.peer(a);
    harness.clock.advance(2_000);
    expect(harness.pool.find(a)?.health).toBe('recovering');
    harness.send([a, b], 'held').delivery.unanswerable();
    harness.clock.advance(14_000);
    harness.send([a, b], 'back').delivery.unanswerable();
    harness.clock.advance(5);
    expect(harness.arrived).toEqual(['2 hello', '2 held', '1 back']);
  });
});

describe('asking for a sign of life', () => {
  it('a dying process that swallows a message loses it as soon as its sockets refuse', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    harness.network.silence(a.host);
    const { switches } = harness.send([a, b]);
    harness.transmitter.sendToFirst([a, b], Buffer.from('180'));
    harness.clock.advance(30);
    harness.network.crash(a.host);
    harness.network.revive(a.host);
    harness.clock.advance(9);
    expect(switches).toEqual([]);
    harness.clock.advance(5);
    expect(switches).toEqual(['1>2 refused']);
    expect(harness.arrived).toEqual(['2 180', '2 hello']);
  });

  it('asks again, later each time, where the first question was swallowed too', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b);
    const before = harness.network.sent;
    const { switches } = harness.send([a, b]);
    harness.clock.advance(70);
    expect(harness.network.sent - before).toBe(2);
    harness.network.revive(a.host);
    harness.clock.advance(15);
    expect(switches).toEqual(['1>2 refused']);
  });

  it('a thousand messages to a hop that is slow share its questions, and none of them makes it dead', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'nothing');
    const asked = harness.network.sent;
    const sent = Array.from({ length: 1_000 }, () => harness.send([a, b]));
    harness.clock.advance(900);
    expect(harness.network.sent - asked - sent.length).toBeLessThanOrEqual(7);
    await harness.peer(b);
    for (const { delivery } of sent) delivery.answered();
    expect([harness.pool.find(a)?.health, sent.flatMap(({ switches }) => switches)]).toEqual(['up', []]);
  });

  it('a hop that speaks all the time is not asked, and neither is one that is the only one', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'all');
    await harness.peer(b, 'nothing');
    const before = harness.network.sent;
    for (let i = 0; i < 50; i += 1) {
      harness.send([a, c]).delivery.unanswerable();
      harness.send([b]);
      harness.clock.advance(20);
    }
    expect(harness.network.sent - before).toBe(150);
  });

  it('a question of long ago that got lost condemns nobody later', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b);
    harness.send([a, b]).delivery.unanswerable();
    harness.clock.advance(60_000);
    await harness.peer(a, 'nothing');
    harness.network.revive(a.host);
    const { delivery, switches } = harness.send([a, b]);
    delivery.provisional();
    harness.clock.advance(900);
    expect(switches).toEqual([]);
  });
});

describe('many messages at the death of their hop', () => {
  it('those that nobody has answered yet go at once, those that ring within a quarter of a second', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'all');
    await harness.peer(b, 'nothing');
    const ringing = Array.from({ length: 500 }, () => harness.send([a, b], 'ringing'));
    harness.clock.advance(5);
    for (const { delivery } of ringing) delivery.provisional();
    harness.network.crash(a.host);
    harness.arrived.length = 0;
    harness.send([a, b], 'new');
    harness.clock.advance(5);
    const moved = harness.arrived.length;
    expect([harness.arrived[0], moved < 50]).toEqual(['2 new', true]);
    harness.clock.advance(250);
    expect(harness.arrived.length).toBe(501);
  });
});

describe('a hop that refuses work', () => {
  it('RFC 3261 §21.5.4: loses this message; without Retry-After, or by one message, nobody else', async () => {
    const harness = await makeBench();
    harness.pool.admit(a, 'configured');
    await harness.peer(a, 'all');
    await harness.peer(b, 'all');
    for (const retryAfterMs of [undefined, 5_000]) {
      const { delivery } = harness.send([a, b], 'refused');
      harness.clock.advance(5);
      delivery.refused(retryAfterMs);
      harness.send([a, b], 'next').delivery.unanswerable();
      harness.clock.advance(5);
    }
    expect(harness.arrived).toEqual(['1 refused', '2 refused', '1 next', '1 refused', '2 refused', '1 next']);
    expect(harness.pool.find(a)?.health).toBe('up');
  });

  it('which says so to a probe as well gets no new work for that time; what is open there stays', async () => {
    const harness = await makeBench();
    harness.pool.admit(a, 'configured');
    await harness.peer(a, 'all');
    await harness.peer(b, 'all');
    const open = harness.send([a, b], 'open');
    const refused = harness.send([a, b], 'refused');
    harness.clock.advance(5);
    open.delivery.provisional();
    harness.retryAfterMs = 5_000;
    expect(refused.delivery.refused(5_000)).toBe(true);
    harness.clock.advance(5);
    harness.send([a, b], 'next');
    harness.clock.advance(50);
    expect([open.switches, refused.switches]).toEqual([[], ['1>2 refusing']]);
    expect(harness.arrived).toEqual(['1 open', '1 refused', '2 refused', '2 next']);
  });

  it('gets new work again when its time is over, and sooner where it takes work by its own word', async () => {
    const harness = await makeBench();
    harness.pool.admit(a, 'configured');
    await harness.peer(a, 'all');
    await harness.peer(b, 'all');
    harness.retryAfterMs = 3_000;
    harness.send([a, b], 'refused').delivery.refused(3_000);
    harness.clock.advance(5);
    const health = () => {
      harness.pool.order([a, b]);
      return harness.pool.find(a)?.health;
    };
    expect(health()).toBe('refusing');
    harness.retryAfterMs = undefined;
    harness.clock.advance(1_500);
    expect(health()).toBe('recovering');
    harness.clock.advance(14_000);
    expect(health()).toBe('up');
  });

  it('refuses message after message although its probes are answered: it is believed, until it takes one', async () => {
    const harness = await makeBench();
    harness.pool.admit(a, 'configured');
    await harness.peer(a, 'all');
    await harness.peer(b, 'all');
    const refuse = () => harness.send([a, b], 'refused').delivery.refused(2_000);
    for (let i = 0; i < 9; i += 1) refuse();
    harness.clock.advance(5);
    const taken = harness.send([a, b], 'taken');
    harness.clock.advance(5);
    taken.delivery.answered();
    for (let i = 0; i < 9; i += 1) refuse();
    harness.clock.advance(5);
    expect(harness.pool.find(a)?.health).toBe('up');
    refuse();
    harness.clock.advance(5);
    expect(harness.pool.find(a)?.health).toBe('refusing');
    harness.clock.advance(2_000);
    expect([harness.pool.order([a, b]), harness.pool.find(a)?.health]).toEqual([[a, b], 'up']);
  });

  it('is not believed for others where it was only learned', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'all');
    const { delivery } = harness.send([a, b]);
    harness.clock.advance(5);
    delivery.refused(5_000);
    harness.clock.advance(50);
    expect(harness.pool.find(a)?.health).toBe('up');
  });
});
