/** What a protocol of gateways brings to the core's controller: everything else about gateways is decided there. */
import type { MediaRelay } from '../calls/call.ts';
import type { HandOver } from '../cluster/gateway-ownership.ts';
import type { ControllerAddress } from '../signaling/controller-address.ts';
import type { GatewayProvision } from './gateway-config.ts';
import type { Gateway } from './gateway-registry.ts';
import type { Line, LineParts } from './line.ts';

export interface GatewayProtocol<G extends GatewayProvision> {
  /** As contacts and the members' link name it. */
  readonly name: string;
  readonly driver: LineParts['driver'];
  readonly handOver: HandOver;
  /** Media of calls that begin at these lines runs through it. */
  readonly relay?: MediaRelay | undefined;

  /** The gateway as provisioned, now and after each reload that changes it; its lines come later. */
  configured(gateway: Gateway, settings: G): void;
  /** These are its addresses from now on. */
  located(gateway: Gateway, addresses: readonly ControllerAddress[]): void;
  /** It is provisioned no more. */
  removed(gateway: Gateway): void;
  lineAdded(line: Line, gateway: Gateway): void;
  /** The line's call is over, and it has the order to be idle. What comes after it at its endpoint waits for the promise, if there is one. */
  lineWithdrawn(line: Line): Promise<void> | undefined;
  /** Lines that were added: in service from now on if their gateway is ours. */
  serve(lines: readonly Line[]): void;

  /** An audit that changes nothing; any answer is a sign of life. */
  ping(gateway: Gateway, done: (answered: boolean) => void): void;
  /** May it be asked whether it lives? */
  mayAsk(gateway: Gateway): boolean;
  /** It answers, and was not known to live. */
  back(gateway: Gateway): void;
  /** It was quiet, and did not answer when it was asked. */
  silent(gateway: Gateway): void;

  /** A line that is called but not in service here is asked for; `ready` is called whatever came of it. False: nothing can be done. */
  claim(line: Line, ready: () => void): boolean;
  /** Has the line a codec that is offered? */
  accepts(line: Line, offer: string): boolean;
  /** Are there lines of which this member does not know whether they are in a call? */
  hasUnknownLines(): boolean;

  /** Sends the question whether it lives to another member's signaling address. */
  askMember(partner: ControllerAddress, id: number): void;
  /** What members say is different now. */
  membersChanged(): void;
  /** By gateway: what a successor need not find out. */
  hints(): Readonly<Record<string, string>>;

  /** Has everything left that a drain sends away? */
  isDrained(): boolean;
  /** For the operator, beside what the controller says itself. */
  status(): Readonly<Record<string, unknown>>;
  describe(gateway: Gateway): Readonly<Record<string, unknown>>;
}
