/** What transactions keep in memory, in octets: their texts while they are open, and little while they absorb repetitions. */
import { heapLimitOctets, OctetBudget } from '../../../src/internal.ts';

/** Objects, timers and keys of a transaction that is open, and of one that only absorbs. */
export const openOctets = 1_200;
export const absorbingOctets = 500;

/** A third of the heap: as much again is garbage at times, and the rest serves everything else. */
export const transactionBudget = (octets = heapLimitOctets() / 3): OctetBudget => new OctetBudget(octets);
