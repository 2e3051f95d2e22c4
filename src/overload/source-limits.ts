/**
 * What one source may send: so many messages a second. Beyond that its new work is dropped; a source that goes on is banned for a while,
 * and every time for longer, unless it is served: whose calls and registrations succeed loses what is too much and no more, so that a large
 * SBC which nobody has configured is not shut out. Who is known (members, configured hops, trunks, gateways) and calls for help are never
 * dropped, nor is what belongs to something under way, within bounds.
 *
 * What a ban cannot know: behind one address may be many (NAT), and the sender of a datagram can be made up. Hence it takes away new
 * work alone, ends by itself, is shown, and can be lifted. IPv6 sources count by their /64: that much everybody has.
 */
import type { Cancel, Clock } from '../clock.ts';
import { type IpNetwork, networkHolds } from '../config/ip-network.ts';
import type { Logger } from '../log.ts';
import { limitedEvent, logEvent } from '../log-events.ts';
import type { Counter, Metrics } from '../metrics.ts';
import type { Flow } from '../network.ts';
import { RateLimitedLog } from '../rate-limited-log.ts';
import { sourceKey } from './source-key.ts';

export interface SourceSettings {
  /** Messages a second; 0: no limit. */
  readonly perSecond: number;
  /** The first ban; each further one of the same source takes twice as long, up to a day. */
  readonly banSeconds: number;
  /** Never limited. */
  readonly exempt: readonly IpNetwork[];
}

/** What a role knows of messages that no one has decoded yet. */
export interface Screen {
  /** Is the other end of this flow known: a member, a configured hop, a trunk, a gateway? */
  knows(flow: Flow): boolean;
  /** Has anything that the other end asked for succeeded lately? */
  serves?(flow: Flow): boolean;
  /** `urgent`: a call for help. `open`: a response, or a request of something under way. `junk`: no message of this protocol. */
  rank(bytes: Buffer): 'urgent' | 'open' | 'new' | 'junk';
  /** Under overload: was the message refused, or dropped as the end of one that was? Then nobody reads it. */
  turnsAway?(bytes: Buffer, flow: Flow): boolean;
}

export interface Ban {
  readonly source: string;
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly because: 'rate' | 'operator';
  /** How often it was banned. */
  readonly times: number;
  /** Messages that were dropped. */
  readonly dropped: number;
}

export interface SourceLimitsParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly settings: SourceSettings;
  readonly maxBans?: number | undefined;
}

export class SourceLimits {
  readonly #parts: SourceLimitsParts;
  readonly #reports: RateLimitedLog;
  readonly #droppedCount: Counter;
  readonly #bans = new Map<string, Banned>();
  /** Of this second, by host as flows name it; those of one /64 share an entry. */
  readonly #sources = new Map<string, Source>();
  /** Seconds in which a source was beyond its limit, lately. */
  readonly #strikes = new Map<string, number>();
  /** How often sources were banned that are not now; the oldest is forgotten first. */
  readonly #former = new Map<string, number>();
  #seconds = 0;
  #cancel: Cancel | undefined;

  constructor(parts: SourceLimitsParts) {
    this.#parts = parts;
    this.#reports = new RateLimitedLog(parts.log, parts.clock);
    this.#droppedCount = parts.metrics.counter(
      'sources_dropped_total',
      'Messages of sources beyond their limit, or banned, that were dropped',
    );
    parts.metrics.gauge('sources_banned', 'Sources that are banned just now', () => this.#bans.size);
  }

