/**
 * A store in memory, at the port where the client package stands otherwise: the commands that altpath sends, answered as Redis does. What
 * the script does is written once more here; test/interop/redis.test.ts asks both the same.
 */
import type { Clock } from '../../../src/internal.ts';
import { isAfter } from '../../../src/location/redis/pending-writes.ts';
import { scriptSha } from '../../../src/location/redis/script.ts';
import {
  type Connector,
  commandMs,
  type StoreConnection,
  StoreLost,
  StoreRefusal,
} from '../../../src/location/redis/store-connection.ts';
import type { SocketAddress } from '../../../src/signaling/controller-address.ts';

interface Entry {
  readonly id: string;
  readonly fields: readonly string[];
}

export class FakeStore {
  readonly clock: Clock;
  strings = new Map<string, string>();
  hashes = new Map<string, Map<string, string>>();
  streams = new Map<string, Entry[]>();
  /** What members say of themselves. */
  members = new Map<string, Map<string, string>>();
  readonly connections = new Set<FakeConnection>();
  /** Every command, without the feed's. */
  readonly commands: string[] = [];
  isUp = true;
  /** Its connections stand, and it says nothing. */
  isStopped = false;
  delayMs = 0;
  /** It stands still for a moment: what is asked meanwhile, by connection, is done when it goes on. */
  #stalled: Map<FakeConnection, (() => void)[]> | undefined;
  knowsScript = false;
  /** Other answers than its own. */
  answer: ((words: readonly string[]) => unknown) | undefined;
  #order = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  readonly connect: Connector = async (server) => {
    await Promise.resolve();
    if (!this.isUp) throw new StoreLost('connect ECONNREFUSED');
    const connection = new FakeConnection(this, server);
    this.connections.add(connection);
    return connection;
  };

  /** kill -9. */
  kill(): void {
    this.isUp = false;
    for (const connection of [...this.connections]) connection.close();
  }

  /** Started again, with what it had or with nothing. */
  start(isEmpty = false): void {
    this.isUp = true;
    this.knowsScript = false;
    if (isEmpty) this.flush();
  }

  flush(): void {
    this.strings = new Map();
    this.hashes = new Map();
    this.streams = new Map();
    this.members = new Map();
  }

  /** All that a master that took over does not have is gone. */
  snapshot(): () => void {
    const strings = new Map(this.strings);
    const hashes = new Map([...this.hashes].map(([key, hash]) => [key, new Map(hash)]));
    const streams = new Map([...this.streams].map(([key, stream]) => [key, [...stream]]));
    return () => Object.assign(this, { strings, hashes, streams });
  }

  stall(): void {
    this.#stalled = new Map();
  }

  /** Goes on; the connection that was quiet for longest is read first. */
  goOn(): void {
    const stalled = this.#stalled ?? new Map<FakeConnection, (() => void)[]>();
    this.#stalled = undefined;
    for (const [, work] of [...stalled].reverse()) for (const run of work) run();
  }

  /** Now, or when it goes on. */
  when(connection: FakeConnection, run: () => void): void {
    if (this.#stalled === undefined) run();
    else this.#stalled.set(connection, [...(this.#stalled.get(connection) ?? []), run]);
  }

  nextId(): string {
    this.#order += 1;
    return `${Math.floor(this.clock.wallNow())}-${this.#order}`;
  }

  /** The entries of a stream after this id. */
  after(key: string, id: string): Entry[] {
    return (this.streams.get(key) ?? []).filter((entry) => isAfter(entry.id, id));
  }

  run(words: readonly string[]): unknown {
    const [name = '', key = '', ...rest] = words;
    const other = this.answer?.(words);
    if (other instanceof Error) throw other;
    if (other !== undefined) return other;
    switch (name) {
      case 'GET':
        return this.strings.get(key) ?? null;
      case 'SET':
        if (!this.strings.has(key)) this.strings.set(key, rest[0] ?? '');
        return 'OK';
      case 'TIME':
        return [String(Math.floor(this.clock.wallNow() / 1_000)), '0'];
      case 'CONFIG':
        return [];
      case 'ROLE':
        return ['master', 0, []];
      case 'XLEN':
        return this.streams.get(key)?.length ?? 0;
      case 'XRANGE':
      case 'XREVRANGE':
        return this.#range(name, key, rest).map(({ id, fields }) => [id, fields]);
      case 'SCAN':
        return ['0', [...this.hashes.keys()]];
      case 'HGETALL':
        return [...(this.hashes.get(key) ?? this.members.get(key) ?? [])].flat();
      case 'HSET':
        this.members.set(key, new Map(this.members.get(key)).set(rest[0] ?? '', rest[1] ?? ''));
        return 1;
      case 'HDEL':
        return this.members.get(key)?.delete(rest[0] ?? '') === true ? 1 : 0;
      case 'EVAL':
        this.knowsScript = true;
        return this.#script(words);
      case 'EVALSHA':
        if (!this.knowsScript || key !== scriptSha) throw new StoreRefusal('NOSCRIPT No matching script.');
        return this.#script(words);
      default:
        throw new StoreRefusal(`ERR unknown command '${name}'`);
    }
  }

  #range(name: string, key: string, [from = '', to = '']: readonly string[]): Entry[] {
    const stream = this.streams.get(key) ?? [];
    if (name === 'XREVRANGE') return stream.slice(-1);
    return from === '-' ? stream.slice(0, 1) : stream.filter(({ id }) => id === from && id === to);
  }

  /** As src/location/redis/script.ts has it in Lua. */
  #script([
    ,
    ,
    ,
    recordKey = '',
    streamKey = '',
    epochKey = '',
    epoch,
    member = '',
    now,
    max,
    late,
    ...changes
  ]: readonly string[]): unknown {
    if (this.strings.get(epochKey) !== epoch) return ['epoch'];
    const hash = this.hashes.get(recordKey) ?? new Map<string, string>();
    const held = [...hash].flat();
    const nowMs = Number(now);
    const live = (key: string) => {
      const entry = read(hash.get(key));
      return entry !== undefined && entry.till > nowMs ? entry : undefined;
    };
    let count = [...hash.keys()].filter((key) => live(key)?.isGone === false).length;
    let grows = false;
    for (let at = 0; at < changes.length; at += 2) {
      const [key = '', value = ''] = changes.slice(at, at + 2);
      const entry = live(key);
      const made = read(value);
      if (made === undefined) throw new StoreRefusal('ERR user_script');
      if (entry !== undefined && hash.get(key) !== value) {
        const isSame = entry.id === made.id && entry.cseq !== undefined && made.cseq !== undefined;
        const before = (made.cseq ?? 0) - (entry.cseq ?? 0);
        let isOlder = late === '1' && made.updated < entry.updated;
        if (isSame && before !== 0) isOlder = before < 0;
        else if (isSame && late !== '1') isOlder = entry.isGone && !made.isGone;
        if (isOlder) return ['older', held];
      }
      if (!made.isGone && entry?.isGone !== false) {
        grows = true;
        count += 1;
      }
      if (made.isGone && entry?.isGone === false) count -= 1;
    }
    if (grows && Number(max) > 0 && count > Number(max)) return ['crowded', held];
    for (const [key, value] of hash) if (read(value) !== undefined && live(key) === undefined) hash.delete(key);
    const ids: string[] = [];
    for (let at = 0; at < changes.length; at += 2) {
      const [key = '', value = ''] = changes.slice(at, at + 2);
      if (live(key) !== undefined && hash.get(key) === value) {
        ids.push('');
        continue;
      }
      hash.set(key, value);
      const id = this.nextId();
      const record = recordKey.slice(recordKey.indexOf(':loc:') + 5);
      const stream = this.streams.get(streamKey) ?? [];
      this.streams.set(streamKey, [...stream, { id, fields: ['m', member, 'r', record, 'k', key, 'v', value] }]);
      ids.push(id);
    }
    this.hashes.set(recordKey, hash);
    for (const connection of this.connections) connection.wake();
    return ['stored', ...ids];
  }
}

