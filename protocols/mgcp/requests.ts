/**
 * From a line's desired state to the parameters of a NotificationRequest, alone or inside a connection command (RFC 3435 §2.3.3, RFC 3660 §2.1, §2.2, §2.4), and
 * back: the RequestIdentifier carries the line's state, so a Notify or an audit tells a backup what the line was doing.
 */
import type { DesiredLine, LineState, Tone } from '../../src/internal.ts';
import { callerIdSignal } from './caller-id.ts';
import type { Parameter } from './codec/messages.ts';

export interface RequestStyle {
  readonly digitMap: string;
  readonly quarantine: 'loop' | 'step';
  /** Words of the gateway's dialect (refusals.ts): `no:L/ot` for a signal it refused, `noLoop`. */
  readonly dialect: ReadonlySet<string>;
  /** What the clock on the wall says where the gateway is. */
  localTime(): string;
}

/** X, R, S and, for dialling, D (RFC 3435 §2.3.3). Both lists are always there: an omitted one would be emptied anyway. */
export function requestParameters(desired: DesiredLine, serial: number, style: RequestStyle): readonly Parameter[] {
  const parameters: Parameter[] = [
    { code: 'X', value: requestId(desired.state, serial, desired.media?.callId) },
    { code: 'R', value: requestedEvents(desired, style.dialect) },
    { code: 'S', value: signalsOf(desired, style).join(',') },
  ];
  if (desired.collect) parameters.push({ code: 'D', value: style.digitMap });
  if (style.quarantine === 'loop' && !style.dialect.has('noLoop')) parameters.push({ code: 'Q', value: 'loop' });
  return parameters;
}

/** Equal keys, equal requests. */
export const requestKey = ({ state, tone, collect, media, key }: DesiredLine): string =>
  `${state} ${tone ?? ''} ${collect ? 'd' : ''} ${media?.callId ?? ''} ${key?.serial ?? ''}`;

/** With the bell who calls (RFC 3660 §2.4), and keys that the other party told of (§2.2): each is left out where it was refused. */
function signalsOf({ tone, caller, key }: DesiredLine, { dialect, localTime }: RequestStyle): readonly string[] {
  const played: string[] = [];
  if (tone !== undefined) played.push(signals[tone]);
  if (tone === 'ring' && caller !== undefined) played.push(callerIdSignal(caller, localTime()));
  if (key?.isPlayed === false) played.push(`D/${key.signal}`);
  return played.filter((signal) => !dialect.has(`no:${nameOf(signal)}`));
}

/** `L/ci(…)` by its name, as refusals.ts writes it. */
const nameOf = (signal: string): string => {
  const [packageName = '', id = ''] = signal.split(/[/(]/, 2);
  return `${packageName}/${id.toLowerCase()}`;
};

/**
 * A hexadecimal digit for the state, the serial (RFC 3435 §3.2.2.18; "0" alone is reserved), and of a line in a call the part of the
 * CallId that no other call has: gateways that tell nothing else when audited tell this.
 */
export const requestId = (state: LineState, serial: number, callId = ''): string =>
  `${lineStates.indexOf(state) + 1}${serial.toString(16).padStart(8, '0')}${callId.slice(0, tokenLength)}`.toUpperCase();

/** The line state in an identifier of ours or of a partner. */
export const lineStateOf = (id: string): LineState | undefined =>
  id.length === 9 || id.length === 9 + tokenLength ? lineStates[Number.parseInt(id.charAt(0), 16) - 1] : undefined;

/** How the CallId begins, in an identifier of ours or of a partner. */
export const callTokenOf = (id: string): string | undefined =>
  id.length === 9 + tokenLength && lineStateOf(id) !== undefined ? id.slice(9).toUpperCase() : undefined;

/** src/calls/call-ids.ts: what follows tells the number. */
const tokenLength = 16;

/** RFC 3660 §2.1 (G), §2.4 (L): what the signal codes sound like to us. */
export const toneOf = (packageName: string, id: string): Tone | undefined => {
  const code = `${packageName.toUpperCase()}/${id.toLowerCase()}`;
  for (const [tone, signal] of Object.entries(signals)) if (signal === code && isTone(tone)) return tone;
  return undefined;
};

function requestedEvents({ state, expects, collect }: DesiredLine, dialect: ReadonlySet<string>): string {
  if (expects === 'offHook') return 'L/hd(N)';
  const spared = (name: string) => (dialect.has(`no:${name}`) ? '' : `,${name}(N)`);
  if (collect) return `L/hu(N),D/[0-9#*T](D)${spared('L/oc')}`;
  return state === 'talking' ? `L/hu(N)${spared('L/hf')}` : 'L/hu(N)';
}

const signals: Readonly<Record<Tone, string>> = {
  dial: 'L/dl',
  ring: 'L/rg',
  ringback: 'G/rt',
  busy: 'L/bz',
  reorder: 'L/ro',
  howler: 'L/ot',
};

const isTone = (text: string): text is Tone => Object.hasOwn(signals, text);

const lineStates: readonly LineState[] = [
  'idle',
  'dialling',
  'offering',
  'ringback',
  'ringing',
  'talking',
  'tone',
  'howler',
  'lockout',
];
