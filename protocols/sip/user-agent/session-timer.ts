/** Session timers (RFC 4028): who refreshes, how often, and what happens if nobody does. The peer is asked to, so that it also finds a backup. */
import type { Cancel, Clock } from '../../../src/internal.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { param } from '../codec/values.ts';

export interface SessionInterval {
  readonly seconds: number;
  readonly refresher: 'us' | 'them';
}

/** RFC 4028 §4, §5: nothing shorter is legal. */
export const minimumSeconds = 90;

/** What we ask for. */
const wantedSeconds = 180;

/** In our INVITE: the called party refreshes. */
export const wantedFields = `Session-Expires: ${wantedSeconds};refresher=uas\r\nMin-SE: ${minimumSeconds}\r\n`;

/** RFC 4028 §7.3: the interval that a 422 asks for, if it is longer than ours. */
export function askedInterval(response: SipMessage): number | undefined {
  const seconds = secondsOf(response.named('Min-SE'));
  return seconds === undefined || seconds <= wantedSeconds || seconds > maxSeconds ? undefined : seconds;
}

/** The request with that interval. */
export const withInterval = (text: string, seconds: number): string =>
  text.replace(wantedFields, `Session-Expires: ${seconds};refresher=uas\r\nMin-SE: ${seconds}\r\n`);

export type TimerAnswer =
  | { readonly kind: 'tooSmall' }
  /** `fields`: for our 2xx. */
  | { readonly kind: 'agreed'; readonly interval: SessionInterval | undefined; readonly fields: string };

/** RFC 4028 §9: what we say to the interval that a request asks for. */
export function answerInterval(request: SipMessage): TimerAnswer {
  const value = sessionExpires(request);
  const seconds = secondsOf(value);
  const isSupported = [...request.list(H.supported), ...request.list(H.require)].some(isTimer);
  if (seconds === undefined && !isSupported) return { kind: 'agreed', interval: undefined, fields: '' };
  if (seconds !== undefined && seconds < minimumSeconds) return { kind: 'tooSmall' };
  const least = Math.max(secondsOf(request.named('Min-SE')) ?? 0, minimumSeconds);
  const agreed = Math.min(seconds ?? Math.max(wantedSeconds, least), maxSeconds);
  // A caller who does not know of timers cannot refresh (RFC 4028 §9).
  const asked = value === undefined ? undefined : param(value, 'refresher')?.toLowerCase();
  const isTheirs = isSupported && asked !== 'uas';
  return {
    kind: 'agreed',
    interval: { seconds: agreed, refresher: isTheirs ? 'them' : 'us' },
    fields: `Session-Expires: ${agreed};refresher=${isTheirs ? 'uac' : 'uas'}\r\n${isTheirs ? 'Require: timer\r\n' : ''}`,
  };
}

/** RFC 4028 §7.2: what the 2xx to a request of ours agreed to. */
export function agreedInterval(response: SipMessage): SessionInterval | undefined {
  const value = sessionExpires(response);
  const seconds = secondsOf(value);
  if (seconds === undefined || value === undefined) return undefined;
  const refresher = param(value, 'refresher')?.toLowerCase() === 'uas' ? 'them' : 'us';
  return { seconds: Math.min(Math.max(seconds, minimumSeconds), maxSeconds), refresher };
}

/** Session-Expires in a request of ours in the dialog: who refreshes goes on to. */
export function refreshFields({ seconds, refresher }: SessionInterval): string {
  return `Session-Expires: ${seconds};refresher=${refresher === 'us' ? 'uac' : 'uas'}\r\nMin-SE: ${minimumSeconds}\r\n`;
}

export interface SessionTimerUser {
  /** It is our turn. */
  refresh(): void;
  /** The peer has not. */
  expired(): void;
}

export class SessionTimer {
  readonly #clock: Clock;
  readonly #user: SessionTimerUser;
  #interval: SessionInterval | undefined;
  #timer: Cancel | undefined;

  constructor(clock: Clock, user: SessionTimerUser) {
    this.#clock = clock;
    this.#user = user;
  }

  get interval(): SessionInterval | undefined {
    return this.#interval;
  }

  /** A refresh has been answered, or the first request: the interval begins anew. */
  restart(interval: SessionInterval | undefined): void {
    this.stop();
    this.#interval = interval;
    if (interval === undefined) return;
    const ms = interval.seconds * 1_000;
    this.#timer =
      interval.refresher === 'us'
        ? this.#clock.after(ms / 2, () => this.#user.refresh())
        : // RFC 4028 §10: somewhat before the end.
          this.#clock.after(ms - Math.min(32_000, ms / 3), () => this.#user.expired());
  }

  stop(): void {
    this.#timer?.();
    this.#timer = undefined;
  }
}

const sessionExpires = (message: SipMessage): string | undefined =>
  message.named('Session-Expires') ?? message.named('x');

function secondsOf(value: string | undefined): number | undefined {
  const text = value?.split(';', 1)[0]?.trim();
  return text === undefined || !/^\d{1,10}$/.test(text) ? undefined : Number(text);
}

const isTimer = (option: string): boolean => option.toLowerCase() === 'timer';

/** A day: a longer one is no supervision. */
const maxSeconds = 86_400;
