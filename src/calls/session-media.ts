/**
 * What one telephone line can serve of another party's session description, and the description that answers it (RFC 3264): one stream
 * of audio, or of fax, in one of four modes. What cannot be served is refused with port zero, in the order of the offer.
 */
import { keptReadings } from './kept-readings.ts';

/** What a party does: `receive`: it sends nothing. */
export type MediaMode = 'receive' | 'send' | 'both' | 'none';

/** The other party's description, as far as a line can serve it. */
export interface ServedMedia {
  readonly kind: 'audio' | 'fax';
  /** The description with what can be served, and nothing else. */
  readonly remote: string;
  /** What this end does, by the other party's direction. */
  readonly mode: MediaMode;
  /** Nothing is to be sent to the address: there is none (RFC 3264 §8.4: hold as in RFC 2543). */
  readonly isUnconnected: boolean;
  /** The description as it came, and which of its media is served. */
  readonly whole: string;
  readonly index: number;
}

/** undefined: nothing in it can be served. A description without media lines passes as it is. */
export function servedMedia(description: string, prefersFax = false): ServedMedia | undefined {
  const { session, media } = sectionsOf(description);
  const whole = description;
  if (media.length === 0)
    return { kind: 'audio', remote: description, mode: 'both', isUnconnected: false, whole, index: -1 };
  const audio = media.findIndex(isAudio);
  const fax = media.findIndex(isFax);
  const index = fax >= 0 && (prefersFax || audio < 0) ? fax : audio;
  const chosen = media[index];
  if (chosen === undefined) return undefined;
  const isUnconnected = unspecified.has(hostOf(session, chosen) ?? '');
  const mode = isUnconnected ? 'none' : facing[directionOf(session, chosen)];
  const kind = index === fax ? 'fax' : 'audio';
  const remote = reduced(description, session, media, chosen);
  return { kind, remote, mode, isUnconnected, whole, index };
}

/**
 * This end's description for the other party: with the media lines of its offer, if it made one, and the direction of `mode` (gateways
 * rarely write one, and what they write is of their state, not of the call's).
 */
export function answerTo(offer: ServedMedia | undefined, own: string, mode: MediaMode): string {
  const ours = sectionsOf(own);
  const mine = ours.media.find((each) => isFax(each) === (offer?.kind === 'fax')) ?? ours.media[0];
  if (mine === undefined) return own;
  const session = ours.session.filter((line) => !isDirection(line));
  const isPlain = session.length === ours.session.length && directionOf([], mine) === directions[mode];
  const offered = offer === undefined ? [] : sectionsOf(offer.whole).media;
  const chosen = offer === undefined ? undefined : offered[offer.index];
  const ptime = chosen?.find((line) => line.startsWith('a=ptime:'));
  const addsPtime = ptime !== undefined && !mine.some((line) => line.startsWith('a=ptime:'));
  const profile = chosen === undefined ? undefined : profileOf(chosen);
  const isSameProfile = profile === undefined || profile === profileOf(mine);
  const isSameShape = offered.length === 0 || (offered.length === 1 && ours.media.length === 1);
  if (isPlain && !addsPtime && isSameProfile && isSameShape) return own;
  const stream = [
    isSameProfile ? (mine[0] ?? '') : withProfile(mine[0] ?? '', profile),
    ...mine.slice(1).filter((line) => !isDirection(line)),
    ...(addsPtime ? [ptime] : []),
    ...(mode === 'both' ? [] : [`a=${directions[mode]}`]),
  ];
  // RFC 4566 §5.7: a connection for the whole session, or one for each of the media.
  const connection = session.some(isConnection) ? [] : mine.filter(isConnection);
  const media =
    chosen === undefined ? [stream] : offered.map((each) => (each === chosen ? stream : refused(each, connection)));
  return [...session, ...media.flat(), ''].join('\r\n');
}

export const isFaxDescription = (description: string): boolean => sectionsOf(description).media.some(isFax);

/** The packetization period that a description asks for, in milliseconds. */
export function ptimeOf(description: string): number | undefined {
  const value = Number(/^a=ptime: *(\d{1,3})\b/m.exec(description)?.[1]);
  return value >= 1 && value <= 200 ? value : undefined;
}

const directions = { both: 'sendrecv', receive: 'recvonly', send: 'sendonly', none: 'inactive' } as const;

type Direction = (typeof directions)[MediaMode];

/** What this end does where the other party's direction is this (RFC 3264 §6.1). */
const facing: Readonly<Record<Direction, MediaMode>> = {
  sendrecv: 'both',
  sendonly: 'receive',
  recvonly: 'send',
  inactive: 'none',
};

interface Sections {
  /** Lines before the first medium. */
  readonly session: readonly string[];
  /** For each medium its `m=` line and what follows. */
  readonly media: readonly (readonly string[])[];
}

