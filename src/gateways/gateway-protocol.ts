/** What a protocol of gateways brings to the core's controller: everything else about gateways is decided there. */
import type { MediaRelay } from '../calls/call.ts';
import type { RecordHabit } from '../calls/call-records.ts';
import type { HandOver, Unit } from '../cluster/hand-over.ts';
import type { ControllerAddress } from '../signaling/controller-address.ts';
import type { GatewayProvision } from './gateway-config.ts';
import type { Gateway } from './gateway-registry.ts';
import type { AuditProtocol } from './gateway-takeover.ts';
import type { Line } from './line.ts';
import type { LineCommander } from './line-driver.ts';

/** `A`: what its gateways say of one line when audited. */
export interface GatewayProtocol<G extends GatewayProvision, A> {
  /** As contacts and the members' link name it. */
  readonly name: string;
  readonly driver: LineCommander;
  readonly audits: AuditProtocol<A>;
  /** How gateways change hands; absent: they answer whoever asks, and follow whoever commands them. */
  readonly handOver?: HandOver | undefined;
  /** Media of calls that begin at these lines runs through it. */
  readonly relay?: MediaRelay | undefined;
  /** A gateway may be on its way to us for this long; absent: it answers wherever it is. */
  readonly arrivalMs?: number | undefined;

  /** The gateway as provisioned, now and after each reload that changes it; its lines come later. */
  configured(gateway: Gateway, settings: G): void;
  /** These are its addresses from now on. */
  located(gateway: Gateway, addresses: readonly ControllerAddress[]): void;
  /** It is provisioned no more. */
  removed(gateway: Gateway): void;

  /** Asks whoever is at this address, as if it were the gateway, for a sign of life, with this transaction id. */
  askAt(gateway: Gateway, address: ControllerAddress, id: number): void;
  /** What it has not answered yet goes to its first address of now. */
  redirect(gateway: Gateway): void;
  /** An audit that changes nothing; any answer is a sign of life. */
  ping(gateway: Gateway, done: (answered: boolean) => void): void;
  /** May it be asked whether it lives, and what its lines do? */
  mayAsk(gateway: Gateway): boolean;
  /** It answers, and was not known to live. */
  back(gateway: Gateway): void;
  /** It does not answer, or not us: none of its lines is commanded from now on. */
  lost?(gateway: Gateway): void;

  /** These lines are about to be taken over, or brought home. */
  taking?(unit: Unit): void;
  /** Has the line a codec that is offered? */
  accepts(line: Line, offer: string): boolean;
  /** Can the line's gateway play keys to it, as far as is known? */
  canPlayKeys(line: Line): boolean;
  /** Does the line's gateway give a record back that lies beside a description, or in another place of its? */
  recordHabit(line: Line, hasRemote: boolean): RecordHabit;
  /** Do its gateways keep the call id? */
  readonly tellsCall: boolean;

  /** Sends the question whether it lives to another member's signaling address. */
  askMember(partner: ControllerAddress, id: number): void;
  /** What members say is different now. */
  membersChanged?(): void;
  /** By gateway: what a successor need not find out. */
  hints?(): Readonly<Record<string, string>>;

  /** Has everything left that a drain sends away? */
  isDrained(): boolean;
  /** For the operator, beside what the controller says itself. */
  status(): Readonly<Record<string, unknown>>;
  describe(gateway: Gateway): Readonly<Record<string, unknown>>;
}
