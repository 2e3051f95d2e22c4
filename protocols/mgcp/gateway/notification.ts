/**
 * The notification side of one simulated endpoint (RFC 3435 §4.4.1): requested events, digit map, quarantine, lockstep, and the signals
 * that play meanwhile. It decides when a Notify leaves; sending it is the gateway's business.
 *
 *     normal ──event to be notified──► notifying ──answered, loop──► normal
 *        ▲                                 │ └──answered, step──► lockstep
 *        └────────── new request ──────────┴──────── new request ────┘
 */
import { type Cancel, type Clock, NumberingPlan } from '../../../src/internal.ts';
import {
  type EmbeddedRequest,
  isDigitId,
  type RequestedEvent,
  type Signal,
  writeSignals,
} from '../codec/values/events.ts';

export interface NotificationRequest {
  readonly id: string;
  readonly events: readonly RequestedEvent[];
  readonly signals: readonly Signal[];
  /** undefined: the one in force stays. */
  readonly digitMap: string | undefined;
  readonly loop: boolean;
  readonly discard: boolean;
}

export interface NotificationParts {
  readonly clock: Clock;
  /** Is the handset off? A request for an off-hook event checks it before anything else (§4.4.2). */
  hook(): 'on' | 'off';
  notify(requestId: string, observed: readonly Signal[]): void;
  signalsChanged(): void;
}

export type NotificationState = 'normal' | 'notifying' | 'lockstep';

export class Notification {
  readonly #parts: NotificationParts;
  #request: NotificationRequest = emptyRequest;
  #digitMap = '';
  #plan: NumberingPlan | undefined;
  #state: NotificationState = 'normal';
  #observed: Signal[] = [];
  #dialled = '';
  #quarantine: Signal[] = [];
  /** Notifies whose answer is awaited; while it is not empty after a new request, the old ones go on by themselves (§4.4.1 c). */
  #digitTimer: Cancel | undefined;
  /** Signals that are over as soon as they are heard, the latest of them. */
  readonly #briefs: Signal[] = [];
  readonly #signals = new Map<string, { readonly signal: Signal; readonly cancel: Cancel | undefined }>();

  constructor(parts: NotificationParts) {
    this.#parts = parts;
  }

  get state(): NotificationState {
    return this.#state;
  }

  get request(): NotificationRequest {
    return this.#request;
  }

  get digitMap(): string {
    return this.#digitMap;
  }

  get observed(): readonly Signal[] {
    return this.#observed;
  }

