/**
 * Records of calls that a member keeps for others, and how they travel: several in one parcel of the member link. Pure but for what is
 * kept; call-replication.ts sends and acknowledges.
 *
 *     records: 1 | for each: flags | version (6) | phase | texts: member, gateway, endpoint, call id | record
 *     received: 2 | for each: flags | version (6)
 */
import { type RecordPhase, recordPhases } from './call-record.ts';

export interface ReplicatedRecord {
  /** Who wrote it. */
  readonly member: string;
  /** Counts up with whatever that member writes, through all its lives. */
  readonly version: number;
  readonly phase: RecordPhase;
  readonly gateway: string;
  readonly endpoint: string;
  readonly callId: string;
  /** Empty when the call is over. */
  readonly octets: Buffer;
}

export interface Received {
  readonly version: number;
  /** It was written by another member than the one who sent it. */
  readonly isRelayed: boolean;
}

export const maxParcelBytes = 1_240;

export function writeRecords(records: readonly ReplicatedRecord[], sender: string): Buffer[] {
  return parcels(
    recordsKind,
    records.map((record) => {
      const { member, version, phase, gateway, endpoint, callId, octets } = record;
      const head = Buffer.alloc(8);
      head[0] = member === sender ? 0 : 1;
      head.writeUIntBE(version, 1, 6);
      head[7] = recordPhases.indexOf(phase);
      const own = member === sender ? '' : member;
      return Buffer.concat([head, ...[own, gateway, endpoint, callId].map(text), lengthOf(octets), octets]);
    }),
  );
}

export function writeReceived(received: readonly Received[]): Buffer[] {
  return parcels(
    receivedKind,
    received.map(({ version, isRelayed }) => {
      const octets = Buffer.alloc(7);
      octets[0] = isRelayed ? 1 : 0;
      octets.writeUIntBE(version, 1, 6);
      return octets;
    }),
  );
}

export type Parcel =
  | { readonly kind: 'records'; readonly records: readonly (ReplicatedRecord & Received)[] }
  | { readonly kind: 'received'; readonly received: readonly Received[] };

/** Undefined: no parcel of ours. Members are believed, but a later version of one may write what we do not know. */
export function readParcel(octets: Buffer, sender: string): Parcel | undefined {
  const reader = new Reader(octets);
  const kind = reader.octet();
  if (kind === receivedKind) {
    const received: Received[] = [];
    while (!reader.isAtEnd) {
      const isRelayed = reader.octet() === 1;
      received.push({ isRelayed, version: reader.version() });
    }
    return reader.isSound ? { kind: 'received', received } : undefined;
  }
  if (kind !== recordsKind) return undefined;
  const records: (ReplicatedRecord & Received)[] = [];
  while (!reader.isAtEnd) {
    const isRelayed = reader.octet() === 1;
    const version = reader.version();
    const phase = recordPhases[reader.octet()];
    const own = reader.text();
    const [gateway, endpoint, callId] = [reader.text(), reader.text(), reader.text()];
    const body = reader.bytes();
    if (phase === undefined || !reader.isSound) return undefined;
    const member = isRelayed ? own : sender;
    records.push({ isRelayed, member, version, phase, gateway, endpoint, callId, octets: Buffer.from(body) });
  }
  return { kind: 'records', records };
}

/** What is kept of other members' calls: bounded, the oldest go first. */
export class RecordStore {
  readonly #limits: { readonly records: number; readonly octets: number };
  readonly #byKey = new Map<string, Kept>();
  readonly #byEndpoint = new Map<string, Set<string>>();
  #octets = 0;
  /** Let go because there was no room. */
  evicted = 0;

  constructor(limits = { records: 250_000, octets: 64 * 1_024 * 1_024 }) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get octets(): number {
    return this.#octets;
  }

