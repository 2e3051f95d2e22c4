/** One line's endpoint: whose it is. What the gateway has of it is the line driver's to know. */
import type { Gateway, Line } from '../../src/internal.ts';

export class Endpoint {
  readonly line: Line;
  readonly gateway: Gateway;
  /** Do we know its state and command it? */
  owned = false;
  /** Its gateway restarted, and is being asked whether it still has it. */
  isUnarmed = false;
  /** Its gateway, asked for its endpoints, did not name it: not armed until it is named or speaks. */
  isUnlisted = false;

  constructor(line: Line, gateway: Gateway) {
    this.line = line;
    this.gateway = gateway;
  }
}
