/** Members that serve gateways by `GatewayOwnership`, and gateways that send events and move on by themselves when nobody answers. */
import { GatewayOwnership } from '../../../src/cluster/gateway-ownership.ts';
import type { Unit } from '../../../src/cluster/hand-over.ts';
import { speaks } from '../../../src/cluster/precedence.ts';
import {
  addressKey,
  type ControllerAddress,
  type Flow,
  GatewayRegistry,
  type Listener,
  type Logger,
  Metrics,
  RoamingGateways,
} from '../../../src/internal.ts';
import type { Conditions } from '../../support/memory-network.ts';
import { LinkWorld, type Node, secret, signaling } from './link-world.ts';

export const hostOf = (index: number): string => `127.0.0.${index + 1}`;
const gatewayHost = (index: number): string => `127.0.1.${index + 1}`;
const gatewayAddress = (index: number): ControllerAddress => ({
  transport: 'udp',
  host: gatewayHost(index),
  port: 2427,
});

/** What a gateway gets from its access network, the `turn`th time. */
const givenHost = (index: number, turn: number): string => `127.1.${index}.${turn}`;

export interface OwnershipWorldOptions {
  readonly members: number;
  /** The index of the home of each gateway. */
  readonly homes: readonly number[];
  /** Do gateways hear from their old owner who the new one is (as by a hand-off), or must the new one reach them? */
  readonly tellsGateways?: boolean;
  /** Are gateways known by their names, wherever they are? */
  readonly roaming?: boolean;
  /** The home of a gateway by one member's configuration, where that differs; undefined: this member does not know the gateway. */
  readonly homeBy?: (member: number, gateway: number) => number | undefined;
  readonly conditions?: Partial<Conditions>;
  readonly seed?: number;
}

export class OwnerNode {
  readonly index: number;
  readonly node: Node;
  readonly ownership: GatewayOwnership;
  /** Gateways whose state it knows and that it commands. */
  readonly owned = new Set<string>();
  readonly #registry: GatewayRegistry;
  readonly roaming: RoamingGateways;
  readonly #world: OwnershipWorld;
  readonly #asking = new Map<string, Set<() => void>>();
  isRunning = true;

  constructor(world: OwnershipWorld, index: number, node: (options: Parameters<LinkWorld['start']>[1]) => Node) {
    this.#world = world;
    this.index = index;
    const { clock } = world.links.network.host(hostOf(index));
    const self = signaling(hostOf(index));
    let id = 0;
    this.#registry = new GatewayRegistry(clock);
    this.roaming = new RoamingGateways({
      clock,
      log: world.log,
      metrics: new Metrics(),
      protocol: 'echo',
      nextId: () => {
        id += 1;
        return id;
      },
      ask: ({ name }, to, asked) => this.node.send(`ask ${name} ${asked}`, to),
      moved: (gateway, to) => gateway.setAddresses([to]),
    });
    for (const gateway of world.options.homes.keys()) {
      if (world.homeBy(index, gateway) === undefined) continue;
      const known = this.#registry.add(
        String(gateway),
        world.options.roaming === true ? [] : [gatewayAddress(gateway)],
      );
      this.roaming.provision(known, world.options.roaming === true);
    }
    this.ownership = new GatewayOwnership({
      clock,
      log: world.log,
      members: () => this.node.members,
      self: () => self,
      order: world.links.hosts.map(signaling),
      alternates: [],
      homeOf: (gateway) => {
        const home = world.homeBy(index, Number(gateway));
        return home === undefined ? undefined : addressKey(signaling(hostOf(home)));
      },
      holdMs: 10_000,
      startGraceMs: 5_000,
      handOver: {
        tellsGateways: world.options.tellsGateways === true,
        take: (unit, done) => this.#take(unit, done),
        dropAudits: (unit) => {
          for (const gateway of this.#of(unit)) this.#asking.delete(gateway);
        },
        letGo: (unit) => {
          for (const gateway of this.#of(unit)) this.owned.delete(gateway);
        },
        handOver: (unit, to) => {
          for (const gateway of this.#of(unit)) {
            const had = this.owned.delete(gateway);
            if (had && world.options.tellsGateways === true && to !== undefined)
              this.#tell(gateway, `goto ${gateway} ${to.host}`);
          }
        },
      },
    });
    this.node = node({
      word: () => ({ ...this.ownership.word(), hints: this.roaming.hints(({ name }) => this.ownership.serves(name)) }),
      changed: () => {
        for (const member of this.node.members.all())
          if (speaks(member)) this.roaming.learn(member.hints, ({ name }) => this.ownership.serves(name));
        this.ownership.evaluate();
      },
      absent: () => this.ownership.absent(),
      received: (text, flow) => this.#received(text, flow),
    });
    const poll = (): void => {
      this.node.link?.noticeAbsence();
      for (const gateway of world.options.homes.keys())
        if (this.ownership.serves(String(gateway)) && !this.owned.has(String(gateway)))
          this.#ask(String(gateway), () => {});
      clock.after(1_000, poll);
    };
    clock.after(1_000, poll);
  }

  start(): void {
    const homes = [...this.#world.options.homes.keys()].map((gateway) => this.#world.homeBy(this.index, gateway));
    for (const home of new Set(homes))
      if (home !== undefined) this.ownership.addHome(addressKey(signaling(hostOf(home))));
    this.ownership.start();
  }

  #of({ home, gateway }: Unit): readonly string[] {
    if (gateway !== undefined) return [gateway];
    return [...this.#world.options.homes.keys()]
      .filter((index) => {
        const at = this.#world.homeBy(this.index, index);
        return at !== undefined && addressKey(signaling(hostOf(at))) === home;
      })
      .map(String);
  }

  #take(unit: Unit, done: () => void): void {
    const wanted = new Set(this.#of(unit).filter((gateway) => !this.owned.has(gateway)));
    if (wanted.size === 0) this.#world.links.network.host(hostOf(this.index)).clock.after(0, done);
    for (const gateway of wanted)
      this.#ask(gateway, () => {
        wanted.delete(gateway);
        if (wanted.size === 0) done();
      });
  }

