/**
 * A line as a party of a call: commands of the call become desired states of the line, what its gateway does about them becomes events
 * of the call.
 */
import type { Call } from '../calls/call.ts';
import type { CallerIdentity, FailureTold, Leg, LegEvent, ModifyRefusal, ReleaseReason, Side } from '../calls/leg.ts';
import { causeOf, finerReason } from '../calls/release-cause.ts';
import { completeDescription } from '../calls/session-description.ts';
import { answerTo, isFaxDescription, type MediaMode, type ServedMedia, servedMedia } from '../calls/session-media.ts';
import type { GatewayName } from '../journal/gateway-calls.ts';
import { type DesiredLine, type DesiredMedia, desiredDialling, desiredInCall, type PlayedKey } from './line-state.ts';

/** What a leg asks of its line. */
export interface LegLine {
  readonly number: string;
  readonly protocol: string;
  readonly gateway: string;
  readonly identity: CallerIdentity;
  readonly inService: boolean;
  readonly desired: DesiredLine;
  readonly leg: LineLeg | undefined;
  accepts(offer: string): boolean;
  readonly canPlayKeys: boolean;
  setDesired(desired: DesiredLine): void;
  whenSettled(run: () => void): void;
  packetsReceived(told: (packets: number | undefined) => void): void;
  /** The call is over for this line. */
  detach(leg: LineLeg, reason: ReleaseReason): void;
}

export class LineLeg implements Leg {
  readonly line: LegLine;
  readonly call: Call;
  readonly side: Side;
  /** The gateway's description of this line's media. */
  #own: string | undefined;
  /** The other party's last offer, which this line's description answers. */
  #offer: ServedMedia | undefined;
  /** What the line does while it talks. */
  #mode: MediaMode = 'both';
  /** An offer in mid-call that the gateway has not accepted yet, with what it goes back to if refused. */
  #modifying:
    | { readonly desired: DesiredLine; readonly offer: ServedMedia | undefined; readonly mode: MediaMode }
    | undefined;
  /** Keys that wait to be played. */
  readonly #keys: PlayedKey[] = [];
  #serial = 0;

  constructor(line: LegLine, call: Call, side: Side) {
    this.line = line;
    this.call = call;
    this.side = side;
  }

  get name(): string {
    return this.line.number;
  }

  get identity(): CallerIdentity {
    return this.line.identity;
  }

  get gateway(): GatewayName {
    return this.line;
  }

  /** The session description of this line's own media, as the other party is given it. */
  get description(): string | undefined {
    return this.#own === undefined ? undefined : answerTo(this.#offer, this.#own, this.#mode);
  }

  /** As the gateway said it. */
  get ownDescription(): string | undefined {
    return this.#own;
  }

  collect(): void {
    this.line.setDesired(desiredDialling);
  }

  offer(callId: string): void {
    this.line.setDesired(desiredInCall('offering', { callId, mode: 'receive', remote: undefined }));
  }

  alert(callId: string, offer: string | undefined, caller?: CallerIdentity): void {
    const served = offer === undefined ? undefined : servedMedia(offer);
    if (offer !== undefined && (served === undefined || !this.line.accepts(served.remote))) {
      this.#fail('notAcceptable', { detail: `the gateway of ${this.name} has no codec that is offered` });
      return;
    }
    this.#offer = served;
    this.#mode = served?.mode ?? 'both';
    this.line.setDesired(desiredInCall('ringing', { callId, mode: 'receive', remote: served?.remote }, { caller }));
  }

  progress(early: string | undefined, answer?: string): void {
    const { media } = this.line.desired;
    if (media === undefined) return;
    const heard = early === undefined ? undefined : servedMedia(early);
    const prepared = heard ?? (answer === undefined ? undefined : servedMedia(answer));
    this.line.setDesired(
      desiredInCall(
        'ringback',
        { ...media, remote: prepared?.remote ?? media.remote },
        { isSilent: heard !== undefined },
      ),
    );
  }

