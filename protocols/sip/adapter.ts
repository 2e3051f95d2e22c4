/** SIP as the core sees it (src/signaling/protocol-adapter.ts): decode, encode, identity of a transaction, and where AlternatePath sits. */
import {
  type Assembler,
  alternatePathTag,
  bracketed,
  type ControllerAddress,
  formatSocketAddress,
  type PathAttribute,
  type ProtocolAdapter,
  pathAttribute,
  type Transport,
} from '../../src/internal.ts';
import { decode } from './codec/decode.ts';
import { Edit, encode, toBytes } from './codec/encode.ts';
import { createFraming } from './codec/framing.ts';
import { H, type HeaderId } from './codec/header-names.ts';
import type { SipMessage } from './codec/messages.ts';
import { isSipScheme, parseUri } from './codec/uri.ts';
import { magicCookie, type NameAddr, parseNameAddr, replaceParam, valueEnd } from './codec/values.ts';
import { nameAddrAlternates, type Placement, tagText, uriAddress, uriTagText, viaAlternates } from './path.ts';
import { viaAddress } from './transactions/way-back.ts';

/** The branch of our probes begins so; their answers are signs of life and nothing more. */
const probeBranch = `${magicCookie}probe`;

/** The id of the probe that this response answers; undefined where it answers none. */
export const probeIdOf = ({ via }: SipMessage): string | undefined =>
  via.branch?.startsWith(probeBranch) === true ? via.branch.slice(probeBranch.length) : undefined;

/**
 * What we compose ourselves, in one pass with what we forward: our attribute stands in it already, wherever one of our addresses does
 * (`Identity` writes those, with the path that the Assembler gives).
 */
export type ComposedText = string;

/** What puts together whatever leaves the SIP role. */
export type SipAssembler = Assembler<SipMessage | ComposedText>;

export interface SipAdapter extends ProtocolAdapter<SipMessage> {
  encode(message: SipMessage | ComposedText, path: PathAttribute | undefined): Buffer;
}

export function createSipAdapter(placement: Placement = 'header'): SipAdapter {
  return {
    protocol: 'sip',
    framing: createFraming,
    subprotocol: 'sip',
    isKeepAlive,
    keepAliveAnswer,
    decode,
    encode(message, path) {
      if (typeof message === 'string') return toBytes(message);
      return path === undefined ? encode(message) : encodeWith(message, path, placement);
    },
    paths,
    probe,
  };
}

/** Line ends only (RFC 5626 §3.5.1, §4.4.1), or the empty datagrams and single zeros that some telephones send. */
function isKeepAlive(bytes: Uint8Array): boolean {
  if (bytes.length > 4) return false;
  for (const octet of bytes) if (octet !== 13 && octet !== 10 && octet !== 0) return false;
  return true;
}

/**
 * RFC 5626 §3.5.1, §5.4, which RFC 7118 §6 lets WebSocket clients use: a double CRLF asks for a single one. On TCP and TLS the framing
 * answers; over UDP nobody does (§4.4.2: STUN).
 */
const keepAliveAnswer = (bytes: Uint8Array, transport: Transport): Uint8Array | undefined =>
  (transport === 'ws' || transport === 'wss') && isDoubleCrlf(bytes) ? pong : undefined;

const pong = Buffer.from('\r\n');

const isDoubleCrlf = (bytes: Uint8Array): boolean =>
  bytes.length === 4 && bytes[0] === 13 && bytes[1] === 10 && bytes[2] === 13 && bytes[3] === 10;

/** Via's first (it leads the response back), then those of the routes, then Contact's. */
function paths(message: SipMessage): readonly PathAttribute[] {
  const found: PathAttribute[] = [];
  const via = viaAddress(message.via);
  const alternates = viaAlternates(message.via);
  if (via !== undefined && alternates !== undefined)
    add(found, { ...via, host: message.via.host, port: message.via.port || via.port }, alternates);
  for (const id of routeHeaders) {
    if (message.fieldIndex(id) < 0) continue;
    for (const entry of message.addresses(id)) {
      const named = entry === undefined ? undefined : nameAddrAlternates(entry);
      const address = entry === undefined ? undefined : addressOf(entry);
      if (named !== undefined && address !== undefined) add(found, address, named);
    }
  }
  return found;
}

