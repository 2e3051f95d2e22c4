/**
 * Assembler: everything that leaves a role passes here. It decides what a message says about our backups, by one rule for every protocol;
 * the adapter knows where on its wire that sits.
 */

import type { Cluster } from '../cluster.ts';
import type { Flow } from '../network.ts';
import { addressKey, type ControllerAddress, isSecure, type SocketAddress, sameAddress } from './controller-address.ts';
import { type PathAttribute, pathAttribute } from './path-attribute.ts';
import type { DecodeFailure, ProtocolAdapter } from './protocol-adapter.ts';

export interface AssemblerParts<M> {
  readonly adapter: Pick<ProtocolAdapter<M>, 'encode' | 'probe'>;
  readonly cluster: Pick<Cluster, 'backups' | 'backupFor'>;
  /** What we call ourselves in what leaves over this flow. */
  addressOf(flow: Flow): ControllerAddress;
  /** Is this member known to be dead? Absent: nobody is. */
  isDead?(member: ControllerAddress): boolean;
}

export class Assembler<M> {
  readonly #parts: AssemblerParts<M>;
  /** Everybody whom we may name, each once. */
  readonly #members: readonly ControllerAddress[];
  /** By sender, home, and which members are dead: few of each. */
  readonly #paths = new Map<string, PathAttribute | undefined>();
  /** What was asked for last: most messages leave by one socket. */
  #latest:
    | { readonly self: ControllerAddress; readonly state: number; readonly path: PathAttribute | undefined }
    | undefined;

  constructor(parts: AssemblerParts<M>) {
    this.#parts = parts;
    const { backups, backupFor } = parts.cluster;
    this.#members = [...backups, ...backupFor].filter(
      (member, index, all) => all.findIndex((other) => sameAddress(other, member)) === index,
    );
  }

  /** The octets of a message for this flow. `home`: the member in whose place it is sent; absent: we speak for ourselves. */
  octets(message: M, flow: Flow, home?: ControllerAddress): Uint8Array {
    return this.#parts.adapter.encode(message, this.path(this.addressOf(flow), home));
  }

  /** The octets of a question whether `to` lives; its answer is known by `id`. */
  probe(to: ControllerAddress, flow: Flow, id: string, home?: ControllerAddress): Uint8Array {
    return this.octets(this.#parts.adapter.probe(to, this.addressOf(flow), id), flow, home);
  }

  /** The octets of the answer that is owed to what could not be read; undefined: none is. */
  answer({ answer }: DecodeFailure, flow: Flow): Uint8Array | undefined {
    return answer?.(this.path(this.addressOf(flow)));
  }

  addressOf(flow: Flow): ControllerAddress {
    return this.#parts.addressOf(flow);
  }

  /**
   * The attribute of what leaves from `self`: our own backups in the order configured, then the member that we stand in for, which may come
   * back. Members known to be dead go last, we are never among them; undefined where nobody remains. For the same address, home and
   * state of the members always the same object, so that its wire text can be kept beside it.
   */
  path(self: ControllerAddress, home?: ControllerAddress): PathAttribute | undefined {
    const { state } = this;
    if (home !== undefined) return this.#pathOf(state, self, home);
    const latest = this.#latest;
    if (latest?.self === self && latest.state === state) return latest.path;
    const path = this.#pathOf(state, self, undefined);
    this.#latest = { self, state, path };
    return path;
  }

  #pathOf(state: number, self: ControllerAddress, home: ControllerAddress | undefined): PathAttribute | undefined {
    const key = `${state} ${addressKey(self)}${home === undefined ? '' : ` ${addressKey(home)}`}`;
    const known = this.#paths.get(key);
    if (known !== undefined || this.#paths.has(key)) return known;
    if (this.#paths.size >= maxPaths) this.#paths.clear();
    const { backups } = this.#parts.cluster;
    const named = home === undefined ? backups : [...backups, home];
    const isDead = (member: ControllerAddress) => this.#parts.isDead?.(member) === true;
    const ordered = [...named.filter((member) => !isDead(member)), ...named.filter(isDead)];
    const path = pathAttribute(self, alternatesFor(self, ordered));
    this.#paths.set(key, path);
    return path;
  }

  /** Which members are dead now, one bit each: while it is the same, so is every path. */
  get state(): number {
    const { isDead } = this.#parts;
    // One alternate has no order.
    if (isDead === undefined || this.#members.length < 2) return 0;
    let state = 0;
    for (const member of this.#members) state = state * 2 + (isDead(member) ? 1 : 0);
    return state;
  }

  /** The member we name as our backup, if `address` is one. */
  backup(address: SocketAddress): ControllerAddress | undefined {
    return this.#parts.cluster.backups.find(({ host, port }) => host === address.host && port === address.port);
  }

  /** The other member that `address` is, if it is one. */
  member(address: SocketAddress): ControllerAddress | undefined {
    return this.partner(address) ?? this.backup(address);
  }

  /** The partner we may stand in for, if `address` is one. */
  partner(address: SocketAddress): ControllerAddress | undefined {
    return this.#parts.cluster.backupFor.find(({ host, port }) => host === address.host && port === address.port);
  }
}

const maxPaths = 1_024;

/** Those of the sender's own transport where there are any; never a weaker one than the message came by. */
function alternatesFor(
  self: ControllerAddress,
  controllers: readonly ControllerAddress[],
): readonly ControllerAddress[] {
  const same = controllers.filter(({ transport }) => transport === self.transport);
  if (same.length > 0) return same;
  return isSecure(self.transport) ? controllers.filter(({ transport }) => isSecure(transport)) : controllers;
}
