/**
 * The next command that lies between what a line's gateway has and what the line is to be doing: pure. One transaction brings the line
 * there (RFC 3525 §9.1 rule 2): leaving a context and arming events go together, so that no hook change falls between (§6.2.4: Subtract
 * clears the events; Annex E.9: `strict=state` reports a state that exists already).
 */
import {
  type CallRecord,
  type DesiredLine,
  isSameRecord,
  type MediaMode,
  type Tone,
  withRecord,
} from '../../src/internal.ts';
import { displayPackage, displaySignal, ringWithCaller } from './caller-id.ts';
import {
  type ActionRequest,
  type Command,
  contextAll,
  contextChoose,
  contextNull,
  type Descriptor,
  type EventsDescriptor,
  type RequestedEvent,
  type Signal,
  type SignalsDescriptor,
  type StreamMode,
} from './codec/messages.ts';
import { requestIdFor } from './request-ids.ts';

/** What a line's gateway has of it, as far as it has confirmed. */
export interface ObservedLine {
  readonly media: LineMedia | undefined;
  /** The tone that may still be on. */
  readonly playing: Tone | undefined;
  /** The desired state that the gateway has confirmed. */
  readonly confirmed: DesiredLine | undefined;
  /** It is not where we believed it: it is looked for, and leaves the context that it is in. */
  readonly isMisplaced: boolean;
  /** How often that had to be done for what is desired. */
  readonly cleared: number;
  /** Contexts of no call, to be emptied. */
  readonly leftovers: readonly number[];
}

export interface LineCommand {
  readonly kind: 'find' | 'empty' | 'leave' | 'bring';
  readonly termination: string;
  readonly actions: readonly ActionRequest[];
  /** undefined: nothing of the line is to remain. */
  readonly desired: DesiredLine | undefined;
  /** Keys as events (RFC 4733) are asked for, which a call can do without. */
  readonly asksForEvents: boolean;
  /** Is the line to display who calls? */
  readonly showsCaller: boolean;
}

export function nextCommand(
  desired: DesiredLine | undefined,
  observed: ObservedLine,
  goal: Omit<LineGoal, 'desired' | 'playing'>,
): LineCommand | undefined {
  const { termination } = goal;
  const { leftovers, media, playing } = observed;
  const command = (kind: LineCommand['kind'], actions: readonly ActionRequest[]) => ({
    kind,
    termination,
    actions,
    desired,
    asksForEvents: kind === 'bring' && actions.some(({ commands }) => commands.some(asksForEvents)),
    showsCaller: kind === 'bring' && actions.some(({ commands }) => commands.some(showsCaller)),
  });
  if (observed.isMisplaced) return command('find', [whereIs(termination)]);
  if (leftovers.length > 0) return command('empty', leftovers.map(emptied));
  if (desired === undefined) return media && command('leave', [leave(termination, media)]);
  if (observed.confirmed === desired) return undefined;
  return command('bring', actionsFor({ ...goal, desired, playing }, media));
}

/** Does Local ask for keys as events? */
export const asksForEvents = ({ descriptors }: Command): boolean =>
  descriptors.some(
    (each) => each.kind === 'Media' && each.streams.some(({ local }) => local?.includes('telephone-event') === true),
  );

export const showsCaller = ({ descriptors }: Command): boolean =>
  descriptors.some(
    (each) =>
      each.kind === 'Signals' &&
      each.signals.some((signal) => signal.kind === 'signal' && signal.name === displaySignal),
  );

/** A line's media as the gateway has confirmed it. */
export interface LineMedia {
  readonly callId: string;
  readonly contextId: number;
  /** The ephemeral termination. */
  readonly rtp: string;
  readonly mode: MediaMode | undefined;
  readonly local: string | undefined;
  readonly remote: string | undefined;
  /** The record of the other party that lies beside it. */
  readonly record?: CallRecord | undefined;
}