interface Header {
  readonly id: string;
  readonly cseq: number | undefined;
  readonly till: number;
  readonly updated: number;
  readonly isGone: boolean;
}

function read(value: string | undefined): Header | undefined {
  const found = /^1([^ \n]*) ([^ \n]*) ([^ \n]+) ([^ \n]+)\n/.exec(value ?? '');
  if (found === null) return undefined;
  const [, id = '', cseq = '', expires = '', updated = ''] = found;
  return {
    id,
    cseq: cseq === '' ? undefined : Number(cseq),
    till: expires === '-' ? Number.POSITIVE_INFINITY : Number(expires),
    updated: Number(updated),
    isGone: value?.endsWith('\n') === true,
  };
}

interface Waiting {
  readonly words: readonly string[];
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class FakeConnection implements StoreConnection {
  readonly server: SocketAddress;
  readonly #store: FakeStore;
  readonly #open = new Set<Waiting>();
  /** What is sent here leaves in the next turn of the event loop, is done at once, and is answered so much later. */
  delayMs = 0;
  #isOpen = true;

  constructor(store: FakeStore, server: SocketAddress) {
    this.#store = store;
    this.server = server;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  send(words: readonly string[], limitMs = commandMs): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!this.#isOpen) {
        reject(new StoreLost('closed'));
        return;
      }
      const waiting: Waiting = { words, resolve, reject };
      this.#open.add(waiting);
      const { clock, delayMs } = this.#store;
      clock.after(limitMs, () => {
        if (!this.#open.has(waiting)) return;
        reject(new StoreLost(`no answer within ${limitMs} ms`));
        this.close();
      });
      if (words[0] === 'XREAD') {
        const blockMs = Number(words[words.indexOf('BLOCK') + 1]);
        clock.after(blockMs, () => this.#settle(waiting, null));
        void Promise.resolve().then(() => this.wake());
      } else {
        this.#store.commands.push(words.slice(0, 2).join(' '));
        const answer = (): void => this.#store.when(this, () => this.#answer(waiting));
        if (delayMs > 0 || this.delayMs > 0) clock.after(delayMs, answer);
        else void Promise.resolve().then(answer);
      }
    });
  }

