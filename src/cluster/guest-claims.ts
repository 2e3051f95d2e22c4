/** Since when which member says that a gateway is its guest. */
import type { Member } from './members.ts';
import { speaks } from './precedence.ts';

export class GuestClaims {
  /** By member, those that were heard when we looked last; undefined: claimed already when we heard the member first. */
  #claims: ReadonlyMap<string, ReadonlyMap<string, number | undefined>> = new Map();

  /** What the members say now. */
  note(members: readonly Member[], nowMs: number): void {
    const before = this.#claims;
    const claims = new Map<string, ReadonlyMap<string, number | undefined>>();
    for (const member of members) {
      if (!speaks(member)) continue;
      const said = before.get(member.key);
      const sinceMs = (gateway: string): number | undefined =>
        said === undefined ? undefined : said.has(gateway) ? said.get(gateway) : nowMs;
      claims.set(member.key, new Map([...member.guests].map((gateway) => [gateway, sinceMs(gateway)])));
    }
    this.#claims = claims;
  }

  /** Undefined where that cannot be known. */
  sinceMs(gateway: string, { key }: Member): number | undefined {
    return this.#claims.get(key)?.get(gateway);
  }
}
