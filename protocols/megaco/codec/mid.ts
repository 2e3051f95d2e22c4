/** MIds: their text forms, the addresses in them, and back (RFC 3525 Annex B.2, mId). */
import { isIP } from 'node:net';
import { type ControllerAddress, isIpLiteral, type SocketAddress, type Transport } from '../../../src/internal.ts';
import type { MId } from './messages.ts';
import type { Scanner } from './text/scanner.ts';

/** Reads an mId in canonical form (lower case). */
export function readMId(s: Scanner): MId {
  const { text, end } = s;
  const start = s.pos;
  const first = s.peek();
  let pos = start;
  if (first === 0x5b) pos = text.indexOf(']', start) + 1;
  else if (first === 0x3c) pos = text.indexOf('>', start) + 1;
  else {
    pos = plainEnd(text, start, end);
    if (text.slice(start, pos).toUpperCase() === 'MTP' && /\s|\{/.test(text.charAt(pos))) {
      // RFC 3525: 4 to 8 hexadecimal digits; RFC 3015: an octetString of two octets.
      const mtp = /[ \t\r\n]*\{(?:[ \t\r\n]*([0-9a-f]{4,8})[ \t\r\n]*|([^{}]{2}))\}/iy;
      mtp.lastIndex = pos;
      const found = mtp.exec(text);
      s.pos = found === null ? pos : mtp.lastIndex;
      if (found === null) s.fail(400, 'MTP address');
      s.skip();
      const [, digits, octets = ''] = found ?? [];
      return `MTP{${digits?.toLowerCase() ?? Buffer.from(octets, 'latin1').toString('hex')}}`;
    }
  }
  const host = pos;
  if (pos > start && (first === 0x5b || first === 0x3c) && text.charCodeAt(pos) === 0x3a) {
    pos += 1;
    while (pos < end && text.charCodeAt(pos) >= 0x30 && text.charCodeAt(pos) <= 0x39) pos += 1;
  }
  const raw = pos > start && pos - start < 128 ? text.slice(start, pos) : '';
  const mId = raw === '' ? undefined : canonical(raw, host - start);
  if (mId === undefined) {
    s.fail(400, 'mId expected');
    return '';
  }
  s.pos = pos;
  s.skip();
  return mId;
}

function plainEnd(text: string, start: number, end: number): number {
  let pos = start;
  while (pos < end) {
    const code = text.charCodeAt(pos);
    // Letters, digits and / * _ $ @ - .
    const letter = (code | 32) >= 0x61 && (code | 32) <= 0x7a;
    if (
      !letter &&
      !(code >= 0x2d && code <= 0x39) &&
      !(code === 0x2a || code === 0x5f || code === 0x24 || code === 0x40)
    )
      break;
    pos += 1;
  }
  return pos;
}

/** mIds seen before: few peers send many messages. */
const known = new Map<string, MId>();

function canonical(raw: string, hostEnd: number): MId | undefined {
  const found = known.get(raw);
  if (found !== undefined) return found;
  const mId = raw.toLowerCase();
  if (hostEnd < raw.length && !isPort(raw.slice(hostEnd + 1))) return undefined;
  if (raw.startsWith('[')) {
    if (isIP(mId.slice(1, hostEnd - 1)) === 0) return undefined;
  } else if (raw.startsWith('<')) {
    if (!/^<[a-z0-9][a-z0-9.-]{0,63}>/.test(mId)) return undefined;
  } else if (!isPathName(mId)) return undefined;
  if (known.size >= 4_096) known.clear();
  known.set(raw, mId);
  return mId;
}

const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) <= 65_535;

/** pathNAME of at most 64 characters. */
const isPathName = (text: string): boolean =>
  text.length <= 64 && /^\*?[a-z][a-z0-9_]*[/*a-z0-9_$]*(@[a-z0-9*][a-z0-9.*-]*)?$/i.test(text);

/** The mId of an address: `[127.0.0.1]:2944`, `<mgc.example>:2944`. */
export const addressMId = ({ host, port }: SocketAddress): MId =>
  isIpLiteral(host) ? `[${host}]:${port}` : `<${host}>:${port}`;

/** As an address, where the mId is one: an IP literal or a domain name. */
export function mIdAddress(mId: MId, defaultPort: number, transport: Transport): ControllerAddress | undefined {
  const found = /^(?:\[([^\]]+)\]|<([^>]+)>)(?::(\d{1,5}))?$/.exec(mId);
  if (found === null) return undefined;
  const [, literal, name, port] = found;
  const host = literal ?? name ?? '';
  return { transport, host, port: port === undefined ? defaultPort : Number(port) };
}

/** An operator's or a flag's spelling of an mId, as the wire has it; undefined where it is none. */
export function parseMId(text: string): MId | undefined {
  const mId = text.trim().toLowerCase();
  if (/^\[[^\]]+\](:\d{1,5})?$/.test(mId)) return isIP(mId.slice(1, mId.indexOf(']'))) === 0 ? undefined : mId;
  if (/^<[a-z0-9][a-z0-9.-]{0,63}>(:\d{1,5})?$/.test(mId)) return mId;
  if (isIpLiteral(mId)) return `[${mId}]`;
  return isPathName(mId) ? mId : undefined;
}
