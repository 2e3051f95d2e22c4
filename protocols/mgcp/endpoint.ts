/** One line's endpoint as we believe it to be on the gateway: what the driver compares with the line's order. */
import type { Cancel, Gateway, Line, LineOrder, PendingCommand } from '../../src/internal.ts';

export interface Connection {
  readonly callId: string;
  readonly id: string;
  /** false: an audit did not tell its call id or its own, so no command can name it (RFC 3435 §2.3.6, §2.3.7). */
  readonly isNamed: boolean;
  mode: 'receive' | 'both';
  /** The remote description the gateway was given. */
  remote: string | undefined;
  /** The gateway's own description. */
  local: string | undefined;
}

/** A connection that belongs to no call. */
export interface Stray {
  readonly id: string;
  /** undefined where it is not known, or the gateway denies it: only a deletion of all connections reaches it (RFC 3435 §2.3.9). */
  readonly callId: string | undefined;
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
  /** To be deleted: what an audit found beside the call, or what the gateway did not delete when it was told to. */
  strays: readonly Stray[] = [];
  /** The gateway refused to delete them: everything else goes first, until they are tried again. */
  postponed: Cancel | undefined;
  postponements = 0;
  /** Key of the request in force; undefined: not known, so it must be made. */
  requested: string | undefined;
  pending: PendingCommand | undefined;
  /** The handset was moved while the command was under way: that stopped what it may have started. */
  isDisturbed = false;
  /** The order whose media was reported ready. */
  reported: LineOrder | undefined;
  /** The order that the gateway refused for good: not tried again until something changes. */
  refused: LineOrder | undefined;
  retry: Cancel | undefined;
  retries = 0;
  /** The outcome of a command is being weighed: orders that change meanwhile are looked at once, at its end. */
  isWeighing = false;

  constructor(line: Line, gateway: Gateway) {
    this.line = line;
    this.gateway = gateway;
  }

  /** The handset was lifted or hung up: signals have stopped, and what was requested counts no more (RFC 3435 §2.3.3). */
  disturb(): void {
    this.requested = undefined;
    this.isDisturbed = true;
  }

  /** The gateway has deleted a connection by itself; one whose name is not known to us may be any. Says which it was. */
  deleted(id: string | undefined, callId: string | undefined): 'connection' | 'stray' | 'other' | 'otherCall' {
    const { connection, strays } = this;
    const same = (a: string, b: string | undefined) => b === undefined || a.toUpperCase() === b.toUpperCase();
    if (connection !== undefined && (!connection.isNamed || same(connection.id, id))) {
      if (connection.isNamed && !same(connection.callId, callId)) return 'otherCall';
      this.connection = undefined;
      return 'connection';
    }
    const stray = strays.find((each) => each.id !== '' && same(each.id, id));
    if (stray === undefined) return strays.length > 0 ? 'stray' : 'other';
    this.strays = strays.filter((each) => each !== stray);
    return 'stray';
  }

  stop(): void {
    this.retry?.();
    this.postponed?.();
  }

  /** The gateway lost everything about it. */
  reset(): void {
    this.isUnarmed = false;
    this.connection = undefined;
    this.strays = [];
    this.postponed?.();
    this.postponed = undefined;
    this.postponements = 0;
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
