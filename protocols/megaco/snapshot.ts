/** What a gateway's answers to an audit say of each line: pure. */
import { type LineSnapshot, type MediaSnapshot, readRecords, type Tone } from '../../src/internal.ts';
import { contextNull, type Descriptor } from './codec/messages.ts';
import { mediaModeOf, toneOf } from './line-commands.ts';
import { meaningOf } from './request-ids.ts';

export interface GatewayPicture {
  /** By termination id in lower case. */
  readonly terminations: ReadonlyMap<string, TerminationPicture>;
  /** Terminations whose answer could not be read, asked alone either, and where they are. */
  readonly unreadable: ReadonlyMap<string, number>;
}

export interface TerminationPicture {
  readonly contextId: number;
  readonly descriptors: readonly Descriptor[];
}

/** What plays on a gateway is offered by it: the packages of its signals. */
export function playedPackages({ terminations }: GatewayPicture): ReadonlySet<string> {
  const packages = new Set<string>();
  for (const { descriptors } of terminations.values())
    for (const descriptor of descriptors)
      if (descriptor.kind === 'Signals')
        for (const each of descriptor.signals)
          for (const { name } of each.kind === 'signal' ? [each] : each.signals)
            packages.add(name.slice(0, name.indexOf('/')));
  return packages;
}

/** A line as the picture shows it; undefined where the gateway said nothing of it. */
export interface AuditedLine {
  readonly snapshot: Omit<LineSnapshot, 'media'>;
  /** Digest of the number that its RequestID tells of. */
  readonly digest: number;
  readonly media: AuditedMedia | undefined;
}

export interface AuditedMedia extends Omit<MediaSnapshot, 'callId'> {
  readonly contextId: number;
  /** Empty: the line is alone in its context. */
  readonly rtp: string;
}

export function auditedLine(endpoint: string, termination: string, picture: GatewayPicture): AuditedLine | undefined {
  const found = picture.terminations.get(termination);
  if (picture.unreadable.has(termination)) return unknownLine(endpoint);
  if (found === undefined) return undefined;
  if (found.contextId !== contextNull && [...picture.unreadable.values()].includes(found.contextId))
    return unknownLine(endpoint);
  let expects: 'on' | 'off' | undefined;
  let collecting = false;
  let requestId: number | undefined;
  let tone: Tone | undefined;
  for (const descriptor of found.descriptors) {
    if (descriptor.kind === 'Events') {
      requestId = descriptor.requestId;
      for (const { name } of descriptor.events) {
        if (name === 'al/on') expects = 'on';
        else if (name === 'al/of') expects ??= 'off';
        if (name === 'dd/ce') collecting = true;
      }
    } else if (descriptor.kind === 'Signals') {
      for (const signal of descriptor.signals) {
        const names = signal.kind === 'signal' ? [signal.name] : signal.signals.map(({ name }) => name);
        for (const name of names) tone ??= toneOf(name);
      }
    }
  }
  const { state, digest } = meaningOf(requestId);
  const media = found.contextId === contextNull ? undefined : mediaIn(found.contextId, termination, picture);
  // The hook is no property of the al package: what was waited for last tells where it was then; `strict=state` tells the rest.
  const hook = expects === undefined ? likelyHook(tone, media) : expects === 'on' ? 'off' : 'on';
  return { snapshot: { endpoint, hook, tone, collecting, state }, digest, media };
}

/** Where the gateway does not tell its events: what plays and what is sent let one think, and a call that may go on is kept. */
const likelyHook = (tone: Tone | undefined, media: AuditedMedia | undefined): 'on' | 'off' => {
  if (tone !== undefined) return tone === 'ring' ? 'on' : 'off';
  return media !== undefined && media.mode !== 'receive' ? 'off' : 'on';
};

/** Nothing is known of it: it begins anew, whatever it plays is ended, and `strict=state` tells its hook. */
const unknownLine = (endpoint: string): AuditedLine => ({
  snapshot: { endpoint, hook: 'on', tone: 'ring', collecting: false, state: undefined },
  digest: 0,
  media: undefined,
});

function mediaIn(contextId: number, line: string, picture: GatewayPicture): AuditedMedia {
  for (const [termination, { contextId: in_, descriptors }] of picture.terminations) {
    if (in_ !== contextId || termination === line) continue;
    for (const descriptor of descriptors) {
      if (descriptor.kind !== 'Media') continue;
      const [stream] = descriptor.streams;
      const mode = mediaModeOf(stream?.localControl?.mode);
      const local = stream?.local === undefined ? undefined : readRecords(stream.local).description;
      const { description: remote, sealed = [] } =
        stream?.remote === undefined ? { description: undefined } : readRecords(stream.remote);
      return { contextId, rtp: termination, mode, local, remote, ...(sealed.length === 0 ? {} : { sealed }) };
    }
    return { contextId, rtp: termination, mode: 'receive', local: undefined, remote: undefined };
  }
  return { contextId, rtp: '', mode: 'receive', local: undefined, remote: undefined };
}

/** As call control compares it with the ends that other gateways report; `numberOf` finds a number by its digest. */
export const lineSnapshot = (
  { snapshot, media, digest }: AuditedLine,
  numberOf: (digest: number) => string | undefined,
): LineSnapshot => {
  if (media === undefined) return { ...snapshot, media: [] };
  const { mode, local, remote, record, sealed } = media;
  const number = record?.number ?? numberOf(digest);
  // H.248 knows no call: which ends belong together is told by their addresses.
  return { ...snapshot, media: [{ callId: undefined, number, mode, local, remote, record, sealed }] };
};
