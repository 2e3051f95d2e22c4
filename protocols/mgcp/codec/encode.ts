/** Messages to octets: the one canonical form of RFC 3435 Appendix A: single spaces, CRLF, no trailing white space. */
import type { PathAttribute } from '../../../src/internal.ts';
import { parametersWith } from '../path.ts';
import type { MgcpCommand, MgcpDatagram, MgcpResponse, Parameter } from './messages.ts';

/** Broken messages leave nothing behind. */
export function encodeDatagram({ messages }: MgcpDatagram, path: PathAttribute | undefined): Uint8Array {
  let text = '';
  for (const message of messages) {
    if (message.kind === 'broken') continue;
    const own = messageText(message, path);
    text = text === '' ? own : `${text}${separator}${own}`;
  }
  return Buffer.from(text, 'latin1');
}

/** Datagrams in one, in order (RFC 3435 §3.5.5). */
export const piggyback = (datagrams: readonly Uint8Array[]): Uint8Array =>
  Buffer.concat(datagrams.flatMap((each, index) => (index === 0 ? [each] : [separatorBytes, each])));

const separator = '.\r\n';
const separatorBytes = Buffer.from(separator);

function messageText(message: MgcpCommand | MgcpResponse, path: PathAttribute | undefined): string {
  let text: string;
  if (message.kind === 'command')
    text = `${message.verb} ${message.transactionId} ${message.endpoint} MGCP ${message.version}\r\n`;
  else {
    const { code, packageName, comment } = message;
    text = `${code < 100 ? String(code).padStart(3, '0') : code} ${message.transactionId}${
      packageName === undefined ? '' : ` /${packageName}`
    }${comment === '' ? '' : ` ${comment}`}\r\n`;
  }
  const { sdp } = message;
  const parameters = path === undefined ? message.parameters : parametersWith(message, path);
  for (const { code, value } of parameters) text += value === '' ? `${code}:\r\n` : `${code}: ${value}\r\n`;
  for (const block of sdp) text += `\r\n${block}`;
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
