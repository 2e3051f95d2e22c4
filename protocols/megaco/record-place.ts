/**
 * Where a MEGACO gateway keeps the record of a crossing call (design §17): in the remote descriptor, which an audit of Media gives back
 * (RFC 3525 §7.2.5). Whether it does is learnt by one audit after the gateway's first crossing call, or from what it gives back in a takeover,
 * and kept in its dialect until it restarts.
 */
import {
  type CallRecords,
  type CommandOutcome,
  type DesiredLine,
  type Line,
  type Logger,
  type RecordHabit,
  readRecords,
} from '../../src/internal.ts';
import type { ActionReply, ActionRequest } from './codec/messages.ts';
import { errorIn } from './line-results.ts';
import type { MediaGateway } from './media-gateways.ts';
import type { MegacoResponse } from './transactions.ts';

export interface RecordPlaceParts {
  readonly log: Logger;
  readonly records: CallRecords | undefined;
  request(
    mg: MediaGateway,
    actions: readonly ActionRequest[],
    ended: (outcome: CommandOutcome<MegacoResponse>) => void,
  ): void;
}

export class RecordPlace {
  readonly #parts: RecordPlaceParts;

  constructor(parts: RecordPlaceParts) {
    this.#parts = parts;
  }

  /** Bound to the line: an audit of H.248 tells no call, so the record tells it. */
  sealed(
    { gateway, endpoint }: Line,
    desired: DesiredLine,
    { gateway: { dialect } }: MediaGateway,
  ): Uint8Array | undefined {
    const record = desired.media?.record;
    if (record === undefined || dialect.has('forgets')) return undefined;
    return this.#parts.records?.seal.seal(record, { gateway, endpoint, callId: undefined });
  }

  /** Once a command that carried a record has been executed: does the gateway give it back? Asked once. */
  learn(
    mg: MediaGateway,
    sent: readonly ActionRequest[],
    contextId: number | undefined,
    rtp: string | undefined,
  ): void {
    const { dialect } = mg.gateway;
    if (dialect.has('keepsRemote') || dialect.has('forgets') || dialect.has(asking)) return;
    if (contextId === undefined || rtp === undefined || !carriesRecord(sent)) return;
    dialect.add(asking);
    const question: ActionRequest = {
      contextId,
      commands: [{ verb: 'AuditValue', terminationId: rtp, descriptors: [{ kind: 'Audit', items: ['Media'] }] }],
    };
    this.#parts.request(mg, [question], (outcome) => {
      dialect.delete(asking);
      if (outcome.kind !== 'answered') return;
      const { error, actions } = outcome.response.reply;
      const isKept = hasRecord(actions);
      // Gone meanwhile: the next call asks again.
      if (!isKept && errorIn(error, actions) !== undefined) return;
      const word = isKept ? 'keepsRemote' : 'forgets';
      dialect.add(word);
      this.#parts.log.info({ gateway: mg.name, habit: word }, 'what becomes of records on this gateway');
    });
  }
}

export function recordHabit({ gateway: { dialect } }: MediaGateway, hasRemote: boolean): RecordHabit {
  if (dialect.has('forgets')) return 'forgets';
  return dialect.has('keepsRemote') && hasRemote ? 'keeps' : 'unknown';
}

/** A takeover's audit has brought a record to light: whoever writes the next one knows that it stays. */
export function gaveBack({ gateway: { dialect } }: MediaGateway): void {
  if (!dialect.has('forgets')) dialect.add('keepsRemote');
}

/** The gateway's program has begun anew: perhaps it is another version. */
export function forgetHabit({ gateway: { dialect } }: MediaGateway): void {
  dialect.delete('keepsRemote');
  dialect.delete('forgets');
}

const asking = 'asksForRecord';

const carriesRecord = (actions: readonly ActionRequest[]): boolean =>
  actions.some(({ commands }) =>
    commands.some(({ descriptors = [] }) =>
      descriptors.some(
        (each) =>
          each.kind === 'Media' &&
          each.streams.some(({ remote }) => remote !== undefined && readRecords(remote).sealed.length > 0),
      ),
    ),
  );

const hasRecord = (actions: readonly ActionReply[]): boolean =>
  actions.some(({ commands }) =>
    commands.some(({ descriptors }) =>
      descriptors.some(
        (each) =>
          each.kind === 'Media' &&
          each.streams.some(({ remote }) => remote !== undefined && readRecords(remote).sealed.length > 0),
      ),
    ),
  );
