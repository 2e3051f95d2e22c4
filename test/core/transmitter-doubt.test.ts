import { describe, expect, it } from 'vitest';
import type { ControllerAddress } from '../../src/internal.ts';
import { a, b, c, type Harness, makeBench, type Sent } from './transmitter-harness.ts';

describe('ask before believing: datagrams and ICMP errors are forged by anybody', () => {
  /** A forged ICMP error about this hop. */
  const forge = (harness: Harness, hop: ControllerAddress, detail = 'ECONNREFUSED'): void =>
    harness.transmitter.flowFailed(harness.flowTo(hop), { reason: 'refused', detail });

  it('one forged ICMP error moves the message at hand and costs a living hop nothing else', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    const ringing = harness.send([a, b], 'ringing');
    harness.clock.advance(5);
    ringing.delivery.provisional();
    const atHand = harness.send([a, b], 'at hand');
    forge(harness, a);
    harness.clock.advance(5);
    expect([atHand.switches, ringing.switches]).toEqual([['1>2 refused'], []]);
    expect(harness.pool.find(a)?.health).toBe('up');
    harness.send([a, b], 'next').delivery.unanswerable();
    harness.clock.advance(2_000);
    expect(harness.arrived.filter((line) => line.endsWith('next'))).toEqual(['1 next']);
    expect(ringing.switches).toEqual([]);
  });

  it('an answer to what was sent before the report, read after it, does not bring a dead hop back', async () => {
    const harness = await makeBench();
    await harness.peer(b);
    harness.network.silence(a.host);
    const { delivery } = harness.send([a, b], 'early');
    harness.clock.advance(5);
    delivery.provisional();
    harness.network.crash(a.host);
    harness.network.revive(a.host);
    forge(harness, a);
    harness.received('ok early', harness.flowTo(a));
    harness.send([a, b], 'next').delivery.unanswerable();
    harness.clock.advance(5);
    expect(harness.arrived).toEqual(['2 next']);
    harness.clock.advance(200);
    expect(harness.pool.find(a)?.health).toBe('down');
  });

  it('a stream of forged ICMP errors moves nothing more', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    harness.pool.admit(a, 'configured');
    forge(harness, a);
    harness.clock.advance(5);
    const sent: Sent[] = [];
    for (let i = 0; i < 100; i += 1) {
      sent.push(harness.send([a, b], `m${i}`));
      forge(harness, a, 'EHOSTUNREACH');
      harness.clock.advance(7);
      forge(harness, a);
    }
    expect(sent.flatMap(({ switches }) => switches)).toEqual([]);
    expect(harness.pool.find(a)?.health).toBe('up');
    // Nor do they fill the log.
    expect(harness.logged.filter((line) => line.includes('reported gone'))).toHaveLength(1);
    harness.clock.advance(60_000);
    expect(harness.logged.filter((line) => line.includes('reported gone'))).toHaveLength(2);
  });

  it('a hop that is far away is given the time that its answers take', async () => {
    const harness = await makeBench();
    harness.network.conditions = { ...harness.network.conditions, latencyMs: 60 };
    await harness.peer(a);
    await harness.peer(b);
    harness.pool.admit(a, 'configured');
    harness.transmitter.detector.probe(a);
    harness.clock.advance(200);
    for (let i = 0; i < 60; i += 1) {
      forge(harness, a);
      harness.clock.advance(10);
    }
    harness.clock.advance(200);
    expect(harness.pool.find(a)?.health).toBe('up');
  });

  it('a hop that is really gone is so for everybody within 50 ms, even after a forged report', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    harness.pool.admit(a, 'configured');
    forge(harness, a);
    harness.clock.advance(100);
    harness.network.crash(a.host);
    harness.send([a, b], 'hello');
    harness.clock.advance(50);
    expect([harness.arrived, harness.pool.find(a)?.health]).toEqual([['2 hello'], 'down']);
  });

  it('empty, meaningless and unasked datagrams keep no dead hop up', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b);
    const { switches } = harness.send([a, b]);
    for (let i = 0; i < 15; i += 1) {
      for (const text of ['', '\r\n\r\n', 'ok', 'ok probe 77', 'ok nothing that was sent'])
        harness.received(text, harness.flowTo(a));
      harness.clock.advance(100);
    }
    expect([switches, harness.pool.find(a)?.health]).toEqual([['1>2 silent'], 'down']);
    for (let i = 0; i < 20; i += 1) {
      harness.received('ok probe 4711', harness.flowTo(a));
      harness.clock.advance(100);
    }
    expect(harness.pool.find(a)?.health).toBe('down');
  });

  it('the answer to a probe counts only from the hop that was probed, and once', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b);
    harness.send([a, b]);
    harness.clock.advance(1_500);
    const answer = (from: ControllerAddress) => harness.transmitter.probeAnswered('0', harness.flowTo(from));
    expect([answer(b), answer(a), answer(a)]).toEqual([false, true, false]);
  });

  it('a message too long for a datagram fails by itself: its hop stays up for all others', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    const long = harness.send([a], 'x'.repeat(65_508));
    harness.transmitter.flowFailed(harness.flowTo(a), { reason: 'overflow', detail: 'EMSGSIZE' });
    const short = harness.send([a, b], 'short');
    harness.clock.advance(20);
    expect(long.tried).toEqual([{ address: a, failure: 'overflow' }]);
    expect([short.switches, harness.pool.find(a)?.health, harness.arrived]).toEqual([[], 'up', ['1 short']]);
  });

  it('what our own system does not send is believed at once', async () => {
    const harness = await makeBench();
    await harness.peer(b);
    harness.network.silence(a.host);
    const { switches } = harness.send([a, b]);
    harness.transmitter.flowFailed(harness.flowTo(a), { reason: 'unreachable', detail: 'ENETUNREACH', isLocal: true });
    expect([switches, harness.pool.find(a)?.health]).toEqual([['1>2 unreachable'], 'down']);
  });
});

