/**
 * Who of the members is to serve a home, by what they said last and by the order of its alternates: who serves it now, who stands in
 * for its owner first, who of two that serve the same keeps it.
 */
import { addressKey, type ControllerAddress } from '../signaling/controller-address.ts';
import type { Unit } from './hand-over.ts';
import type { Member, Members } from './members.ts';

export interface PrecedenceParts {
  readonly members: () => Members;
  self(): ControllerAddress;
  /** The role's addresses of all members, ourselves included, in the order of the operator's list; undefined where there is none. */
  readonly order?: readonly ControllerAddress[] | undefined;
  /** Our own named alternates, best first. */
  readonly alternates: readonly ControllerAddress[];
  /** Do the gateways hear from the old owner who the new one is? */
  readonly tellsGateways: boolean;
}

export class Precedence {
  readonly #parts: PrecedenceParts;

  constructor(parts: PrecedenceParts) {
    this.#parts = parts;
  }

  /** Other members that say they serve the unit, also those that do not hear us. */
  others({ home, gateway }: Unit): readonly Member[] {
    return this.#parts
      .members()
      .all()
      .filter(
        (member) =>
          speaks(member) && (member.serves.has(home) || (gateway !== undefined && member.guests.has(gateway))),
      );
  }

  /** Who of two that serve the same keeps it. The one that does not hear the other cannot give way, so the other does. */
  wins({ home }: Unit, other: Member): boolean {
    if (other.isDeaf) return false;
    const self = addressKey(this.#parts.self());
    if (home === self) return true;
    if (home === other.key) return false;
    const order = this.#alternatesOf(home);
    return placeIn(order, self) <= placeIn(order, other.key);
  }

  /** Who serves the home, so that its gateways can go there. */
  serverOf(home: string): Member | undefined {
    const members = this.#parts.members();
    const server = members.all().find((member) => isLiving(member) && member.serves.has(home));
    if (server !== undefined || members.hasLink) return server;
    // Without a link nobody says so; where gateways can be told, the living owner is as good.
    const owner = members.byKey(home);
    return this.#parts.tellsGateways && owner !== undefined && isLiving(owner) ? owner : undefined;
  }

  /** Named alternates as the owner said, else the operator's list, else all by address. */
  #alternatesOf(home: string): readonly string[] {
    const members = this.#parts.members();
    const self = addressKey(this.#parts.self());
    const said = home === self ? this.#parts.alternates.map(addressKey) : (members.byKey(home)?.alternates ?? []);
    const listed = this.#parts.order?.map(addressKey) ?? [];
    const all = [self, ...members.all().map(({ key }) => key)].sort();
    return [...new Set([...said, ...listed, ...all])].filter((key) => key !== home);
  }

  isFirst(home: string): boolean {
    return this.heirOf(home) === undefined;
  }

  /** The first living alternate before us; undefined: that is us. */
  heirOf(home: string): Member | undefined {
    const self = addressKey(this.#parts.self());
    const members = this.#parts.members();
    for (const key of this.#alternatesOf(home)) {
      if (key === self) return undefined;
      const member = members.byKey(key);
      if (member !== undefined && isLiving(member)) return member;
    }
    return undefined;
  }

  /** Who is to have the unit, where that is known. */
  targetOf({ home }: Unit, isDraining: boolean): ControllerAddress | undefined {
    const server = this.serverOf(home);
    if (server !== undefined) return server.address;
    const owner = this.#parts.members().byKey(home);
    if (owner !== undefined && isLiving(owner)) return owner.address;
    return isDraining ? this.heirOf(home)?.address : undefined;
  }
}

export const isLiving = ({ state }: Member): boolean =>
  state === 'alive' || state === 'returning' || state === 'suspect';

/** Its word reaches us now, whether it hears us or not. */
export const speaks = (member: Member): boolean => isLiving(member) || member.isDeaf;

/** It would hear that something was handed to it. */
export const isReachable = ({ state, isLinked }: Member): boolean =>
  state === 'alive' || state === 'returning' || !isLinked;

const placeIn = (order: readonly string[], key: string): number => {
  const at = order.indexOf(key);
  return at < 0 ? order.length : at;
};
