/**
 * Three times capacity at one member of a pair, its event loop late besides: nobody who lives is taken for dead, by it or by those around it.
 * The next hop of its calls, the edge before it and the other member are each asked, and answer, through what is overloaded.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { type Clock, OverloadControl } from '../../../src/internal.ts';
import type { FakeClock } from '../../support/fake-clock.ts';
import { type CoreCosts, SimulatedCore } from '../../support/simulated-core.ts';
import { domain, hosts, SipWorld } from '../../support/sip-world.ts';
import { answerTo, Peer, request, statusOf } from './world.ts';

const costs: CoreCosts = { receiveMs: 0.5, sendMs: 0.6, workMs: 0.7, queueOctets: 60_000 };
const capacity = 1_000 / (5 * (costs.receiveMs + costs.sendMs + costs.workMs));

const carrier = '127.0.4.1';

let open: SipWorld | undefined;
afterEach(async () => {
  await open?.stop();
  open = undefined;
});

/** A process that stands still now and then: nothing is read, and timers run when it goes on. */
class Pauses {
  #untilMs = 0;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  begin(ms: number): void {
    this.#untilMs = this.#clock.now() + ms;
  }

  over(clock: Clock): Clock {
    const later = (run: () => void): void => {
      const leftMs = this.#untilMs - clock.now();
      if (leftMs > 0) clock.after(leftMs, () => later(run));
      else run();
    };
    return {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      after(ms, run) {
        let isCancelled = false;
        const cancel = clock.after(ms, () =>
          later(() => {
            if (!isCancelled) run();
          }),
        );
        return () => {
          isCancelled = true;
          cancel();
        };
      },
    };
  }
}

interface Death {
  readonly at: string;
  readonly event: unknown;
}

class Scene {
  readonly world = new SipWorld();
  readonly pauses = new Pauses(this.world.clock);
  readonly deaths: Death[] = [];
  control: OverloadControl | undefined;
  caller!: Peer;
  #calls = 0;
  answered = 0;

  async up(): Promise<this> {
    open = this.world;
    const { world } = this;
    let sent = 0;
    let core: SimulatedCore | undefined;
    world.network.onPacket(({ from, bytes }) => {
      if (from.host !== hosts.primary) return;
      sent += 1;
      if (core !== undefined) core.lastSent = bytes.toString('latin1', 0, 12);
    });
    const events = (at: string) => ({
      isHeard: true,
      emit: (event: object) => {
        if ('state' in event && event.state === 'died') this.deaths.push({ at, event });
      },
    });
    await world.node(hosts.primary, {
      config: { domains: [domain], routes: [{ prefix: '555', to: [`${carrier}:5060`] }] },
      backups: [hosts.backup],
      backupFor: [hosts.backup],
      hasLink: true,
      events: events('primary'),
      more: (parts) => {
        const clock = this.pauses.over(parts.clock);
        core = new SimulatedCore(clock, costs, () => sent);
        this.control = new OverloadControl({ ...parts, clock, sensor: core, settings: { keptPerSecond: 5 } });
        this.control.start();
        return { clock, network: core.over(parts.network), overload: this.control };
      },
    });
    await world.node(hosts.backup, {
      config: { domains: [domain], routes: [{ prefix: '555', to: [`${carrier}:5060`] }] },
      backups: [hosts.primary],
      backupFor: [hosts.primary],
      hasLink: true,
      events: events('backup'),
    });
    await world.node(hosts.callerEdge, {
      config: { domains: ['edge.example'], defaultRoute: [`${hosts.primary}:5060`, `${hosts.backup}:5060`] },
      events: events('edge'),
    });
    await this.#carrier();
    this.caller = await this.#peer('127.0.3.1');
    await world.clock.advanceAsync(3_000);
    this.deaths.length = 0;
    return this;
  }

