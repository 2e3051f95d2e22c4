/**
 * Where gateways keep the record of a crossing call (design §17): beside the remote description, which AuditConnection gives back (RFC 3435
 * §2.3.11), or in the local part of the notified entity, which AuditEndpoint gives back (§2.3.10) and which nobody else reads (§3.2.1.3).
 * Which of both a gateway does is learnt by one audit after its first crossing call, or from what it gives back in a takeover, and kept in
 * its dialect until it restarts.
 */
import {
  type CallRecords,
  type DesiredLine,
  fromBase32,
  type Gateway,
  isCrossingCallId,
  type Line,
  type Logger,
  type RecordHabit,
  readRecords,
  toBase32,
} from '../../src/internal.ts';
import { isSuccess, type MgcpResponse, type Parameter, parameter } from './codec/messages.ts';
import type { GatewayCommands } from './gateway-commands.ts';
import type { EndpointAudit } from './snapshot.ts';
import type { Draft } from './transactions.ts';

export interface RecordPlacesParts {
  readonly log: Logger;
  readonly records: CallRecords | undefined;
  commands(): GatewayCommands;
}

export class RecordPlaces {
  readonly #parts: RecordPlacesParts;

  constructor(parts: RecordPlacesParts) {
    this.#parts = parts;
  }

  /** The record that the line is to have, sealed for it; once for each command, however often that is sent. */
  sealed({ endpoint, gateway }: Line, { media }: DesiredLine): Uint8Array | undefined {
    const { records } = this.#parts;
    if (records === undefined || media?.record === undefined) return undefined;
    const { callId, record } = media;
    return records.seal.seal(record, { gateway, endpoint, callId });
  }

  /**
   * Once a command that carried the record has been executed: does the gateway give it back? Asked once. `renew`: the line is commanded once
   * more, with the record in another place.
   */
  learn(
    gateway: Gateway,
    endpoint: string,
    { sdp, parameters }: Draft,
    connectionId: string | undefined,
    renew: () => void,
  ): void {
    const { dialect } = gateway;
    if (habits.some((word) => dialect.has(word)) || dialect.has(asking)) return;
    const isInEntity = parameters.some(({ code, value }) => code === 'N' && recordIn(value) !== undefined);
    const isBeside = sdp.some((each) => readRecords(each).sealed.length > 0);
    if (isInEntity) this.#ask(gateway, endpoint, 'AUEP', [{ code: 'F', value: 'N' }], inEntity, renew);
    else if (isBeside && connectionId !== undefined)
      this.#ask(
        gateway,
        endpoint,
        'AUCX',
        [
          { code: 'I', value: connectionId },
          { code: 'F', value: 'RC' },
        ],
        besideRemote,
        renew,
      );
  }

  #ask(
    gateway: Gateway,
    endpoint: string,
    verb: string,
    parameters: readonly Parameter[],
    reading: Reading,
    renew: () => void,
  ): void {
    const { dialect } = gateway;
    dialect.add(asking);
    this.#parts.commands().submit({
      peer: gateway,
      isQuestion: true,
      draft: () => ({ verb, endpoint, parameters, sdp: [] }),
      ended: (outcome) => {
        dialect.delete(asking);
        // Gone meanwhile, or busy: the next call asks again.
        if (outcome.kind !== 'answered' || passing.has(outcome.response.code)) return;
        const isKept = isSuccess(outcome.response.code) && reading.isIn(outcome.response);
        const word = isKept ? reading.kept : reading.next;
        dialect.add(word);
        this.#parts.log.info({ gateway: gateway.name, habit: word }, 'what becomes of records on this gateway');
        // The record of this very call shall lie where the gateway keeps it, if it does.
        if (word === triesEntity) renew();
      },
    });
  }
}

/** For a draft: the description that the gateway is given carries the record, unless it is known to be of no use there. */
export const isBesideRemote = (dialect: ReadonlySet<string>): boolean =>
  !dialect.has(triesEntity) && !dialect.has('keepsEntity') && !dialect.has('forgets');

/** The notified entity with the record in its local part, where the gateway keeps it there, or is about to be asked. */
export function withEntityRecord(
  parameters: readonly Parameter[],
  sealed: Uint8Array | undefined,
  dialect: ReadonlySet<string>,
): readonly Parameter[] {
  if (sealed === undefined || !(dialect.has('keepsEntity') || dialect.has(triesEntity))) return parameters;
  return parameters.map((each) => {
    if (each.code !== 'N') return each;
    const value = `${mark}${toBase32(sealed)}${each.value.slice(Math.max(0, each.value.lastIndexOf('@')))}`;
    // §3.2.1.3: the local name has at most 255 characters; kept below that with its domain, for gateways that count otherwise.
    return value.length > maxName ? each : { code: 'N', value };
  });
}

/** What a notified entity carries in its local part. */
export function recordIn(entity: string): Buffer | undefined {
  const [local = ''] = entity.trim().split('@');
  return local.startsWith(mark) && local.length > mark.length + 40 ? fromBase32(local.slice(mark.length)) : undefined;
}

/** What is known of parties that are no lines: from the gateway itself, or from another member. */
export function withRecords(audit: EndpointAudit, gateway: string, records: CallRecords): EndpointAudit {
  if (!audit.media.some(({ callId }) => isCrossingCallId(callId))) return audit;
  const media = audit.media.map((each) => {
    const { callId, sealed = [] } = each;
    const record = records.find({ gateway, endpoint: audit.endpoint, callId }, sealed);
    return record === undefined ? each : { ...each, record };
  });
  return { ...audit, media };
}

/** Where the local part of the notified entity is used, the other members are told as well: a long record does not fit into it. */
export function recordHabit({ dialect }: Gateway, hasRemote: boolean): RecordHabit {
  if (dialect.has('keepsRemote')) return hasRemote ? 'keeps' : 'unknown';
  return dialect.has('forgets') ? 'forgets' : 'unknown';
}

/** A takeover's audit has brought a record to light: whoever writes the next one knows where it stays. */
export function gaveBack({ dialect }: Gateway, habit: 'keepsRemote' | 'keepsEntity'): void {
  if (habits.some((word) => dialect.has(word))) return;
  dialect.delete(triesEntity);
  dialect.add(habit);
}

/** The gateway's program has begun anew: perhaps it is another version. */
export function forgetHabit({ dialect }: Gateway): void {
  for (const word of [...habits, triesEntity]) dialect.delete(word);
}

interface Reading {
  isIn(response: MgcpResponse): boolean;
  readonly kept: string;
  readonly next: string;
}

const triesEntity = 'triesEntity';
const asking = 'asksForRecord';

const besideRemote: Reading = {
  isIn: ({ sdp }) => sdp.some((each) => readRecords(each).sealed.length > 0),
  kept: 'keepsRemote',
  next: triesEntity,
};

const inEntity: Reading = {
  isIn: (response) => recordIn(parameter(response, 'N') ?? '') !== undefined,
  kept: 'keepsEntity',
  next: 'forgets',
};

const habits = ['keepsRemote', 'keepsEntity', 'forgets'];

/** It may say something else another time (RFC 3435 §2.4); 515: the connection has gone. */
const passing: ReadonlySet<number> = new Set([400, 403, 405, 409, 515, 520]);

/** In no name of ours or of a gateway's. */
const mark = 'x1-';
const maxName = 255;
