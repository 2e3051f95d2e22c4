/**
 * INVITEs with credentials for a partner that may be dead: a telephone that knows of us repeats the INVITE of a call that is being set up.
 * The partner is asked for a sign of life and the INVITE waits for the answer; it passes if the partner is dead, and is challenged else.
 */
import type { Cancel, Clock, ControllerAddress, Flow, Transmitter } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';

export interface CarriedInvitesParts {
  readonly clock: Clock;
  readonly transmitter: () => Pick<Transmitter, 'ask'>;
  readonly partners: readonly ControllerAddress[];
  /** How long a partner may be silent before it counts as dead. */
  readonly silenceMs: number;
  isDown(partner: ControllerAddress): boolean;
  lastHeardMs(partner: ControllerAddress): number;
}

export class CarriedInvites {
  readonly #parts: CarriedInvitesParts;
  readonly #held = new Map<string, { readonly untilMs: number; cancel: Cancel }>();

  /** When a partner was asked that had not answered since; as many as partners. */
  readonly #askedMs = new Map<ControllerAddress, number>();

  constructor(parts: CarriedInvitesParts) {
    this.#parts = parts;
  }

  readonly isPartnerDead = (): boolean => this.#parts.partners.some((partner) => this.#isDead(partner));

  /**
   * Holds the INVITE until it is known whether a partner lives; `again` judges it anew then. False: that is known, or too many wait. A copy
   * that comes meanwhile is the same INVITE.
   */
  hold(request: SipMessage, flow: Flow, again: (request: SipMessage, flow: Flow) => void): boolean {
    const { clock, partners, transmitter, silenceMs } = this.#parts;
    const key = `${request.callId}\n${request.fromTag}\n${request.cseq}\n${request.via.branch ?? ''}`;
    const now = clock.now();
    const known = this.#held.get(key);
    if (known !== undefined && now < known.untilMs) return true;
    this.#held.delete(key);
    if (known !== undefined || this.#held.size >= maxHeld || partners.length === 0) return false;
    for (const partner of partners) {
      if (this.#isAnswered(partner)) this.#askedMs.set(partner, now);
      transmitter().ask(partner);
    }
    const untilMs = now + silenceMs + verdictMs;
    const held: { untilMs: number; cancel: Cancel } = { untilMs, cancel: () => undefined };
    const look = (): void => {
      if (!this.isPartnerDead() && clock.now() < untilMs) {
        held.cancel = clock.after(lookMs, look);
        return;
      }
      // Kept as known: what is judged again and fails again is challenged.
      this.#held.set(key, { untilMs: 0, cancel: clock.after(forgetMs, () => this.#held.delete(key)) });
      again(request, flow);
    };
    held.cancel = clock.after(lookMs, look);
    this.#held.set(key, held);
    return true;
  }

  /** Known to be down, or silent since it was asked. */
  #isDead(partner: ControllerAddress): boolean {
    const { clock, silenceMs, isDown } = this.#parts;
    const askedMs = this.#askedMs.get(partner);
    const isSilent = askedMs !== undefined && !this.#isAnswered(partner) && clock.now() - askedMs >= silenceMs;
    return isSilent || isDown(partner);
  }

  #isAnswered(partner: ControllerAddress): boolean {
    return this.#parts.lastHeardMs(partner) >= (this.#askedMs.get(partner) ?? 0);
  }

  stop(): void {
    for (const { cancel } of this.#held.values()) cancel();
    this.#held.clear();
  }
}

/** A refused question says at once that nobody is there; the verdict on it takes a little longer (Transmitter). */
const lookMs = 20;
const verdictMs = 300;
const forgetMs = 1_000;

/** More INVITEs of dead partners than this do not wait at once: they are challenged. */
const maxHeld = 4_096;
