/**
 * The location service of several hosts: answers from memory, which is kept as the store is by its change feed, and writes to Redis or
 * Valkey. A save is acknowledged when the store has it (`ack: store`), and then every other member is being told of it.
 *
 * A store that is away holds up nothing: memory goes on serving and accepting, what was not written is kept, and brought to the store when
 * it is back; one that comes back empty or without its last changes gets all that is known here.
 */
import type { Cancel, Clock } from '../../clock.ts';
import { LocationConflictError, LocationError } from '../../errors.ts';
import type { Contact, LocationService, Registration } from '../../location-service.ts';
import type { Logger } from '../../log.ts';
import { logEvent } from '../../log-events.ts';
import type { Metrics } from '../../metrics.ts';
import type { Random } from '../../random.ts';
import { ContactTable, sweepBudget, sweepEveryMs } from '../contact-table.ts';
import { isSameContact } from '../contact-text.ts';
import { defaultMaxRecords, locationFull } from '../memory.ts';
import { decodeValue, encodeContact, encodeTombstone } from './contact-value.ts';
import type { FeedEntry } from './feed.ts';
import type { JournalEntry, WriteJournal } from './journal.ts';
import { Lane, promptMs } from './lane.ts';
import { Mirror } from './mirror.ts';
import { afterPatience } from './patience.ts';
import type { Removal } from './pending-writes.ts';
import { recentFirst } from './rewriting.ts';
import type { Servers } from './servers.ts';
import { shardOf } from './shards.ts';
import { StoreAsks } from './store-asks.ts';
import { type Connector, StoreRefusal } from './store-connection.ts';
import { unfitness } from './store-fitness.ts';
import { StoreLink } from './store-link.ts';
import { StoreReader } from './store-reader.ts';
import { StoreReport } from './store-report.ts';

export interface RedisLocationOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: Random;
  readonly servers: Servers;
  readonly connect: Connector;
  /** As the log and the status may show it. */
  readonly name: string;
  /** What a save waits for: the store, or memory alone. */
  readonly ack?: 'store' | 'memory' | undefined;
  /** Where what was acknowledged without the store outlives this process. */
  readonly journal?: WriteJournal | undefined;
  readonly maxRecords?: number | undefined;
  readonly maxOctets?: number | undefined;
}

export class RedisLocations implements LocationService {
  readonly #options: RedisLocationOptions;
  readonly #clock: Clock;
  readonly #table: ContactTable;
  readonly #mirror: Mirror;
  readonly #link: StoreLink;
  readonly #lanes: readonly Lane[];
  readonly #laneOfShard: readonly Lane[];
  readonly #report: StoreReport;
  readonly #asks: StoreAsks;
  readonly #reader: StoreReader;
  /** What the other members know this one by. */
  #name: string;
  #state: 'closed' | 'open' = 'closed';
  /** All of the store was read once: until then memory lacks what others wrote before we began. */
  #isRead = false;
  #sweep: Cancel | undefined;
  /** How far the calendar was ahead of our clock when we last looked. */
  #aheadMs = 0;
  #refusal: StoreRefusal | undefined;

