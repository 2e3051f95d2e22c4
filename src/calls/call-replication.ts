/**
 * Records of calls for members that cannot ask a gateway for them: what a gateway does not keep goes over the member link to the others,
 * several in one parcel, acknowledged, and repeated until then. A member that comes back gets everything that still stands, also what it
 * wrote itself before it died.
 */

import type { Cancel, Clock } from '../clock.ts';
import type { LinkedMember, LinkListener, MemberLink } from '../cluster/member-link.ts';
import { type Boot, bootId } from '../cluster/sealed-datagram.ts';
import type { Metrics } from '../metrics.ts';
import { type CallRecord, decodeRecord, encodeRecord, type RecordPhase } from './call-record.ts';
import {
  type Received,
  RecordStore,
  type ReplicatedRecord,
  readParcel,
  tombstoneMs,
  writeReceived,
  writeRecords,
} from './replicated-records.ts';

type Link = Pick<MemberLink, 'member' | 'boot' | 'listen' | 'members' | 'sendParcel'>;

export interface CallReplicationParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly link: Link;
  /** For a member's records in memory. */
  readonly store?: RecordStore;
}

/** One end of a call: the line that its record would lie with if its gateway kept it. */
export interface CallPlace {
  readonly gateway: string;
  readonly endpoint: string;
  readonly callId: string;
}

export class CallReplication {
  readonly #parts: CallReplicationParts;
  readonly #store: RecordStore;
  /** What we wrote ourselves, by call. */
  readonly #own = new Map<string, Own>();
  readonly #peers = new Map<string, Peer>();
  readonly #stopListening: Cancel;
  readonly #late;
  #version: number;
  #isFlushing = false;
  #timer: Cancel | undefined;
  #sweep: Cancel;

  constructor(parts: CallReplicationParts) {
    const { clock, link, metrics } = parts;
    this.#parts = parts;
    this.#store = parts.store ?? new RecordStore();
    // Higher than whatever an earlier life of ours has written, unless that wrote 64 records in every millisecond of its life.
    this.#version = link.boot.startMs * 64;
    const listener: LinkListener = {
      heard: (member) => this.#heard(member),
      parcel: (member, octets) => this.#parcel(member, octets),
    };
    this.#stopListening = link.listen(listener);
    this.#late = metrics.counter(
      'call_records_unconfirmed_total',
      'Calls that went on though no other member had confirmed their record in time',
    );
    metrics.gauge('call_records_kept', 'Records of other members’ calls kept here', () => this.#store.size);
    this.#sweep = clock.after(sweepMs, () => this.#tidy());
  }

  /** `record` undefined: the call is over for this line. */
  publish({ gateway, endpoint, callId }: CallPlace, record: CallRecord | undefined): void {
    const known = this.#own.get(callId);
    if (record === undefined && known === undefined) return;
    const octets = record === undefined ? Buffer.alloc(0) : encodeRecord(record, callId, new Map());
    if (octets === undefined) return;
    const phase: RecordPhase = record?.phase ?? 'over';
    this.#version += 1;
    const { member } = this.#parts.link;
    const written = { member, version: this.#version, phase, gateway, endpoint, callId, octets };
    const waiting = known?.waiting ?? [];
    this.#own.set(callId, { record: written, atMs: this.#parts.clock.now(), waiting, isConfirmed: false });
    this.#store.drop(callId, gateway, endpoint);
    for (const peer of this.#peers.values()) this.#owe(peer, written, false);
    this.#flushSoon();
  }

  /** Runs when a member has confirmed the latest record of the call, or after a while that a caller does not notice. */
  whenKept(callId: string, run: () => void): void {
    const own = this.#own.get(callId);
    if (own === undefined || own.isConfirmed || this.#peers.size === 0) {
      run();
      return;
    }
    let isDone = false;
    const done = (isLate: boolean): void => {
      if (isDone) return;
      isDone = true;
      timer();
      if (isLate) this.#late.add();
      run();
    };
    const timer = this.#parts.clock.after(confirmMs, () => done(true));
    own.waiting.push(() => done(false));
  }

  /** Records of other members, or of an earlier life of ours, for this line: the furthest first. */
  find(gateway: string, endpoint: string): readonly CallRecord[] {
    return this.#store.at(gateway, endpoint).flatMap(({ octets, callId }) => {
      const record = decodeRecord(octets, callId, new Map());
      return record ?? [];
    });
  }

  get size(): number {
    return this.#own.size;
  }