export interface LineGoal {
  readonly termination: string;
  readonly desired: DesiredLine;
  /** The number that the call is for. */
  readonly number: string | undefined;
  /** Annex B form, with timers in seconds: T start, S short, L long. */
  readonly digitMap: string;
  chooseLocal(offer: string | undefined): string;
  /** The record that the line is to have, sealed for it. */
  sealed?(): Uint8Array | undefined;
  /** What the gateway may still be playing to the line. */
  readonly playing: Tone | undefined;
  /** What the gateway is known to have. */
  readonly packages?: ReadonlySet<string> | undefined;
  /** Month, day, hour and minute where the gateway is; undefined where it cannot be told who calls. */
  readonly localTime?: (() => string) | undefined;
  /** The gateway speaks binary. */
  readonly isBinary?: boolean | undefined;
}

function actionsFor(goal: LineGoal, have: LineMedia | undefined): readonly ActionRequest[] {
  const { termination, desired } = goal;
  const { media } = desired;
  const actions: ActionRequest[] = [];
  const leaves = have !== undefined && have.callId !== media?.callId;
  if (leaves) actions.push(leave(termination, have));
  // §7.1.11: what was on ends with a detected event, and Subtract clears it: an empty descriptor is for the rest.
  const isSilent = signalsIn(goal).length === 0 && (goal.playing === undefined || leaves);
  const descriptors: readonly Descriptor[] = isSilent ? [eventsFor(goal)] : [eventsFor(goal), signalsFor(goal)];
  if (media === undefined) {
    actions.push({ contextId: contextNull, commands: [modify(termination, descriptors)] });
    return actions;
  }
  const mode = streamModes[media.mode];
  if (have === undefined || leaves) {
    actions.push({
      contextId: contextChoose,
      commands: [
        {
          verb: 'Add',
          terminationId: termination,
          descriptors: [
            {
              kind: 'Media',
              streams: [{ streamId: 1, localControl: { mode: 'SendReceive', properties: [] } }],
            },
            ...descriptors,
          ],
        },
        {
          verb: 'Add',
          terminationId: '$',
          descriptors: [
            {
              kind: 'Media',
              streams: [
                {
                  streamId: 1,
                  localControl: { mode, properties: [] },
                  local: goal.chooseLocal(media.remote),
                  remote: media.remote === undefined ? undefined : withRecord(media.remote, goal.sealed?.()),
                },
              ],
            },
          ],
        },
      ],
    });
    return actions;
  }
  const commands: Command[] = [modify(termination, descriptors)];
  const wanted = media.remote ?? have.remote;
  // A new setting replaces the one before (§7.1.8): the record goes with every description, and a description with every new record.
  const isTold =
    wanted !== undefined &&
    (wanted !== have.remote || (media.record !== undefined && !isSameRecord(media.record, have.record)));
  const remote = isTold ? withRecord(wanted, goal.sealed?.()) : undefined;
  if (media.mode !== have.mode || remote !== undefined) {
    const local = changedLocal(wanted === have.remote ? undefined : wanted, have.remote, goal);
    const stream = { streamId: 1, localControl: { mode, properties: [] }, local, remote };
    commands.push(modify(have.rtp, [{ kind: 'Media', streams: [stream] }]));
  }
  actions.push({ contextId: have.contextId, commands });
  return actions;
}

/** What the other party offers now may need other codecs than what it offered before. */
function changedLocal(
  remote: string | undefined,
  before: string | undefined,
  { chooseLocal }: LineGoal,
): string | undefined {
  if (remote === undefined || before === undefined) return undefined;
  const local = chooseLocal(remote);
  return local === chooseLocal(before) ? undefined : local;
}

/** RFC 3525 §7.1.7. */
export const streamModes: Readonly<Record<MediaMode, StreamMode>> = {
  both: 'SendReceive',
  receive: 'ReceiveOnly',
  send: 'SendOnly',
  none: 'Inactive',
};

/** Loopback sends no speech of the line. */
export const mediaModeOf = (mode: StreamMode | undefined): MediaMode => {
  switch (mode) {
    case 'SendReceive':
      return 'both';
    case 'SendOnly':
      return 'send';
    case 'Inactive':
      return 'none';
    case 'ReceiveOnly':
    case 'Loopback':
    case undefined:
      return 'receive';
  }
};

