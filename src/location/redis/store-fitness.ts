/** Is a server set up as a location store should be? Asked once at the start, and by `altpath doctor`. */
import type { Clock } from '../../clock.ts';
import { type StoreConnection, StoreRefusal } from './store-connection.ts';

export interface Fitness {
  /** How far its clock is ahead of our calendar. */
  readonly skewMs: number;
  /** What is wrong, with what to do. */
  readonly reasons: readonly string[];
}

export async function unfitness(connection: StoreConnection, clock: Clock): Promise<Fitness> {
  const reasons: string[] = [];
  const askedMs = clock.wallNow();
  const [seconds, micros] = listOf(await connection.send(['TIME']));
  const skewMs = Math.round(Number(seconds) * 1_000 + Number(micros) / 1_000 - (askedMs + clock.wallNow()) / 2);
  if (Math.abs(skewMs) > maxSkewMs)
    reasons.push(
      `its clock and ours are ${Math.abs(skewMs)} ms apart: keep both by NTP, or registrations end early or late`,
    );
  const policy = await setting(connection, 'maxmemory-policy');
  const memory = await setting(connection, 'maxmemory');
  if (policy !== undefined && policy !== 'noeviction' && memory !== '0')
    reasons.push(`maxmemory-policy is ${policy}: it forgets registrations when it is full; set noeviction`);
  const octets = await setting(connection, 'hash-max-listpack-value');
  if (octets !== undefined && Number(octets) < goodListpackValue)
    reasons.push(
      `hash-max-listpack-value is ${octets}: contacts take a third less memory with ${goodListpackValue} (no restart needed)`,
    );
  return { skewMs, reasons };
}

/** undefined: we may not ask. */
async function setting(connection: StoreConnection, name: string): Promise<string | undefined> {
  try {
    const [, value] = listOf(await connection.send(['CONFIG', 'GET', name]));
    return typeof value === 'string' ? value : undefined;
  } catch (error) {
    if (error instanceof StoreRefusal) return undefined;
    throw error;
  }
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const maxSkewMs = 2_000;
const goodListpackValue = 1_024;
