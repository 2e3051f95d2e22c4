/**
 * Is the store still the one that we know? Each shard has the name of its data set (a store that was emptied or replaced has another), and
 * its stream shows whether the last change that we know of is in it: a master that took over without it has lost it.
 */
import type { Random } from '../../random.ts';
import { isAfter } from './pending-writes.ts';
import { streamLength } from './script.ts';
import { epochKey, streamKey } from './shards.ts';

/** What is known of a shard. */
export interface ShardState {
  epoch: string | undefined;
  /** The last entry of the stream that was read. */
  position: string;
  /** The last one that we wrote. */
  written: string;
  /** We have begun this data set: others may have to write into it what they know. */
  isOurs: boolean;
}

export type Send = (words: readonly string[]) => Promise<unknown>;

/**
 * `same`: what is new stands in the stream. `cut`: too much was changed meanwhile for the stream to hold it, all has to be read. `lost`: the
 * store does not have what it had, all has to be read and written. `new`: we know nothing of it yet.
 */
export type ShardVerdict = 'same' | 'cut' | 'lost' | 'new';

/** Looks, and takes over what it sees. Rejects where the store fails. */
export async function examineShard(
  shard: number,
  state: ShardState,
  send: Send,
  random: Random,
): Promise<ShardVerdict> {
  const [epoch, isOurs] = await readEpoch(shard, send, random);
  const former = state.epoch;
  state.isOurs ||= isOurs;
  if (former !== epoch) {
    // All of it or nothing: what fails half-way is found again.
    const position = await lastId(shard, send);
    Object.assign(state, { epoch, position, written: none });
    return former === undefined ? 'new' : 'lost';
  }
  const { position, written } = state;
  const own = isAfter(written, position) ? await verdictOf(shard, written, send) : 'same';
  const verdict = own === 'same' ? await verdictOf(shard, position, send) : own;
  if (verdict !== 'same') {
    state.position = await lastId(shard, send);
    state.written = none;
  }
  return verdict;
}

/** The data set's name; one that has none gets one. And: did we give it? */
async function readEpoch(
  shard: number,
  send: Send,
  random: Random,
): Promise<readonly [epoch: string, isOurs: boolean]> {
  const key = epochKey(shard);
  const epoch = await send(['GET', key]);
  if (typeof epoch === 'string') return [epoch, false];
  const name = random.hex(8);
  await send(['SET', key, name, 'NX']);
  const given = String(await send(['GET', key]));
  return [given, given === name];
}

async function verdictOf(shard: number, known: string, send: Send): Promise<ShardVerdict> {
  const stream = streamKey(shard);
  if (known === none) return Number(await send(['XLEN', stream])) < streamLength ? 'same' : 'cut';
  const found = await send(['XRANGE', stream, known, known]);
  if (Array.isArray(found) && found.length > 0) return 'same';
  // It is not there: was it cut off at the beginning, as is usual, or was it never there?
  const first = await send(['XRANGE', stream, '-', '+', 'COUNT', '1']);
  const [entry]: readonly unknown[] = Array.isArray(first) ? first : [];
  if (!Array.isArray(entry) || !isAfter(String(entry[0]), known)) return 'lost';
  return Number(await send(['XLEN', stream])) < streamLength ? 'lost' : 'cut';
}

async function lastId(shard: number, send: Send): Promise<string> {
  const last = await send(['XREVRANGE', streamKey(shard), '+', '-', 'COUNT', '1']);
  const [entry]: readonly unknown[] = Array.isArray(last) ? last : [];
  return Array.isArray(entry) ? String(entry[0]) : none;
}

export const none = '0-0';
