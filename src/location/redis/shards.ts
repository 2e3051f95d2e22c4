/**
 * Where a record lies in the store: all that one script call touches shares a hash tag, so that a Cluster has it in one slot; 64 of them,
 * whatever the store is, so that it can become a Cluster without a change.
 */

const shardCount = 64;

export const shards: readonly number[] = Array.from({ length: shardCount }, (_, shard) => shard);

export const shardOf = (record: string): number => crc16(Buffer.from(record)) % shardCount;

/** HASH: contact key → value. */
export const recordKey = (shard: number, record: string): string => `altpath:{s${shard}}:loc:${record}`;

/** STREAM: what was changed, in its order. */
export const streamKey = (shard: number): string => `altpath:{s${shard}}:chg`;

/** STRING: which data set this is. One that is new has another, and knows nothing of ours. */
export const epochKey = (shard: number): string => `altpath:{s${shard}}:epoch`;

/** HASH: member → whether it has acknowledged what is not stored yet (debts.ts). */
export const membersKey = (shard: number): string => `altpath:{s${shard}}:members`;

/** What SCAN is to find. */
export const recordPattern = 'altpath:{s*}:loc:*';

/** The record of a key that SCAN found; undefined: it is none of ours. */
export function recordOfKey(key: string): string | undefined {
  const found = /^altpath:\{s([0-9]{1,2})\}:loc:/.exec(key);
  if (found === null) return undefined;
  const record = key.slice(found[0].length);
  return shardOf(record) === Number(found[1]) ? record : undefined;
}

/** The slot of a Cluster in which a shard lies. */
export const slotOf = (shard: number): number => crc16(Buffer.from(`s${shard}`)) % 16_384;

/** CRC-16/XMODEM, as Redis Cluster computes slots. */
export function crc16(octets: Uint8Array): number {
  let crc = 0;
  for (const octet of octets) crc = ((crc << 8) & 0xffff) ^ (table[((crc >> 8) ^ octet) & 0xff] ?? 0);
  return crc;
}

const table = Uint16Array.from({ length: 256 }, (_, octet) => {
  let crc = octet << 8;
  for (let bit = 0; bit < 8; bit += 1) crc = ((crc << 1) ^ ((crc & 0x8000) === 0 ? 0 : 0x1021)) & 0xffff;
  return crc;
});