  #ask(gateway: string, done: () => void): void {
    let asking = this.#asking.get(gateway);
    if (asking === undefined) {
      asking = new Set();
      this.#asking.set(gateway, asking);
    }
    asking.add(done);
    this.#tell(gateway, `audit ${gateway}`);
    const these = asking;
    this.#world.links.network.host(hostOf(this.index)).clock.after(2_000, () => {
      if (these.delete(done)) done();
    });
  }

  #tell(gateway: string, text: string): void {
    for (const address of this.#registry.byName(gateway)?.addresses() ?? []) this.node.send(text, address);
  }

  #received(text: string, flow: Flow): void {
    this.node.link?.noticeAbsence();
    const [verb, gateway = '', number] = text.split(' ');
    const from: ControllerAddress = { transport: 'udp', ...flow.remote };
    const known = this.#registry.byName(gateway);
    if (verb === 'answer') this.roaming.heard(Number(number), from);
    else if (verb === 'event' && known !== undefined && this.roaming.has(known)) {
      if (this.roaming.judge(known, from, false, () => this.#received(text, flow)) !== 'admitted') return;
    }
    if (verb === 'state') {
      const asking = this.#asking.get(gateway);
      this.#asking.delete(gateway);
      if (asking === undefined || !(this.ownership.serves(gateway) && this.ownership.isCertain)) return;
      this.owned.add(gateway);
      this.#tell(gateway, `own ${gateway}`);
      for (const done of asking) done();
    } else if (verb === 'event') {
      if (!this.ownership.isCertain || this.ownership.isReleased(gateway)) return;
      this.ownership.came(gateway);
      if (!this.owned.has(gateway)) return;
      flow.send(Buffer.from(`ok ${gateway} ${number}`));
    }
  }
}

/** Plain: it obeys who commanded it last, and turns to the next controller of its list when its own does not answer. */
export class SimpleGateway {
  readonly name: string;
  entity: string;
  answered = 0;
  readonly #list: readonly string[];
  #misses = 0;
  #number = 0;
  #listener: Listener | undefined;

  constructor(index: number, list: readonly string[]) {
    this.name = String(index);
    this.#list = list;
    this.entity = list[0] ?? '';
  }

  async start(links: LinkWorld): Promise<void> {
    const network = links.network.host(gatewayHost(Number(this.name)));
    this.#listener = await network.bind(
      gatewayAddress(Number(this.name)),
      {},
      {
        received: (bytes, flow) => {
          const [verb, , word] = bytes.toString().split(' ');
          if (verb === 'audit') flow.send(Buffer.from(`state ${this.name}`));
          else if (verb === 'ask') flow.send(Buffer.from(`answer ${this.name} ${word}`));
          else if (verb === 'own') this.entity = flow.remote.host;
          else if (verb === 'goto') this.entity = word ?? '';
          else if (verb === 'ok' && Number(word) === this.#number) {
            this.#misses = 0;
            this.answered = this.#number;
          }
        },
        failed: () => {},
      },
    );
    const tick = (): void => {
      if (this.answered < this.#number) this.#misses += 1;
      if (this.#misses >= 4) this.moveOn();
      this.#number += 1;
      this.#listener?.flowTo(signaling(this.entity)).send(Buffer.from(`event ${this.name} ${this.#number}`));
      network.clock.after(1_000, tick);
    };
    network.clock.after(500, tick);
  }

  moveOn(to = this.#list[(this.#list.indexOf(this.entity) + 1) % this.#list.length] ?? ''): void {
    this.#misses = 0;
    this.entity = to;
  }

  get isServed(): boolean {
    return this.#number - this.answered <= 1;
  }
}

export class OwnershipWorld {
  readonly options: OwnershipWorldOptions;
  readonly links: LinkWorld;
  readonly gateways: SimpleGateway[] = [];
  readonly nodes: (OwnerNode | undefined)[] = [];
  readonly paused = new Set<number>();
  /** How far the wall clocks of members are ahead. */
  readonly clockSteps = new Map<number, number>();
  /** The secret of a member, from its next start on, where that is another. */
  readonly secrets = new Map<number, string>();
  readonly log: Logger;
  /** Since when two members that hear each other own the same gateway, and the longest time of it. */
  longestDoubleMs = 0;
  readonly #doubleSince = new Map<string, number>();
  #unsettledUntilMs = 0;
  #turns = 0;

