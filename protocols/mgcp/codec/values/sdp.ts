/** What a controller and a gateway must know of a session description (RFC 3435 §3.4.1, RFC 4566): where audio goes, and in what codec. */

/** A dynamic payload type (RFC 4733 §2.1). */
const telephoneEvent = 101;

export interface AudioDescription {
  readonly address: string;
  readonly port: number;
  readonly payloadTypes: readonly number[];
}

export function readAudio(sdp: string): AudioDescription | undefined {
  const media = /^m=audio (\d{1,5})(?:\/\d+)? \S+((?: \d{1,3})*)/m.exec(sdp);
  if (media === null) return undefined;
  const [, port = '', types = ''] = media;
  // A connection line of the media overrides that of the session.
  const lines = [...sdp.matchAll(/^c=IN IP[46] ([^\s/]+)/gm)];
  const address = lines.find(({ index }) => index > media.index)?.[1] ?? lines[0]?.[1];
  if (address === undefined || Number(port) > 65_535) return undefined;
  return { address, port: Number(port), payloadTypes: types.trim().split(' ').filter(Boolean).map(Number) };
}

/** RFC 3551 §6; telephone-event has the number that most choose for it. */
export const payloadTypesOf = (codecs: readonly string[]): readonly number[] =>
  codecs.flatMap((name) => payloadTypes.get(name.trim().toLowerCase()) ?? []);

const payloadTypes: ReadonlyMap<string, number> = new Map([
  ['pcmu', 0],
  ['pcma', 8],
  ['telephone-event', telephoneEvent],
]);

/** The lines that RFC 3435 §3.4.1 wants, in order. */
export function writeAudio(
  sessionId: number,
  version: number,
  { address, port, payloadTypes: types }: AudioDescription,
): string {
  const family = address.includes(':') ? 'IP6' : 'IP4';
  return [
    'v=0',
    `o=- ${sessionId} ${version} IN ${family} ${address}`,
    's=-',
    `c=IN ${family} ${address}`,
    't=0 0',
    `m=audio ${port} RTP/AVP ${types.join(' ')}`,
    ...(types.includes(telephoneEvent) ? [`a=rtpmap:${telephoneEvent} telephone-event/8000`] : []),
    '',
  ].join('\r\n');
}

/** A description that an audit returns where there is none: the version line alone (RFC 3435 §3.3.7). */
export const isAbsent = (sdp: string): boolean => /^v=0\r?\n$/.test(sdp);
