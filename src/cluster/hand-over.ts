/** How gateways change hands: what a protocol does where the ownership machines say so. */
import type { ControllerAddress } from '../signaling/controller-address.ts';

/** All gateways of a home, or one of them. */
export interface Unit {
  /** `addressKey` of the member whose they are. */
  readonly home: string;
  readonly gateway: string | undefined;
}

/** How the protocol does it. */
export interface HandOver {
  /** Do the gateways hear from the old owner who the new one is? Else the new one has to reach them. */
  readonly tellsGateways: boolean;
  /** Asks what of the unit we do not serve yet, and commands it afterwards; `done` once, whatever came of it. */
  take(unit: Unit, done: () => void): void;
  /** Audits under way end without a trace. */
  dropAudits(unit: Unit): void;
  /** `to` serves it now, where that is known. */
  letGo(unit: Unit, to: ControllerAddress | undefined): void;
  /**
   * They cannot leave now, since a call would suffer; asked again and again. `isPatient`: also for a call that is being made, which
   * cannot last.
   */
  isBusy?(unit: Unit, isPatient: boolean): boolean;
  /** Lets go, for `to` to take. */
  handOver(unit: Unit, to: ControllerAddress | undefined): void;
}
