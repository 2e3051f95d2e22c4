/**
 * What a line shall be doing, whole: hook event to wait for, tone, digits, media. The protocol's driver compares it with what the
 * gateway last said and sends whatever commands lie between; only the latest order counts. An audit yields the same shape, which is
 * why a takeover needs no commands of its own.
 */
import type { Tone } from './leg.ts';

/** In one word what the line is doing; wires that offer a place for a correlator of ours carry it there. */
export type LineMark =
  | 'idle'
  | 'dialling'
  | 'offering'
  | 'ringback'
  | 'ringing'
  | 'talking'
  | 'tone'
  | 'howler'
  | 'parked';

export interface LineOrder {
  readonly mark: LineMark;
  /** The hook event that means something now. */
  readonly expects: 'offHook' | 'onHook';
  readonly tone: Tone | undefined;
  /** Collect digits by the numbering plan. */
  readonly collect: boolean;
  readonly media: MediaOrder | undefined;
}

export interface MediaOrder {
  readonly callId: string;
  /** `receive`: nothing is sent yet. */
  readonly mode: 'receive' | 'both';
  /** The other party's session description, once known. */
  readonly remote: string | undefined;
}

export const idleOrder: LineOrder = order('idle', undefined);

export const diallingOrder: LineOrder = { ...order('dialling', 'dial'), collect: true };

export const parkedOrder: LineOrder = order('parked', undefined);

export const howlerOrder: LineOrder = order('howler', 'howler');

export const toneOrder = (tone: Tone): LineOrder => order('tone', tone);

export const mediaOrder = (mark: 'offering' | 'ringback' | 'ringing' | 'talking', media: MediaOrder): LineOrder => ({
  ...order(mark, mark === 'ringback' ? 'ringback' : mark === 'ringing' ? 'ring' : undefined),
  media,
});

function order(mark: LineMark, tone: Tone | undefined): LineOrder {
  return {
    mark,
    expects: mark === 'idle' || mark === 'ringing' ? 'offHook' : 'onHook',
    tone,
    collect: false,
    media: undefined,
  };
}
