/**
 * Records of calls (call-record.ts) as they lie in foreign hands: sealed with AES-256-GCM, the key made by HKDF (RFC 5869) from the
 * cluster's secret, bound to the place that they were written for. A gateway keeps them beside the description that it sends to; whoever
 * reads one there can neither read, change, nor move it. The nonce is random and not a counter: two members may write in a partition.
 *
 *     version 1 | key id | nonce (12) | sealed record | tag (16)
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Counter, Metrics } from '../metrics.ts';
import type { Random } from '../random.ts';
import { fail, ok, type Result } from '../result.ts';
import { type CallRecord, decodeRecord, encodeRecord, type RecordDictionary } from './call-record.ts';

/** What a record is bound to: it opens nowhere else. */
export interface RecordPlace {
  readonly gateway: string;
  readonly endpoint: string;
  /** undefined where the place itself cannot tell the call: then the record does. */
  readonly callId: string | undefined;
}

export type RecordProblem = 'malformed' | 'version' | 'key' | 'forged' | 'unreadable';

export interface RecordSealParts {
  readonly secret: string;
  /** The secret before this one: what was sealed with it opens for a day. */
  readonly formerSecret?: string | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
}

export class RecordSeal {
  readonly #parts: RecordSealParts;
  readonly #dictionaries = new Map<string, readonly RecordDictionary[]>();
  readonly #refused = new Map<RecordProblem, Counter>();
  #key: Key;
  #former: { readonly key: Key; readonly untilMs: number } | undefined;

  constructor(parts: RecordSealParts) {
    this.#parts = parts;
    this.#key = keyOf(parts.secret);
    if (parts.formerSecret !== undefined) this.#keepFormer(keyOf(parts.formerSecret));
  }

  /** A protocol's records shrink by what they have in common; the dictionary to write with comes first. */
  learn(protocol: string, dictionaries: readonly RecordDictionary[]): void {
    this.#dictionaries.set(protocol, dictionaries);
  }

  /** From now on this secret seals; what the one before sealed still opens for a day. */
  rotate(secret: string): void {
    const next = keyOf(secret);
    if (next.octets.equals(this.#key.octets)) return;
    this.#keepFormer(this.#key);
    this.#key = next;
  }

  /** Undefined: it is too long for any place. */
  seal(record: CallRecord, place: RecordPlace): Buffer | undefined {
    const plain = encodeRecord(record, place.callId, this.#dictionaries);
    if (plain === undefined) return undefined;
    const header = Buffer.concat([Buffer.of(version, this.#key.id), Buffer.from(this.#parts.random.hex(12), 'hex')]);
    const cipher = createCipheriv('aes-256-gcm', this.#key.octets, header.subarray(2));
    cipher.setAAD(associated(header, place));
    const sealed = Buffer.concat([header, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    return sealed.length > maxSealedBytes ? undefined : sealed;
  }

  /** What does not open is no record: counted, and nothing else comes of it. */
  open(sealed: Uint8Array, place: RecordPlace): Result<CallRecord, RecordProblem> {
    const opened = this.#open(Buffer.from(sealed), place);
    if (!opened.ok) this.#refusals(opened.error).add();
    return opened;
  }

  #open(sealed: Buffer, place: RecordPlace): Result<CallRecord, RecordProblem> {
    if (sealed.length < headerBytes + tagBytes || sealed.length > maxSealedBytes) return fail('malformed');
    if (sealed[0] !== version) return fail('version');
    const keys = this.#keys().filter(({ id }) => id === sealed[1]);
    if (keys.length === 0) return fail('key');
    for (const { octets } of keys) {
      const plain = decipher(octets, sealed, place);
      if (plain === undefined) continue;
      const record = decodeRecord(plain, place.callId, this.#dictionaries);
      return record === undefined ? fail('unreadable') : ok(record);
    }
    return fail('forged');
  }

  #keys(): readonly Key[] {
    if (this.#former !== undefined && this.#former.untilMs <= this.#parts.clock.now()) this.#former = undefined;
    return this.#former === undefined ? [this.#key] : [this.#key, this.#former.key];
  }

  #keepFormer(key: Key): void {
    this.#former = { key, untilMs: this.#parts.clock.now() + formerOpensMs };
  }

  #refusals(problem: RecordProblem): Counter {
    let counter = this.#refused.get(problem);
    if (counter === undefined) {
      counter = this.#parts.metrics.counter('call_records_refused_total', 'Sealed records of calls that do not open', {
        reason: problem,
      });
      this.#refused.set(problem, counter);
    }
    return counter;
  }
}

interface Key {
  /** Tells the key that a record was sealed with from the one before; it proves nothing. */
  readonly id: number;
  readonly octets: Buffer;
}

function keyOf(secret: string): Key {
  const octets = Buffer.from(hkdfSync('sha256', secret, '', 'altpath call record 1', 33));
  return { id: octets[32] ?? 0, octets: octets.subarray(0, 32) };
}

/** Names of gateways and endpoints are compared without regard to case; each text with its length, so that none runs into the next. */
function associated(header: Buffer, { gateway, endpoint, callId = '' }: RecordPlace): Buffer {
  const texts = [gateway.toLowerCase(), endpoint.toLowerCase(), callId.toUpperCase()];
  return Buffer.concat([header.subarray(0, 2), Buffer.from(JSON.stringify(texts), 'utf8')]);
}

function decipher(key: Buffer, sealed: Buffer, place: RecordPlace): Buffer | undefined {
  const opening = createDecipheriv('aes-256-gcm', key, sealed.subarray(2, headerBytes));
  opening.setAAD(associated(sealed.subarray(0, headerBytes), place));
  opening.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  try {
    return Buffer.concat([opening.update(sealed.subarray(headerBytes, sealed.length - tagBytes)), opening.final()]);
  } catch {
    return undefined;
  }
}

const version = 1;
const headerBytes = 14;
const tagBytes = 16;
const maxSealedBytes = 4_096;
const formerOpensMs = 86_400_000;
