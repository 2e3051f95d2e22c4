/**
 * A contact as one short text, without its times and CSeq (the table has those as numbers), and back. Words that many contacts share
 * (the protocol, the User-Agent) are written as numbers. Exact: what is read is what was written.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Contact } from '../location-service.ts';
import type { ControllerAddress } from '../signaling/controller-address.ts';

/** Words by number and numbers by word; bounded, what finds no room is written out. */
export class SharedWords {
  readonly #words: string[] = [];
  readonly #numbers = new Map<string, number>();

  write(word: string | undefined): string {
    if (word === undefined) return '';
    const known = this.#numbers.get(word);
    if (known !== undefined) return known.toString(36);
    if (word.length > longestShared || this.#words.length >= maxShared) return `=${escaped(word)}`;
    // A copy: what came may be a piece of a large message, and would keep all of it.
    const own = Buffer.from(word, 'utf16le').toString('utf16le');
    this.#numbers.set(own, this.#words.push(own) - 1);
    return (this.#words.length - 1).toString(36);
  }

  read(text: string): string | undefined {
    if (text === '') return undefined;
    return text.startsWith('=') ? unescaped(text.slice(1)) : this.#words[Number.parseInt(text, 36)];
  }
}

/** All of the contact but `expiresMs`, `updatedMs` and `cseq`; no line end in it. */
export function contactText(contact: Contact, words: SharedWords): string {
  const { target, key, address, flow, path, alternates, q, instance, regId, callId, trunk, params } = contact;
  const written = escaped(target);
  let text = `${words.write(contact.protocol)}\t${written}\t`;
  text += key === target ? '' : optional(key);
  text += `\t${address === undefined ? '' : addressText(address, target)}\t${optional(flow)}\t`;
  for (const hop of path) text += `${escaped(hop)}\v`;
  text += '\t';
  for (const each of alternates) text += `${plainAddress(each)}\v`;
  text += `\t${q === usualQ ? '' : q}\t${optional(instance)}\t${regId ?? ''}\t${optional(callId)}\t${words.write(contact.userAgent)}`;
  if (trunk !== undefined || params !== undefined) text += `\t${optional(trunk)}\t${optional(params)}`;
  return text;
}

/** `cseq` NaN: it has none. */
export function contactOf(
  text: string,
  words: SharedWords,
  expiresMs: number,
  updatedMs: number,
  cseq: number,
): Contact {
  const [
    protocol = '',
    target = '',
    key = '',
    address = '',
    flow = '',
    path = '',
    alternates = '',
    q = '',
    instance = '',
    regId = '',
    callId = '',
    userAgent = '',
    trunk = '',
    params = '',
  ] = text.split('\t');
  const plain = unescaped(target);
  return {
    protocol: words.read(protocol) ?? '',
    target: plain,
    key: key === '' ? plain : (asOptional(key) ?? plain),
    address: address === '' ? undefined : addressOf(address, plain),
    flow: asOptional(flow),
    path: path === '' ? none : list(path).map(unescaped),
    alternates: alternates === '' ? none : list(alternates).map((each) => addressOf(each, plain)),
    expiresMs,
    q: q === '' ? usualQ : Number(q),
    instance: asOptional(instance),
    regId: regId === '' ? undefined : Number(regId),
    callId: asOptional(callId),
    cseq: Number.isNaN(cseq) ? undefined : cseq,
    userAgent: words.read(userAgent),
    trunk: asOptional(trunk),
    params: asOptional(params),
    updatedMs,
  };
}

/** Do both say the same? */
export function isSameContact(a: Contact, b: Contact): boolean {
  if (a === b) return true;
  return (
    a.key === b.key &&
    a.expiresMs === b.expiresMs &&
    a.updatedMs === b.updatedMs &&
    a.cseq === b.cseq &&
    a.target === b.target &&
    a.callId === b.callId &&
    a.protocol === b.protocol &&
    a.q === b.q &&
    a.flow === b.flow &&
    a.instance === b.instance &&
    a.regId === b.regId &&
    a.userAgent === b.userAgent &&
    a.trunk === b.trunk &&
    a.params === b.params &&
    a.path.length === b.path.length &&
    a.path.every((hop, index) => hop === b.path[index]) &&
    isDeepStrictEqual([a.address, a.alternates], [b.address, b.alternates])
  );
}

/** Mostly it is what the target itself says. */
function addressText(address: ControllerAddress, target: string): string {
  const { transport, host, port, user } = address;
  if (user === undefined) {
    const place = placeIn(target);
    if (place !== undefined && place.host === host && place.port === port) return `@${transport}`;
  }
  return plainAddress(address);
}

const plainAddress = ({ transport, host, port, user }: ControllerAddress): string =>
  `${transport} ${port} ${escaped(host)}${user === undefined ? '' : ` ${optional(user)}`}`;

function addressOf(text: string, target: string): ControllerAddress {
  if (text.startsWith('@')) {
    const { host = '', port = 0 } = placeIn(target) ?? {};
    return { transport: transportOf(text.slice(1)), host, port };
  }
  const [transport = '', port = '', host = '', user] = text.split(' ');
  const address = { transport: transportOf(transport), host: unescaped(host), port: Number(port) };
  return user === undefined ? address : { ...address, user: asOptional(user) ?? '' };
}

/** `…@192.0.2.7:5060`, and nothing else. */
function placeIn(target: string): { readonly host: string; readonly port: number } | undefined {
  const at = target.indexOf('@') + 1;
  if (at === 0) return undefined;
  const semicolon = target.indexOf(';', at);
  const end = semicolon < 0 ? target.length : semicolon;
  const colon = target.indexOf(':', at);
  if (colon < 0 || colon >= end) return undefined;
  const digits = target.slice(colon + 1, end);
  return /^[1-9][0-9]{0,4}$/.test(digits) ? { host: target.slice(at, colon), port: Number(digits) } : undefined;
}

function transportOf(text: string): ControllerAddress['transport'] {
  return transports.find((each) => each === text) ?? 'udp';
}

const transports: readonly ControllerAddress['transport'][] = ['udp', 'tcp', 'tls', 'ws', 'wss'];

/** Each entry ends in a vertical tab. */
const list = (text: string): readonly string[] => text.slice(0, -1).split('\v');

/** '' is another thing than nothing. */
const optional = (text: string | undefined): string => (text === undefined ? '' : text === '' ? '\\e' : escaped(text));

const asOptional = (text: string): string | undefined =>
  text === '' ? undefined : text === '\\e' ? '' : unescaped(text);

const special = /[\t\n\v \\]/;
const specials = /[\t\n\v \\]/g;

const escaped = (text: string): string =>
  special.test(text) ? text.replace(specials, (c) => `\\${c.charCodeAt(0).toString(16).padStart(2, '0')}`) : text;

const unescaped = (text: string): string =>
  text.includes('\\')
    ? text.replace(/\\([0-9a-f]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    : text;

const none: readonly never[] = [];

const usualQ = 1_000;

const maxShared = 4_096;
const longestShared = 128;