  /** Is there anything in the streams that are waited for? */
  wake(): void {
    for (const waiting of [...this.#open]) {
      const { words } = waiting;
      if (words[0] !== 'XREAD') continue;
      const names = words.slice(words.indexOf('STREAMS') + 1);
      const count = names.length / 2;
      const found = names.slice(0, count).flatMap((key, index) => {
        const entries = this.#store.after(key, names[count + index] ?? '0-0').slice(0, 1_000);
        return entries.length === 0 ? [] : [[key, entries.map(({ id, fields }) => [id, fields])]];
      });
      if (found.length > 0) this.#settle(waiting, found);
    }
  }

  close(): void {
    this.#isOpen = false;
    this.#store.connections.delete(this);
    for (const { reject } of this.#open) reject(new StoreLost('Socket closed unexpectedly'));
    this.#open.clear();
  }

  #answer(waiting: Waiting): void {
    if (!this.#open.has(waiting) || this.#store.isStopped) return;
    try {
      const reply = this.#store.run(waiting.words);
      if (this.delayMs > 0) this.#store.clock.after(this.delayMs, () => this.#settle(waiting, reply));
      else this.#settle(waiting, reply);
    } catch (error) {
      this.#open.delete(waiting);
      waiting.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #settle(waiting: Waiting, reply: unknown): void {
    if (this.#store.isStopped || !this.#open.delete(waiting)) return;
    waiting.resolve(reply);
  }
}
