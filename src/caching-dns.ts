/**
 * DNS with a memory. Answers are kept for their TTL, absence for a short while, and one question at a time is asked per name and type.
 * While no server answers, what expired within the last hour is given again (RFC 8767 §5): calls go on.
 */
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Clock } from './clock.ts';
import type { DnsAnswer, DnsClient, NaptrRecord, SrvRecord } from './dns.ts';

/** What is asked of node:dns; tests pass their own. Each rejects with the codes of node:dns. */
export interface DnsResolver {
  resolveNaptr(name: string): Promise<readonly NaptrRecord[]>;
  resolveSrv(name: string): Promise<readonly { priority: number; weight: number; port: number; name: string }[]>;
  resolve4(name: string, options: { ttl: true }): Promise<readonly { address: string; ttl: number }[]>;
  resolve6(name: string, options: { ttl: true }): Promise<readonly { address: string; ttl: number }[]>;
  /** The machine's own table of names (/etc/hosts, and what else it is set up to ask). */
  hosts(name: string, family: 4 | 6): Promise<readonly string[]>;
}

export function createDns(clock: Clock, resolver: DnsResolver = systemResolver()): DnsClient {
  const naptr = new DnsCache<NaptrRecord>(clock);
  const srv = new DnsCache<SrvRecord>(clock);
  const a = new DnsCache<string>(clock);
  const aaaa = new DnsCache<string>(clock);
  return {
    naptr: (name) => naptr.ask(name, async () => ({ records: await resolver.resolveNaptr(name), ttlMs: assumedTtlMs })),
    srv: (name) =>
      srv.ask(name, async () => {
        const found = await resolver.resolveSrv(name);
        const records = found.map(({ priority, weight, port, name: target }) => ({ priority, weight, port, target }));
        return { records, ttlMs: assumedTtlMs };
      }),
    a: (name) => addresses(name, 4),
    aaaa: (name) => addresses(name, 6),
  };

  function addresses(name: string, family: 4 | 6): Promise<DnsAnswer<string>> {
    const literal = isIP(name);
    if (literal !== 0) return Promise.resolve({ records: literal === family ? [name] : [], ttlMs: maxTtlMs });
    return (family === 4 ? a : aaaa).ask(name, () => resolveAddresses(clock, resolver, name, family));
  }
}

/** node:dns, asking these servers (`ip` or `ip:port`) or, without any, those of the system. */
export function systemResolver(servers: readonly string[] = []): DnsResolver {
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  if (servers.length > 0) resolver.setServers(servers);
  return {
    resolveNaptr: (name) => resolver.resolveNaptr(name),
    resolveSrv: (name) => resolver.resolveSrv(name),
    resolve4: (name, options) => resolver.resolve4(name, options),
    resolve6: (name, options) => resolver.resolve6(name, options),
    async hosts(name, family) {
      const found = await lookup(name, { family, all: true });
      return found.map(({ address }) => address);
    },
  };
}

/** DNS, then the machine's own table where DNS has no such address or does not answer. */
async function resolveAddresses(
  clock: Clock,
  resolver: DnsResolver,
  name: string,
  family: 4 | 6,
): Promise<DnsAnswer<string>> {
  let failure: unknown;
  try {
    const found = await (family === 4
      ? resolver.resolve4(name, { ttl: true })
      : resolver.resolve6(name, { ttl: true }));
    if (found.length > 0) {
      const ttlMs = Math.min(...found.map(({ ttl }) => ttl)) * 1_000;
      return { records: found.map(({ address }) => address), ttlMs };
    }
  } catch (error) {
    if (!isAbsence(error)) failure = error;
  }
  const local = await within<readonly string[]>(clock, hostsLimitMs, resolver.hosts(name, family), []).catch(() => []);
  if (local.length === 0 && failure !== undefined) throw failure;
  return { records: local, ttlMs: assumedTtlMs };
}

