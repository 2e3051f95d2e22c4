/**
 * What a command to a gateway says about where the gateway's own are to go: `N:` where RFC 3435 §3.2.2 allows it, and the list of package
 * RED (RFC 3991 §2.1) where the gateway bears it. The Assembler says whom they name (docs/alternate-path.md §4).
 */
import type { Assembler, ControllerAddress, Flow, Gateway } from '../../src/internal.ts';
import type { MgcpDatagram, Parameter } from './codec/messages.ts';
import { writeNotifiedEntity } from './codec/values/names.ts';
import { redListPlace } from './path.ts';

export interface RoutingParts {
  readonly assembler: Assembler<MgcpDatagram>;
  /** As configured; else our own address. */
  readonly notifiedEntity: string | undefined;
  /** Whose gateway it is; undefined: ours, or nobody's. */
  homeOf(gateway: Gateway): ControllerAddress | undefined;
}

export class Routing {
  readonly #parts: RoutingParts;

  constructor(parts: RoutingParts) {
    this.#parts = parts;
  }

  /** `dialect`: what is left out of the command. */
  parameters(gateway: Gateway, flow: Flow, dialect: ReadonlySet<string>): readonly Parameter[] {
    const named: Parameter = { code: 'N', value: this.notifiedEntity(flow) };
    const listed = gateway.dialect.has('RED') && !dialect.has('noRedirectList') && this.hasPath(gateway, flow);
    return listed ? [named, redListPlace] : [named];
  }

  /** Will a message to this gateway name anybody beside us? */
  hasPath(gateway: Gateway, flow: Flow): boolean {
    const { assembler, homeOf } = this.#parts;
    return assembler.path(assembler.addressOf(flow), homeOf(gateway)) !== undefined;
  }

  notifiedEntity(flow: Flow): string {
    const { assembler, notifiedEntity } = this.#parts;
    return notifiedEntity ?? writeNotifiedEntity({ ...assembler.addressOf(flow), user: 'ca' });
  }
}
