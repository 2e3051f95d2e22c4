/**
 * A telephone line on a gateway: number, endpoint, hook, and its desired state. While a call has it, the call's leg writes the
 * desired state; a line left off-hook after a call hears a tone, then the howler, then nothing, until it is hung up.
 */

import type { Call } from '../calls/call.ts';
import { type CallRecord, isSameRecord } from '../calls/call-record.ts';
import type { CallerIdentity, ReleaseReason, Side, Tone } from '../calls/leg.ts';
import type { Cancel, Clock } from '../clock.ts';
import { LineLeg } from './line-leg.ts';
import {
  type DesiredLine,
  type DesiredMedia,
  desiredHowler,
  desiredIdle,
  desiredLockout,
  desiredTone,
} from './line-state.ts';

export interface LineProvision {
  readonly number: string;
  /** The gateway's own name for it, unique over all gateways (`aaln/1@rgw1`). */
  readonly endpoint: string;
  readonly gateway: string;
  /** Whose it is, for the displays of those who are called. */
  readonly name?: string | undefined;
  /** `withheld`: those who are called are not told who calls. */
  readonly callerId?: 'shown' | 'withheld' | undefined;
}

export interface LineTimers {
  /** A tone after a call, then the howler, each this long. */
  readonly toneMs: number;
  readonly howlerMs: number;
}

export const defaultLineTimers: LineTimers = { toneMs: 30_000, howlerMs: 60_000 };

export interface LineParts {
  readonly clock: Clock;
  /** That its gateway speaks. */
  readonly protocol?: string | undefined;
  /** `line.desired` has changed. The latest counts; what was not sent of an earlier one need not be. */
  readonly driver: {
    apply(line: Line): void;
    /** Runs once the line's desired state is on the gateway, or cannot be brought there. */
    whenSettled?(line: Line, run: () => void): void;
    /** How many packets of media its gateway has received for the line. */
    packetsReceived?(line: Line, told: (packets: number | undefined) => void): void;
  };
  /** Has the line a codec that is offered? */
  readonly accepts?: ((line: Line, offer: string) => boolean) | undefined;
  /** Can the line's gateway play keys to it? */
  readonly canPlayKeys?: ((line: Line) => boolean) | undefined;
  readonly timers: LineTimers;
  /** Where the other party's record is kept. */
  readonly records?:
    | {
        /** The line is to have this record. */
        changed(line: Line, media: DesiredMedia, record: CallRecord): void;
        /** The line has no part in the call any more. */
        over(line: Line): void;
        whenKept(line: Line, run: () => void): void;
      }
    | undefined;
}

export class Line {
  readonly number: string;
  readonly endpoint: string;
  readonly gateway: string;
  readonly protocol: string;
  readonly #parts: LineParts;
  #desired: DesiredLine = desiredIdle;
  #identity: CallerIdentity;
  #leg: LineLeg | undefined;
  #timer: Cancel | undefined;
  hook: 'on' | 'off' = 'on';
  inService = false;
  /** Its gateway obeys us, and we know what it has of the line. */
  controlled = false;
  /** Its gateway, asked which lines it has, did not name it. */
  isMissing = false;
  /** Its gateway is about to take it out of service: what it does it goes on doing, but it begins nothing and takes no calls. */
  isLeaving = false;

  constructor(provision: LineProvision, parts: LineParts) {
    this.number = provision.number;
    this.endpoint = provision.endpoint;
    this.gateway = provision.gateway;
    this.protocol = parts.protocol ?? '';
    this.#identity = identityOf(provision);
    this.#parts = parts;
  }

  /** As those who are called from here may be told. */
  get identity(): CallerIdentity {
    return this.#identity;
  }

  /** The operator has changed what the line is called. */
  rename(provision: LineProvision): void {
    this.#identity = identityOf(provision);
  }

  get desired(): DesiredLine {
    return this.#desired;
  }

  get leg(): LineLeg | undefined {
    return this.#leg;
  }

