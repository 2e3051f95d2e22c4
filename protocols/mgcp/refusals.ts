/**
 * What a refusal says about a command. It is judged by what that command carried, not by what we believe of the gateway since: after a
 * takeover many commands are under way at once, and each is refused for the same thing (RFC 3435 §2.4).
 */
import type { Parameter } from './codec/messages.ts';
import { readRequestedEvents, readSignals } from './codec/values/events.ts';
import { option, readOptions } from './codec/values/lists.ts';

/** What a command carried that a gateway may refuse and a call can do without. */
export interface Carried {
  readonly path: boolean;
  readonly redirectList: boolean;
  readonly loop: boolean;
  /** `L/dl`. */
  readonly signals: readonly string[];
  /** Requested events without which a line still serves. */
  readonly spareEvents: readonly string[];
  /** Codecs offered in LocalConnectionOptions. */
  readonly codecs: number;
  /** Is a packetization period among them? */
  readonly period: boolean;
  /** The connection mode. */
  readonly mode: string | undefined;
}

/** Words of a gateway's dialect: what is left out towards it. */
export type Omission =
  | 'noPath'
  | 'noRedirectList'
  | 'noLoop'
  | 'oneCodec'
  | 'noCodecs'
  | 'noPeriod'
  | 'noReceiveOnly'
  | 'noInactive'
  | 'noSendOnly'
  | `no:${string}`;

export type Verdict =
  /** Repeat it without these. `certain`: the code names the reason, so it holds for later commands whatever becomes of this one. */
  | { readonly kind: 'repeat'; readonly without: readonly Omission[]; readonly certain: boolean }
  /** The code names no reason: the path attribute may be it, or not. */
  | { readonly kind: 'doubtful'; readonly without: readonly Omission[] }
  | { readonly kind: 'stands' };

/** `path`: was the path attribute written beside them? */
export function carriedBy(parameters: readonly Parameter[], path: boolean): Carried {
  let redirectList = false;
  let loop = false;
  let signals: readonly string[] = [];
  let spareEvents: readonly string[] = [];
  let codecs = 0;
  let period = false;
  let mode: string | undefined;
  for (const { code, value } of parameters) {
    if (code === 'RED/NL') redirectList = true;
    else if (code === 'Q') loop = value.toLowerCase().includes('loop');
    else if (code === 'M') mode = value.toLowerCase();
    else if (code === 'S') signals = (readSignals(value) ?? []).map(nameOf);
    else if (code === 'R')
      spareEvents = (readRequestedEvents(value) ?? []).map(nameOf).filter((name) => spare.has(name));
    else if (code === 'L') {
      const options = readOptions(value) ?? [];
      codecs = (option(options, 'a') ?? '').split(';').filter(Boolean).length;
      period = option(options, 'p') !== undefined;
    }
  }
  return { path, redirectList, loop, signals, spareEvents, codecs, period, mode };
}

/** `packages`: the gateway's list, where the refusal brought one (§2.3.3, code 518). */
export function judgeRefusal(code: number, carried: Carried, packages: readonly string[] = []): Verdict {
  const { path, redirectList, loop, signals, spareEvents, codecs, period, mode } = carried;
  const withoutCodecs: readonly Omission[] = codecs > 1 ? ['oneCodec'] : codecs === 1 ? ['noCodecs'] : [];
  const withoutPeriod: readonly Omission[] = period ? ['noPeriod'] : [];
  const tags: Omission[] = [
    ...(path ? (['noPath'] as const) : []),
    ...(redirectList ? (['noRedirectList'] as const) : []),
  ];
  switch (code) {
    case 508:
      return without(loop ? ['noLoop'] : [], true);
    case 512:
      return without(spareEvents.map(omitted), true);
    case 513:
      return without(leastNeeded(signals).map(omitted), true);
    case 522:
    case 538:
      // An event or a signal; events that can be spared cost least.
      return without((spareEvents.length > 0 ? spareEvents : leastNeeded(signals)).map(omitted), false);
    case 518: {
      // §2.1.6. Without a list, whatever is not of the line package may be meant.
      const has = (name: string) =>
        packages.length > 0 ? packages.includes(packageOf(name)) : packageOf(name) === 'L';
      const foreign = [...spareEvents, ...signals].filter((name) => !has(name)).map(omitted);
      if (redirectList && !packages.includes('RED')) return without(['noRedirectList'], packages.length > 0);
      return foreign.length > 0 ? without(foreign, packages.length > 0) : without(tags, false);
    }
    case 511:
    case 539:
      return without(tags.length > 0 ? tags : loop ? ['noLoop'] : [], false);
    case 517:
      return without(spareModes.get(mode ?? '') ?? [], true);
    case 535:
      return without(withoutPeriod, true);
    case 506:
    case 534:
      return without(withoutCodecs, false);
    case 524:
    case 532:
    case 541:
      // Any of the options may be meant.
      return without(withoutCodecs.length > 0 ? withoutCodecs : withoutPeriod, false);
    default:
      // §2.4: an unknown 5xx to 9xx counts as 510, which names no reason.
      return tags.length > 0 && !named.has(code) && code >= 500
        ? { kind: 'doubtful', without: tags }
        : { kind: 'stands' };
  }
}

/** A bell rings without a name on the display, and speech goes on without a key. */
function leastNeeded(signals: readonly string[]): readonly string[] {
  const spared = signals.filter((name) => name === 'L/ci' || name.startsWith('D/'));
  return spared.length > 0 ? spared : signals;
}

const without = (omissions: readonly Omission[], certain: boolean): Verdict =>
  omissions.length === 0 ? { kind: 'stands' } : { kind: 'repeat', without: omissions, certain };

const omitted = (name: string): Omission => `no:${name}`;

/** `L/dl`: package in upper case, the rest in lower. */
const nameOf = ({ packageName = 'L', id }: { packageName?: string | undefined; id: string }): string =>
  `${packageName.toUpperCase()}/${id.toLowerCase()}`;

const packageOf = (name: string): string => name.slice(0, name.indexOf('/'));

/** Hook flash asks for nothing we offer; the end of dial tone is told by our own timer too. */
const spare: ReadonlySet<string> = new Set(['L/hf', 'L/oc']);

/** Unsupported modes for which there is another (§2.3.5). */
const spareModes: ReadonlyMap<string, readonly Omission[]> = new Map([
  ['inactive', ['noInactive']],
  ['sendonly', ['noSendOnly']],
  ['recvonly', ['noReceiveOnly']],
]);

/** Codes below 600 that name a reason which no parameter of ours can be (§2.4). */
const named: ReadonlySet<number> = new Set([
  500, 501, 502, 503, 504, 505, 509, 514, 515, 516, 519, 520, 521, 523, 525, 526, 527, 528, 529, 530, 531, 533, 535,
  536, 537, 540,
]);
