/**
 * What a line shall be doing, whole: hook event to wait for, tone, digits, media. The gateway's driver compares it with what the
 * gateway last said and sends whatever commands lie between; only the latest counts. An audit yields the same shape, which is
 * why a takeover needs no commands of its own.
 */
import type { CallRecord } from '../calls/call-record.ts';
import type { CallerIdentity, Tone } from '../calls/leg.ts';
import type { MediaMode } from '../calls/session-media.ts';

/** In one word what the line is doing; wires that offer a place for a correlator of ours carry it there. */
export type LineState =
  | 'idle'
  | 'dialling'
  | 'offering'
  | 'ringback'
  | 'ringing'
  | 'talking'
  | 'tone'
  | 'howler'
  | 'lockout';

export interface DesiredLine {
  readonly state: LineState;
  /** The hook event that means something now. */
  readonly expects: 'offHook' | 'onHook';
  readonly tone: Tone | undefined;
  /** Collect digits by the numbering plan. */
  readonly collect: boolean;
  readonly media: DesiredMedia | undefined;
  /** Who rings. */
  readonly caller?: CallerIdentity | undefined;
  /** Played to the line once. */
  readonly key?: PlayedKey | undefined;
}

/** A key that the other party pressed. */
export interface PlayedKey {
  readonly signal: string;
  readonly durationMs: number;
  /** No two of a call are equal. */
  readonly serial: number;
  /** It is not played again with whatever is commanded next. */
  isPlayed: boolean;
}

export interface DesiredMedia {
  readonly callId: string;
  /** `receive`: nothing is sent, yet or while the other party holds the call. */
  readonly mode: MediaMode;
  /** The other party's session description, once known. */
  readonly remote: string | undefined;
  /** What a successor must know of the other party, if that is no line: it is to lie beside the description. */
  readonly record?: CallRecord | undefined;
}

export const desiredIdle: DesiredLine = desired('idle', undefined);

export const desiredDialling: DesiredLine = { ...desired('dialling', 'dial'), collect: true };

export const desiredLockout: DesiredLine = desired('lockout', undefined);

export const desiredHowler: DesiredLine = desired('howler', 'howler');

export const desiredTone = (tone: Tone): DesiredLine => desired('tone', tone);

export const desiredInCall = (
  state: 'offering' | 'ringback' | 'ringing' | 'talking',
  media: DesiredMedia,
  { isSilent = false, ...more }: CallDetails = {},
): DesiredLine => ({
  ...desired(
    state,
    isSilent ? undefined : state === 'ringback' ? 'ringback' : state === 'ringing' ? 'ring' : undefined,
  ),
  ...more,
  media,
});

export interface CallDetails extends Pick<DesiredLine, 'caller' | 'key'> {
  /** No tone of ours: the other party is to be heard. */
  readonly isSilent?: boolean | undefined;
}

function desired(state: LineState, tone: Tone | undefined): DesiredLine {
  return {
    state,
    expects: state === 'idle' || state === 'ringing' ? 'offHook' : 'onHook',
    tone,
    collect: false,
    media: undefined,
  };
}
