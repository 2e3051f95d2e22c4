/** Reads every record that the servers hold, a page at a time, so that a million of them take no more memory on the way than a thousand. */
import { recordOfKey, recordPattern } from './shards.ts';
import { type StoreConnection, StoreRefusal } from './store-connection.ts';

/** Returns how many records were read. Rejects where a server fails on the way. */
export async function loadAll(
  connections: Iterable<StoreConnection>,
  apply: (record: string, held: readonly string[]) => void,
): Promise<number> {
  let records = 0;
  for (const connection of connections) {
    let cursor = '0';
    do {
      const page = await connection.send(['SCAN', cursor, 'MATCH', recordPattern, 'COUNT', String(pageSize)], pageMs);
      const [next, keys]: readonly unknown[] = Array.isArray(page) ? page : [];
      // The end is the cursor, not a short page: pages may be empty on the way, and the last one may be full.
      cursor = typeof next === 'string' ? next : '0';
      records += await readPage(connection, Array.isArray(keys) ? keys : [], apply);
    } while (cursor !== '0');
  }
  return records;
}

async function readPage(
  connection: StoreConnection,
  keys: readonly unknown[],
  apply: (record: string, held: readonly string[]) => void,
): Promise<number> {
  let records = 0;
  await Promise.all(
    keys.map(async (key) => {
      const record = typeof key === 'string' ? recordOfKey(key) : undefined;
      if (typeof key !== 'string' || record === undefined) return;
      const held = await readRecord(connection, key);
      if (held === undefined) return;
      records += 1;
      apply(record, held);
    }),
  );
  return records;
}

/** undefined: what is there is none of ours. */
async function readRecord(connection: StoreConnection, key: string): Promise<readonly string[] | undefined> {
  try {
    const reply = await connection.send(['HGETALL', key], pageMs);
    return Array.isArray(reply) ? reply.map(String) : undefined;
  } catch (error) {
    if (error instanceof StoreRefusal && ['WRONGTYPE', 'MOVED', 'ASK'].includes(error.kind)) return undefined;
    throw error;
  }
}

const pageSize = 1_000;

/** A page of a server that has much else to do. */
const pageMs = 5_000;
