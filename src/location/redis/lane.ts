/**
 * Some shards that come and go together: all of them where one server has the store, each by itself in a Cluster. A lane finds out whether
 * the store is what it was, reads the feed, lets the writer write, and says when the store is away and back.
 *
 *     away ── found, looked through ──► trying ── the first write is taken, or none waits ──► ready
 *       ▲                                  │                                                    │
 *       └───────────── no answer, a refusal that concerns the whole store ──────────────────────┘
 */
import type { Cancel, Clock } from '../../clock.ts';
import type { Random } from '../../random.ts';
import { Debts } from './debts.ts';
import { Feed, type FeedEntry } from './feed.ts';
import type { Removal, Write } from './pending-writes.ts';
import { examineShard, none, type ShardState } from './shard-state.ts';
import { epochKey, membersKey, shardOf } from './shards.ts';
import { StoreLost, StoreRefusal } from './store-connection.ts';
import type { StoreLink } from './store-link.ts';
import { otherDataSet, StoreWriter, type WriterParts } from './store-writer.ts';

export interface LaneParts
  extends Pick<WriterParts, 'maxPending' | 'member' | 'textOf' | 'restore' | 'refused' | 'unwritable' | 'dropped'> {
  readonly clock: Clock;
  readonly random: Random;
  readonly link: StoreLink;
  readonly shards: readonly number[];
  /** What this member is called in all its lives, and whether what it owes outlives it. */
  readonly name: () => string;
  readonly hasJournal: boolean;
  readonly all: WriterParts['all'];
  readonly apply: (entry: FeedEntry) => void;
  /** All that the store holds has to be read. */
  readonly read: () => void;
  readonly away: (error: unknown) => void;
  readonly back: () => void;
  readonly lost: () => void;
  /** The store has these changes. */
  readonly stored: (record: string, keys: Iterable<string>) => void;
  readonly unreadable: () => void;
  /** The feed shows a change, of whomever. */
  readonly heard: (entry: FeedEntry) => void;
}

export class Lane {
  /** Shards whose records have to be read: at the beginning all of them. */
  readonly unread: Set<number>;
  readonly writer: StoreWriter;
  readonly debts: Debts;
  readonly #parts: LaneParts;
  readonly #states: ReadonlyMap<number, ShardState>;
  readonly #positions = new Map<number, string>();
  readonly #timers = new Map<'retry' | 'look', Cancel>();
  #phase: 'away' | 'trying' | 'ready' | 'stopped' = 'away';
  #isSlow = false;
  #feed: Feed | undefined;
  /** Until then others may not know yet that the data set is new, and that they have to write what they know. */
  #youngUntilMs = 0;
  #failures = 0;
  /** Counts the times that it was found or lost; what began before is not heeded. */
  #round = 0;

  constructor(parts: LaneParts) {
    this.#parts = parts;
    this.unread = new Set(parts.shards);
    this.#states = new Map(
      parts.shards.map((shard) => [shard, { epoch: undefined, position: none, written: none, isOurs: false }]),
    );
    this.writer = new StoreWriter({
      ...parts,
      send: (shard, words) => parts.link.send(shard, words),
      limit: () => (this.#phase === 'ready' ? maxUnderWay : this.#phase === 'trying' ? 1 : 0),
      epochOf: (shard) => this.#states.get(shard)?.epoch,
      answered: (write, id, ms) => this.#answered(write, id, ms),
      // Where the store is looked for already, this is news of before.
      failed: (error) => {
        if (this.isReachable) this.#fail(error, this.#round);
      },
      moved: () => this.#moved(),
    });
    const [first = 0] = parts.shards;
    this.debts = new Debts({
      ...parts,
      key: membersKey(first),
      life: parts.member,
      send: (words) => parts.link.send(first, words),
      owes: () => this.#phase !== 'ready' || this.#isSlow || this.#isYoung || this.writer.owes,
    });
  }

  /** May somebody be registered whom the store does not have? */
  get isUnsure(): boolean {
    return !this.isReachable || this.#isYoung || this.debts.hasDoubt;
  }

