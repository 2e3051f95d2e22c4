/**
 * The one table of what final responses mean: as reasons of calls, in the finer words of lists and call records, and as causes of Q.850 (as
 * RFC 3398 pairs them); and back, what a caller is answered whose call comes to nothing. Causes travel in Reason fields (RFC 3326).
 */
import { type CallOutcome, causeOf, finerReason, type ReleaseReason } from '../../src/internal.ts';
import { keptShort } from './codec/kept-text.ts';
import type { SipMessage } from './codec/messages.ts';
import { param } from './codec/values.ts';

interface Meaning {
  readonly reason: ReleaseReason;
  readonly cause: number;
  /** Where the reason does not say all. */
  readonly word?: string;
}

const meaning = (reason: ReleaseReason, cause: number, word?: string): Meaning => ({
  reason,
  cause,
  ...(word === undefined ? {} : { word }),
});

const meanings: ReadonlyMap<number, Meaning> = new Map<number, Meaning>([
  [401, meaning('forbidden', 21, 'unauthorized')],
  [402, meaning('forbidden', 21)],
  [403, meaning('forbidden', 21)],
  [404, meaning('unknownNumber', 1)],
  [406, meaning('notAcceptable', 79, 'refused')],
  [407, meaning('forbidden', 21, 'unauthorized')],
  [408, meaning('unavailable', 102, 'timeout')],
  [410, meaning('unknownNumber', 22)],
  [415, meaning('notAcceptable', 79)],
  [416, meaning('unavailable', 127, 'noRoute')],
  [430, meaning('unavailable', 20)],
  [480, meaning('unavailable', 18)],
  [481, meaning('unavailable', 41, 'temporary')],
  [482, meaning('unavailable', 25, 'loop')],
  [483, meaning('unavailable', 25, 'loop')],
  [484, meaning('incompleteNumber', 28)],
  [485, meaning('unknownNumber', 1)],
  [486, meaning('busy', 17)],
  [487, meaning('unavailable', 16, 'cancelled')],
  [488, meaning('notAcceptable', 65)],
  [500, meaning('temporary', 41)],
  [501, meaning('temporary', 79, 'notAcceptable')],
  [502, meaning('temporary', 38, 'unreachable')],
  [503, meaning('overload', 41)],
  [504, meaning('temporary', 102, 'timeout')],
  [580, meaning('temporary', 47, 'noResources')],
  [600, meaning('busy', 17)],
  [603, meaning('declined', 21)],
  [604, meaning('unknownNumber', 1)],
  [606, meaning('notAcceptable', 65)],
]);

/** RFC 3261 §8.1.3.2: a status that is not known is that of its class. */
function meaningOf(status: number): Meaning {
  const known = meanings.get(status);
  if (known !== undefined) return known;
  if (status < 400) return meaning('unavailable', 23, 'redirected');
  if (status < 500) return meaning('unavailable', 127, 'refused');
  return status < 600 ? meaning('temporary', 41) : meaning('declined', 21);
}

/** What a final response says of a call, for lists and records. */
export function outcomeOf(status: number, detail?: string): CallOutcome {
  const { reason, word = reason, cause } = meaningOf(status);
  return {
    reason: word,
    code: String(status),
    cause,
    ...(detail === undefined || detail === '' ? {} : { detail: keptShort(detail) }),
  };
}

/** What a final response other than 2xx says to the calling party. */
export function reasonOfFinal(response: SipMessage): {
  readonly reason: ReleaseReason;
  readonly cause: number | undefined;
} {
  const cause = causeIn(response);
  return { reason: finerReason(meaningOf(response.status).reason, cause), cause };
}

export interface FinalAnswer {
  readonly status: number;
  readonly reason: string;
  readonly fields: string;
}

/** What a caller is answered whose call comes to nothing. */
export function answerFor(reason: ReleaseReason, cause?: number): FinalAnswer {
  const [status, phrase, fields = ''] = answers[reason];
  return { status, reason: phrase, fields: fields + reasonField(cause ?? causeOf(reason)) };
}

/** RFC 3261 §20.43. */
export const warning = (code: number, text: string): string => `Warning: ${code} altpath "${text}"\r\n`;

const unavailable = [480, 'Temporarily Unavailable'] as const;

const answers: Readonly<Record<ReleaseReason, readonly [status: number, phrase: string, fields?: string]>> = {
  normal: unavailable,
  cancelled: [487, 'Request Terminated'],
  busy: [486, 'Busy Here'],
  unknownNumber: [404, 'Not Found'],
  unavailable,
  // Not 408: that is a transaction that failed, and would be tried elsewhere.
  noAnswer: unavailable,
  declined: [603, 'Decline'],
  forbidden: [403, 'Forbidden'],
  // Not 503: an upstream element would take us for dead (RFC 3261 §21.5.4).
  noResources: unavailable,
  notAcceptable: [488, 'Not Acceptable Here', warning(305, 'Incompatible media format')],
  incompleteNumber: [484, 'Address Incomplete'],
  gatewayLost: unavailable,
  temporary: [500, 'Server Internal Error'],
  overload: [503, 'Service Unavailable', 'Retry-After: 5\r\n'],
};

export const reasonField = (cause: number): string => `Reason: Q.850;cause=${cause}\r\n`;

/** The cause of Q.850 in the Reason fields of a message; undefined where there is none (RFC 3326 §2). */
export const causeIn = (message: SipMessage): number | undefined => causeInFields(message.allNamed('Reason'));

export function causeInFields(fields: readonly string[]): number | undefined {
  for (const field of fields.slice(0, 8)) {
    const at = /(?:^|,)\s*q\.850\s*;/i.exec(field);
    if (at === null) continue;
    const cause = Number(param(field.slice(at.index + at[0].length - 1), 'cause', 1) ?? Number.NaN);
    if (Number.isInteger(cause) && cause >= 1 && cause <= 127) return cause;
  }
  return undefined;
}
