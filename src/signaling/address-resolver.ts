/**
 * AddressResolver: where a message goes, one for all roles of a process. Two sources: what the message itself names (with the alternates of
 * its path attribute), or the location service. Names become addresses by the procedure of the protocol.
 */
import { DiallingPlan, plainNumber } from '../calls/dialling-plan.ts';
import type { Clock } from '../clock.ts';
import type { DnsClient } from '../dns.ts';
import type { Contact, LocationService } from '../location-service.ts';
import { ok } from '../result.ts';
import { AddressNames } from './address-names.ts';
import { type ControllerAddress, sameAddress } from './controller-address.ts';
import type { Directory } from './directory.ts';
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
  readonly locations: Pick<LocationService, 'lookup' | 'ask' | 'isBeingRead'>;
  /** What the operator says of his country's numbers. */
  readonly plan?: DiallingPlan | undefined;
}

export class AddressResolver implements NextHops {
  readonly #locations: Pick<LocationService, 'lookup' | 'ask' | 'isBeingRead'>;
  readonly #addresses: AddressNames;
  /** What forms a number has. */
  readonly plan: DiallingPlan;
  readonly #directories: Directory[] = [];

  constructor({ clock, dns, locations, plan = new DiallingPlan() }: AddressResolverParts) {
    this.plan = plan;
    this.#locations = locations;
    this.#addresses = new AddressNames(dns, clock);
  }

  /** A protocol joins in with the users and trunks that numbers may lead to. */
  join(directory: Directory): void {
    this.#directories.push(directory);
  }

  get directories(): readonly Directory[] {
    return this.#directories;
  }

  /**
   * Where a number or an address of record (`user@domain`) leads: to the contacts of whatever protocol, else to the trunks that take such
   * numbers, best first. An emergency number leads to the trunks first.
   */
  locate(identity: string): readonly Contact[] {
    const contacts = this.contactsOf(identity);
    const number = numberOf(identity);
    if (this.plan.isEmergency(number)) return [...this.trunksOf(number), ...contacts];
    return contacts.length > 0 || this.isUser(number) ? contacts : this.trunksOf(number);
  }

  /** Has a user this number, registered or not? Then no trunk has it. */
  isUser(number: string): boolean {
    const forms = this.plan.forms(number);
    return this.#directories.some((directory) => forms.some((form) => directory.knows(form)));
  }

  /**
   * Who is where: lines and users, no trunks. Looked up as it is written and, where nobody is found so, in its normal form, then in every
   * other form that the number has.
   */
  contactsOf(identity: string): readonly Contact[] {
    const contacts = this.#locations.lookup(identity);
    if (contacts.length > 0) return contacts;
    const normal = normalIdentity(identity);
    const found = normal === identity ? contacts : this.#locations.lookup(normal);
    if (found.length > 0 || (this.#directories.length === 0 && !this.plan.knowsCountry)) return found;
    return this.#byNumber(normal);
  }

  /** This process has just begun: who is where it knows in part only. */
  get isBeginning(): boolean {
    return this.#locations.isBeingRead === true;
  }

  /**
   * Nobody was found: the store of the location service is asked for every form that `contactsOf` looks for. False: it cannot tell.
   * undefined: there is nobody to ask.
   */
  ask(identity: string): Promise<boolean> | undefined {
    const locations = this.#locations;
    if (locations.ask === undefined) return undefined;
    const normal = normalIdentity(identity);
    const records = new Set([identity, normal, ...this.#recordsOfNumber(normal)]);
    const answers = [...records].flatMap((record) => locations.ask?.(record) ?? []);
    return answers.length === 0 ? undefined : Promise.all(answers).then((each) => each.every((isSure) => isSure));
  }

  /** The trunks that take this number, best first. */
  trunksOf(number: string): readonly Contact[] {
    return this.#directories.flatMap((directory) => directory.trunksOf(number));
  }

  /** What numbers may be dialled beside those of lines, as alternatives of a digit map. */
  dialled(): { readonly numbers: readonly string[]; readonly alternatives: readonly string[] } {
    const all = this.#directories.map((directory) => directory.dialled());
    const prefixes = all.flatMap(({ prefixes }) => prefixes);
    return {
      numbers: all.flatMap(({ numbers }) => numbers),
      alternatives: [...new Set(prefixes.flatMap((prefix) => this.plan.alternatives(prefix)))],
    };
  }

  /** Changes with that. */
  get dialledVersion(): number {
    return this.#directories.reduce((sum, { version }) => sum + version, this.#directories.length);
  }

  #byNumber(identity: string): readonly Contact[] {
    for (const record of this.#recordsOfNumber(identity)) {
      const contacts = this.#locations.lookup(record);
      if (contacts.length > 0) return contacts;
    }
    return none;
  }

  /** A number is a line's or a user's, in whatever form; in front of a domain the user's of that domain first. */
  #recordsOfNumber(identity: string): readonly string[] {
    const number = numberOf(identity);
    if (plainNumber(number) === undefined) return none;
    const domain = identity.slice(number.length);
    const forms = this.plan.forms(number);
    const records: string[] = domain === '' ? [] : forms.map((form) => form + domain);
    if (domain === '' || this.#directories.some((directory) => directory.isOwn(identity))) {
      records.push(...forms);
      for (const directory of this.#directories) records.push(...forms.flatMap((form) => directory.recordsOf(form)));
    }
    return records;
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

/** What stands before the domain. */
function numberOf(identity: string): string {
  const at = identity.lastIndexOf('@');
  return at < 0 ? identity : identity.slice(0, at);
}

const none: readonly never[] = [];

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