  /** Answers calls at once. */
  async #carrier(): Promise<void> {
    const at = { transport: 'udp', host: carrier, port: 5_060 } as const;
    await this.world.network.host(carrier).bind(
      at,
      {},
      {
        failed: () => undefined,
        received: (bytes, flow) => {
          const text = bytes.toString('latin1');
          if (text.startsWith('ACK ') || text.startsWith('SIP/')) return;
          this.answered += text.startsWith('INVITE ') ? 1 : 0;
          const routes = [...text.matchAll(/^Record-Route: .*\r\n/gm)].map(([line]) => line).join('');
          const fields = `Contact: <sip:carrier@${carrier}>\r\n${routes}`;
          flow.send(Buffer.from(answerTo(text, 200, { fields }), 'latin1'));
        },
      },
    );
  }

  async #peer(host: string): Promise<Peer> {
    const peer = new Peer({ transport: 'udp', host, port: 5_060 });
    peer.listener = await this.world.network
      .host(host)
      .bind(peer.address, {}, { received: peer.received, failed: peer.failed });
    return peer;
  }

  /** Calls, half of them straight and half through the edge, with their ACKs. */
  flood(perSecond: number, seconds: number, pause?: { readonly everyMs: number; readonly ms: number }): void {
    const everyMs = 1_000 / perSecond;
    let pausedMs = 0;
    for (let atMs = 0; atMs < seconds * 1_000; atMs += everyMs) {
      if (pause !== undefined && atMs - pausedMs >= pause.everyMs) {
        pausedMs = atMs;
        this.pauses.begin(pause.ms);
      }
      this.#begin();
      this.world.clock.advance(everyMs);
      this.#acknowledge();
    }
  }

  #begin(): void {
    this.#calls += 1;
    const to = {
      transport: 'udp',
      host: this.#calls % 2 === 0 ? hosts.primary : hosts.callerEdge,
      port: 5_060,
    } as const;
    const uri = `sip:5551234@${domain}`;
    const text = request('INVITE', {
      uri,
      to: `<${uri}>`,
      callId: `c${this.#calls}`,
      branch: `z9hG4bKc${this.#calls}`,
      via: this.caller.sentBy,
    });
    this.caller.listener?.flowTo(to).send(Buffer.from(text, 'latin1'));
  }

  #acknowledge(): void {
    for (const { text, flow } of this.caller.heard.splice(0)) {
      if ((statusOf(text) ?? 0) < 200) continue;
      const [, id = ''] = /^Call-ID: (.*)\r$/m.exec(text) ?? [];
      const [, to = ''] = /^To: (.*)\r$/m.exec(text) ?? [];
      const route = /^Record-Route: (.*)\r$/m.exec(text)?.[1];
      const isTaken = statusOf(text) === 200;
      const ack = request('ACK', {
        uri: isTaken ? `sip:carrier@${carrier}` : `sip:5551234@${domain}`,
        to,
        callId: id,
        branch: isTaken ? `z9hG4bKa${id}` : `z9hG4bK${id}`,
        via: this.caller.sentBy,
        fields: route === undefined || !isTaken ? '' : `Route: ${route}\r\n`,
      });
      flow.send(Buffer.from(ack, 'latin1'));
    }
  }
}

describe('no false death of a peer', () => {
  it.each([
    { what: 'a full queue', pause: undefined, judges: ['primary', 'backup', 'edge'] },
    {
      what: 'and a process that stands still for 0.7 s every 3 s',
      pause: { everyMs: 3_000, ms: 700 },
      judges: ['primary', 'backup', 'edge'],
    },
    {
      // As long as whoever has no link to it waits for anybody.
      what: 'and one that stands still for 1 s every 5 s, as the members see each other',
      pause: { everyMs: 5_000, ms: 1_000 },
      judges: ['primary', 'backup'],
    },
  ])('$what', async ({ pause, judges }) => {
    const scene = await new Scene().up();
    scene.flood(3 * capacity, 10, pause);
    expect(scene.control?.status()['refused']).toBeGreaterThan(300);
    expect(scene.answered).toBeGreaterThan(300);
    expect(scene.deaths.filter(({ at }) => judges.includes(at))).toEqual([]);
  });

  it('but who has died meanwhile is found to be dead', async () => {
    const scene = await new Scene().up();
    scene.flood(3 * capacity, 6);
    scene.world.network.crash(hosts.backup);
    scene.flood(3 * capacity, 9);
    expect(scene.deaths.map(({ at }) => at)).toContain('primary');
    expect(scene.control?.isShedding).toBe(true);
  });
});