const sectionsOf = keptReadings((description: string): Sections => {
  const session: string[] = [];
  const media: string[][] = [];
  for (const line of description.split(/\r\n|\n|\r/)) {
    if (line === '') continue;
    if (line.startsWith('m=')) {
      // A description with more is no telephone's.
      if (media.length === maxMedia) break;
      media.push([line]);
    } else (media.at(-1) ?? session).push(line);
  }
  return { session, media };
});

const maxMedia = 32;

/** `m=audio 30000 RTP/AVP 0 8` (RFC 4566 §5.14); undefined where it is none. */
const mediaLine = /^m=(\S+) +(\d{1,5})(?:\/\d+)? +(\S+)((?: +\S+)*)/;

function isAudio([line = '']: readonly string[]): boolean {
  const [, media = '', port = '0', profile = ''] = mediaLine.exec(line) ?? [];
  return media.toLowerCase() === 'audio' && isPort(port) && plainProfiles.has(profile.toUpperCase());
}

/** ITU-T T.38 over UDPTL. */
function isFax([line = '']: readonly string[]): boolean {
  const [, media = '', port = '0', profile = '', formats = ''] = mediaLine.exec(line) ?? [];
  return (
    media.toLowerCase() === 'image' && isPort(port) && profile.toLowerCase() === 'udptl' && /\bt38\b/i.test(formats)
  );
}

const isPort = (port: string): boolean => Number(port) > 0 && Number(port) <= 65_535;

/** Secure profiles need keys, which gateways of lines exchange with nobody. Feedback (RFC 4585) is an offer that may be left aside. */
const plainProfiles: ReadonlySet<string> = new Set(['RTP/AVP', 'RTP/AVPF']);

const profileOf = ([line = '']: readonly string[]): string => mediaLine.exec(line)?.[3] ?? '';

const withProfile = (line: string, profile: string): string => line.replace(/^(m=\S+ +\S+ +)\S+/, `$1${profile}`);

/** RFC 3264 §6: port zero refuses, in the place and with the formats of the offer. */
const refused = ([line = '']: readonly string[], connection: readonly string[]): readonly string[] => [
  line.replace(/^(m=\S+ +)\d+(?:\/\d+)?/, '$10'),
  ...connection,
];

const isConnection = (line: string): boolean => line.startsWith('c=');

const isDirection = (line: string): boolean => directionIn(line) !== undefined;

const directionIn = (line: string): Direction | undefined =>
  line === 'a=sendrecv' || line === 'a=sendonly' || line === 'a=recvonly' || line === 'a=inactive'
    ? (line.slice(2) as Direction)
    : undefined;

/** The direction of the medium, else of the session, else both (RFC 4566 §6). */
function directionOf(session: readonly string[], media: readonly string[]): Direction {
  for (const lines of [media, session])
    for (const line of lines) {
      const direction = directionIn(line.trimEnd());
      if (direction !== undefined) return direction;
    }
  return 'sendrecv';
}

const hostOf = (session: readonly string[], media: readonly string[]): string | undefined =>
  /^c=IN +IP[46] +([^\s/]+)/.exec(media.find(isConnection) ?? session.find(isConnection) ?? '')?.[1];

const unspecified: ReadonlySet<string> = new Set(['0.0.0.0', '::', '0:0:0:0:0:0:0:0']);

/** The one medium, without the offers that gateways of lines leave aside anyway; the same text where there is nothing to leave out. */
function reduced(
  description: string,
  session: readonly string[],
  media: readonly (readonly string[])[],
  chosen: readonly string[],
): string {
  const isSpare = (line: string): boolean => spareAttribute.test(line);
  const isFeedback = profileOf(chosen).toUpperCase() === 'RTP/AVPF';
  if (media.length === 1 && !isFeedback && !chosen.some(isSpare) && !session.some(isSpare)) return description;
  const [line = '', ...rest] = chosen;
  const stream = [isFeedback ? withProfile(line, 'RTP/AVP') : line, ...rest].filter((each) => !isSpare(each));
  return [...session.filter((each) => !isSpare(each)), ...stream, ''].join('\r\n');
}

/** ICE, keys for DTLS, bundling, RTCP extensions: offers that need an answer to count (RFC 8839, 5763, 9143, 5761, 4585, 8285, 5576). */
const spareAttribute =
  /^a=(?:candidate|end-of-candidates|remote-candidates|ice-[a-z]+|fingerprint|setup|tls-id|crypto|group|mid|msid|msid-semantic|bundle-only|rtcp-mux|rtcp-mux-only|rtcp-rsize|rtcp-fb|extmap|extmap-allow-mixed|ssrc|ssrc-group)(?::|$|\s)/;
