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
import type { Metrics } from '../../metrics.ts';
import type { Random } from '../../random.ts';
import { ContactTable, sweepBudget, sweepEveryMs } from '../contact-table.ts';
import { defaultMaxRecords, locationFull } from '../memory.ts';
import { encodeContact, encodeTombstone } from './contact-value.ts';
import type { FeedEntry } from './feed.ts';
import { Lane, promptMs } from './lane.ts';
import { loadAll } from './loader.ts';
import { Mirror } from './mirror.ts';
import { afterPatience } from './patience.ts';
import type { Removal } from './pending-writes.ts';
import { recentFirst, sameContact } from './rewriting.ts';
import type { Servers } from './servers.ts';
import { shardOf } from './shards.ts';
import { StoreAsks } from './store-asks.ts';
import { type Connector, StoreRefusal } from './store-connection.ts';
import { unfitness } from './store-fitness.ts';
import { StoreLink } from './store-link.ts';
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
  #state: 'closed' | 'open' = 'closed';
  #sweep: Cancel | undefined;
  /** How far the calendar was ahead of our clock when we last looked. */
  #aheadMs = 0;
  #reading: Promise<void> = Promise.resolve();
  #refusal: StoreRefusal | undefined;
  #isReading = false;
  #readAgain = false;

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
      isKnown: (record) => this.#table.held(record).length > 0,
      learn: (record, held) => this.#mirror.replace(record, held),
    });
    const member = random.hex(6);
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
    await Promise.race([patience, this.#reading]);
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
    let isChanged = false;
    const note = (key: string, removal: Removal | undefined): void => {
      isChanged = true;
      this.#mirror.changed(record, key);
      lane.note(record, key, removal);
    };
    for (const contact of contacts) {
      const former = before.find(({ key }) => key === contact.key);
      if (former === undefined || !sameContact(former, contact)) note(contact.key, undefined);
    }
    const atMs = this.#clock.now();
    for (const { key, callId, cseq } of before)
      if (!contacts.some((contact) => contact.key === key)) note(key, { callId, cseq, ...registration, atMs });
    if (!isChanged) return Promise.resolve();
    const waits = this.#options.ack !== 'memory' && lane.isPrompt;
    const answer = waits ? this.#answer(lane, record, registration) : Promise.resolve();
    lane.pump();
    return answer;
  }

  get isBeingRead(): boolean {
    return this.#isReading;
  }

  ask(record: string): Promise<void> | undefined {
    if (this.#state === 'closed' || !this.#laneOf(record).isReachable) return undefined;
    this.#report.asked.add();
    return this.#asks.ask(record);
  }

  records(): Iterable<readonly [record: string, contacts: readonly Contact[]]> {
    return this.#table.records(this.#clock.now());
  }

  status(): Readonly<Record<string, unknown>> {
    return { ...this.#report.status(), ...(this.#isReading ? { reading: true } : {}) };
  }

  /** What is under way gets a last moment. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#sweep?.();
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(closeMs, resolve);
      void Promise.all(this.#lanes.map((lane) => (lane.isReachable ? lane.writer.finished() : undefined))).then(() => {
        cancel();
        resolve();
      });
    });
    for (const lane of this.#lanes) lane.stop();
    this.#link.close();
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
      maxPending,
      textOf: (record, key, removal) => this.#textOf(record, key, removal),
      all: () => recentFirst(this.#table, this.#clock, (record) => shards.includes(shardOf(record))),
      apply: ({ record, key, value }) => this.#mirror.apply(record, key, value),
      heard: (entry) => this.#heard(entry),
      restore: (record, keys, held) => this.#mirror.restore(record, keys, held),
      read: () => this.#read(),
      away: (error) => {
        this.#refusal = error instanceof StoreRefusal && error.isAboutUs ? error : undefined;
        report.away(index, error instanceof Error ? error.message : String(error));
      },
      back: () => report.back(index),
      lost: () => report.lost(),
      stored: (contacts) => {
        if (contacts > 0) report.commits.add();
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

  /** Settles when the store has it, or when nobody may be kept waiting any longer. */
  #answer(lane: Lane, record: string, registration: Registration | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = afterPatience(this.#clock, promptMs, () => {
        lane.tooSlow();
        resolve();
      });
      lane.writer.writes.await(record, registration?.maxContacts ?? 0, (outcome) => {
        cancel();
        if (outcome === 'older' || outcome === 'crowded') reject(new LocationConflictError(outcome));
        else if (outcome === 'failed') reject(new LocationError('the location store cannot take the record'));
        else resolve();
      });
    });
  }

  /** One reading at a time; who asks for one while it goes on gets another. */
  #read(): void {
    this.#readAgain = true;
    if (this.#isReading) return;
    this.#isReading = true;
    this.#reading = this.#readAll().finally(() => {
      this.#isReading = false;
    });
  }

  async #readAll(): Promise<void> {
    while (this.#readAgain && this.#state === 'open') {
      this.#readAgain = false;
      const lanes = this.#lanes.filter((lane) => lane.unread.size > 0 && lane.isReachable);
      const shards = new Set(lanes.flatMap((lane) => [...lane.unread]));
      for (const lane of lanes) lane.unread.clear();
      const startedMs = this.#clock.now();
      this.#mirror.beginReading();
      try {
        const records = await loadAll(this.#link.connected().keys(), (record, held) =>
          this.#mirror.replace(record, held),
        );
        const same = await Promise.all(lanes.map((lane) => lane.isSame()));
        if (same.includes(false)) throw new Error('the store was replaced meanwhile');
        this.#mirror.endReading((record) => shards.has(shardOf(record)) && !this.#laneOf(record).writer.isRewriting);
        this.#report.read(records, this.#clock.now() - startedMs);
      } catch {
        // The lane finds out what is wrong with the store; whatever that is, all of it is read when it is back.
        this.#mirror.abandonReading();
        for (const lane of lanes) lane.mustRead(shards);
      }
    }
  }

  #sweepLater(): void {
    this.#sweep = this.#clock.after(sweepEveryMs(this.#table.size), () => {
      this.#table.sweep(this.#clock.now(), sweepBudget(this.#table.size));
      this.#heedCalendar();
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
    this.#options.log.warn({ stepMs }, 'the calendar of this machine was set');
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
