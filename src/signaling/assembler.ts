/**
 * Assembler: what every message of ours says about our backups. It holds the path attribute per local address; the adapter
 * knows where on its wire the attribute sits.
 */

import type { Cluster } from '../cluster.ts';
import { addressKey, type ControllerAddress, isSecure, type SocketAddress } from './controller-address.ts';
import { type PathAttribute, pathAttribute } from './path-attribute.ts';

export class Assembler {
  readonly #cluster: Cluster;
  readonly #paths = new Map<string, PathAttribute | undefined>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /**
   * The attribute of a message that leaves from `self`: ourselves, then our backups; undefined where we have none.
   * Always the same object for the same address, so that its wire text can be kept beside it.
   */
  pathFrom(self: ControllerAddress): PathAttribute | undefined {
    const key = addressKey(self);
    const known = this.#paths.get(key);
    if (known !== undefined || this.#paths.has(key)) return known;
    const path = pathAttribute(self, alternatesFor(self, this.#cluster.backups));
    this.#paths.set(key, path);
    return path;
  }

  /**
   * In the place of `primary`: ourselves, then our own backups, then the primary, which may come back. Members that are known to be
   * dead come last; we are never among them.
   */
  takeoverPath(
    self: ControllerAddress,
    primary: ControllerAddress,
    isDead: (member: ControllerAddress) => boolean = () => false,
  ): PathAttribute | undefined {
    const members = [...this.#cluster.backups, primary];
    const ordered = [...members.filter((member) => !isDead(member)), ...members.filter(isDead)];
    return pathAttribute(self, alternatesFor(self, ordered));
  }

  /** The member we name as our backup, if `address` is one. */
  backup(address: SocketAddress): ControllerAddress | undefined {
    return this.#cluster.backups.find((backup) => backup.host === address.host && backup.port === address.port);
  }

  /** The other member that `address` is, if it is one. */
  member(address: SocketAddress): ControllerAddress | undefined {
    return this.partner(address) ?? this.backup(address);
  }

  /** The partner we may stand in for, if `address` is one. */
  partner(address: SocketAddress): ControllerAddress | undefined {
    return this.#cluster.backupFor.find((partner) => partner.host === address.host && partner.port === address.port);
  }
}

/** Those of the sender's own transport where there are any; never a weaker one than the message came by. */
function alternatesFor(
  self: ControllerAddress,
  controllers: readonly ControllerAddress[],
): readonly ControllerAddress[] {
  const same = controllers.filter(({ transport }) => transport === self.transport);
  if (same.length > 0) return same;
  return isSecure(self.transport) ? controllers.filter(({ transport }) => isSecure(transport)) : controllers;
}
