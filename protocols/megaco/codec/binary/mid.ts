/** MIds and ServiceChangeAddresses in BER (RFC 3525 Annex A.2): addresses in octets here, text everywhere else. */
import { isIP } from 'node:net';
import type { MId } from '../messages.ts';
import type { BerReader } from './reader.ts';
import type { BerWriter } from './writer.ts';

/** Reads the alternative at the cursor; `tag` has been read, `stop` is its end. `shift`: 1 where portNumber comes first. */
export function readMIdChoice(r: BerReader, tag: number, stop: number, shift: 0 | 1): MId {
  switch ((tag & 0x1f) - shift) {
    case 0:
    case 1:
    case 2:
      return readAddress(r, stop, (tag & 0x1f) - shift === 2);
    case 3:
      return r.string(stop).toLowerCase();
    case 4:
      return `MTP{${Buffer.from(r.bytes.subarray(r.pos, stop)).toString('hex')}}`;
    default:
      r.fail('no such address');
      return '';
  }
}

function readAddress(r: BerReader, stop: number, domain: boolean): MId {
  let host = '';
  let port = '';
  while (r.pos < stop) {
    const tag = r.next(stop);
    const end = r.stop;
    if (tag === 0x80) host = domain ? `<${r.string(end).toLowerCase()}>` : `[${literal(r, end)}]`;
    else if (tag === 0x81) port = `:${r.uint(end)}`;
    r.pos = end;
  }
  if (host.length < 3) r.fail('address');
  return host + port;
}

function literal(r: BerReader, stop: number): string {
  const { bytes, pos } = r;
  if (stop - pos === 4) return `${bytes[pos]}.${bytes[pos + 1]}.${bytes[pos + 2]}.${bytes[pos + 3]}`;
  if (stop - pos !== 16) {
    r.fail('address');
    return '';
  }
  const groups: string[] = [];
  for (let at = pos; at < stop; at += 2) groups.push((((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16));
  // The longest run of zeros once, as everybody writes it.
  const long = groups.join(':');
  const run = [...long.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length)[0]?.[0];
  if (run === undefined) return long;
  const short = long.replace(run, '::');
  return short.replace(/:{3,}/, '::');
}

/** Writes the alternative that the text form stands for. */
export function writeMIdChoice(w: BerWriter, mId: MId, shift: 0 | 1): void {
  const known = /^(?:\[([^\]]+)\]|<([^>]+)>|MTP\{([0-9a-f]+)\})(?::(\d+))?$/.exec(mId);
  if (known === null) {
    w.string(0x83 + shift, mId);
    return;
  }
  const [, address, name, mtp, port] = known;
  if (mtp !== undefined) {
    w.octets(0x84 + shift, Buffer.from(mtp, 'hex'));
    return;
  }
  const mark = w.mark;
  if (port !== undefined) w.uint(0x81, Number(port));
  if (name !== undefined) {
    w.string(0x80, name);
    w.close(0xa2 + shift, mark);
    return;
  }
  const octets = addressOctets(address ?? '');
  w.octets(0x80, octets);
  w.close((octets.length === 4 ? 0xa0 : 0xa1) + shift, mark);
}

function addressOctets(address: string): readonly number[] {
  if (isIP(address) === 4) return address.split('.').map(Number);
  const tail = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const plain =
    tail === null
      ? address
      : `${address.slice(0, tail.index)}${((Number(tail[1]) << 8) | Number(tail[2])).toString(16)}:${((Number(tail[3]) << 8) | Number(tail[4])).toString(16)}`;
  const [before = '', after] = plain.split('::');
  const left = before === '' ? [] : before.split(':');
  const right = after === undefined || after === '' ? [] : after.split(':');
  const zeros = new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return [...left, ...zeros, ...right].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
