/** Users and trunks of the SIP side, for the one answer of where a number leads. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type Contact,
  type DialledNumbers,
  type DiallingPlan,
  type Directory,
  type ExplainedPlace,
  type LocationService,
  systemRandom,
} from '../../../src/internal.ts';
import type { SipConfig } from '../config.ts';
import { hopName, type Trunk } from './trunk.ts';
import { Trunks } from './trunks.ts';

export type DirectoryConfig = Pick<SipConfig, 'domains' | 'auth' | 'trunks' | 'routes' | 'defaultRoute'>;

export class SipDirectory implements Directory {
  readonly protocol = 'sip';
  readonly #config: DirectoryConfig;
  readonly #trunks: Trunks;
  readonly #users: ReadonlySet<string>;
  /** A number of each first digit and length that somebody registered: more a digit map does not tell apart. */
  readonly #groups = new Map<string, string>();
  version = 1;

  constructor(config: DirectoryConfig, trunks: Trunks) {
    this.#config = config;
    this.#trunks = trunks;
    this.#users = new Set(config.auth.users.map(({ user }) => user));
  }

  isOwn(record: string): boolean {
    const at = record.lastIndexOf('@');
    return at >= 0 && this.#config.domains.includes(record.slice(at + 1));
  }

  recordsOf(number: string): readonly string[] {
    return this.#config.domains.map((domain) => `${number}@${domain}`);
  }

  knows(number: string): boolean {
    return this.#users.has(number) || this.recordsOf(number).some((record) => this.#users.has(record));
  }

  trunksOf(number: string): readonly Contact[] {
    return this.#trunks.for(number).map((trunk) => this.#contact(trunk, number));
  }

  dialled(): DialledNumbers {
    const users = [...this.#users].map((user) => user.replace(/@.*$/, '')).filter((user) => dialable.test(user));
    return {
      numbers: [...users, ...this.#groups.values()],
      prefixes: [...new Set(this.#trunks.all.flatMap(({ config }) => config.prefixes))],
    };
  }

  /** Somebody has registered under this record: its number can be dialled from lines. */
  note(record: string): void {
    const first = record.charCodeAt(0);
    if (first < 48 || first > 57) return;
    const at = record.lastIndexOf('@');
    const number = at < 0 ? record : record.slice(0, at);
    const group = `${number[0]}${number.length}`;
    if (this.#groups.has(group) || !dialable.test(number)) return;
    this.#groups.set(group, number);
    this.version += 1;
  }

  explain(number: string): readonly ExplainedPlace[] {
    const { plan, all } = this.#trunks;
    const isEmergency = plan.isEmergency(number);
    const taking = this.#trunks.for(number);
    const passedOver = (trunk: Trunk): string | undefined => {
      if (taking.includes(trunk)) {
        const { limit, state } = trunk;
        if (limit !== undefined && !isEmergency && limit.size >= limit.max) return `all ${limit.max} calls are in use`;
        return state === 'down' ? 'its hops do not answer: tried last' : undefined;
      }
      if (isEmergency) return 'it takes no emergency calls (emergency: false)';
      return `none of its prefixes (${trunk.config.prefixes.join(', ')}) takes the number`;
    };
    const others = all.filter((trunk) => !taking.includes(trunk));
    const trunks = [...taking, ...others].map(
      (trunk): ExplainedPlace => ({
        kind: 'trunk',
        name: trunk.name,
        sent: taking.includes(trunk) ? trunk.requestUri(number, plan) : undefined,
        hops: trunk.hops.map(({ name, state }) => ({ address: name, state })),
        passedOver: passedOver(trunk),
      }),
    );
    return [...trunks, ...this.#routes(number)];
  }

  refuses(number: string, from: string): string | undefined {
    const { auth, domains } = this.#config;
    if (this.#trunks.plan.isEmergency(number)) return undefined;
    if (!/^sips?:/i.test(from)) return undefined;
    const host = /@\[?([^\];:?>]+)/.exec(from)?.[1]?.toLowerCase() ?? '';
    const isUser = domains.includes(host);
    if (!auth.invite) return 'auth.invite is off: trunks take calls from lines and from the sources in trust only';
    return isUser ? undefined : 'a stranger reaches registered users only (auth.invite)';
  }

  #contact(trunk: Trunk, number: string): Contact {
    return {
      protocol: 'sip',
      target: trunk.requestUri(number, this.#trunks.plan),
      key: `trunk ${trunk.name}`,
      trunk: trunk.name,
      path: [],
      alternates: [],
      expiresMs: Number.POSITIVE_INFINITY,
      q: 1_000,
      updatedMs: 0,
    };
  }

  #routes(number: string): readonly ExplainedPlace[] {
    const { routes, defaultRoute } = this.#config;
    const found = routes.filter(
      ({ prefix, domain }) => domain === undefined && prefix !== undefined && number.startsWith(prefix),
    );
    const place = (name: string, to: SipConfig['routes'][number]['to']): ExplainedPlace => ({
      kind: 'route',
      name,
      hops: to.map((hop) => ({ address: hopName(hop), state: 'unknown' })),
    });
    return [
      ...found
        .sort((a, b) => (b.prefix?.length ?? 0) - (a.prefix?.length ?? 0))
        .map(({ prefix, to }) => place(`prefix ${prefix}`, to)),
      ...(defaultRoute === undefined ? [] : [place('defaultRoute', defaultRoute)]),
    ];
  }
}

/** As the configuration has it: nothing is known of how hops are. */
export const sipDirectory = (config: SipConfig, plan: DiallingPlan): SipDirectory =>
  new SipDirectory(config, new Trunks(config.trunks, plan, systemRandom));

/** The location service with an ear for who registers. */
export const noting = (locations: LocationService, directory: SipDirectory): LocationService => ({
  open: () => locations.open(),
  lookup: (record) => locations.lookup(record),
  save(record, contacts, registration) {
    if (contacts.length > 0) directory.note(record);
    return locations.save(record, contacts, registration);
  },
  ask: (record) => locations.ask?.(record),
  records: () => locations.records(),
  get size() {
    return locations.size;
  },
  close: () => locations.close(),
});

/** The names of all records, one after the other. */
export function* recordsOf(locations: LocationService): Generator<string> {
  for (const [record] of locations.records()) yield record;
}

/** A large store comes into memory while it is served from: who is in it is noted then, some at a time. */
export async function noteStored(locations: LocationService, directory: SipDirectory): Promise<void> {
  await locations.loaded;
  let seen = 0;
  for (const record of recordsOf(locations)) {
    directory.note(record);
    seen += 1;
    if (seen % recordsPerTurn === 0) await nextTurn();
  }
}

/** A millisecond or two of work. */
const recordsPerTurn = 1_000;

const dialable = /^[0-9]{1,15}$/;
