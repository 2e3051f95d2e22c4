/**
 * The little of a session description (RFC 4566) that call control reads and mends on its way from one gateway to another; everything
 * else passes as it came.
 */
import { keptReadings } from './kept-readings.ts';
import { withoutRecord } from './record-text.ts';

/** `192.0.2.1:30000` of the first media that is not refused, IPv6 in brackets; undefined where no address or port is chosen yet. */
export function mediaAddress(description: string | undefined): string | undefined {
  if (description === undefined) return undefined;
  const media = /^m=\S+ +(\d{1,5})\b/m.exec(description);
  if (media === null || Number(media[1]) === 0 || Number(media[1]) > 65_535) return undefined;
  // A connection line of the media overrides that of the session (RFC 4566 §5.7).
  const rest = description.slice(media.index);
  const next = rest.indexOf('\nm=');
  const own = connection.exec(next < 0 ? rest : rest.slice(0, next));
  const host = (own ?? connection.exec(description.slice(0, media.index)))?.[1];
  if (host === undefined) return undefined;
  return `${host.includes(':') ? `[${host.toLowerCase()}]` : host}:${media[1]}`;
}

/**
 * A description as every protocol takes it: H.248 gateways may leave out o=, s= and t= (RFC 3525 §7.1.8), MGCP gateways must be given
 * them (RFC 3435 §3.4); of several alternatives the first counts. The same input gives the same text on every member.
 */
export const completeDescription = keptReadings((said: string): string => {
  const description = withoutRecord(said);
  const second = description.indexOf('\nv=', 1);
  const only = second < 0 ? description : description.slice(0, second + 1);
  const lines = only.split(/\r\n|\n/).filter((line) => line !== '');
  const firstMedia = lines.findIndex((line) => line.startsWith('m='));
  if (firstMedia < 0) return only;
  const session = lines.slice(0, firstMedia);
  const has = (type: string): boolean => session.some((line) => line.startsWith(`${type}=`));
  if (has('v') && has('o') && has('s') && has('t')) return only;
  const [, family = 'IP4', address = '0.0.0.0'] = /^c=IN +(IP[46]) +([^\s/]+)/m.exec(only) ?? [];
  const origin = lineOf(session, 'o') ?? `o=- 0 0 IN ${family} ${address}`;
  const head = [lineOf(session, 'v') ?? 'v=0', origin, lineOf(session, 's') ?? 's=-'];
  // RFC 4566 §5: v, o, s, then i, u, e, p, c, b, then t, r, z, k, a, then the media.
  const before = session.filter((line) => /^[iuepcb]=/.test(line));
  const after = session.filter((line) => /^[rzka]=/.test(line));
  return [...head, ...before, lineOf(session, 't') ?? 't=0 0', ...after, ...lines.slice(firstMedia), ''].join('\r\n');
});

/** The payload types of the first media, in the order of preference. */
export function payloadTypes(description: string): readonly number[] {
  const types = /^m=\S+ +\d+(?:\/\d+)? +\S+((?: +\d{1,3})+)/m.exec(description)?.[1];
  return types === undefined ? [] : types.trim().split(/ +/).map(Number);
}

/** `pcmu`, `telephone-event`: what the payload types of the first media are, as far as RFC 3551 §6 or the description tells. */
export const encodingNames = keptReadings((description: string): readonly string[] => {
  const mapped = new Map<number, string>();
  for (const [, type, name = ''] of description.matchAll(/^a=rtpmap:(\d{1,3}) +([^/\s]+)/gm))
    mapped.set(Number(type), name.toLowerCase());
  return payloadTypes(description).flatMap((type) => mapped.get(type) ?? staticEncodings.get(type) ?? []);
});

/** The payload type of keys as events (RFC 4733), where the first media has it. */
export function telephoneEventIn(description: string): number | undefined {
  const type = Number(/^a=rtpmap:(\d{1,3}) +telephone-event\/8000\b/im.exec(description)?.[1]);
  return payloadTypes(description).includes(type) ? type : undefined;
}

/** RFC 3551 §6. */
const staticEncodings: ReadonlyMap<number, string> = new Map([
  [0, 'pcmu'],
  [3, 'gsm'],
  [4, 'g723'],
  [8, 'pcma'],
  [9, 'g722'],
  [15, 'g728'],
  [18, 'g729'],
]);

/** Do both say the same of the media, however the lines are ordered and whatever attributes a gateway left out? */
export function isSameMedia(one: string | undefined, other: string | undefined): boolean {
  if (one === other) return true;
  if (one === undefined || other === undefined) return false;
  return mediaAddress(one) === mediaAddress(other) && payloadTypes(one).join() === payloadTypes(other).join();
}

const connection = /^c=IN +IP[46] +([0-9A-Fa-f.:]+)/m;

const lineOf = (lines: readonly string[], type: string): string | undefined =>
  lines.find((line) => line.startsWith(`${type}=`));