  constructor(options: RedisLocationOptions) {
    const { clock, servers, connect, random } = options;
    this.#options = options;
    this.#clock = clock;
    const maxRecords = options.maxRecords ?? defaultMaxRecords;
    this.#table = new ContactTable(maxRecords, options.maxOctets);
    this.#aheadMs = Math.round(clock.wallNow() - clock.now());
    this.#mirror = new Mirror({
      clock,
      table: this.#table,
      aheadMs: () => this.#aheadMs,
      unreadable: () => this.#report.unreadable.add(),
      isPending: (record, key) => this.#laneOf(record).writer.writes.isPending(record, key),
      isRewritten: (record) => this.#laneOf(record).writer.isRewriting,
    });
    this.#report = new StoreReport({
      ...options,
      store: options.name,
      waiting: () => this.#lanes.reduce((sum, { writer }) => sum + writer.writes.size, 0),
      waitingOctets: () => this.#lanes.reduce((sum, { writer }) => sum + writer.writes.octets, 0),
    });
    this.#link = new StoreLink(servers, connect);
    this.#asks = new StoreAsks({
      clock,
      send: (shard, words) => this.#link.send(shard, words),
      laneOf: (record) => this.#laneOf(record),
      isKnown: (record) => this.#table.held(record).length > 0,
      learn: (record, held) => this.#mirror.replace(record, held),
    });
    this.#reader = new StoreReader({
      clock,
      link: this.#link,
      mirror: this.#mirror,
      lanes: () => this.#lanes,
      laneOf: (record) => this.#laneOf(record),
      isOpen: () => this.#state === 'open',
      done: (records, ms) => {
        this.#isRead ||= this.#lanes.every(({ unread }) => unread.size === 0);
        this.#report.read(records, ms);
      },
    });
    const member = random.hex(6);
    this.#name = member;
    this.#lanes = servers.feeds.map((shards, index) => this.#makeLane(index, shards, member, maxRecords));
    const byShard: Lane[] = [];
    for (const [index, lane] of this.#lanes.entries())
      for (const shard of servers.feeds[index] ?? []) byShard[shard] = lane;
    this.#laneOfShard = byShard;
  }

  get size(): number {
    return this.#table.size;
  }

  /**
   * Waits for what the store holds, but not for long: it is read on while telephones are served already. A store that is away is no reason
   * not to serve them. @throws LocationError where it refuses us for who we are.
   */
  async open(): Promise<void> {
    if (this.#state === 'open') return;
    this.#reviveJournal();
    this.#name = this.#options.journal?.name(this.#options.random) ?? this.#name;
    this.#state = 'open';
    this.#sweepLater();
    await Promise.all(this.#lanes.map((lane) => lane.start()));
    const refusal = this.#refusal;
    if (refusal !== undefined) {
      await this.close();
      throw new LocationError(`the location store ${this.#options.name} refuses this user: ${refusal.message}`);
    }
    void this.#lookAtSettings();
    const patience = new Promise<void>((resolve) => void this.#clock.after(openMs, resolve));
    await Promise.race([patience, this.#reader.finished()]);
  }

  lookup(record: string): readonly Contact[] {
    return this.#table.live(record, this.#clock.now());
  }

  save(record: string, contacts: readonly Contact[], registration?: Registration): Promise<void> {
    if (this.#state === 'closed') return Promise.reject(new LocationError('the location service is closed'));
    if (!this.#table.hasRoomFor(record, contacts)) return Promise.reject(locationFull());
    const lane = this.#laneOf(record);
    const before = this.#table.held(record);
    this.#table.set(record, contacts);
    const changed: string[] = [];
    const note = (key: string, removal: Removal | undefined): void => {
      changed.push(key);
      this.#mirror.changed(record, key);
      lane.note(record, key, removal);
    };
    for (const contact of contacts) {
      const former = before.find(({ key }) => key === contact.key);
      if (former === undefined || !isSameContact(former, contact)) note(contact.key, undefined);
    }
    const atMs = this.#clock.now();
    const removals = new Map<string, Removal>();
    for (const { key, callId, cseq, expiresMs } of before) {
      if (expiresMs <= atMs || contacts.some((contact) => contact.key === key)) continue;
      // By its own telephone the removal is later than the contact; by anybody else it is for the contact as it is known here.
      const isOwn = registration !== undefined && registration.callId === callId;
      const removal = { callId, cseq: isOwn ? registration.cseq : cseq, atMs };
      removals.set(key, removal);
      note(key, removal);
    }
    if (changed.length === 0) return Promise.resolve();
    const keep = (): void => this.#keep(record, changed, removals);
    const waits = this.#options.ack !== 'memory' && lane.isPrompt;
    const answer = waits ? this.#answer(lane, record, registration, keep) : undefined;
    if (!waits) keep();
    lane.pump();
    return answer ?? this.#acknowledged(lane);
  }

  get isBeingRead(): boolean {
    return !this.#isRead || this.#reader.isReading;
  }

  ask(record: string): Promise<boolean> {
    if (this.#state === 'closed' || !this.#laneOf(record).isReachable) return Promise.resolve(false);
    this.#report.asked.add();
    return this.#asks.ask(record);
  }

  records(): Iterable<readonly [record: string, contacts: readonly Contact[]]> {
    return this.#table.records(this.#clock.now());
  }

  status(): Readonly<Record<string, unknown>> {
    const waitsFor = Math.max(...this.#lanes.map(({ debts }) => debts.doubted));
    return {
      ...this.#report.status(),
      ...(this.#reader.isReading ? { reading: true } : {}),
      ...(waitsFor > 0 ? { waitsForMembers: waitsFor } : {}),
    };
  }

  /** What is under way gets a last moment. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#sweep?.();
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(closeMs, resolve);
      void Promise.all(this.#lanes.map((lane) => this.#finish(lane))).then(() => {
        cancel();
        resolve();
      });
    });
    for (const lane of this.#lanes) lane.stop();
    if (this.#lanes.every(({ writer }) => writer.isDone)) this.#options.journal?.clear();
    this.#options.journal?.close();
    this.#link.close();
  }

  async #finish(lane: Lane): Promise<void> {
    if (!lane.isReachable) return;
    await lane.writer.finished();
    await lane.leave();
  }

  #laneOf(record: string): Lane {
    const lane = this.#laneOfShard[shardOf(record)];
    if (lane === undefined) throw new TypeError('every shard has a lane');
    return lane;
  }

  #makeLane(index: number, shards: readonly number[], member: string, maxPending: number): Lane {
    const report = this.#report;
    return new Lane({
      ...this.#options,
      link: this.#link,
      shards,
      member,
      name: () => this.#name,
      hasJournal: this.#options.journal !== undefined,
      maxPending,
      textOf: (record, key, removal) => this.#textOf(record, key, removal),
      all: () => recentFirst(this.#table, this.#clock, (record) => shards.includes(shardOf(record))),
      apply: ({ record, key, value }) => this.#mirror.apply(record, key, value),
      heard: (entry) => this.#heard(entry),
      restore: (record, keys, held) => this.#mirror.restore(record, keys, held),
      read: () => this.#reader.read(),
      away: (error) => {
        this.#refusal = error instanceof StoreRefusal && error.isAboutUs ? error : undefined;
        report.away(index, error instanceof Error ? error.message : String(error));
      },
      back: () => report.back(index),
      lost: () => report.lost(),
      stored: (record, keys) => {
        report.commits.add();
        // Where the store is being read, it may have been read before.
        for (const key of keys) this.#mirror.changed(record, key);
      },
      refused: (outcome) => report.refused(outcome),
      unwritable: (reason) => report.unwritable(reason),
      dropped: (removals) => report.dropped.add(removals),
      unreadable: () => report.unreadable.add(),
    });
  }

  #heard({ id, record }: FeedEntry): void {
    this.#report.shown(id);
    this.#asks.overtake(record);
  }

  #textOf(record: string, key: string, removal: Removal | undefined): string | undefined {
    const nowMs = this.#clock.now();
    const contact = this.#table.live(record, nowMs).find((each) => each.key === key);
    if (contact !== undefined) return encodeContact(contact, this.#aheadMs);
    return removal === undefined ? undefined : encodeTombstone(removal, nowMs, this.#aheadMs);
  }

  /**
   * Without the store, whose answer is not waited for. Where it can be reached, what is sent to it is on its way by then: whoever asks it next
   * finds the registration, or hears that we owe.
   */
  #acknowledged(lane: Lane): Promise<void> {
    if (this.#options.ack === 'memory' || !lane.isReachable) return Promise.resolve();
    return new Promise((resolve) => void this.#clock.after(0, resolve));
  }

  /** Settles when the store has it, or when nobody may be kept waiting any longer. */
  #answer(lane: Lane, record: string, registration: Registration | undefined, keep: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = afterPatience(this.#clock, promptMs, () => {
        lane.tooSlow();
        keep();
        resolve();
      });
      lane.writer.writes.await(record, registration?.maxContacts ?? 0, (outcome) => {
        cancel();
        if (outcome === 'older' || outcome === 'crowded') reject(new LocationConflictError(outcome));
        else if (outcome === 'failed') reject(new LocationError('the location store cannot take the record'));
        else {
          if (outcome === 'kept') keep();
          resolve();
        }
      });
    });
  }

  /** It is acknowledged without the store. */
  #keep(record: string, keys: readonly string[], removals: ReadonlyMap<string, Removal>): void {
    const { journal, ack } = this.#options;
    if (journal === undefined || ack === 'memory') return;
    const entries = keys.map((key): JournalEntry => [record, key, this.#textOf(record, key, removals.get(key)) ?? '']);
    journal.append(entries);
  }

  /** What an earlier life acknowledged and the store may not have. */
  #reviveJournal(): void {
    const nowMs = this.#clock.now();
    const last = new Map<string, JournalEntry>();
    for (const entry of this.#options.journal?.open() ?? []) last.set(`${entry[0]}\n${entry[1]}`, entry);
    for (const [record, key, value] of last.values()) {
      const stored = decodeValue(value, key, nowMs, this.#aheadMs);
      if (stored.kind === 'unknown') continue;
      this.#mirror.apply(record, key, value);
      this.#laneOf(record).note(record, key, stored.kind === 'removed' ? stored : undefined);
    }
  }

  #sweepLater(): void {
    this.#sweep = this.#clock.after(sweepEveryMs(this.#table.size), () => {
      this.#table.sweep(this.#clock.now(), sweepBudget(this.#table.size));
      this.#heedCalendar();
      if (this.#lanes.every((lane) => lane.isReachable && lane.writer.isDone)) this.#options.journal?.clear();
      if (this.#state === 'open') this.#sweepLater();
    });
  }

  /** Whoever reads our times by another calendar misreads them: where ours was set, they are written anew. */
  #heedCalendar(): void {
    const aheadMs = Math.round(this.#clock.wallNow() - this.#clock.now());
    const stepMs = aheadMs - this.#aheadMs;
    if (Math.abs(stepMs) < driftMs) return;
    this.#aheadMs = aheadMs;
    if (Math.abs(stepMs) < calendarStepMs) return;
    logEvent(this.#options.log, 'calendarSet', { stepMs });
    for (const lane of this.#lanes) lane.rewrite();
  }

  async #lookAtSettings(): Promise<void> {
    const [connection] = this.#link.connected().keys();
    if (connection === undefined) return;
    const found = await unfitness(connection, this.#clock).catch(() => undefined);
    if (found === undefined) return;
    this.#report.skewMs = found.skewMs;
    for (const reason of found.reasons) this.#report.unfit(reason);
  }
}

/** A start waits so long for what the store holds. */
const openMs = 1_000;

/** So long the last writes may take at the end. */
const closeMs = 1_000;

/** The calendar runs a little apart from our clock all the time (NTP slews); from the second on it was set. */
const driftMs = 250;
const calendarStepMs = 2_000;