describe('what nobody answers', () => {
  it('a response to a peer found dead right afterwards goes to its alternates at once', async () => {
    const harness = await makeBench();
    await harness.peer(b);
    harness.transmitter.sendToFirst([a, b], Buffer.from('180'));
    harness.clock.advance(5);
    expect(harness.arrived).toEqual(['2 180']);
  });

  it('a repetition takes the next way', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'nothing');
    await harness.peer(b, 'nothing');
    for (const turn of [0, 1, 2]) harness.transmitter.sendToFirst([a, b], Buffer.from(`200 #${turn}`), turn);
    harness.clock.advance(5);
    expect(harness.arrived).toEqual(['1 200 #0', '2 200 #1', '1 200 #2']);
  });

  it('a repetition goes round those that do not owe a sign of life', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b, 'nothing');
    await harness.peer(c, 'nothing');
    harness.transmitter.sendToFirst([a, b, c], Buffer.from('200'));
    harness.clock.advance(500);
    for (const turn of [0, 1, 2, 3]) harness.transmitter.sendToFirst([a, b, c], Buffer.from(`200 #${turn}`), turn);
    harness.clock.advance(5);
    expect(harness.arrived).toEqual(['3 200 #1', '2 200 #2', '3 200 #3']);
  });

  it('what a hop had before it last spoke is not sent again', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'all');
    await harness.peer(b, 'nothing');
    harness.send([a, b], 'old ack').delivery.unanswerable();
    harness.transmitter.sendToFirst([a, b], Buffer.from('old 180'));
    harness.clock.advance(200);
    const { delivery } = harness.send([a, b], 'hello');
    harness.clock.advance(5);
    delivery.answered();
    harness.network.crash(a.host);
    harness.arrived.length = 0;
    harness.send([a, b], 'new ack').delivery.unanswerable();
    harness.transmitter.sendToFirst([a, b], Buffer.from('new 180'));
    harness.clock.advance(5);
    expect(harness.arrived.toSorted()).toEqual(['2 new 180', '2 new ack']);
  });

  it('an unanswerable message is moved by the network only', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b);
    harness.send([a, b], 'ack').delivery.unanswerable();
    harness.clock.advance(5_000);
    expect(harness.arrived).toEqual([]);
    harness.send([c, b], 'ack').delivery.unanswerable();
    harness.clock.advance(5);
    expect(harness.arrived).toEqual(['2 ack']);
  });
});

describe('budgets', () => {
  it('no more messages move to one alternate than its bucket holds; the others go on to the next', async () => {
    const harness = await makeBench({ switchBurst: 3, switchesPerSecond: 0 });
    await harness.peer(b, 'nothing');
    await harness.peer(c, 'nothing');
    for (let i = 0; i < 5; i += 1) harness.send([a, b, c], `m${i}`);
    harness.clock.advance(5);
    expect(harness.arrived.map((line) => line.slice(0, 1)).sort()).toEqual(['2', '2', '2', '3', '3']);
  });

  it('every switch is counted by its reason', async () => {
    const harness = await makeBench();
    await harness.peer(b);
    harness.send([a, b]);
    harness.clock.advance(100);
    const text = await harness.metrics.text();
    expect(text).toContain('altpath_switches_total{protocol="test",reason="refused"} 1');
    expect(text).toContain('altpath_peers_failed_total{protocol="test",reason="refused"} 1');
  });

  it('after stop nothing is sent and no timer waits', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    harness.send([a, b]);
    harness.clock.advance(600);
    harness.transmitter.stop();
    const before = harness.network.sent;
    harness.clock.advance(60_000);
    expect([harness.network.sent - before, harness.clock.pending]).toEqual([0, 0]);
  });
});