  /** The data set was begun a moment ago. */
  get #isYoung(): boolean {
    return this.#parts.clock.now() < this.#youngUntilMs;
  }

  /** Can be asked. */
  get isReachable(): boolean {
    return this.#phase === 'trying' || this.#phase === 'ready';
  }

  /** Will store what it is given in a moment. */
  get isPrompt(): boolean {
    return this.#phase === 'ready' && !this.#isSlow;
  }

  /** Looks for the store; settles when it was found or not. */
  start(): Promise<void> {
    return this.#find();
  }

  stop(): void {
    this.#phase = 'stopped';
    this.#round += 1;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#feed?.stop();
    this.writer.stop();
  }

  /** A contact of ours was saved or removed. */
  note(record: string, key: string, removal: Removal | undefined): void {
    this.writer.note(record, key, removal, this.#phase !== 'ready');
  }

  /** Nobody waits any longer for the answer to the last write. */
  tooSlow(): void {
    if (this.#isSlow || this.#phase !== 'ready') return;
    this.#isSlow = true;
    this.debts.heed();
    this.#parts.away(new StoreLost(`slow: a write took more than ${promptMs} ms`));
  }

  /** Sends what waits. */
  pump(): void {
    this.writer.pump();
  }

  /** What was to be read could not be. */
  mustRead(shards: ReadonlySet<number>): void {
    for (const shard of this.#parts.shards) if (shards.has(shard)) this.unread.add(shard);
    if (!this.isReachable) return;
    // The store is there: it was replaced under the reader's hands, or is busy.
    this.#fail(new StoreLost('it could not be read'), this.#round);
  }

  /** All of ours is written once more. */
  rewrite(): void {
    this.writer.rewrite();
    this.pump();
  }

  /** At the end: nobody waits for us, unless something is left to be written. */
  async leave(): Promise<void> {
    if (this.isReachable && this.writer.isDone) await this.debts.leave().catch(() => {});
  }

  /** Is this the name of the shard's data set? */
  isNamed(shard: number, epoch: unknown): boolean {
    return this.#states.get(shard)?.epoch === epoch;
  }

  /** Is every shard the same data set still? */
  async isSame(): Promise<boolean> {
    const { link } = this.#parts;
    const states = [...this.#states];
    const epochs = await Promise.all(states.map(([shard]) => link.send(shard, ['GET', epochKey(shard)])));
    return states.every(([, { epoch }], index) => epoch === epochs[index]);
  }

  async #find(): Promise<void> {
    const { shards, link } = this.#parts;
    const [first = 0] = shards;
    this.#round += 1;
    const round = this.#round;
    try {
      await link.reach(first);
      await Promise.all(shards.map((shard) => link.reach(shard)));
      await this.#examine();
      await this.debts.found();
      const connection = await link.openFeed(first);
      if (this.#round !== round) {
        connection.close();
        return;
      }
      this.#feed?.stop();
      this.#feed = new Feed({
        connection,
        shards,
        positions: this.#positions,
        take: (entry) => this.#take(entry),
        unreadable: () => this.#parts.unreadable(),
        ended: (error) => this.#fail(error, round),
        behind: () => this.#lookAgain(round),
      });
      this.#phase = 'trying';
      if (this.unread.size > 0) this.#parts.read();
      this.#look(round);
      this.pump();
    } catch (error) {
      this.#fail(error, round);
    }
  }

  /** Is it what it was? What it has lost is written again. */
  async #examine(): Promise<void> {
    const { random, link, clock, lost } = this.#parts;
    let hasChanged = false;
    let isLost = false;
    const examined = await Promise.allSettled(
      [...this.#states].map(async ([shard, state]) => {
        state.position = this.#positions.get(shard) ?? none;
        const verdict = await examineShard(shard, state, (words) => link.send(shard, words), random);
        if (state.isOurs) this.#youngUntilMs = clock.now() + youthMs;
        state.isOurs = false;
        if (verdict === 'same') return;
        this.#positions.set(shard, state.position);
        this.unread.add(shard);
        hasChanged = true;
        isLost ||= verdict === 'lost';
      }),
    );
    // What was found of some shards holds, though the store has failed before it said anything of the others.
    if (hasChanged) this.writer.writes.forgetWritten();
    if (isLost) {
      this.writer.rewrite();
      lost();
    }
    const failed = examined.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  #take(entry: FeedEntry): void {
    const { apply, heard, member } = this.#parts;
    const { writes } = this.writer;
    heard(entry);
    if (entry.member === member) writes.shown(entry.record, entry.key, entry.id);
    else if (writes.admits(entry.record, entry.key, entry.id, () => apply(entry))) apply(entry);
  }

  /** `id`: where it stands in the stream; undefined: it was refused, or was there before. */
  #answered({ record, changes }: Write, id: string | undefined, ms: number): void {
    const state = this.#states.get(shardOf(record));
    if (id !== undefined) {
      if (state !== undefined) state.written = id;
      this.#parts.stored(record, changes.keys());
    }
    if (this.#phase === 'trying') this.#becomeReady();
    this.#heedSpeed(ms);
  }

  /** What waits has changed. */
  #moved(): void {
    if (this.#phase === 'trying' && this.writer.isDone) this.#becomeReady();
    else this.debts.heed();
  }

  /** One that was slow is waited for again when it has answered in time. */
  #heedSpeed(ms: number): void {
    if (!this.#isSlow || ms > promptMs) return;
    this.#isSlow = false;
    this.debts.heed();
    this.#parts.back();
  }

  #becomeReady(): void {
    this.#phase = 'ready';
    this.#failures = 0;
    this.#isSlow = false;
    this.#parts.back();
    this.writer.pump();
  }

  /** Once a second: does it answer, and is it the same? It may have been emptied without a word. */
  #look(round: number): void {
    const { clock } = this.#parts;
    this.#timers.set(
      'look',
      clock.after(lookEveryMs, () => {
        const askedMs = clock.now();
        Promise.all([this.isSame(), this.debts.look()]).then(
          ([isSame]) => {
            if (this.#round !== round) return;
            this.#heedSpeed(clock.now() - askedMs);
            if (isSame) this.#look(round);
            else this.#fail(new StoreLost(otherDataSet), round);
          },
          (error: unknown) => this.#fail(error, round),
        );
      }),
    );
  }

  /** So much was changed at once that some of it may be cut off by now. */
  #lookAgain(round: number): void {
    this.#examine().then(
      () => {
        if (this.#round === round && this.unread.size > 0) this.#parts.read();
      },
      (error: unknown) => this.#fail(error, round),
    );
  }

  #fail(error: unknown, round: number): void {
    if (this.#phase === 'stopped' || round !== this.#round) return;
    const { clock, random, shards, link, away } = this.#parts;
    this.#round += 1;
    this.#phase = 'away';
    this.#feed?.stop();
    this.#feed = undefined;
    this.#timers.get('look')?.();
    this.writer.writes.delay();
    // A slot of a Cluster that has another server now, or is on its way there, is found at once.
    const isMoving = this.#failures < patientMoves && isMove(error);
    for (const shard of shards) if (!link.follow(shard, error)) link.drop(shard);
    if (!isMoving) away(error);
    const usualMs = Math.min(maxRetryMs, minRetryMs * 2 ** this.#failures) * (0.5 + random.fraction() / 2);
    const waitMs = isMoving ? moveRetryMs : usualMs;
    this.#failures = Math.min(this.#failures + 1, 10);
    this.#timers.set(
      'retry',
      clock.after(waitMs, () => {
        this.#timers.delete('retry');
        void this.#find();
      }),
    );
  }
}

/** Nobody waits longer than this for the store before he is answered. */
export const promptMs = 50;

const isMove = (error: unknown): boolean =>
  error instanceof StoreRefusal && ['MOVED', 'ASK', 'TRYAGAIN'].includes(error.kind);

const lookEveryMs = 1_000;

/** By then whoever lives has looked whether the store is what it was. */
const youthMs = 2_000;

const minRetryMs = 100;
const maxRetryMs = 2_000;

const moveRetryMs = 10;
/** After so many of them in a row something else is wrong. */
const patientMoves = 10;

/** Writes that wait for their answers; the others wait here. */
const maxUnderWay = 1_000;