  connect(remote: string | undefined): void {
    const { media } = this.line.desired;
    if (media === undefined) return;
    const served = remote === undefined ? undefined : servedMedia(remote);
    if (remote !== undefined && served === undefined) {
      // Every medium that this line could serve was refused.
      this.#fail('notAcceptable', { detail: `every medium that ${this.name} could serve was refused` });
      return;
    }
    if (served !== undefined) this.#mode = served.mode;
    this.line.setDesired(
      desiredInCall('talking', { ...media, mode: this.#mode, remote: remoteOf(served) ?? media.remote }),
    );
  }

  modify(offer: string | undefined): void {
    const { desired } = this.line;
    const { media, state } = desired;
    if (media === undefined || state !== 'talking' || !this.line.inService || this.#modifying !== undefined) {
      this.#refuse('temporary');
      return;
    }
    if (offer === undefined) {
      // Asked for the whole of it: both directions, whatever the other party said last (RFC 3261 §14.1).
      if (this.#own === undefined) this.#refuse('temporary');
      else this.report({ kind: 'modifyAnswered', description: answerTo(this.#offer, this.#own, 'both') });
      return;
    }
    const served = servedMedia(offer, true);
    if (served === undefined || !this.line.accepts(served.remote)) {
      this.#refuse('notAcceptable');
      return;
    }
    this.#modifying = { desired, offer: this.#offer, mode: this.#mode };
    this.#offer = served;
    this.#mode = served.mode;
    this.line.setDesired(
      desiredInCall('talking', { ...media, mode: served.mode, remote: remoteOf(served) ?? media.remote }),
    );
  }

  /** A line makes no offers in mid-call. */
  modifyAnswer(): void {}

  modifyRefuse(): void {}

  digit(signal: string, durationMs: number): void {
    if (this.line.desired.state !== 'talking' || !isKey.test(signal) || this.#keys.length >= maxKeys) return;
    if (this.line.canPlayKeys) {
      this.#serial += 1;
      this.#keys.push({ signal: signal.toUpperCase(), durationMs, serial: this.#serial, isPlayed: false });
    }
    if (this.#keys.length === 1) this.#playKey();
  }

  whenSettled(run: () => void): void {
    this.line.whenSettled(run);
  }

  packetsReceived(told: (packets: number | undefined) => void): void {
    this.line.packetsReceived(told);
  }

  release(reason: ReleaseReason, cause?: number): void {
    this.line.detach(this, finerReason(reason, cause));
  }

  /** The gateway's description of this line's media, as often as the gateway gives it. */
  mediaReady(said: string): void {
    const own = completeDescription(said);
    const changed = own !== this.#own;
    this.#own = own;
    const { state } = this.line.desired;
    const description = answerTo(this.#offer, own, this.#mode);
    if (state === 'offering') this.report({ kind: 'offered', description });
    else if (state === 'ringing') this.report({ kind: 'alerting', description, early: false });
    else if (changed && this.#modifying === undefined && (state === 'talking' || state === 'ringback'))
      this.report({ kind: 'modified', description });
  }

  /** The gateway has what is desired. */
  settled(): void {
    const { key } = this.line.desired;
    if (key !== undefined && this.#keys[0] === key) {
      key.isPlayed = true;
      this.#keys.shift();
    }
    if (this.#modifying !== undefined) {
      const { description } = this;
      if (description === undefined) this.#goBack('temporary');
      else if (this.#offer?.kind === 'fax' && !isFaxDescription(description)) this.#goBack('notAcceptable');
      else {
        this.#modifying = undefined;
        this.report({ kind: 'modifyAnswered', description });
      }
    }
    if (this.#keys.length > 0 && this.line.leg === this) this.#playKey();
  }

  /** The gateway cannot do it. An offer in mid-call is refused with that; anything else ends the call. */
  refused(reason: ReleaseReason, told?: FailureTold): void {
    if (this.#modifying === undefined || reason === 'gatewayLost') this.#fail(reason, told);
    else this.#goBack(reason === 'temporary' || reason === 'overload' ? 'temporary' : 'notAcceptable');
  }

  /** The gateway cannot do it now, or does not answer. Whoever talks goes on talking. */
  postponed(): void {
    if (this.#modifying !== undefined) this.#goBack('temporary');
  }

  /** After a takeover: the part this line has in the call, and the description its audit showed. */
  restore(
    state: 'ringing' | 'ringback' | 'talking',
    media: DesiredMedia,
    description: string | undefined,
    isSilent?: boolean,
  ): void {
    this.#own = description === undefined ? undefined : completeDescription(description);
    if (state === 'talking') this.#mode = media.mode;
    this.line.setDesired(desiredInCall(state, media, { isSilent }));
  }

  report(event: LegEvent): void {
    if (this.line.leg === this) this.call.on(this.side, event);
  }

  #fail(reason: ReleaseReason, told?: FailureTold): void {
    this.report({ kind: 'failed', reason, cause: causeOf(reason), told });
  }

  #refuse(reason: ModifyRefusal): void {
    this.report({ kind: 'modifyRefused', reason });
  }

  /** What was refused left everything as it was on the gateway, so nothing is sent. */
  #goBack(reason: ModifyRefusal): void {
    const before = this.#modifying;
    if (before === undefined) return;
    this.#modifying = undefined;
    this.#offer = before.offer;
    this.#mode = before.mode;
    this.line.setDesired(before.desired);
    this.#refuse(reason);
  }

  #playKey(): void {
    const [key] = this.#keys;
    const { media, state } = this.line.desired;
    if (key !== undefined && media !== undefined && state === 'talking')
      this.line.setDesired(desiredInCall('talking', media, { key }));
  }
}

/** RFC 4733 §3.2: the keys of a telephone. */
const isKey = /^[0-9*#A-Da-d]$/;

/** A party that sends more than a gateway plays is not waited for. */
const maxKeys = 32;

/** An address of nobody is not worth telling: who resumes gives a new one. */
const remoteOf = (served: ServedMedia | undefined): string | undefined =>
  served?.isUnconnected === true ? undefined : served?.remote;