  constructor(options: OwnershipWorldOptions, log: Logger) {
    this.options = options;
    this.log = log;
    const hosts = Array.from({ length: options.members }, (_, index) => hostOf(index));
    this.links = new LinkWorld(hosts, options.conditions, options.seed);
  }

  /** Where a gateway belongs, as this member knows it. */
  homeBy(member: number, gateway: number): number | undefined {
    const { homeBy, homes } = this.options;
    return homeBy === undefined ? homes[gateway] : homeBy(member, gateway);
  }

  async startGateway(index: number): Promise<void> {
    const home = hostOf(this.options.homes[index] ?? 0);
    const gateway = new SimpleGateway(index, [home, ...this.links.hosts.filter((host) => host !== home)]);
    this.gateways[index] = gateway;
    await gateway.start(this.links);
  }

  async boot(index: number): Promise<void> {
    if (this.nodes[index] !== undefined) return;
    this.links.network.revive(hostOf(index));
    let starting: Promise<unknown> | undefined;
    const owner = new OwnerNode(this, index, (options) => {
      const wallClock = (): number => this.links.clock.now() + (this.clockSteps.get(index) ?? 0);
      const made = this.links.make(hostOf(index), {
        ...options,
        link: { wallClock, secret: this.secrets.get(index) ?? secret },
      });
      starting = made.start();
      return made;
    });
    await starting;
    this.nodes[index] = owner;
    owner.start();
  }

  kill(index: number): void {
    this.paused.delete(index);
    this.nodes[index] = undefined;
    this.links.kill(hostOf(index));
  }

  pause(index: number): void {
    if (this.nodes[index] === undefined) return;
    this.paused.add(index);
    this.links.network.pause(hostOf(index));
  }

  resume(index: number): void {
    if (!this.paused.delete(index)) return;
    this.disturbed();
    this.links.network.resume(hostOf(index));
  }

  /** From here on members need an exchange to agree. */
  disturbed(): void {
    this.#unsettledUntilMs = this.links.clock.now() + 300;
  }

  /** The access network gives it another address. */
  renumber(gateway: number): void {
    this.#turns += 1;
    this.links.network.renumber(gatewayHost(gateway), givenHost(gateway, this.#turns));
  }

  owners(gateway: number): readonly number[] {
    return this.nodes.flatMap((node, index) => (node?.owned.has(String(gateway)) === true ? [index] : []));
  }

  async run(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 50) {
      await this.links.run(Math.min(50, ms - passed));
      this.#watch();
    }
  }

  #watch(): void {
    const now = this.links.clock.now();
    for (const gateway of this.options.homes.keys()) {
      const owners = this.owners(gateway).filter((index) => !this.paused.has(index));
      for (const [one, other] of owners.flatMap((a) => owners.filter((b) => b > a).map((b) => [a, b] as const))) {
        const key = `${gateway} ${one} ${other}`;
        if (now < this.#unsettledUntilMs || !this.hearEachOther(one, other)) this.#doubleSince.delete(key);
        else {
          const since = this.#doubleSince.get(key) ?? now;
          this.#doubleSince.set(key, since);
          this.longestDoubleMs = Math.max(this.longestDoubleMs, now - since);
        }
      }
      for (const key of [...this.#doubleSince.keys()]) {
        const [of, one, other] = key.split(' ').map(Number);
        if (of === gateway && !(owners.includes(one ?? -1) && owners.includes(other ?? -1)))
          this.#doubleSince.delete(key);
      }
    }
  }

  hearEachOther(one: number, other: number): boolean {
    const hears = (a: number, b: number): boolean =>
      ['alive', 'returning'].includes(this.nodes[a]?.node.state(hostOf(b)) ?? '');
    return hears(one, other) && hears(other, one);
  }

  /** What is wrong now, if everything has to be settled. */
  problems(): readonly string[] {
    return this.options.homes.flatMap((home, gateway) => {
      const owners = this.owners(gateway);
      const found: string[] = [];
      if (owners.length !== 1) found.push(`gateway ${gateway} (home ${home}) has owners [${owners}]`);
      if (this.nodes[home] !== undefined && owners[0] !== home)
        found.push(`gateway ${gateway} is with ${owners}, its home ${home} lives`);
      const entity = this.links.hosts.indexOf(this.gateways[gateway]?.entity ?? '');
      if (owners.length === 1 && entity !== owners[0])
        found.push(`gateway ${gateway} obeys ${entity}, owned by ${owners}`);
      if (this.gateways[gateway]?.isServed !== true) found.push(`gateway ${gateway} is not answered`);
      return found;
    });
  }
}
