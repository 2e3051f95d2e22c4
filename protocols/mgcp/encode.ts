/** Messages to octets: the one canonical form of RFC 3435 Appendix A: single spaces, CRLF, no trailing white space. */
import type { MgcpCommand, MgcpDatagram, MgcpResponse, Parameter } from './messages.ts';

/** Broken messages leave nothing behind. */
export const encodeDatagram = (datagram: MgcpDatagram): Uint8Array => Buffer.from(datagramText(datagram), 'latin1');

export const encodeMessage = (message: MgcpCommand | MgcpResponse): Uint8Array =>
  Buffer.from(messageText(message), 'latin1');

/** Two texts in one datagram, in order (RFC 3435 §3.5.5). */
export const piggyback = (first: string, second: string): string => `${first}.\r\n${second}`;

export function messageText(message: MgcpCommand | MgcpResponse): string {
  let text: string;
  if (message.kind === 'command')
    text = `${message.verb} ${message.transactionId} ${message.endpoint} MGCP ${message.version}\r\n`;
  else {
    const { code, packageName, comment } = message;
    text = `${code < 100 ? String(code).padStart(3, '0') : code} ${message.transactionId}${
      packageName === undefined ? '' : ` /${packageName}`
    }${comment === '' ? '' : ` ${comment}`}\r\n`;
  }
  const { parameters, sdp } = message;
  for (const { code, value } of parameters) text += value === '' ? `${code}:\r\n` : `${code}: ${value}\r\n`;
  for (const block of sdp) text += `\r\n${block}`;
  return text;
}

function datagramText({ messages }: MgcpDatagram): string {
  let text = '';
  for (const message of messages) {
    if (message.kind === 'broken') continue;
    const own = messageText(message);
    text = text === '' ? own : piggyback(text, own);
  }
  return text;
}

/** A command of ours. */
export const command = (
  verb: string,
  transactionId: number,
  endpoint: string,
  parameters: readonly Parameter[],
  sdp: readonly string[] = [],
): MgcpCommand => ({ kind: 'command', verb, transactionId, endpoint, version: '1.0', parameters, sdp });
