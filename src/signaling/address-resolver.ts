/**
 * AddressResolver: where a message goes, one for all roles of a process. Two sources: what the message itself names (with the alternates of
 * its path attribute), or the location service. Names become addresses by the procedure of the protocol.
 */
import type { Clock } from '../clock.ts';
import type { DnsClient } from '../dns.ts';
import type { Contact, LocationService } from '../location-service.ts';
import { ok } from '../result.ts';
import { AddressNames } from './address-names.ts';
import { type ControllerAddress, sameAddress } from './controller-address.ts';
import type { NamedHop, NameResolver, Resolution } from './name-resolver.ts';

/** Next hops of one protocol. */
export interface NextHops {
  /**
   * The addresses of a hop followed by those of its alternates, none twice. `done` is called at once where nothing must be asked,
   * which is the common case; a name that cannot be resolved is left out while another address remains.
   */
  resolve(hop: NamedHop, alternates: readonly NamedHop[], done: (resolution: Resolution) => void): void;
}

export interface AddressResolverParts {
  readonly clock: Clock;
  readonly dns: DnsClient;
  readonly locations: Pick<LocationService, 'lookup'>;
}

export class AddressResolver implements NextHops {
  readonly #locations: Pick<LocationService, 'lookup'>;
  readonly #addresses: AddressNames;

  constructor({ clock, dns, locations }: AddressResolverParts) {
    this.#locations = locations;
    this.#addresses = new AddressNames(dns, clock);
  }

  /**
   * Who is where: the contacts of a number or an address of record (`user@domain`), of whatever protocol. Looked up as it is written
   * and, where nobody is found so, in its normal form.
   */
  locate(identity: string): readonly Contact[] {
    const contacts = this.#locations.lookup(identity);
    if (contacts.length > 0) return contacts;
    const normal = normalIdentity(identity);
    return normal === identity ? contacts : this.#locations.lookup(normal);
  }

  /** Next hops of a protocol that has a name procedure of its own. */
  using(procedure: NameResolver): NextHops {
    return { resolve: (hop, alternates, done) => resolveBy(procedure, hop, alternates, done) };
  }

  /** By A and AAAA records, the procedure of gateways. */
  resolve(hop: NamedHop, alternates: readonly NamedHop[], done: (resolution: Resolution) => void): void {
    resolveBy(this.#addresses, hop, alternates, done);
  }

  /** How long what A and AAAA records last said of this name is good; 0 where nothing was. */
  ttlMs(host: string): number {
    return this.#addresses.ttlMs(host);
  }
}

/**
 * The normal form of an identity: a number without visual separators (RFC 3966 §5.1.1), a domain in lower case without a final dot
 * (RFC 4343). The text itself where there is nothing to do.
 */
export function normalIdentity(identity: string): string {
  const at = identity.lastIndexOf('@');
  if (at < 0) return plainNumber(identity) ?? identity;
  const user = identity.slice(0, at);
  return `${plainNumber(user) ?? user}@${identity
    .slice(at + 1)
    .toLowerCase()
    .replace(/\.$/, '')}`;
}

/** A number without visual separators: `+49(30)-12.3` is `+4930123`; undefined for what is no number. */
export function plainNumber(text: string): string | undefined {
  const digits = text.replace(/[-.()]/g, '');
  return /^\+?[0-9A-Fa-f*#]+$/.test(digits) ? digits : undefined;
}

function resolveBy(
  names: NameResolver,
  hop: NamedHop,
  alternates: readonly NamedHop[],
  done: (resolution: Resolution) => void,
): void {
  if (alternates.length === 0) {
    const known = names.now(hop);
    if (known !== undefined) {
      done(known);
      return;
    }
  }
  const hops = [hop, ...alternates];
  const known = hops.map((each) => names.now(each));
  if (known.every((each) => each !== undefined)) {
    done(merge(known));
    return;
  }
  Promise.all(hops.map((each, index) => known[index] ?? names.resolve(each))).then(
    (resolutions) => done(merge(resolutions)),
    (error: unknown) => done({ ok: false, error: { name: hop.host, reason: 'temporary', detail: String(error) } }),
  );
}

function merge(resolutions: readonly Resolution[]): Resolution {
  const addresses: ControllerAddress[] = [];
  for (const resolution of resolutions) {
    if (!resolution.ok) continue;
    for (const address of resolution.value)
      if (!addresses.some((other) => sameAddress(other, address))) addresses.push(address);
  }
  const [first] = resolutions;
  return addresses.length === 0 && first !== undefined ? first : ok(addresses);
}