/** One type of record. */
class DnsCache<T> {
  readonly #clock: Clock;
  /** In order of use: the first one goes first. */
  readonly #entries = new Map<string, Entry<T>>();
  readonly #asking = new Map<string, Promise<DnsAnswer<T>>>();
  /** Questions that no server answered, and until when they are not asked again. */
  readonly #failed = new Map<string, { readonly untilMs: number; readonly error: unknown }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async ask(name: string, question: () => Promise<DnsAnswer<T>>): Promise<DnsAnswer<T>> {
    const key = name.toLowerCase().replace(/\.$/, '');
    const now = this.#clock.now();
    const entry = this.#entries.get(key);
    if (entry !== undefined) remember(this.#entries, key, entry);
    if (entry !== undefined && now < entry.goodUntilMs)
      return { records: entry.records, ttlMs: entry.goodUntilMs - now };
    const stale =
      entry !== undefined && entry.records.length > 0 && now < entry.goodUntilMs + staleMs
        ? { records: entry.records, ttlMs: staleTtlMs }
        : undefined;
    const failed = this.#failed.get(key);
    if (failed !== undefined && now < failed.untilMs) {
      if (stale !== undefined) return stale;
      throw failed.error;
    }
    const answer = this.#resolve(key, question);
    if (stale === undefined) return answer;
    const answerOrStale = answer.catch(() => stale);
    return within(this.#clock, staleAfterMs, answerOrStale, stale);
  }

  #resolve(key: string, question: () => Promise<DnsAnswer<T>>): Promise<DnsAnswer<T>> {
    const asking = this.#asking.get(key);
    if (asking !== undefined) return asking;
    if (this.#asking.size >= maxAsking) return Promise.reject(new Error('too many DNS questions at a time'));
    const answer = this.#keep(key, question).finally(() => this.#asking.delete(key));
    this.#asking.set(key, answer);
    return answer;
  }

  async #keep(key: string, question: () => Promise<DnsAnswer<T>>): Promise<DnsAnswer<T>> {
    const answer = await question().catch((error: unknown): DnsAnswer<T> => {
      if (isAbsence(error)) return { records: [], ttlMs: absenceTtlMs };
      remember(this.#failed, key, { untilMs: this.#clock.now() + failureMs, error });
      throw error;
    });
    const records = answer.records.slice(0, maxRecords);
    const ttlMs = records.length === 0 ? absenceTtlMs : Math.min(Math.max(answer.ttlMs, minTtlMs), maxTtlMs);
    this.#failed.delete(key);
    remember(this.#entries, key, { records, goodUntilMs: this.#clock.now() + ttlMs });
    return { records, ttlMs };
  }
}

interface Entry<T> {
  readonly records: readonly T[];
  /** Until then the answer is good; for staleMs after it, it is better than none. */
  readonly goodUntilMs: number;
}

/** As the newest of a bounded number. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= maxEntries) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

/** What the promise settles to, or `otherwise` if that takes too long. */
function within<T>(clock: Clock, ms: number, promise: Promise<T>, otherwise: T): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => resolve(otherwise));
    promise.then(resolve, reject).finally(cancel);
  });
}

/** The name or the type does not exist, or the name is none that can be asked for: an answer, not a failure. */
const isAbsence = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && absences.has(String(error.code));

const absences: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME', 'ENONAME']);

/** Per type of record. */
const maxEntries = 4_096;

/** Questions under way, per type; more are refused as a temporary failure. */
const maxAsking = 512;

/** Nobody needs more alternatives than this for one name. */
const maxRecords = 64;

/** node:dns tells no TTL of NAPTR, SRV and the machine's own table. */
const assumedTtlMs = 60_000;

const minTtlMs = 1_000;
const maxTtlMs = 3_600_000;

/** RFC 2308 §5 takes it from the SOA record, which node:dns does not show: short, since a name may be about to appear. */
const absenceTtlMs = 10_000;

/** A question that failed is not repeated for every message (RFC 2308 §7.1 allows up to five minutes). */
const failureMs = 2_000;

/** RFC 8767 §4 and §5: how long after its end an answer may stand in, how long a fresh one is waited for first, and what TTL it gets. */
const staleMs = 3_600_000;
const staleAfterMs = 500;
const staleTtlMs = 30_000;

/** The system's look-up asks DNS itself and may take many seconds where no server answers. */
const hostsLimitMs = 1_000;