/** Both leave; the context ends with its last termination (§6.1.1). */
export const leave = (termination: string, { contextId, rtp }: LineMedia): ActionRequest => ({
  contextId,
  commands: [
    { verb: 'Subtract', terminationId: termination, optional: true, descriptors: [{ kind: 'Audit', items: [] }] },
    { verb: 'Subtract', terminationId: rtp, optional: true, descriptors: [{ kind: 'Audit', items: [] }] },
  ],
});

/** Asks for the contexts that a termination is in (§7.2.5). */
const whereIs = (terminationId: string): ActionRequest => ({
  contextId: contextAll,
  commands: [{ verb: 'AuditValue', terminationId, descriptors: [{ kind: 'Audit', items: [] }], optional: true }],
});

/** Everything leaves the context; with its last termination it ends (§6.1.1). */
const emptied = (contextId: number): ActionRequest => ({
  contextId,
  commands: [{ verb: 'Subtract', terminationId: '*', descriptors: [{ kind: 'Audit', items: [] }], optional: true }],
});

const modify = (terminationId: string, descriptors: readonly Descriptor[]): Command => ({
  verb: 'Modify',
  terminationId,
  descriptors,
});

function eventsFor({ desired, number, digitMap }: LineGoal): EventsDescriptor {
  const events: RequestedEvent[] = [
    {
      name: desired.expects === 'offHook' ? 'al/of' : 'al/on',
      parameters: [{ name: 'strict', relation: '=', values: ['state'] }],
    },
  ];
  if (desired.collect)
    events.push({
      name: 'dd/ce',
      digitMap: { value: { startTimer: 16, shortTimer: 4, longTimer: 8, body: digitMap } },
      parameters: [],
    });
  return { kind: 'Events', requestId: requestIdFor(desired.state, number), events };
}

const signalsFor = (goal: LineGoal): SignalsDescriptor => ({ kind: 'Signals', signals: signalsIn(goal) });

function signalsIn({
  desired: { tone, caller, key },
  packages,
  localTime,
  isBinary = false,
}: LineGoal): readonly Signal[] {
  if (key?.isPlayed === false && packages?.has(keyPackage) === true) return [plain(keySignal(key.signal))];
  if (tone === undefined) return [];
  if (tone === 'ring' && caller !== undefined && packages?.has(displayPackage) === true && localTime !== undefined)
    return [ringWithCaller(caller, localTime(), !isBinary)];
  return [plain(tone === 'howler' && packages?.has(howlerPackage) === true ? howlerSignal : signalNames[tone])];
}

const plain = (name: string): Signal => ({ kind: 'signal', name, parameters: [] });

/** Basic DTMF generator (Annex E.5). */
export const keyPackage = 'dg';

const keySignal = (key: string): string =>
  `${keyPackage}/d${key === '*' ? 's' : key === '#' ? 'o' : key.toLowerCase()}`;

/** Annex E.7 (call progress tones), E.9 (analog line). */
const signalNames: Readonly<Record<Tone, string>> = {
  dial: 'cg/dt',
  ring: 'al/ri',
  ringback: 'cg/rt',
  busy: 'cg/bt',
  reorder: 'cg/ct',
  howler: 'cg/wt',
};

/** Expanded call progress tones (Q.1950): the off-hook warning tone is the howler; `cg/wt` is the nearest that Annex E has. */
const howlerPackage = 'xcg';
const howlerSignal = 'xcg/roh';

const tones = new Map<string, Tone>([
  [signalNames.dial, 'dial'],
  [signalNames.ring, 'ring'],
  [signalNames.ringback, 'ringback'],
  [signalNames.busy, 'busy'],
  [signalNames.reorder, 'reorder'],
  [signalNames.howler, 'howler'],
  [howlerSignal, 'howler'],
  [displaySignal, 'ring'],
]);

/** The tone that a signal is. */
export const toneOf = (signal: string): Tone | undefined => tones.get(signal);

/** What Annex B calls the keys: star is E, number sign is F (Annex E.6.5); a pause ends a number by itself, so T has no place. */
export const h248DigitMap = (digitMap: string): string =>
  digitMap.replace(/T/gi, '').replaceAll('*', 'E').replaceAll('#', 'F');

export const fromH248Digits = (digits: string): string => digits.replace(/E/gi, '*').replace(/F/gi, '#');
