/** Final responses and BYE as reasons of the call, and back; with the causes of Q.850 in Reason fields (RFC 3326). */
import { causeOf, finerReason, type ReleaseReason } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import { param } from '../codec/values.ts';
import { warning } from './session-description.ts';

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

/** What a final response other than 2xx says to the calling party. */
export function reasonOfFinal(response: SipMessage): {
  readonly reason: ReleaseReason;
  readonly cause: number | undefined;
} {
  const cause = causeIn(response);
  return { reason: finerReason(reasonOfStatus(response.status), cause), cause };
}

function reasonOfStatus(status: number): ReleaseReason {
  switch (status) {
    case 486:
    case 600:
      return 'busy';
    case 404:
    case 410:
    case 485:
    case 604:
      return 'unknownNumber';
    case 484:
      return 'incompleteNumber';
    case 408:
    case 480:
    case 487:
      return 'unavailable';
    case 603:
      return 'declined';
    case 401:
    case 402:
    case 403:
    case 407:
      return 'forbidden';
    case 406:
    case 415:
    case 488:
    case 606:
      return 'notAcceptable';
    case 503:
      return 'overload';
    default:
      if (status >= 600) return 'declined';
      return status >= 500 ? 'temporary' : 'unavailable';
  }
}

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