const routeHeaders: readonly HeaderId[] = [H.route, H.recordRoute, H.path, H.serviceRoute, H.contact];

function add(found: PathAttribute[], primary: ControllerAddress, alternates: readonly ControllerAddress[]): void {
  const path = pathAttribute(primary, alternates);
  if (path !== undefined) found.push(path);
}

function addressOf(entry: NameAddr): ControllerAddress | undefined {
  const uri = parseUri(entry.uri);
  return uri === undefined || !isSipScheme(uri.scheme) ? undefined : uriAddress(uri);
}

/** On every Via, Route, Record-Route, Path, Service-Route and Contact value that names the path's primary: those are ours. */
function encodeWith(message: SipMessage, path: PathAttribute, placement: Placement): Buffer {
  const edit = new Edit(message);
  let changed = false;
  for (let i = message.fieldIndex(H.via); i >= 0 && !changed; i = -1) {
    if (message.via.host !== path.primary.host || (message.via.port || 5_060) !== path.primary.port) break;
    edit.replace(
      message.valueStart(i),
      message.valueStart(i) + message.via.text.length,
      message.via.text.slice(0, message.via.text.length - message.via.params.length) +
        taggedParams(message.via.params, tagText(path)),
    );
    changed = true;
  }
  for (const id of routeHeaders) {
    for (let i = message.fieldIndex(id); i >= 0; i = message.fieldIndex(id, i))
      changed = tagField(edit, message, i, path, placement) || changed;
  }
  return changed ? edit.bytes() : encode(message);
}

function tagField(edit: Edit, message: SipMessage, index: number, path: PathAttribute, placement: Placement): boolean {
  const stop = message.valueStop(index);
  let changed = false;
  for (let at = message.valueStart(index); at < stop; ) {
    const end = valueEnd(message.text, at, stop);
    const written = message.text.slice(at, end);
    const entry = parseNameAddr(written.trim());
    const address = entry === undefined ? undefined : addressOf(entry);
    if (
      entry !== undefined &&
      address !== undefined &&
      address.host === path.primary.host &&
      address.port === path.primary.port
    ) {
      const uri = taggedUri(entry.uri, placement === 'header' ? '' : uriTagText(path));
      const params = taggedParams(entry.params, placement === 'uri' ? '' : tagText(path));
      const lead = written.length - written.trimStart().length;
      edit.replace(at + lead, end, `${entry.display === '' ? '' : `${entry.display} `}<${uri}>${params}`);
      changed = true;
    }
    at = end + 1;
  }
  return changed;
}

/** Every tag that was there goes, in either place: a reader must not find an older one. */
const taggedUri = (text: string, written: string): string => {
  const uri = parseUri(text);
  if (uri === undefined) return text;
  const tail = uri.headers === '' ? '' : `?${uri.headers}`;
  const head = text.slice(0, text.length - tail.length - uri.params.length);
  return `${head}${replaceParam(uri.params, lowerTag, '')}${written}${tail}`;
};

const taggedParams = (params: string, written: string): string => replaceParam(params, lowerTag, '') + written;

const lowerTag = alternatePathTag.toLowerCase();

/** OPTIONS with Max-Forwards 0: every SIP element answers it, none passes it on (RFC 3261 §11). */
function probe(to: ControllerAddress, from: ControllerAddress, id: string): SipMessage {
  const self = formatSocketAddress(from);
  const text =
    `OPTIONS sip:${formatSocketAddress(to)}${to.transport === 'udp' ? '' : `;transport=${to.transport}`} SIP/2.0\r\n` +
    `Via: SIP/2.0/${from.transport.toUpperCase()} ${self};branch=${probeBranch}${id};rport\r\n` +
    `From: <sip:probe@${self}>;tag=${id}\r\nTo: <sip:${bracketed(to.host)}>\r\nCall-ID: ${id}@${bracketed(from.host)}\r\n` +
    'CSeq: 1 OPTIONS\r\nMax-Forwards: 0\r\nContent-Length: 0\r\n\r\n';
  const decoded = decode(toBytes(text));
  if (!decoded.ok) throw new Error(`the probe itself is malformed: ${decoded.error.reason}`);
  return decoded.value;
}
