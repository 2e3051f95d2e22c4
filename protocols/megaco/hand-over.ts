/**
 * How gateways change hands between controllers: by HandOff (RFC 3525 §7.2.8, §11.5). The old controller sends one that names the new
 * one; a controller whose partner died sends one that names itself. Neither outlives its reason: it is withdrawn when the gateway has
 * come, when the owner is back, and when the one that it names is gone.
 */
import {
  addressKey,
  type Cancel,
  type Clock,
  type CommandOutcome,
  type ControllerAddress,
  formatAddress,
  type GatewayController,
  type HandOver,
  type Logger,
  type PathAttribute,
  type PendingCommand,
  type Unit,
} from '../../src/internal.ts';
import type { MegacoGatewayConfig } from './config.ts';
import { tryInTurn } from './encoding-choice.ts';
import type { MediaGateway, MediaGateways } from './media-gateways.ts';
import { handOffAction } from './service-change.ts';
import type { AuditedLine } from './snapshot.ts';
import type { MegacoTakeover } from './takeover.ts';
import type { MegacoEndpoint, MegacoResponse } from './transactions.ts';

export interface MegacoHandOverParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly mediaGateways: MediaGateways;
  readonly takeover: MegacoTakeover;
  controller(): GatewayController<MegacoGatewayConfig, AuditedLine>;
  endpoint(): MegacoEndpoint;
  self(): ControllerAddress;
  path(gateway: string): PathAttribute | undefined;
  /** In a takeover: how long gateways may take to come. */
  readonly takeoverMs: number;
}

export class MegacoHandOver implements HandOver {
  readonly tellsGateways = true;
  readonly #parts: MegacoHandOverParts;
  /** HandOffs to ourselves that have no answer yet. */
  readonly #calls = new Map<MediaGateway, { cancel(): void }>();
  /** Gateways on their way to another controller. */
  readonly #leaving = new Map<MediaGateway, Leaving>();
  readonly #takes = new Set<Take>();
  #stopped = false;