  /** A higher version replaces a lower one; of equal ones the later phase stays. False: what is kept is newer. */
  put(record: ReplicatedRecord, nowMs: number): boolean {
    const key = keyOf(record.member, record.callId);
    const known = this.#byKey.get(key);
    if (known !== undefined && !isNewer(record, known.record)) return false;
    if (known !== undefined) this.#remove(key, known);
    const kept: Kept = { record, atMs: nowMs, cost: costOf(record) };
    this.#byKey.set(key, kept);
    this.#octets += kept.cost;
    const place = placeKey(record.gateway, record.endpoint);
    const there = this.#byEndpoint.get(place);
    if (there === undefined) this.#byEndpoint.set(place, new Set([key]));
    else there.add(key);
    for (const [oldest, each] of this.#byKey) {
      if (this.#byKey.size <= this.#limits.records && this.#octets <= this.#limits.octets) break;
      this.#remove(oldest, each);
      this.evicted += 1;
    }
    return true;
  }

  /** Of calls that are not over, at this endpoint: the furthest first, of equals the one that came last. */
  at(gateway: string, endpoint: string): readonly ReplicatedRecord[] {
    const found: Kept[] = [];
    for (const key of this.#byEndpoint.get(placeKey(gateway, endpoint)) ?? []) {
      const kept = this.#byKey.get(key);
      if (kept !== undefined && kept.record.phase !== 'over') found.push(kept);
    }
    return found
      .sort((a, b) => recordPhases.indexOf(b.record.phase) - recordPhases.indexOf(a.record.phase) || b.atMs - a.atMs)
      .map(({ record }) => record);
  }

  /** Whoever has the call now writes of it himself. */
  drop(callId: string, gateway: string, endpoint: string): void {
    for (const key of [...(this.#byEndpoint.get(placeKey(gateway, endpoint)) ?? [])]) {
      const kept = this.#byKey.get(key);
      if (kept?.record.callId === callId) this.#remove(key, kept);
    }
  }

  *of(member: string): Iterable<ReplicatedRecord> {
    for (const { record } of this.#byKey.values()) if (record.member === member) yield record;
  }

  /** Calls that have been over for so long that nothing of them is under way any more. */
  expire(nowMs: number): void {
    for (const [key, kept] of this.#byKey)
      if (kept.record.phase === 'over' && nowMs - kept.atMs >= tombstoneMs) this.#remove(key, kept);
  }

  #remove(key: string, { record, cost }: Kept): void {
    this.#byKey.delete(key);
    this.#octets -= cost;
    const place = placeKey(record.gateway, record.endpoint);
    const there = this.#byEndpoint.get(place);
    there?.delete(key);
    if (there?.size === 0) this.#byEndpoint.delete(place);
  }
}

interface Kept {
  readonly record: ReplicatedRecord;
  readonly atMs: number;
  readonly cost: number;
}

/** Longer than any repetition of a transaction (64 times 500 ms, twice). */
export const tombstoneMs = 64_000;

const isNewer = (one: ReplicatedRecord, other: ReplicatedRecord): boolean =>
  one.version > other.version ||
  (one.version === other.version && recordPhases.indexOf(one.phase) > recordPhases.indexOf(other.phase));

const keyOf = (member: string, callId: string): string => `${member} ${callId}`;

const placeKey = (gateway: string, endpoint: string): string => `${gateway} ${endpoint}`.toLowerCase();

/** With what a map takes for it, roughly. */
const costOf = ({ octets, member, gateway, endpoint, callId }: ReplicatedRecord): number =>
  octets.length + member.length + gateway.length + endpoint.length + callId.length + 200;

const recordsKind = 1;
const receivedKind = 2;

/** As many items as fit go together; one that is too long goes alone. */
function parcels(kind: number, items: readonly Buffer[]): Buffer[] {
  const done: Buffer[] = [];
  let open: Buffer[] = [];
  let length = 1;
  const close = (): void => {
    if (open.length > 0) done.push(Buffer.concat([Buffer.of(kind), ...open]));
    open = [];
    length = 1;
  };
  for (const item of items) {
    if (length + item.length > maxParcelBytes) close();
    open.push(item);
    length += item.length;
  }
  close();
  return done;
}

function lengthOf({ length }: Buffer): Buffer {
  const octets = Buffer.alloc(2);
  octets.writeUInt16BE(length, 0);
  return octets;
}

function text(value: string): Buffer {
  const octets = Buffer.from(value, 'utf8');
  return Buffer.concat([lengthOf(octets), octets]);
}

/** Reads on past the end without harm; `isSound` tells whether that happened. */
class Reader {
  readonly #octets: Buffer;
  #at = 0;

  constructor(octets: Buffer) {
    this.#octets = octets;
  }

  get isSound(): boolean {
    return this.#at <= this.#octets.length;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#octets.length;
  }

  octet(): number {
    this.#at += 1;
    return this.#octets[this.#at - 1] ?? 0;
  }

  version(): number {
    this.#at += 6;
    return this.isSound ? this.#octets.readUIntBE(this.#at - 6, 6) : 0;
  }

  bytes(): Buffer {
    this.#at += 2;
    if (!this.isSound) return Buffer.alloc(0);
    const begin = this.#at;
    this.#at += this.#octets.readUInt16BE(begin - 2);
    return this.#octets.subarray(begin, this.#at);
  }

  text(): string {
    return this.bytes().toString('utf8');
  }
}
