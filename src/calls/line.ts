/**
 * A telephone line on a gateway: number, endpoint, hook, and the order it is under. While a call has it, the call's leg writes the
 * order; a line left off-hook after a call hears a tone, then the howler, then nothing, until it is hung up.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Call } from './call.ts';
import type { Leg, LegEvent, ReleaseReason, Side, Tone } from './leg.ts';
import {
  diallingOrder,
  howlerOrder,
  idleOrder,
  type LineOrder,
  type MediaOrder,
  mediaOrder,
  parkedOrder,
  toneOrder,
} from './line-order.ts';
import { completeDescription } from './session-description.ts';

export interface LineProvision {
  readonly number: string;
  /** The gateway's own name for it, unique over all gateways (`aaln/1@rgw1`). */
  readonly endpoint: string;
  readonly gateway: string;
}

/** The protocol's part: brings lines to their orders. */
export interface LineDriver {
  /** `line.order` has changed. The latest order counts; what was not sent of an earlier one need not be. */
  apply(line: Line): void;
}

export interface LineTimers {
  /** A tone after a call, then the howler, each this long. */
  readonly toneMs: number;
  readonly howlerMs: number;
}

export const defaultLineTimers: LineTimers = { toneMs: 30_000, howlerMs: 60_000 };

export interface LineParts {
  readonly clock: Clock;
  readonly driver: LineDriver;
  readonly timers: LineTimers;
}

export class Line {
  readonly number: string;
  readonly endpoint: string;
  readonly gateway: string;
  readonly #parts: LineParts;
  #order: LineOrder = idleOrder;
  #leg: LineLeg | undefined;
  #timer: Cancel | undefined;
  hook: 'on' | 'off' = 'on';
  inService = false;
  /** Its gateway is about to take it out of service: what it does it goes on doing, but it begins nothing and takes no calls. */
  isLeaving = false;

  constructor(provision: LineProvision, parts: LineParts) {
    this.number = provision.number;
    this.endpoint = provision.endpoint;
    this.gateway = provision.gateway;
    this.#parts = parts;
  }

  get order(): LineOrder {
    return this.#order;
  }

  get leg(): LineLeg | undefined {
    return this.#leg;
  }

  /** May it be rung? */
  get isFree(): boolean {
    return (
      this.inService && !this.isLeaving && this.#leg === undefined && this.hook === 'on' && this.#order.mark === 'idle'
    );
  }

  /** The line is a party of a call from now on. */
  attach(call: Call, side: Side): LineLeg {
    const leg = new LineLeg(this, call, side);
    this.#leg = leg;
    return leg;
  }

  /** @internal The leg's call is over for this line. */
  detach(leg: LineLeg, reason: ReleaseReason): void {
    if (this.#leg !== leg) return;
    this.#leg = undefined;
    if (!this.inService) this.#quiet(idleOrder);
    else this.settle(reason);
  }

  /** @internal */
  command(order: LineOrder): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#order = order;
    this.#parts.driver.apply(this);
  }

  /** Without a call: idle when on-hook, else the tone that fits the reason. */
  settle(reason: ReleaseReason): void {
    if (this.hook === 'on') this.command(idleOrder);
    else this.hear(toneAfter(reason));
  }

  /** A tone, then the howler, then silence. */
  hear(tone: Tone): void {
    this.command(toneOrder(tone));
    this.#timer = this.#parts.clock.after(this.#parts.timers.toneMs, () => this.howl());
  }

  howl(): void {
    this.command(howlerOrder);
    this.#timer = this.#parts.clock.after(this.#parts.timers.howlerMs, () => this.park());
  }

  park(): void {
    this.command(parkedOrder);
  }

  /** Changes the order without a command: the gateway is out of reach, or has just told us that this is how it is. */
  #quiet(order: LineOrder): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#order = order;
  }

  /** Forgets everything the line was doing; nothing is sent. */
  reset(): void {
    this.#leg = undefined;
    this.#quiet(idleOrder);
  }

  stop(): void {
    this.#timer?.();
  }
}

/** A line as a party of a call. */
export class LineLeg implements Leg {
  readonly line: Line;
  readonly call: Call;
  readonly side: Side;
  #description: string | undefined;

  constructor(line: Line, call: Call, side: Side) {
    this.line = line;
    this.call = call;
    this.side = side;
  }

  get name(): string {
    return this.line.number;
  }

  /** The session description of this line's own media. */
  get description(): string | undefined {
    return this.#description;
  }

  collect(): void {
    this.line.command(diallingOrder);
  }

  offer(callId: string): void {
    this.line.command(mediaOrder('offering', { callId, mode: 'receive', remote: undefined }));
  }

  alert(callId: string, offer: string): void {
    this.line.command(mediaOrder('ringing', { callId, mode: 'receive', remote: offer }));
  }

  progress(remote: string | undefined): void {
    const { media } = this.line.order;
    if (media === undefined) return;
    this.line.command(mediaOrder('ringback', { ...media, remote: remote ?? media.remote }));
  }

  connect(remote: string | undefined): void {
    const { media } = this.line.order;
    if (media === undefined) return;
    this.line.command(mediaOrder('talking', { ...media, mode: 'both', remote: remote ?? media.remote }));
  }

  release(reason: ReleaseReason): void {
    this.line.detach(this, reason);
  }

  /** The gateway's description of this line's media, as often as the gateway gives it. */
  mediaReady(said: string): void {
    const description = completeDescription(said);
    const changed = description !== this.#description;
    this.#description = description;
    const { mark } = this.line.order;
    if (mark === 'offering') this.report({ kind: 'offered', description });
    else if (mark === 'ringing') this.report({ kind: 'alerting', description });
    else if (changed && (mark === 'talking' || mark === 'ringback')) this.report({ kind: 'modified', description });
  }

  /** After a takeover: the part this line has in the call, and the description its audit showed. */
  restore(mark: 'ringing' | 'ringback' | 'talking', media: MediaOrder, description: string | undefined): void {
    this.#description = description === undefined ? undefined : completeDescription(description);
    this.line.command(mediaOrder(mark, media));
  }

  report(event: LegEvent): void {
    if (this.line.leg === this) this.call.on(this.side, event);
  }
}

/** Busy where trying later may help, reorder (congestion) where the call cannot be made this way. */
function toneAfter(reason: ReleaseReason): Tone {
  switch (reason) {
    case 'normal':
    case 'busy':
    case 'noAnswer':
      return 'busy';
    default:
      return 'reorder';
  }
}