  start(): void {
    if (this.#cancel === undefined) this.#nextSecond();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#reports.close();
  }

  /** May this message be read? Nearly always: one look into a map. */
  passes(bytes: Buffer, flow: Flow, screen: Screen | undefined): boolean {
    const { host } = flow.remote;
    const source = this.#sources.get(host) ?? this.#begin(host);
    if (source === undefined) return true;
    source.messages += 1;
    if (source.messages <= this.#limit && source.ban === undefined) return true;
    return (source.isExempt && source.ban?.because !== 'operator') || this.#judge(source, bytes, flow, screen);
  }

  ban(host: string, seconds: number): Ban {
    const key = sourceKey(host);
    const banned = this.#ban(key, seconds * 1_000, 'operator');
    return { ...banned, source: key };
  }

  /** False: it was not banned. */
  lift(host: string): boolean {
    const key = sourceKey(host);
    const ban = this.#bans.get(key);
    if (ban === undefined) return false;
    this.#end(key);
    this.#strikes.delete(key);
    logEvent(this.#parts.log, 'banLifted', { source: key, dropped: ban.dropped });
    return true;
  }

  /** Those that last longest first. */
  list(): readonly Ban[] {
    return [...this.#bans].map(([source, ban]) => ({ ...ban, source })).sort((a, b) => b.untilMs - a.untilMs);
  }

  get #limit(): number {
    const { perSecond } = this.#parts.settings;
    return perSecond === 0 ? Number.POSITIVE_INFINITY : perSecond;
  }

  #begin(host: string): Source | undefined {
    const key = sourceKey(host);
    // So many sources within a second are made up: what each of them sends is little.
    const isFull = this.#sources.size >= maxSources;
    if (isFull && !this.#bans.has(key)) return undefined;
    let source = key === host ? undefined : this.#sources.get(key);
    if (source === undefined) {
      const isExempt = this.#parts.settings.exempt.some((network) => networkHolds(network, host));
      source = { key, messages: 0, open: 0, junk: 0, isExempt, isStruck: false, ban: this.#bans.get(key) };
      if (isFull) return source;
      if (key !== host) this.#sources.set(key, source);
    }
    this.#sources.set(host, source);
    return source;
  }

  #judge(source: Source, bytes: Buffer, flow: Flow, screen: Screen | undefined): boolean {
    if (source.ban?.because !== 'operator' && screen?.knows(flow) === true) {
      source.isExempt = true;
      return true;
    }
    const rank = screen?.rank(bytes) ?? 'new';
    if (rank === 'urgent') return true;
    if (rank === 'open' && source.open < this.#openLimit) {
      source.open += 1;
      return true;
    }
    this.#droppedCount.add();
    if (rank === 'junk') source.junk += 1;
    if (source.ban === undefined)
      this.#strike(source, flow, source.junk < this.#limit / 2 && screen?.serves?.(flow) === true);
    else source.ban.dropped += 1;
    // What a connection brings has no sender that could be made up.
    if (source.ban !== undefined && flow.reliable && rank !== 'open') flow.close();
    return false;
  }

  /** What is under way sends some messages a second, never a flood. */
  get #openLimit(): number {
    return Math.max(openPerSecond, this.#parts.settings.perSecond / 4);
  }

  #strike(source: Source, { transport }: Flow, isServed: boolean): void {
    if (source.isStruck || (isServed && source.isSpared)) return;
    const { key } = source;
    source.isSpared = isServed;
    source.isStruck = !isServed;
    const strikes = (this.#strikes.get(key) ?? 0) + (isServed ? 0 : 1);
    if (strikes < strikesToBan) {
      if (this.#strikes.size < maxSources || this.#strikes.has(key)) this.#strikes.set(key, strikes);
      limitedEvent(this.#reports, 'sourceLimited', key, () => ({
        source: key,
        transport,
        perSecond: this.#parts.settings.perSecond,
      }));
      return;
    }
    this.#strikes.delete(key);
    const times = this.#former.get(key) ?? 0;
    const forMs = Math.min(longestBanMs, this.#parts.settings.banSeconds * 1_000 * 2 ** Math.min(times, 20));
    source.ban = this.#ban(key, forMs, 'rate');
  }

  #ban(key: string, forMs: number, because: Ban['because']): Banned {
    const now = this.#parts.clock.now();
    const times = Math.max(this.#former.get(key) ?? 0, this.#bans.get(key)?.times ?? 0) + 1;
    if (this.#bans.size >= (this.#parts.maxBans ?? maxBans) && !this.#bans.has(key)) {
      const [oldest] = this.#bans.keys();
      if (oldest !== undefined) this.#end(oldest);
    }
    const ban: Banned = { sinceMs: now, untilMs: now + forMs, because, times, dropped: 0 };
    this.#bans.set(key, ban);
    for (const source of this.#sources.values()) if (source.key === key) source.ban = ban;
    limitedEvent(this.#reports, 'sourceBanned', key, () => ({ source: key, because, forMs: Math.round(forMs), times }));
    return ban;
  }

  #end(key: string): void {
    const ban = this.#bans.get(key);
    if (ban === undefined) return;
    this.#bans.delete(key);
    if (this.#former.size >= maxFormer) {
      const [oldest] = this.#former.keys();
      if (oldest !== undefined) this.#former.delete(oldest);
    }
    this.#former.delete(key);
    this.#former.set(key, ban.times);
    for (const source of this.#sources.values()) if (source.key === key) source.ban = undefined;
  }

  #nextSecond(): void {
    this.#cancel = this.#parts.clock.after(1_000, () => {
      this.#seconds += 1;
      this.#sources.clear();
      if (this.#seconds % strikeWindowSeconds === 0) this.#strikes.clear();
      const now = this.#parts.clock.now();
      for (const [key, { untilMs }] of this.#bans) if (untilMs <= now) this.#end(key);
      this.#nextSecond();
    });
  }
}

interface Source {
  readonly key: string;
  messages: number;
  /** Messages of what is under way that passed beyond the limit. */
  open: number;
  isExempt: boolean;
  /** Messages beyond the limit that were none. */
  junk: number;
  isStruck: boolean;
  /** It was beyond its limit in this second, and is served. */
  isSpared?: boolean;
  ban: Banned | undefined;
}

interface Banned {
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly because: Ban['because'];
  readonly times: number;
  dropped: number;
}

/** Within one second, and of which strikes are remembered. */
const maxSources = 65_536;
const maxBans = 10_000;
const maxFormer = 10_000;

/** So many seconds beyond the limit within the window. */
const strikesToBan = 3;
const strikeWindowSeconds = 10;

const openPerSecond = 50;

const longestBanMs = 86_400_000;
