/**
 * Session timers (RFC 4028): who refreshes, how often, and what happens if nobody does. The peer is asked to, so that it also finds a backup.
 * A peer that has no part in it is refreshed by us (§7.2): a call that it has forgotten does not stay for ever.
 */
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

/** RFC 4028 §7.4: the least interval that somebody on the way demands. */
export function leastInterval(message: SipMessage): number {
  const seconds = secondsOf(message.named('Min-SE')) ?? minimumSeconds;
  return seconds > maxSeconds ? minimumSeconds : Math.max(seconds, minimumSeconds);
}

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
  // Who does not know of timers would not know what a 422 is.
  if (seconds !== undefined && seconds < minimumSeconds && isSupported) return { kind: 'tooSmall' };
  const least = Math.max(secondsOf(request.named('Min-SE')) ?? 0, minimumSeconds);
  const agreed = Math.max(Math.min(seconds ?? Math.max(wantedSeconds, least), maxSeconds), minimumSeconds);
  // A caller who does not know of timers cannot refresh (RFC 4028 §9).
  const asked = value === undefined ? undefined : param(value, 'refresher')?.toLowerCase();
  const isTheirs = isSupported && asked !== 'uas';
  return {
    kind: 'agreed',
    interval: { seconds: agreed, refresher: isTheirs ? 'them' : 'us' },
    fields: `Session-Expires: ${agreed};refresher=${isTheirs ? 'uac' : 'uas'}\r\n${isSupported ? 'Require: timer\r\n' : ''}`,
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

/** Session-Expires in a request of ours in the dialog: who refreshes goes on to (RFC 4028 §7.4). */
export function refreshFields({ seconds, refresher }: SessionInterval, least: number): string {
  return `Session-Expires: ${Math.max(seconds, least)};refresher=${refresher === 'us' ? 'uac' : 'uas'}\r\nMin-SE: ${least}\r\n`;
}

export interface SessionTimerUser {
  /** It is our turn. */
  refresh(): void;
  /** The peer has not, or has let us down each time. */
  expired(): void;
}

export class SessionTimer {
  readonly #clock: Clock;
  readonly #user: SessionTimerUser;
  #interval: SessionInterval | undefined;
  #timer: Cancel | undefined;
  #expiry: Cancel | undefined;
  #refusals = 0;

  constructor(clock: Clock, user: SessionTimerUser) {
    this.#clock = clock;
    this.#user = user;
  }

  get interval(): SessionInterval | undefined {
    return this.#interval;
  }

  /** A refresh has been answered, or the first request: the interval begins anew. undefined: the peer has none. */
  restart(interval: SessionInterval | undefined): void {
    this.stop();
    this.#interval = interval;
    this.#refusals = 0;
    const ms = (interval?.seconds ?? wantedSeconds) * 1_000;
    if (interval?.refresher === 'them') {
      // RFC 4028 §10: somewhat before the end.
      this.#expiry = this.#clock.after(ms - Math.min(32_000, ms / 3), () => this.#user.expired());
      return;
    }
    this.#timer = this.#clock.after(ms / 2, () => this.#user.refresh());
    if (interval !== undefined) this.#expiry = this.#clock.after(ms, () => this.#user.expired());
  }

  /** A refresh of ours was refused by a peer that knows the dialog: only a 2xx extends the session (RFC 4028 §10). */
  refused(): void {
    const interval = this.#interval;
    // Nothing was agreed: the refusal is as good a sign of life.
    if (interval === undefined) this.restart(undefined);
    if (interval?.refresher !== 'us' || this.#refusals >= maxRetries) return;
    this.#refusals += 1;
    this.#timer?.();
    this.#timer = this.#clock.after(Math.min(10_000, (interval.seconds * 1_000) / 12), () => this.#user.refresh());
  }

  stop(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#expiry?.();
    this.#expiry = undefined;
  }
}

const sessionExpires = (message: SipMessage): string | undefined =>
  message.named('Session-Expires') ?? message.named('x');

function secondsOf(value: string | undefined): number | undefined {
  const text = value?.split(';', 1)[0]?.trim();
  return text === undefined || !/^\d{1,10}$/.test(text) ? undefined : Number(text);
}

const isTimer = (option: string): boolean => option.toLowerCase() === 'timer';

/** A peer that says the same each time is not asked without end (RFC 4028 §10). */
const maxRetries = 3;

/** A day: a longer one is no supervision. */
const maxSeconds = 86_400;
