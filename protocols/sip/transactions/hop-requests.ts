/** Requests that belong to an INVITE's hop: the ACK of a refusal and CANCEL (RFC 3261 §9.1, §17.1.1.3). */
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { replaceParam, trim } from '../codec/values.ts';

/** The ACK of a non-2xx (RFC 3261 §17.1.1.3): the INVITE's Request-URI, top Via, Route, From, Call-ID and CSeq number; To as in the response. */
export function ackFor(inviteText: string, response: SipMessage): string {
  const to = response.fieldIndex(H.to);
  return dialogless(inviteText, 'ACK', response.text.slice(response.fieldStart(to), response.valueStop(to)));
}

/**
 * The ACK of a non-2xx whose INVITE another member sent, or we in an earlier life: all that is left of it is in the response. Its
 * branch and sent-by say which INVITE it belongs to (RFC 3261 §17.1.1.3, §17.2.3); the Request-URI is the one that the caller asked for.
 */
export function ackForAdopted(response: SipMessage): string {
  const { text, via } = response;
  // What the hop added to the Via as it came (RFC 3261 §18.2.1, RFC 3581 §4) is no part of it.
  const params = replaceParam(
    replaceParam(via.params, 'received', ''),
    'rport',
    via.rport === undefined ? '' : ';rport',
  );
  let fields = `Via: ${via.text.slice(0, via.text.length - via.params.length)}${params}\r\nMax-Forwards: 70\r\n`;
  for (const id of [H.from, H.to, H.callId]) {
    const index = response.fieldIndex(id);
    fields += `${text.slice(response.fieldStart(index), response.valueStop(index))}\r\n`;
  }
  return `ACK ${response.to.uri} SIP/2.0\r\n${fields}CSeq: ${response.cseq} ACK\r\nContent-Length: 0\r\n\r\n`;
}

/** The CANCEL of an INVITE that was sent (RFC 3261 §9.1), with further fields (Reason) if wanted. */
export const cancelFor = (inviteText: string, fields = ''): string =>
  dialogless(inviteText, 'CANCEL', undefined, fields);

/** A request that belongs to an INVITE's hop: same Request-URI, top Via, Route, From, To, Call-ID, CSeq number. */
function dialogless(inviteText: string, method: 'ACK' | 'CANCEL', to: string | undefined, fields = ''): string {
  const lines = inviteText.slice(0, inviteText.search(/\n\r?\n/)).split(/\r?\n(?![ \t])/);
  let via = '';
  let rest = '';
  let max = 'Max-Forwards: 70\r\n';
  for (const line of lines.slice(1)) {
    const name = /^([^\s:]+)\s*:/.exec(line)?.[1]?.toLowerCase();
    switch (name) {
      case 'v':
      case 'via':
        // Ours is the first line and holds one value.
        if (via === '') via = `${line}\r\n`;
        break;
      case 't':
      case 'to':
        rest += `${to ?? trim(line, 0, line.length)}\r\n`;
        break;
      case 'f':
      case 'from':
      case 'i':
      case 'call-id':
      case 'route':
        rest += `${trim(line, 0, line.length)}\r\n`;
        break;
      case 'cseq':
        rest += `CSeq: ${Number.parseInt(line.slice(line.indexOf(':') + 1), 10)} ${method}\r\n`;
        break;
      case 'max-forwards':
        max = `${trim(line, 0, line.length)}\r\n`;
        break;
    }
  }
  const [, uri = ''] = (lines[0] ?? '').split(' ');
  return `${method} ${uri} SIP/2.0\r\n${via}${max}${rest}${fields}Content-Length: 0\r\n\r\n`;
}
