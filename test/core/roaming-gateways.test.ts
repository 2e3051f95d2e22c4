/** Gateways known by their name (`addresses: any`): whoever says a name at a new address has to be there, and nobody else to live elsewhere. */
import { describe, expect, it } from 'vitest';
import { RoamingGateways } from '../../src/gateways/roaming-gateways.ts';
import { type ControllerAddress, Gateway, Metrics, silentLog } from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';

const at = (host: string, port = 2427, transport: 'udp' | 'tcp' = 'udp'): ControllerAddress => ({
  transport,
  host,
  port,
});

const home = at('10.0.0.1');
const elsewhere = at('10.0.0.2');
const third = at('10.0.0.3');

class Network {
  readonly clock = new FakeClock();
  readonly gateway = new Gateway('rgw1', []);
  readonly metrics = new Metrics();
  readonly asked: string[] = [];
  readonly living = new Set<string>();
  readonly processed: string[] = [];
  #id = 0;
  readonly roaming: RoamingGateways = new RoamingGateways({
    clock: this.clock,
    log: silentLog,
    metrics: this.metrics,
    protocol: 'echo',
    nextId: () => {
      this.#id += 1;
      return this.#id;
    },
    ask: (_gateway, address, id) => {
      this.asked.push(address.host);
      // Whoever guesses an id, or answers from elsewhere, is nobody.
      this.roaming.heard(id + 1, address);
      this.roaming.heard(id, at('10.0.0.99'));
      if (this.living.has(address.host)) this.clock.after(20, () => this.roaming.heard(id, address));
    },
    moved: (gateway, address) => gateway.setAddresses([address]),
  });

  constructor(...living: readonly ControllerAddress[]) {
    for (const { host } of living) this.living.add(host);
    this.roaming.provision(this.gateway, true);
  }

  /** A message with the gateway's name; one that was held and is the gateway's in the end is processed late. */
  says(from: ControllerAddress, text: string, isProven = false): void {
    const process = () => void this.processed.push(text);
    if (this.roaming.judge(this.gateway, from, isProven, process) === 'admitted') process();
  }

  run(ms: number): Promise<void> {
    return this.clock.advanceAsync(ms);
  }

  get where(): readonly string[] {
    return this.gateway.addresses().map(({ host, port }) => `${host}:${port}`);
  }

  static async settled(...living: readonly ControllerAddress[]): Promise<Network> {
    const network = new Network(home, ...living);
    network.says(home, 'first');
    await network.run(100);
    expect(network.where).toEqual(['10.0.0.1:2427']);
    network.asked.length = 0;
    return network;
  }
}

describe('a gateway that may be anywhere', () => {
  it('is where it answers: its first message is held until then, and processed once', async () => {
    const network = new Network(home);
    network.says(home, 'RSIP');
    expect(network.processed).toEqual([]);
    expect(network.where).toEqual([]);
    await network.run(100);
    expect(network.where).toEqual(['10.0.0.1:2427']);
    expect(network.processed).toEqual(['RSIP']);
    network.says(home, 'NTFY');
    expect(network.processed).toEqual(['RSIP', 'NTFY']);
  });

  it('is not where a forged sender says: nobody answers there, and the claim is forgotten', async () => {
    const network = new Network();
    network.says(elsewhere, 'RSIP');
    await network.run(10_000);
    expect(network.where).toEqual([]);
    expect(network.processed).toEqual([]);
    expect(network.asked.length).toBeLessThanOrEqual(7);
    expect(network.roaming.claimant(elsewhere)).toBeUndefined();
  });

  it('stays where it lives while a stranger says its name and answers as well', async () => {
    const network = await Network.settled(elsewhere);
    for (let turn = 0; turn < 20; turn += 1) {
      network.says(elsewhere, 'stranger');
      await network.run(500);
    }
    expect(network.where).toEqual(['10.0.0.1:2427']);
    expect(network.processed).toEqual(['first']);
    expect(await network.metrics.text()).toContain('altpath_gateway_moves_total{protocol="echo",result="refused"} 1');
    // One question to each place, and not again for a while.
    expect(network.asked.length).toBeLessThanOrEqual(4);
  });

  it('moves when its old address is silent, and what came from the new one meanwhile is processed in order', async () => {
    const network = await Network.settled(elsewhere);
    network.living.delete(home.host);
    network.says(elsewhere, 'one');
    await network.run(1_500);
    network.says(elsewhere, 'two');
    expect(network.where).toEqual(['10.0.0.1:2427']);
    await network.run(2_000);
    expect(network.where).toEqual(['10.0.0.2:2427']);
    expect(network.processed).toEqual(['first', 'one', 'two']);
  });

  it('moves at once where it is known to be down at its old address', async () => {
    const network = await Network.settled(elsewhere);
    network.living.delete(home.host);
    network.gateway.state = 'down';
    network.says(elsewhere, 'one');
    await network.run(50);
    expect(network.where).toEqual(['10.0.0.2:2427']);
  });

  it('moves at once with a message that proves itself', async () => {
    const network = await Network.settled();
    network.says(elsewhere, 'signed', true);
    expect(network.where).toEqual(['10.0.0.2:2427']);
    expect(network.processed).toEqual(['first', 'signed']);
  });

  it('is found though many strangers say its name', async () => {
    const network = await Network.settled(third);
    network.living.delete(home.host);
    for (let n = 0; n < 200; n += 1) network.says(at(`10.9.${n >> 4}.${n & 15}`), 'stranger');
    network.says(third, 'gateway');
    await network.run(4_000);
    expect(network.where).toEqual(['10.0.0.3:2427']);
    expect(network.processed).toEqual(['first', 'gateway']);
  });

  it('behind another port of the same NAT is asked for as well; a new connection from its host is its own', async () => {
    const network = await Network.settled();
    network.says(at(home.host, 40_001), 'stranger behind the same NAT');
    await network.run(10_000);
    expect(network.where).toEqual(['10.0.0.1:2427']);
    network.says(at(home.host, 40_002, 'tcp'), 'its own');
    expect(network.processed).toEqual(['first', 'its own']);
  });

  it('is found by a successor where the member that served it said', async () => {
    const network = await Network.settled();
    const hints = new Map(Object.entries(network.roaming.hints(() => true)));
    expect(network.roaming.hints(() => false)).toEqual({});
    const successor = new Network();
    successor.roaming.learn(hints, () => false);
    expect(successor.where).toEqual(['10.0.0.1:2427']);
    for (const wrong of ['', 'x', 'udp:rgw1.example:2427', 'udp:10.0.0.9:0'])
      successor.roaming.learn(new Map([['@rgw1', wrong]]), () => false);
    expect(successor.where).toEqual(['10.0.0.1:2427']);
    successor.roaming.learn(new Map([['@rgw1', 'udp:10.0.0.9:2427']]), () => true);
    expect(successor.where).toEqual(['10.0.0.1:2427']);
  });
});