  constructor(parts: MegacoHandOverParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#stopped = true;
    for (const take of this.#takes) take.cancel();
    this.#takes.clear();
  }

  /** Gateways that have not left yet. */
  get leaving(): number {
    return this.#leaving.size;
  }

  isLeaving(mg: MediaGateway): boolean {
    return this.#leaving.has(mg);
  }

  take(unit: Unit, done: () => void): void {
    const { clock, takeoverMs, self } = this.#parts;
    const isOwn = unit.home === addressKey(self());
    const take: Take = { unit, done, cancel: () => undefined, isOver: false };
    this.#takes.add(take);
    const over = (): void => this.#end(take);
    if (!isOwn || this.#parts.controller().ownership.hasCome) {
      this.#callMissing(unit);
      take.cancel = clock.after(takeoverMs, over);
    } else if (this.#parts.controller().members.hasLink) {
      // Without a link gateways of ours that another may have come back by its word alone. Our own come by themselves when they or we have started, or are sent by who had them; who has not is called.
      take.cancel = clock.after(unit.gateway === undefined ? ownPatienceMs : sentPatienceMs, () => {
        this.#callMissing(unit);
        take.cancel = clock.after(takeoverMs, over);
      });
    } else take.cancel = clock.after(0, over);
    this.settled();
  }

  dropAudits(unit: Unit): void {
    for (const take of [...this.#takes])
      if (take.unit.home === unit.home && (unit.gateway === undefined || unit.gateway === take.unit.gateway)) {
        take.cancel();
        this.#takes.delete(take);
      }
    for (const mg of this.#of(unit)) {
      this.#withdrawCall(mg);
      this.#parts.takeover.forget(mg);
    }
  }

  /** To the one who serves it now, if anybody is known to; a gateway that is there already takes it for what it knows. */
  letGo(unit: Unit, to: ControllerAddress | undefined): void {
    this.handOver(unit, to);
  }

  isBusy(unit: Unit, isPatient: boolean): boolean {
    return isPatient && this.#parts.controller().control.isCalling(unit);
  }

  handOver(unit: Unit, to: ControllerAddress | undefined): void {
    const { log, self } = this.#parts;
    for (const mg of this.#of(unit)) this.#withdrawCall(mg);
    const mediaGateways = this.#of(unit).filter(({ controlled }) => controlled);
    if (to === undefined || addressKey(to) === addressKey(self())) {
      this.release(mediaGateways);
      return;
    }
    for (const mg of mediaGateways) log.info({ gateway: mg.name, to: formatAddress(to) }, 'gateway is handed over');
    for (const mg of mediaGateways) this.#leaving.set(mg, { to, pending: undefined });
    this.release(mediaGateways);
    for (const mg of mediaGateways) {
      const leaving: Leaving = { to, pending: undefined };
      this.#leaving.set(mg, leaving);
      leaving.pending = this.#parts.endpoint().request(
        mg.gateway,
        () => [handOffAction(to, undefined)],
        (outcome) => {
          if (this.#leaving.get(mg) !== leaving) return;
          this.#leaving.delete(mg);
          if (isRefused(outcome) && !this.#stopped) this.#stayed(mg);
        },
        { urgent: true },
      );
    }
  }

  /** It came to us, or went by itself: no word about it is on its way any more. */
  arrived(mg: MediaGateway): void {
    this.#withdrawCall(mg);
    const leaving = this.#leaving.get(mg);
    this.#leaving.delete(mg);
    leaving?.pending?.cancel();
    this.settled();
  }

  /** Gateways that were sent to a controller which died in the meantime stay with us; those whose owner is back are not called. */
  membersChanged(): void {
    for (const mg of [...this.#calls.keys()]) if (this.#isOwnerBack(mg)) this.#withdrawCall(mg);
    for (const [mg, { to, pending }] of [...this.#leaving]) {
      if (this.#lives(addressKey(to))) continue;
      this.#leaving.delete(mg);
      pending?.cancel();
      this.#stayed(mg);
    }
  }

  /** Something came or ended: takeovers that miss nobody any more are over. */
  settled(): void {
    for (const take of [...this.#takes]) {
      const isOwn = take.unit.home === addressKey(this.#parts.self());
      const isComplete =
        this.#of(take.unit).every(({ controlled }) => controlled) && !this.#parts.controller().takeover.isRunning;
      if (isComplete && !isOwn) this.#end(take);
    }
  }

  #end(take: Take): void {
    if (take.isOver || !this.#takes.delete(take)) return;
    take.isOver = true;
    take.cancel();
    // Never within the call that began it.
    queueMicrotask(take.done);
  }

  #callMissing(unit: Unit): void {
    for (const mg of this.#of(unit)) if (!mg.controlled && !this.#leaving.has(mg)) this.call(mg);
  }

  /** A HandOff to ourselves: moves a gateway that knows us by the path attribute, or by the mId that we share. */
  call(mg: MediaGateway): void {
    if (this.#calls.has(mg) || this.#stopped) return;
    const { clock, endpoint, self, path } = this.#parts;
    const settled = tryInTurn(clock, mg.encoding, () => endpoint().redirect(mg.gateway));
    const pending = endpoint().request(
      mg.gateway,
      () => [handOffAction(self(), path(mg.name))],
      (outcome) => {
        settled();
        if (!this.#calls.delete(mg)) return;
        if (isRefused(outcome)) this.#parts.takeover.refused(mg);
      },
      { urgent: true },
    );
    this.#calls.set(mg, {
      cancel: () => {
        settled();
        pending.cancel();
      },
    });
  }

  /** They are another controller's from now on, with the calls on them. */
  release(mgs: readonly MediaGateway[]): void {
    const { control } = this.#parts.controller();
    for (const mg of mgs) mg.controlled = false;
    control.release(mgs.flatMap(({ gateway }) => control.of(gateway)));
  }

  /** The gateway did not leave, or its new controller is gone: it is ours again, as it is. */
  #stayed(mg: MediaGateway): void {
    if (!this.#parts.controller().ownership.isDraining) this.#parts.takeover.begin(mg, undefined);
  }

  #lives(key: string): boolean {
    const state = this.#parts.controller().members.byKey(key)?.state;
    return state === 'alive' || state === 'returning' || state === 'suspect';
  }

  /** Does the gateway's own controller, another than us, live? */
  #isOwnerBack({ name }: MediaGateway): boolean {
    const home = this.#parts.controller().homeOf(name);
    return home !== undefined && home !== addressKey(this.#parts.self()) && this.#lives(home);
  }

  #withdrawCall(mg: MediaGateway): void {
    const pending = this.#calls.get(mg);
    this.#calls.delete(mg);
    pending?.cancel();
  }

  #of({ home, gateway }: Unit): readonly MediaGateway[] {
    return [...this.#parts.mediaGateways.all()].filter(({ name }) =>
      gateway === undefined ? this.#parts.controller().homeOf(name) === home : name === gateway,
    );
  }
}

interface Take {
  readonly unit: Unit;
  readonly done: () => void;
  cancel: Cancel;
  isOver: boolean;
}

interface Leaving {
  readonly to: ControllerAddress;
  pending: PendingCommand | undefined;
}

/** Our own gateways may come by themselves for this long before they are called; one that another has just let go is on its way. */
const ownPatienceMs = 3_000;
const sentPatienceMs = 500;

export function isRefused(outcome: CommandOutcome<MegacoResponse>): boolean {
  if (outcome.kind !== 'answered') return true;
  const { error, actions } = outcome.response.reply;
  return (
    error !== undefined ||
    actions.some(
      (action) =>
        action.error !== undefined ||
        action.commands.some(({ descriptors }) => descriptors.some(({ kind }) => kind === 'Error')),
    )
  );
}