  stop(): void {
    this.#stopListening();
    this.#timer?.();
    this.#sweep();
    for (const { waiting } of this.#own.values()) waiting.length = 0;
  }

  #heard({ member, boot }: LinkedMember): void {
    const known = this.#peers.get(member);
    if (known !== undefined && bootId(known.boot) === bootId(boot)) return;
    if (known === undefined && this.#peers.size >= maxPeers) return;
    const peer: Peer = { member, boot, owed: new Map(), sentMs: new Map(), byVersion: new Map() };
    this.#peers.set(member, peer);
    for (const { record } of this.#own.values()) this.#owe(peer, record, false);
    // What it wrote before it died.
    for (const record of this.#store.of(member)) this.#owe(peer, record, true);
    this.#flushSoon();
  }

  #owe(peer: Peer, record: ReplicatedRecord, isRelayed: boolean): void {
    const key = owedKey(isRelayed, record.callId);
    const before = peer.owed.get(key);
    if (before !== undefined) peer.byVersion.delete(owedVersion(isRelayed, before.version));
    peer.owed.set(key, record);
    peer.byVersion.set(owedVersion(isRelayed, record.version), key);
    peer.sentMs.delete(key);
  }

  #parcel({ member }: LinkedMember, octets: Buffer): void {
    const parcel = readParcel(octets, member);
    if (parcel === undefined) return;
    if (parcel.kind === 'received') {
      const peer = this.#peers.get(member);
      if (peer !== undefined) this.#confirmed(peer, parcel.received);
      return;
    }
    const now = this.#parts.clock.now();
    for (const record of parcel.records) {
      this.#store.put(record, now);
      // It has the call now: what we wrote of it is no longer ours to repeat.
      if (!record.isRelayed) this.#own.delete(record.callId);
    }
    for (const each of writeReceived(parcel.records)) this.#parts.link.sendParcel(member, each);
  }

  #confirmed(peer: Peer, received: readonly Received[]): void {
    for (const { version, isRelayed } of received) {
      const number = owedVersion(isRelayed, version);
      const key = peer.byVersion.get(number);
      const record = key === undefined ? undefined : peer.owed.get(key);
      if (key === undefined || record === undefined) continue;
      peer.byVersion.delete(number);
      peer.owed.delete(key);
      peer.sentMs.delete(key);
      const own = this.#own.get(record.callId);
      if (own?.record.version !== record.version) continue;
      own.isConfirmed = true;
      for (const run of own.waiting.splice(0)) run();
    }
  }

  /**
   * The first record of a turn of the loop leaves at once, before whatever is sent to the gateway; what else is written in it leaves
   * together.
   */
  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    this.#flush();
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const { clock, link } = this.#parts;
    const now = clock.now();
    let isOwing = false;
    for (const peer of this.#peers.values()) {
      const due: ReplicatedRecord[] = [];
      for (const [key, record] of peer.owed) {
        if (due.length >= maxAtOnce) break;
        if (now - (peer.sentMs.get(key) ?? Number.NEGATIVE_INFINITY) < repeatMs) continue;
        due.push(record);
        peer.sentMs.set(key, now);
      }
      for (const octets of writeRecords(due, link.member)) link.sendParcel(peer.member, octets);
      isOwing ||= peer.owed.size > 0;
    }
    if (isOwing && this.#timer === undefined)
      this.#timer = clock.after(flushMs, () => {
        this.#timer = undefined;
        this.#flush();
      });
  }

  #tidy(): void {
    const { clock, link } = this.#parts;
    const now = clock.now();
    this.#store.expire(now);
    for (const [callId, { record, atMs }] of this.#own)
      if (record.phase === 'over' && now - atMs >= tombstoneMs) this.#own.delete(callId);
    // Whoever is gone gets everything again when it comes back.
    const heard = new Map([...link.members()].map((member) => [member.member, member.heardMs]));
    for (const member of [...this.#peers.keys()])
      if (now - (heard.get(member) ?? Number.NEGATIVE_INFINITY) >= goneMs) this.#peers.delete(member);
    this.#sweep = clock.after(sweepMs, () => this.#tidy());
  }
}

interface Own {
  readonly record: ReplicatedRecord;
  readonly atMs: number;
  isConfirmed: boolean;
  readonly waiting: (() => void)[];
}

interface Peer {
  readonly member: string;
  readonly boot: Boot;
  /** Not confirmed yet, the latest of each call. */
  readonly owed: Map<string, ReplicatedRecord>;
  readonly sentMs: Map<string, number>;
  /** Which of those a version is of. */
  readonly byVersion: Map<number, string>;
}

const owedKey = (isRelayed: boolean, callId: string): string => `${isRelayed ? 'r' : 'o'}${callId}`;

const owedVersion = (isRelayed: boolean, version: number): number => (isRelayed ? -version : version);

/** A caller waits no longer for a record to be confirmed. */
const confirmMs = 20;
const repeatMs = 200;
const flushMs = 20;
/** In one turn, of all that a member that comes back is owed. */
const maxAtOnce = 400;
const maxPeers = 64;
const sweepMs = 5_000;
const goneMs = 10_000;
