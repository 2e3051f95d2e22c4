/** One line's endpoint as we believe it to be on the gateway: what the driver compares with the line's order. */
import type { Cancel, Gateway, Line, LineOrder, PendingCommand } from '../../src/index.ts';

export interface Connection {
  readonly callId: string;
  readonly id: string;
  mode: 'receive' | 'both';
  /** The remote description the gateway was given. */
  remote: string | undefined;
  /** The gateway's own description. */
  local: string | undefined;
}

export class Endpoint {
  readonly line: Line;
  readonly gateway: Gateway;
  /** Do we know its state and command it? */
  owned = false;
  /** Its gateway restarted, and is being asked whether it still has it. */
  isUnarmed = false;
  /** Its gateway, asked for its endpoints, did not name it: not armed until it is named or speaks. */
  isUnlisted = false;
  connection: Connection | undefined;
  /** Connections an audit found that belong to no call: to be deleted. */
  strays: string[] = [];
  /** Key of the request in force; undefined: not known, so it must be made. */
  requested: string | undefined;
  pending: PendingCommand | undefined;
  /** The order whose media was reported ready. */
  reported: LineOrder | undefined;
  /** The order that the gateway refused for good: not tried again until something changes. */
  refused: LineOrder | undefined;
  retry: Cancel | undefined;
  retries = 0;

  constructor(line: Line, gateway: Gateway) {
    this.line = line;
    this.gateway = gateway;
  }

  /** The gateway lost everything about it. */
  reset(): void {
    this.isUnarmed = false;
    this.connection = undefined;
    this.strays = [];
    this.requested = undefined;
    this.reported = undefined;
    this.refused = undefined;
    this.retry?.();
    this.retry = undefined;
    this.retries = 0;
    this.pending?.cancel();
    this.pending = undefined;
  }
}
