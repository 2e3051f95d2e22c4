/**
 * What the SIP role knows of the other members over the member link, idle ones included. The failure detector goes on to judge each
 * message's hop; a member that is found dead, or says that it leaves, is merely known to it sooner and is not tried first.
 */
import {
  addressKey,
  type Cluster,
  type ControllerAddress,
  type CoreServices,
  type Flow,
  type Logger,
  type Member,
  type MemberState,
  Members,
  type Peer,
  type PeerNews,
  partnersOf,
  type Transmitter,
} from '../../src/internal.ts';

export interface PartnersParts {
  readonly services: Pick<CoreServices, 'clock' | 'metrics' | 'link' | 'events' | 'cluster'>;
  readonly log: Logger;
  readonly news: PeerNews;
  readonly holdMs: number;
  transmitter(): Pick<Transmitter, 'ask' | 'condemn' | 'withdraw'>;
  /** Our own addresses, as others reach us. */
  addresses(): readonly ControllerAddress[];
  isDraining(): boolean;
}

export class Partners {
  readonly #parts: PartnersParts;
  /** Undefined where there is no link: then each message finds out for itself. */
  readonly #members: Members | undefined;
  /** As acted upon last. */
  readonly #states = new Map<string, MemberState>();

  constructor(parts: PartnersParts) {
    this.#parts = parts;
    const { services, log, news, holdMs } = parts;
    const { cluster, link } = services;
    if (link === undefined) return;
    this.#members = new Members({
      ...services,
      log,
      news,
      role: 'sip',
      partners: firstAddresses(cluster),
      probeEveryMs,
      deadMs,
      holdMs,
      word: () => ({
        addresses: parts.addresses().map(addressKey),
        serves: [],
        alternates: cluster.backups.map(addressKey),
        draining: parts.isDraining(),
        guests: [],
      }),
      probe: (partner) => parts.transmitter().ask(partner),
      changed: () => this.#act(),
    });
  }

  /** Call once the sockets are bound. */
  start(): void {
    this.#members?.start();
  }

  stop(): void {
    this.#members?.stop();
  }

  /** Our own word changed. */
  tell(): void {
    this.#members?.tell();
  }

  /** The member that has this address, by whichever transport. */
  at(address: ControllerAddress): Member | undefined {
    return this.#members?.at(address);
  }

  /** A probe was answered from there. */
  answered(address: ControllerAddress): void {
    const member = this.at(address);
    if (member !== undefined) this.#members?.answered(member.address);
  }

  /** The network says that nobody is there, which anybody can make it say. */
  refused({ transport, remote }: Flow): void {
    const member = this.at({ transport, host: remote.host, port: remote.port });
    if (member !== undefined) this.#members?.refused(member.address);
  }

  /** When this member was found dead; undefined: it lives, or nothing is known. */
  deadSinceMs(address: ControllerAddress): number | undefined {
    const member = this.at(address);
    return member?.state === 'dead' ? member.diedMs : undefined;
  }

  /** Its last word, by the link or in signaling (`peer`); undefined: there was none. */
  lastHeardMs(address: ControllerAddress, peer: Peer | undefined): number | undefined {
    const heardMs = Math.max(this.at(address)?.lastHeardMs ?? 0, peer?.lastHeardMs ?? 0);
    return heardMs === 0 ? undefined : heardMs;
  }

  /** It is dead, or about to leave: what one member does for all is another's. */
  isGone(address: ControllerAddress): boolean {
    const state = this.at(address)?.state;
    return state === 'dead' || state === 'leaving';
  }

  list(): readonly Readonly<Record<string, unknown>>[] {
    return this.#members?.list() ?? [];
  }

  /** For `altpath peers`: members as the link and the traffic show them, then whom else we send to. */
  peers(pool: readonly Peer[]): readonly Readonly<Record<string, unknown>>[] {
    const health = new Map(pool.map((peer) => [peer.key, { health: peer.health, failure: peer.failure }]));
    const members = this.#members?.all() ?? [];
    const keys = new Set(members.map(({ key }) => key));
    return [
      ...this.list().map((row, index) => ({ ...row, ...health.get(members[index]?.key ?? '') })),
      ...pool
        .filter(({ key }) => !keys.has(key))
        .map(({ address, provenance, lastHeardMs, ...peer }) => ({
          ...address,
          kind: 'peer',
          provenance,
          health: peer.health,
          failure: peer.failure,
          lastHeardMs,
        })),
    ];
  }

  #act(): void {
    const transmitter = this.#parts.transmitter();
    for (const member of this.#members?.all() ?? []) {
      const before = this.#states.get(member.key);
      if (before === member.state) continue;
      this.#states.set(member.key, member.state);
      for (const address of this.#addressesOf(member))
        if (member.state === 'dead') transmitter.condemn(address, 'neither the member link nor a probe is answered');
        else if (member.state === 'leaving') transmitter.withdraw(address);
        else if (before === 'dead') transmitter.ask(address);
    }
  }

  /** Those of the operator's list that are this member's. */
  #addressesOf(member: Member): readonly ControllerAddress[] {
    const { backups, backupFor } = this.#parts.services.cluster;
    const named = new Map([...backups, ...backupFor].map((address) => [addressKey(address), address]));
    return [...named.values()].filter((address) => this.at(address) === member);
  }
}

/** One address for each other member: the first of each node where there is a list of nodes. */
function firstAddresses(cluster: Cluster): readonly ControllerAddress[] {
  const { order, backupFor } = cluster;
  return order === undefined ? partnersOf(cluster) : backupFor.slice(0, order.length - 1);
}

/** A member that the link does not prove is asked so often, and is dead after so long without an answer. */
const probeEveryMs = 500;
const deadMs = 1_500;
