/** What others are told when the gateways of another member come to us, or leave us. */
import { tellNews } from '../controller/events.ts';
import { addressKey, type ControllerAddress, formatAddress } from '../signaling/controller-address.ts';
import type { Unit } from './hand-over.ts';
import type { Members } from './members.ts';

export interface Move {
  readonly isTaken: boolean;
  /** Whose they are from now on; undefined where they are taken. */
  readonly target: ControllerAddress | undefined;
  readonly because: string;
}

export function tellOfSwitch(members: Members, own: ControllerAddress, unit: Unit, move: Move): void {
  const { events, role: protocol } = members;
  const { isTaken, target, because } = move;
  if (events === undefined || (isTaken && unit.home === addressKey(own))) return;
  const other = isTaken ? members.byKey(unit.home)?.address : target;
  const [from, to] = isTaken ? [other, own] : [own, other];
  tellNews(events, {
    kind: 'switch',
    what: 'gateway',
    protocol,
    gateway: unit.gateway,
    from: from && formatAddress(from),
    to: to && formatAddress(to),
    because,
  });
}
