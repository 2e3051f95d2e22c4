/**
 * AddressResolver: where a message goes. Two sources: what the message itself names (with the alternates of its path attribute),
 * or the location service. Names become addresses by the protocol's own DNS procedure. The same resolver serves every protocol.
 */

import type { Contact, LocationService } from '../location-service.ts';
import type { Result } from '../result.ts';
import { ok } from '../result.ts';
import { type ControllerAddress, isIpLiteral, sameAddress } from './controller-address.ts';

/** A hop as a message or an operator names it: host may be a name, transport and port may be left to DNS. */
export interface NamedHop {
  readonly host: string;
  readonly port?: number | undefined;
  readonly transport?: ControllerAddress['transport'] | undefined;
  /** Only a transport that keeps the promise of a secure scheme will do. */
  readonly secure?: boolean | undefined;
}

export interface NameFailure {
  readonly name: string;
  readonly reason: 'notFound' | 'temporary' | 'unsupported';
  readonly detail: string;
}

export type Resolution = Result<readonly ControllerAddress[], NameFailure>;

/** The protocol's procedure from a name to addresses in order of preference (SIP: RFC 3263; gateways: A and AAAA with TTL). */
export interface NameResolver {
  /** The addresses if no question must be asked (literals, cache), else undefined. */
  now(hop: NamedHop): Resolution | undefined;
  resolve(hop: NamedHop): Promise<Resolution>;
}

export class AddressResolver {
  readonly #locations: LocationService;
  readonly #names: NameResolver;

  constructor(locations: LocationService, names: NameResolver) {
    this.#locations = locations;
    this.#names = names;
  }

  /** The location service's word on a record. */
  contacts(record: string): readonly Contact[] {
    return this.#locations.lookup(record);
  }

  /**
   * The addresses of a hop followed by those of its alternates, none twice. `done` is called at once where nothing must be asked,
   * which is the common case; a name that cannot be resolved is left out while another address remains.
   */
  resolve(hop: NamedHop, alternates: readonly NamedHop[], done: (resolution: Resolution) => void): void {
    if (alternates.length === 0) {
      const known = this.#names.now(hop);
      if (known !== undefined) {
        done(known);
        return;
      }
    }
    const hops = [hop, ...alternates];
    const known = hops.map((each) => this.#names.now(each));
    if (known.every((each) => each !== undefined)) {
      done(merge(known));
      return;
    }
    Promise.all(hops.map((each, index) => known[index] ?? this.#names.resolve(each))).then(
      (resolutions) => done(merge(resolutions)),
      (error: unknown) => done({ ok: false, error: { name: hop.host, reason: 'temporary', detail: String(error) } }),
    );
  }
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

/** For hops that are literals already. */
export const literalHop = (hop: NamedHop, defaultPort: number): ControllerAddress | undefined =>
  isIpLiteral(hop.host)
    ? { transport: hop.transport ?? 'udp', host: hop.host, port: hop.port ?? defaultPort }
    : undefined;