  /** May it be rung? */
  get isFree(): boolean {
    return (
      this.inService &&
      !this.isLeaving &&
      this.#leg === undefined &&
      this.hook === 'on' &&
      this.#desired.state === 'idle'
    );
  }

  /** Its call is over, and it is about to be told. */
  get isEnding(): boolean {
    return this.#leg?.call.phase === 'over';
  }

  accepts(offer: string): boolean {
    return this.#parts.accepts?.(this, offer) !== false;
  }

  get canPlayKeys(): boolean {
    return this.#parts.canPlayKeys?.(this) === true;
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
    this.#parts.records?.over(this);
    if (!this.inService) this.#quiet(desiredIdle);
    else this.applyTreatment(reason);
  }

  /** @internal */
  setDesired(desired: DesiredLine): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#desired = this.#withRecord(desired);
    this.#parts.driver.apply(this);
  }

  /** Runs once what is desired is on the gateway and the other party's record where a successor finds it, or neither can be brought there. */
  whenSettled(run: () => void): void {
    const { driver, records } = this.#parts;
    const leg = this.#leg;
    const { media } = this.#desired;
    const record = leg?.call.recordBeside(leg.side);
    if (media !== undefined && record !== undefined && !isSameRecord(record, media.record))
      this.setDesired(this.#desired);
    const kept = (): void => {
      if (records === undefined) run();
      else records.whenKept(this, run);
    };
    if (driver.whenSettled === undefined) kept();
    else driver.whenSettled(this, kept);
  }

  packetsReceived(told: (packets: number | undefined) => void): void {
    const { driver } = this.#parts;
    if (driver.packetsReceived === undefined) told(undefined);
    else driver.packetsReceived(this, told);
  }

  /** Whatever the line does in a call, it keeps the other party's record. */
  #withRecord(desired: DesiredLine): DesiredLine {
    const { media } = desired;
    const record = this.#leg?.call.recordBeside(this.#leg.side);
    if (media === undefined || record === undefined) return desired;
    this.#parts.records?.changed(this, media, record);
    return { ...desired, media: { ...media, record } };
  }

  /** Without a call: idle when on-hook, else the tone that fits the reason. */
  applyTreatment(reason: ReleaseReason): void {
    if (this.hook === 'on') this.setDesired(desiredIdle);
    else this.playTone(toneAfter(reason));
  }

  /** A tone, then the howler, then silence. */
  playTone(tone: Tone): void {
    this.setDesired(desiredTone(tone));
    this.#timer = this.#parts.clock.after(this.#parts.timers.toneMs, () => this.playHowler());
  }

  playHowler(): void {
    this.setDesired(desiredHowler);
    this.#timer = this.#parts.clock.after(this.#parts.timers.howlerMs, () => this.lockOut());
  }

  lockOut(): void {
    this.setDesired(desiredLockout);
  }

  /** Changes the desired state without a command: the gateway is out of reach, or has just told us that this is how it is. */
  #quiet(desired: DesiredLine): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#desired = desired;
  }

  /** Forgets everything the line was doing; nothing is sent. */
  reset(): void {
    this.#leg = undefined;
    this.#quiet(desiredIdle);
  }

  stop(): void {
    this.#timer?.();
  }
}

const identityOf = ({ number, name, callerId }: LineProvision): CallerIdentity => ({
  number,
  name,
  presentation: callerId === 'withheld' ? 'restricted' : 'allowed',
});

/** Busy where trying later may help, reorder (congestion) where the call cannot be made this way. */
function toneAfter(reason: ReleaseReason): Tone {
  switch (reason) {
    case 'normal':
    case 'cancelled':
    case 'busy':
    case 'noAnswer':
    case 'declined':
      return 'busy';
    case 'unknownNumber':
    case 'unavailable':
    case 'forbidden':
    case 'noResources':
    case 'notAcceptable':
    case 'incompleteNumber':
    case 'gatewayLost':
    case 'temporary':
    case 'overload':
      return 'reorder';
  }
}