  get signals(): readonly Signal[] {
    return [...this.#signals.values()].map(({ signal }) => signal);
  }

  /** What the display showed and what keys were heard, oldest first. */
  get briefs(): readonly Signal[] {
    return this.#briefs;
  }

  /** 401 or 402 where the request waits for what is the case already (RFC 3435 §4.4.2). */
  conflict(events: readonly RequestedEvent[]): 401 | 402 | undefined {
    const hook = this.#parts.hook();
    for (const { id } of events) {
      if (hook === 'off' && id.toLowerCase() === 'hd') return 401;
      if (hook === 'on' && id.toLowerCase() === 'hu') return 402;
    }
    return undefined;
  }

  apply(request: NotificationRequest): void {
    const wasNotifying = this.#state === 'notifying';
    this.#request = request;
    this.#setDigitMap(request.digitMap);
    this.#dialled = '';
    this.#digitTimer?.();
    const held = request.discard ? [] : [...(wasNotifying ? [] : this.#observed), ...this.#quarantine];
    this.#observed = [];
    this.#quarantine = [];
    this.#state = 'normal';
    this.#play(request.signals);
    for (const event of held) this.detected(event);
  }

  /** Something happened at the endpoint. */
  detected(event: Signal): void {
    const wanted = this.#find(event);
    if (wanted === undefined) return;
    if (this.#state !== 'normal') {
      if (this.#quarantine.length < maxQuarantine) this.#quarantine.push(event);
      return;
    }
    const kinds = wanted.actions.map(({ kind }) => kind);
    if (!kinds.includes('K')) this.#stopSignals();
    if (kinds.includes('I')) return;
    this.#observed.push(event);
    for (const action of wanted.actions) if (action.kind === 'E') this.#embed(action.embedded);
    if (kinds.includes('D')) {
      this.#digit(event);
      return;
    }
    if (kinds.length === 0 || kinds.includes('N')) this.#notify();
  }

  /** The Notify was answered, whether well or not (§4.4.1). */
  answered(): void {
    if (this.#state !== 'notifying') return;
    this.#observed = [];
    this.#dialled = '';
    this.#state = this.#request.loop ? 'normal' : 'lockstep';
    if (this.#state === 'lockstep') return;
    const held = this.#quarantine;
    this.#quarantine = [];
    for (const event of held) this.detected(event);
  }

  reset(): void {
    this.#digitTimer?.();
    this.#stopSignals();
    this.#request = emptyRequest;
    this.#setDigitMap('');
    this.#state = 'normal';
    this.#observed = [];
    this.#quarantine = [];
    this.#briefs.length = 0;
    this.#dialled = '';
  }

  stop(): void {
    this.#digitTimer?.();
    for (const { cancel } of this.#signals.values()) cancel?.();
  }

  #find(event: Signal): RequestedEvent | undefined {
    const packageName = (event.packageName ?? '').toLowerCase();
    return this.#request.events.find((each) => {
      if (each.packageName !== undefined && each.packageName !== '*' && each.packageName.toLowerCase() !== packageName)
        return false;
      const id = each.id.toLowerCase();
      if (id === event.id.toLowerCase() || id === 'all' || id === '*') return true;
      return id.startsWith('[') && isDigitId(event.id) && inRange(id, event.id);
    });
  }

  #digit(event: Signal): void {
    this.#digitTimer?.();
    this.#dialled += event.id.toUpperCase();
    const plan = this.#plan;
    const match = plan?.match(this.#dialled) ?? 'impossible';
    if (match !== 'partial' || plan === undefined) {
      this.#notify();
      return;
    }
    // RFC 3660 §2.2: a short wait where a pause would complete the number, a long one where more is needed.
    const waitMs = plan.match(`${this.#dialled}T`) === 'complete' ? 4_000 : 16_000;
    this.#digitTimer = this.#parts.clock.after(waitMs, () => this.detected({ packageName: 'D', id: 'T' }));
  }

  #embed({ requestedEvents = [], signals = [], digitMap }: EmbeddedRequest): void {
    this.#request = { ...this.#request, events: requestedEvents, signals };
    this.#setDigitMap(digitMap);
    this.#dialled = '';
    this.#play(signals);
  }

  #notify(): void {
    this.#digitTimer?.();
    this.#state = 'notifying';
    this.#parts.notify(this.#request.id, [...this.#observed]);
  }

  #setDigitMap(digitMap: string | undefined): void {
    if (digitMap === undefined || digitMap === this.#digitMap) return;
    this.#digitMap = digitMap;
    const alternatives = digitMap.replace(/^\(|\)$/g, '').split('|');
    this.#plan = digitMap === '' ? undefined : new NumberingPlan([], { extra: alternatives });
  }

  /** Signals in the list start or go on, all others stop (RFC 3435 §2.3.3). */
  #play(signals: readonly Signal[]): void {
    this.#briefs.push(...signals.filter(isBrief));
    this.#briefs.splice(0, Math.max(0, this.#briefs.length - maxBriefs));
    const lasting = signals.filter((signal) => !isBrief(signal));
    const wanted = new Map(lasting.map((signal) => [writeSignals([signal]).toLowerCase(), signal]));
    for (const [key, { cancel }] of this.#signals) {
      if (wanted.has(key)) continue;
      cancel?.();
      this.#signals.delete(key);
    }
    for (const [key, signal] of wanted) {
      if (this.#signals.has(key)) continue;
      const lastsMs = durationsMs.get(key);
      this.#signals.set(key, {
        signal,
        cancel: lastsMs === undefined ? undefined : this.#parts.clock.after(lastsMs, () => this.#expired(key)),
      });
    }
    this.#parts.signalsChanged();
  }

  /** A time-out signal ran its time: operation complete, if somebody wants to know (RFC 3435 §2.1.7). */
  #expired(key: string): void {
    const playing = this.#signals.get(key);
    if (playing === undefined) return;
    this.#signals.delete(key);
    this.#parts.signalsChanged();
    const { packageName, id } = playing.signal;
    this.detected({ packageName, id: 'oc', parameters: [`${packageName}/${id}`] });
  }

  #stopSignals(): void {
    if (this.#signals.size === 0) return;
    for (const { cancel } of this.#signals.values()) cancel?.();
    this.#signals.clear();
    this.#parts.signalsChanged();
  }
}

const emptyRequest: NotificationRequest = {
  id: '0',
  events: [],
  signals: [],
  digitMap: undefined,
  loop: false,
  discard: false,
};

const maxQuarantine = 64;

const maxBriefs = 32;

/** RFC 3660: who calls (§2.4) and keys (§2.2) are brief. */
const isBrief = ({ packageName = '', id }: Signal): boolean => {
  const name = packageName.toUpperCase();
  return (name === 'L' && id.toLowerCase() === 'ci') || (name === 'D' && /^[0-9A-D*#]$/i.test(id));
};

/** RFC 3660 §2.1, §2.4. */
const durationsMs: ReadonlyMap<string, number> = new Map([
  ['l/dl', 16_000],
  ['l/bz', 30_000],
  ['l/ro', 30_000],
  ['l/rg', 180_000],
  ['g/rt', 180_000],
]);

/** `[0-9#*t]` and the digit. */
function inRange(range: string, digit: string): boolean {
  const wanted = digit.toLowerCase();
  for (let at = 1; at < range.length - 1; at += 1) {
    const low = range.charAt(at);
    if (range.charAt(at + 1) === '-' && at + 2 < range.length - 1) {
      if (wanted >= low && wanted <= range.charAt(at + 2)) return true;
      at += 2;
    } else if (low === wanted || (low === 'x' && wanted >= '0' && wanted <= '9')) return true;
  }
  return false;
}
