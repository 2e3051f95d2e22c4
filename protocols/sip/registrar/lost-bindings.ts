/**
 * Bindings of connections that have ended (RFC 5626 §7): nobody is sent there from that moment on; they leave the location service a
 * moment later, when the store has shown what the telephone registered with a partner meanwhile.
 */
import type { Cancel, Clock, Contact, Flow, LocationService, Logger } from '../../../src/internal.ts';
import { parseUri } from '../codec/uri.ts';
import { type Binding, type Flows, isBoundToFlow } from '../proxy/flows.ts';

export interface LostBindingsParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly locations: LocationService;
  readonly flows: Flows;
}

interface Lost extends Binding {
  readonly atMs: number;
  readonly remote: Flow['remote'];
}

/** More than it takes until the commits of a partner on the same store are seen. */
const settleMs = 500;

export class LostBindings {
  readonly #parts: LostBindingsParts;
  #waiting: Lost[] = [];
  #timer: Cancel | undefined;

  constructor(parts: LostBindingsParts) {
    this.#parts = parts;
  }

  ended(flow: Flow): void {
    const { flows, clock } = this.#parts;
    const atMs = clock.now();
    for (const { record, key, token } of flows.ended(flow))
      this.#waiting.push({ record, key, token, atMs, remote: flow.remote });
    if (this.#waiting.length > 0) this.#timer ??= clock.after(settleMs, () => this.#sweep());
  }

  stop(): void {
    this.#timer?.();
    this.#waiting = [];
  }

  #sweep(): void {
    const { clock, locations, log } = this.#parts;
    const dueMs = clock.now() - settleMs;
    const due = this.#waiting.filter(({ atMs }) => atMs <= dueMs);
    this.#waiting = this.#waiting.filter(({ atMs }) => atMs > dueMs);
    const [next] = this.#waiting;
    this.#timer = next === undefined ? undefined : clock.after(next.atMs - dueMs, () => this.#sweep());
    for (const lost of due) {
      const contacts = locations.lookup(lost.record);
      const kept = contacts.filter((contact) => !isLost(contact, lost));
      if (kept.length === contacts.length) continue;
      locations
        .save(lost.record, kept)
        .catch((error: unknown) => log.warn({ reason: String(error) }, 'bindings of an ended connection stay stored'));
    }
  }
}

/** A contact that somebody listens at is kept: its telephone need not hold its connection open (RFC 3261 §18.2.2). */
function isLost(contact: Contact, { key, token, remote }: Lost): boolean {
  if (contact.key !== key || contact.flow !== token) return false;
  const uri = parseUri(contact.target);
  return isBoundToFlow(contact) || (uri !== undefined && uri.host === remote.host && uri.port === remote.port);
}
