/** What a SIP role does for its trunks beside their calls: it asks their hops how they are, and registers with carriers that want it. */
import {
  addressKey,
  type Cancel,
  type Clock,
  type Cluster,
  type ControllerAddress,
  formatSocketAddress,
  KeyedHash,
  type Logger,
  partnersOf,
  type Random,
  type WorkerGroup,
} from '../../../src/internal.ts';
import type { Identity } from '../identity.ts';
import type { OwnRequests } from './own-requests.ts';
import { TrunkPings } from './trunk-pings.ts';
import { TrunkRegistration } from './trunk-registration.ts';
import type { Trunks } from './trunks.ts';

export interface TrunkServiceParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly identity: Identity;
  readonly cluster: Cluster;
  /** The other processes of this host, which have the same addresses: one of them registers for all. */
  readonly workers?: Pick<WorkerGroup, 'isLead' | 'onLead'> | undefined;
  readonly trunks: Trunks;
  readonly requests: OwnRequests;
  isDown(member: ControllerAddress): boolean;
  /** Asks a member for a sign of life. */
  ask(member: ControllerAddress): void;
}

export class TrunkService {
  readonly #parts: TrunkServiceParts;
  readonly #pings: TrunkPings;
  readonly #registrations: readonly TrunkRegistration[];
  #ahead: readonly ControllerAddress[] = [];
  #look: Cancel | undefined;
  #stopFollowing: Cancel | undefined;
  #askAtMs = 0;

  constructor(parts: TrunkServiceParts) {
    this.#parts = parts;
    this.#pings = new TrunkPings(parts);
    const callId = new KeyedHash(parts.cluster.secret, 'SIP trunk registration').of('Call-ID');
    const { workers } = parts;
    const { backups, backupFor } = parts.cluster;
    this.#registrations = parts.trunks.all
      .filter(({ config }) => config.register)
      .map(
        (trunk) =>
          new TrunkRegistration(trunk, {
            ...parts,
            callId,
            partners: [...new Map([...backups, ...backupFor].map((each) => [addressKey(each), each])).values()],
            isRegistrant: () => workers?.isLead !== false && this.#ahead.every((member) => parts.isDown(member)),
          }),
      );
  }

  /** Once the sockets are bound: `self` is the first of them. */
  start(self: ControllerAddress): void {
    this.#pings.start();
    if (this.#registrations.length === 0) return;
    this.#ahead = membersAhead(this.#parts.cluster, self);
    this.#stopFollowing = this.#parts.workers?.onLead(() => this.#lookAll());
    this.#tick();
  }

  /** Nobody shall send us calls any more. */
  leave(): void {
    this.#end();
    for (const registration of this.#registrations) registration.leave();
  }

  stop(): void {
    this.#end();
    this.#pings.stop();
    for (const registration of this.#registrations) registration.stop();
  }

  #end(): void {
    this.#look?.();
    this.#look = undefined;
    this.#stopFollowing?.();
    this.#stopFollowing = undefined;
  }

  #lookAll(): void {
    for (const registration of this.#registrations) registration.look();
  }

  #tick(): void {
    const { clock, ask } = this.#parts;
    if (clock.now() >= this.#askAtMs) {
      this.#askAtMs = clock.now() + askMs;
      for (const member of this.#ahead) ask(member);
    }
    this.#lookAll();
    // Without anybody ahead it is ours for good.
    if (this.#ahead.length > 0) this.#look = clock.after(lookMs, () => this.#tick());
  }
}

/**
 * The members that register rather than we: those before us in the operator's list. Where only partners are named, a mere backup comes
 * after its primaries, and of two that are each other's backup the lower address is first (as with the homes of gateways).
 */
export function membersAhead(cluster: Cluster, self: ControllerAddress): readonly ControllerAddress[] {
  const { order, backups, backupFor } = cluster;
  const isSelf = ({ host, port }: ControllerAddress): boolean => host === self.host && port === self.port;
  if (order !== undefined) {
    // Our own entry may be a wildcard: it is the one that is no partner's.
    const partners = new Set([...backups, ...backupFor].map(formatSocketAddress));
    const at = order.findIndex((each) => !partners.has(formatSocketAddress(each)));
    return order.slice(0, Math.max(0, at));
  }
  const named = new Set(backups.map(addressKey));
  return partnersOf({ backups: [], backupFor }).filter((partner) => {
    if (isSelf(partner)) return false;
    return !named.has(addressKey(partner)) || addressKey(partner) < addressKey(self);
  });
}

/** A dead member's registration is somebody else's within this time after it is known to be dead. */
const lookMs = 250;

const askMs = 1_000;
