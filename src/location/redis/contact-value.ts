/**
 * A contact as the store holds it: the octet of the version, then what the script compares, then the rest. Compact, for a million of them
 * are kept. Times are the calendar's. What a reader does not know (another version, another's text) is no contact.
 *
 *     1<Call-ID> <CSeq> <expires> <updated>\n<protocol>\t<target>\t…         a contact
 *     1<Call-ID> <CSeq> <expires> <updated>\n                               a tombstone: removed, until it expires
 */
import type { Contact } from '../../location-service.ts';
import { type ControllerAddress, formatAddress, isTransport, readAddress } from '../../signaling/controller-address.ts';

export type StoredValue =
  | { readonly kind: 'contact'; readonly contact: Contact }
  | { readonly kind: 'removed'; readonly callId?: string; readonly cseq?: number; readonly atMs: number }
  /** Of a version that we do not know, or no value of ours. */
  | { readonly kind: 'unknown' };

export function encodeContact(contact: Contact, aheadMs: number): string {
  const { callId = '', cseq = '', expiresMs, updatedMs } = contact;
  const expires = Number.isFinite(expiresMs) ? Math.round(expiresMs + aheadMs) : never;
  const fields = [
    contact.protocol,
    contact.target,
    addressText(contact.address),
    contact.flow ?? '',
    contact.path.map(escaped).join(listSeparator),
    contact.alternates.map(addressText).map(escaped).join(listSeparator),
    String(contact.q),
    contact.instance ?? '',
    contact.regId === undefined ? '' : String(contact.regId),
    contact.userAgent ?? '',
    contact.params ?? '',
  ];
  const rest = fields.map((field, index) => (lists.has(index) ? field : escaped(field))).join('\t');
  return `${version}${word(callId)} ${cseq} ${expires} ${Math.round(updatedMs + aheadMs)}\n${rest}`;
}

/** What stays of a contact for `tombstoneMs`: a registration that is older than its removal must not bring it back. */
export function encodeTombstone(removed: Pick<Contact, 'callId' | 'cseq'>, nowMs: number, aheadMs: number): string {
  const { callId = '', cseq = '' } = removed;
  const wallMs = Math.round(nowMs + aheadMs);
  return `${version}${word(callId)} ${cseq} ${wallMs + tombstoneMs} ${wallMs}\n`;
}

/** 64·T1: nobody repeats a request for longer. */
export const tombstoneMs = 32_000;

export function decodeValue(text: string, key: string, nowMs: number, aheadMs: number): StoredValue {
  if (!text.startsWith(version)) return unknown;
  const end = text.indexOf('\n');
  const [callId = '', cseq = '', expires = '', updated = '', more] = text.slice(1, Math.max(1, end)).split(' ');
  const wallUpdatedMs = Number(updated);
  const wallExpiresMs = expires === never ? Number.POSITIVE_INFINITY : Number(expires);
  if (end < 0 || more !== undefined || updated === '' || expires === '') return unknown;
  if (!Number.isFinite(wallUpdatedMs) || Number.isNaN(wallExpiresMs)) return unknown;
  const order = optionalNumber(cseq);
  if (Number.isNaN(order)) return unknown;
  if (end === text.length - 1)
    return {
      kind: 'removed',
      atMs: wallUpdatedMs - aheadMs,
      ...optional('callId', callId),
      ...(order === undefined ? {} : { cseq: order }),
    };
  const [protocol = '', target = '', address = '', flow = '', path = '', alternates = '', q = '', ...others] = text
    .slice(end + 1)
    .split('\t');
  const [instance = '', regId = '', userAgent = '', params = ''] = others;
  const hops = listOf(alternates).map(readStoredAddress);
  const at = address === '' ? undefined : readStoredAddress(unescaped(address));
  const preference = Number(q);
  const known = hops.filter((hop) => hop !== undefined);
  if (others.length < 4 || protocol === '' || target === '' || q === '' || !(preference >= 0 && preference <= 1_000))
    return unknown;
  if (known.length < hops.length || (address !== '' && at === undefined)) return unknown;
  const flowNumber = optionalNumber(regId);
  if (Number.isNaN(flowNumber)) return unknown;
  // A calendar that was set back, or another's that is ahead, adds nothing to what was granted.
  const excessMs = Math.max(0, wallUpdatedMs - aheadMs - nowMs);
  return {
    kind: 'contact',
    contact: {
      protocol: unescaped(protocol),
      target: unescaped(target),
      key,
      path: listOf(path),
      alternates: known,
      expiresMs: wallExpiresMs - aheadMs - excessMs,
      q: preference,
      updatedMs: wallUpdatedMs - aheadMs - excessMs,
      ...(at === undefined ? {} : { address: at }),
      ...optional('flow', flow),
      ...optional('instance', instance),
      ...(flowNumber === undefined ? {} : { regId: flowNumber }),
      ...optional('callId', callId),
      ...(order === undefined ? {} : { cseq: order }),
      ...optional('userAgent', userAgent),
      ...optional('params', params),
    },
  };
}

const version = '1';
const never = '-';
/** No URI and no address has it (RFC 3986 §2). */
const listSeparator = '|';
/** Places of the lists among the fields: their entries are escaped one by one. */
const lists: ReadonlySet<number> = new Set([4, 5]);

const unknown: StoredValue = { kind: 'unknown' };

type TextField = 'flow' | 'instance' | 'callId' | 'userAgent' | 'params';

/** A field that was not given is not there. */
const optional = (name: TextField, text: string): Partial<Record<TextField, string>> =>
  text === '' ? {} : { [name]: unescaped(text) };

const optionalNumber = (text: string): number | undefined =>
  text === '' ? undefined : /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;

const listOf = (text: string): string[] => (text === '' ? [] : text.split(listSeparator).map(unescaped));

const addressText = (address: ControllerAddress | undefined): string =>
  address === undefined ? '' : formatAddress(address);

function readStoredAddress(text: string): ControllerAddress | undefined {
  const address = readAddress(text, { port: 0 });
  return address !== undefined && isTransport(address.transport) ? address : undefined;
}

const escaped = (text: string): string =>
  unsafe.test(text) ? text.replaceAll(unsafeAll, (found) => `\\${escapes[found] ?? found}`) : text;

/** What stands in front of the line break: a Call-ID has no blanks by its grammar, and must not have any here. */
const word = (text: string): string => escaped(text).replaceAll(' ', '\\s');

const unescaped = (text: string): string =>
  text.includes('\\') ? text.replaceAll(/\\(.)/g, (_, found: string) => originals[found] ?? found) : text;

const unsafe = /[\t\n\\|]/;
const unsafeAll = /[\t\n\\|]/g;
const escapes: Readonly<Record<string, string>> = { '\t': 't', '\n': 'n', '|': 'p' };
const originals: Readonly<Record<string, string>> = { t: '\t', n: '\n', p: '|', s: ' ' };
