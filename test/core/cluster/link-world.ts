/** Members with nothing but a link and a signaling port on a memory network. */

import type { RoleWord } from '../../../src/cluster/link-content.ts';
import { MemberLink, type MemberLinkParts } from '../../../src/cluster/member-link.ts';
import { type Member, Members } from '../../../src/cluster/members.ts';
import { DatagramSeal } from '../../../src/cluster/sealed-datagram.ts';
import {
  addressKey,
  type ControllerAddress,
  type Flow,
  type Listener,
  Metrics,
  silentLog,
} from '../../../src/internal.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type Conditions, MemoryNetwork } from '../../support/memory-network.ts';
import { seededRandom } from '../../support/seeded-random.ts';

export const secret = 'a secret of this test';
export const linkPort = 9061;
export const signalingPort = 2727;

export const signaling = (host: string): ControllerAddress => ({ transport: 'udp', host, port: signalingPort });

export class Node {
  readonly host: string;
  readonly link: MemberLink | undefined;
  readonly members: Members;
  readonly metrics = new Metrics();
  readonly changes: string[] = [];
  serves: string[] = [];
  guests: string[] = [];
  hints: Record<string, string> = {};
  isLeaving = false;
  absences = 0;
  readonly #world: LinkWorld;
  readonly #options: NodeOptions;
  #listener: Listener | undefined;

  constructor(world: LinkWorld, host: string, options: NodeOptions) {
    this.#world = world;
    this.#options = options;
    this.host = host;
    const network = world.network.host(host);
    const { clock } = network;
    const others = world.hosts.filter((each) => each !== host);
    const parts = { clock, random: world.random, log: options.log ?? silentLog, metrics: this.metrics, network };
    if (options.hasLink !== false)
      this.link = new MemberLink({
        ...parts,
        secret,
        member: `${host}:${linkPort}`,
        version: '1',
        listen: { host, port: linkPort },
        partners: others.map((each) => ({ host: each, port: linkPort })),
        ...options.link,
      });
    this.members = new Members({
      clock,
      log: parts.log,
      role: 'echo',
      partners: others.map(signaling),
      link: this.link,
      probeEveryMs: 500,
      deadMs: 1_500,
      holdMs: 10_000,
      word: () => ({
        addresses: [addressKey(signaling(host))],
        serves: this.serves,
        alternates: [],
        draining: this.isLeaving,
        guests: this.guests,
        hints: this.hints,
        ...options.word?.(),
      }),
      probe: (to) => this.#listener?.flowTo(to, { connected: true }).send(Buffer.from('ask')),
      changed: () => {
        this.changes.push(
          this.members
            ?.all()
            .map(({ state }) => state)
            .join(' ') ?? '',
        );
        options.changed?.();
      },
      absent: () => {
        this.absences += 1;
        options.absent?.();
      },
    });
  }

  async start(): Promise<void> {
    this.#listener = await this.#world.network.host(this.host).bind(
      signaling(this.host),
      {},
      {
        received: (bytes, flow) => {
          const from: ControllerAddress = { transport: 'udp', ...flow.remote };
          if (bytes.toString() === 'ask') flow.send(Buffer.from('here'));
          else if (bytes.toString() === 'here') this.members.answered(from);
          else this.#options.received?.(bytes.toString(), flow);
        },
        failed: (flow: Flow) => this.members.refused({ transport: 'udp', ...flow.remote }),
      },
    );
    await this.link?.start();
    this.members.start();
  }

  send(text: string, to: ControllerAddress): void {
    this.#listener?.flowTo(to).send(Buffer.from(text));
  }

  of(host: string): Member {
    const member = this.members.find(signaling(host));
    if (member === undefined) throw new Error(`no member ${host}`);
    return member;
  }

  state(host: string): string {
    return this.of(host).state;
  }

  async dropped(reason: string): Promise<number> {
    const text = await this.metrics.text();
    const line = text
      .split('\n')
      .find((each) => each.startsWith('altpath_link_datagrams_dropped_total') && each.includes(reason));
    return Number(line?.split(' ').at(-1) ?? 0);
  }
}

export interface NodeOptions {
  readonly word?: () => Partial<RoleWord>;
  readonly changed?: () => void;
  readonly absent?: () => void;
  /** What is neither a question nor an answer of `Members`. */
  readonly received?: (text: string, flow: Flow) => void;
  readonly hasLink?: boolean;
  readonly link?: Partial<MemberLinkParts>;
  readonly log?: MemberLinkParts['log'];
}

export class LinkWorld {
  readonly clock = new FakeClock();
  readonly network: MemoryNetwork;
  readonly random;
  readonly hosts: readonly string[];
  readonly nodes = new Map<string, Node>();

  constructor(hosts: readonly string[], conditions: Partial<Conditions> = {}, seed = 1) {
    this.hosts = hosts;
    this.network = new MemoryNetwork(this.clock, conditions, seed);
    this.random = seededRandom(seed);
  }

  make(host: string, options: NodeOptions = {}): Node {
    this.network.revive(host);
    const node = new Node(this, host, options);
    this.nodes.set(host, node);
    return node;
  }

  async start(host: string, options: NodeOptions = {}): Promise<Node> {
    const node = this.make(host, options);
    await node.start();
    return node;
  }

  kill(host: string): void {
    this.network.crash(host);
  }

  run(ms: number): Promise<void> {
    return this.clock.advanceAsync(ms);
  }

  /** A stranger's datagram to a link port. */
  async inject(bytes: Uint8Array, to: string, port = linkPort): Promise<void> {
    const listener = await this.network
      .host('127.0.0.99')
      .bind({ transport: 'udp', host: '127.0.0.99', port: 0 }, {}, { received() {}, failed() {} });
    listener.flowTo({ host: to, port }).send(bytes);
    await this.run(5);
    await listener.close();
  }
}

export const sealOf = (key = secret): DatagramSeal => new DatagramSeal(key);
