/**
 * Three times as many calls as a proxy can carry, on a simulated processor: what is carried to its end. With hops before it that obey
 * (RFC 7339), and with callers that know nothing of it.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { parseVia } from '../../../protocols/sip/codec/values.ts';
import { NextHopControl } from '../../../protocols/sip/overload/next-hop-control.ts';
import { type ControllerAddress, Metrics, OverloadControl } from '../../../src/internal.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { type CoreCosts, SimulatedCore } from '../../support/simulated-core.ts';
import { answerTo, Peer, request, SipWorld, statusOf } from './world.ts';

/** A hundredth of the speed of a real one, in the proportions measured there (docs/overload.md). */
const costs: CoreCosts = { receiveMs: 0.5, sendMs: 0.6, workMs: 0.7, queueOctets: 60_000 };

/** INVITE, 200, ACK, BYE, 200: each is read, worked on and sent on. */
const capacity = 1_000 / (5 * (costs.receiveMs + costs.sendMs + costs.workMs));

const proxy: ControllerAddress = { transport: 'udp', host: '127.0.0.1', port: 5060 };

let open: SipWorld | undefined;
afterEach(async () => {
  await open?.down();
  open = undefined;
});

class Callers {
  readonly #world: SipWorld;
  readonly #peer: Peer;
  /** What a hop that obeys has. */
  readonly #control: NextHopControl | undefined;
  readonly #unanswered = new Map<string, () => void>();
  #serial = 0;
  completed = 0;
  refused = 0;
  kept = 0;
  lost = 0;

  constructor(world: SipWorld, peer: Peer, obeys: boolean) {
    this.#world = world;
    this.#peer = peer;
    if (obeys)
      this.#control = new NextHopControl({
        clock: world.clock,
        random: seededRandom(9),
        metrics: new Metrics(),
        isNamed: () => true,
      });
  }

  /** Calls at this rate for so long. */
  async call(perSecond: number, seconds: number): Promise<void> {
    const everyMs = 1_000 / perSecond;
    for (let atMs = 0; atMs < seconds * 1_000; atMs += everyMs) {
      this.#begin();
      this.#world.clock.advance(everyMs);
      this.#read();
    }
  }

  #begin(): void {
    if (this.#control?.passing([proxy], true).length === 0) {
      this.kept += 1;
      return;
    }
    this.#serial += 1;
    const id = `c${this.#serial}`;
    this.#send('INVITE', id, 1, '<sip:bob@127.0.0.1>', 'sip:bob@127.0.0.1');
  }

  #send(method: string, id: string, cseq: number, to: string, uri: string, fields = ''): void {
    const { clock } = this.#world;
    const text = request(method, {
      uri,
      to,
      cseq,
      callId: id,
      branch: `z9hG4bK${id}${method}`,
      via: `${this.#peer.sentBy}${this.#control === undefined ? '' : ';oc;oc-algo="loss"'}`,
      fields,
    });
    this.#peer.send(text);
    if (method !== 'INVITE') this.#control?.passing([proxy], false);
    if (method === 'ACK') return;
    const key = `${id} ${method}`;
    const repeat = (waitMs: number): void => {
      const cancel = clock.after(waitMs, () => {
        if (waitMs > 8_000) {
          this.lost += 1;
          return;
        }
        this.#peer.send(text);
        repeat(2 * waitMs);
      });
      this.#unanswered.set(key, cancel);
    };
    repeat(500);
  }

  #read(): void {
    for (const text of this.#peer.take()) {
      const id = /^Call-ID: (.*)\r$/m.exec(text)?.[1] ?? '';
      const method = /^CSeq: \d+ (\w+)\r$/m.exec(text)?.[1] ?? '';
      const to = /^To: (.*)\r$/m.exec(text)?.[1] ?? '';
      this.#obey(text);
      this.#unanswered.get(`${id} ${method}`)?.();
      const isFirst = this.#unanswered.delete(`${id} ${method}`);
      const status = statusOf(text) ?? 0;
      if (status < 200) continue;
      if (method === 'BYE') {
        if (isFirst && status === 200) this.completed += 1;
        continue;
      }
      const route = /^Record-Route: (.*)\r$/m.exec(text)?.[1];
      const fields = route === undefined ? '' : `Route: ${route}\r\n`;
      const target = status >= 300 ? 'sip:bob@127.0.0.1' : 'sip:bob@127.0.0.20:5070';
      this.#send('ACK', id, 1, to, target, fields);
      if (!isFirst) continue;
      if (status >= 300) this.refused += 1;
      else this.#world.clock.after(1_000, () => this.#send('BYE', id, 2, to, target, fields));
    }
  }

  #obey(text: string): void {
    const via = parseVia(/^Via: (.*)\r$/m.exec(text)?.[1] ?? '');
    const flow = this.#peer.listener?.flowTo(proxy);
    if (via !== undefined && flow !== undefined) this.#control?.heard(via, flow, flow);
  }
}

