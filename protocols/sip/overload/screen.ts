/** What the SIP role knows of messages that nobody has decoded yet (src/overload/source-limits.ts): asked about sources beyond their limit. */
import type { Flow, Screen } from '../../../src/internal.ts';
import type { EarlyRefusal } from './early-refusal.ts';

export interface SipScreenParts {
  knows(flow: Flow): boolean;
  /** Has anything that came from there succeeded lately? */
  serves(flow: Flow): boolean;
  /** Is this the user part of an emergency call's Request-URI? */
  isEmergency(user: string): boolean;
  /** Absent: nothing is ever refused. */
  readonly early?: EarlyRefusal | undefined;
}

export const sipScreen = ({ knows, serves, isEmergency, early }: SipScreenParts): Screen => ({
  knows,
  serves,
  turnsAway: (bytes, flow) => early?.turnsAway(bytes, flow) === true,
  rank(bytes) {
    const head = bytes.toString('latin1', 0, headOctets).trimStart();
    if (head.startsWith('SIP/')) return 'open';
    const line = head.slice(0, Math.max(0, head.indexOf('\n'))).trimEnd();
    if (!line.endsWith(' SIP/2.0')) return 'junk';
    const method = line.slice(0, line.indexOf(' '));
    if (ofDialog.has(method)) return 'open';
    if (method === 'INVITE') {
      const user = /^INVITE +(?:sips?|tel):([^@;>? ]{1,40})/i.exec(head)?.[1];
      if (user !== undefined && isEmergency(user)) return 'urgent';
    }
    const to = /\n(?:to|t)[ \t]*:([^\r\n]*)/i.exec(head)?.[1] ?? '';
    return /;[ \t]*tag[ \t]*=/i.test(to) ? 'open' : 'new';
  },
});

/** These have a dialog or a transaction, or are worth nothing. */
const ofDialog: ReadonlySet<string> = new Set(['ACK', 'BYE', 'CANCEL', 'PRACK', 'UPDATE', 'INFO']);

/** To stands among the first header fields. */
const headOctets = 2_048;