/** Bob answers whatever comes. */
class Answering extends Peer {
  override readonly received: Peer['received'] = (bytes, flow) => {
    const text = bytes.toString('latin1');
    if (text.startsWith('ACK ') || text.startsWith('SIP/')) return;
    const fields = 'Contact: <sip:bob@127.0.0.20:5070>\r\n';
    const routes = [...text.matchAll(/^Record-Route: .*\r\n/gm)].map(([line]) => line).join('');
    flow.send(Buffer.from(answerTo(text, 200, { fields: fields + routes }), 'latin1'));
  };
}

async function run(load: number, seconds: number, { obeys = false, sheds = true } = {}) {
  let core: SimulatedCore | undefined;
  let control: OverloadControl | undefined;
  const world = await SipWorld.up({
    more: (parts) => {
      core = new SimulatedCore(parts.clock, costs, () => world_sent());
      control = new OverloadControl({ ...parts, sensor: core, settings: { keptPerSecond: 5 } });
      control.start();
      return { network: core.over(parts.network), ...(sheds ? { overload: control } : {}) };
    },
  });
  open = world;
  const world_sent = (): number => world.sent.length;
  world.network.onPacket(({ from, bytes }) => {
    if (from.host === '127.0.0.1' && core !== undefined) core.lastSent = bytes.toString('latin1', 0, 12);
  });
  const bob = new Answering({ transport: 'udp', host: '127.0.0.20', port: 5070 });
  await world.network.host('127.0.0.20').bind(bob.address, {}, { received: bob.received, failed: bob.failed });
  const peer = await world.peer('127.0.0.9:5062');
  peer.send(
    request('REGISTER', {
      uri: 'sip:127.0.0.1',
      to: '<sip:bob@127.0.0.1>',
      from: '<sip:bob@127.0.0.1>;tag=r',
      fields: 'Contact: <sip:bob@127.0.0.20:5070>\r\n',
    }),
  );
  await world.run(50);
  peer.take();
  const callers = new Callers(world, peer, obeys);
  await callers.call(load * capacity, seconds);
  const before = callers.completed;
  const refusedBefore = callers.refused + callers.kept;
  // Once it has found its rate: what counts is how it goes on.
  await callers.call(load * capacity, seconds);
  return {
    goodput: (callers.completed - before) / seconds / capacity,
    refused: (callers.refused + callers.kept - refusedBefore) / seconds / capacity,
    lost: core?.lost ?? 0,
    state: control?.status(),
  };
}

describe('three times capacity', () => {
  it('below capacity everything is carried, and nothing refused', async () => {
    const { goodput, refused, lost } = await run(0.8, 10);
    expect(goodput).toBeGreaterThan(0.78);
    expect([refused, lost]).toEqual([0, 0]);
  });

  it('with hops that obey, nine tenths of capacity is carried', async () => {
    const { goodput, refused, state } = await run(3, 15, { obeys: true });
    expect(goodput, JSON.stringify(state)).toBeGreaterThanOrEqual(0.9);
    expect(refused).toBeGreaterThan(1.9);
  });

  it('with callers that know nothing of it, what the refusals leave; without shedding, next to nothing', async () => {
    const { goodput } = await run(3, 15);
    // Each refused call costs two messages read and one sent of the ten of a call: what remains is (1 - 3x) / (1 - x).
    const x = (2 * costs.receiveMs + costs.sendMs) * (capacity / 1_000);
    const possible = (1 - 3 * x) / (1 - x);
    expect(goodput).toBeGreaterThan(0.9 * possible);
    const { goodput: unprotected } = await run(3, 15, { sheds: false });
    expect(unprotected).toBeLessThan(goodput / 2);
  });
});
