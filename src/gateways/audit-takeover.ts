/**
 * The bookkeeping of a takeover by audit: which endpoints are being asked, what they said, and the events that wait meanwhile. A line
 * whose state we do not know is never acted upon: its events are held until it and every endpoint audited with it are known.
 */

export interface AuditRound<S> {
  /** Every endpoint of the round; undefined where it could not be audited. */
  readonly snapshots: ReadonlyMap<string, S | undefined>;
}

export interface AuditTakeoverParts<S> {
  /** Asks one endpoint; `answer` is called once, with undefined where there is no answer. */
  audit(endpoint: string, answer: (snapshot: S | undefined) => void): void;
  /** All have answered. Afterwards the held events are let go, in order of arrival. */
  completed(round: AuditRound<S>): void;
  /** Events held per endpoint; more are dropped (a gateway repeats what is not answered). */
  readonly maxHeld?: number;
}

export class AuditTakeover<S> {
  readonly #parts: AuditTakeoverParts<S>;
  /** undefined: asked; a key present: answered. */
  #snapshots = new Map<string, S | undefined>();
  readonly #open = new Set<string>();
  readonly #held: { readonly endpoint: string; readonly run: () => void }[] = [];
  /** How many of them are of each endpoint. */
  readonly #heldOf = new Map<string, number>();

  constructor(parts: AuditTakeoverParts<S>) {
    this.#parts = parts;
  }

  get isRunning(): boolean {
    return this.#open.size > 0;
  }

  isAuditing(endpoint: string): boolean {
    return this.#open.has(endpoint) || this.#snapshots.has(endpoint);
  }

  /** Audits these endpoints as part of the round that runs, or as a new one. */
  begin(endpoints: Iterable<string>): void {
    const fresh = [...endpoints].filter((endpoint) => !this.isAuditing(endpoint));
    for (const endpoint of fresh) this.#open.add(endpoint);
    for (const endpoint of fresh) {
      this.#parts.audit(endpoint, (snapshot) => this.#answered(endpoint, snapshot));
    }
  }

  /** Runs the event now, or after the round if its endpoint is part of one. False: too many wait, it was dropped. */
  hold(endpoint: string, run: () => void): boolean {
    if (!this.isAuditing(endpoint)) {
      run();
      return true;
    }
    const held = this.#heldOf.get(endpoint) ?? 0;
    if (held >= (this.#parts.maxHeld ?? 16)) return false;
    this.#heldOf.set(endpoint, held + 1);
    this.#held.push({ endpoint, run });
    return true;
  }

  /** The endpoint restarted or went away in the middle of its audit: what it said before counts no more. */
  drop(endpoint: string): void {
    this.#answered(endpoint, undefined);
  }

  #answered(endpoint: string, snapshot: S | undefined): void {
    if (!this.#open.delete(endpoint)) return;
    this.#snapshots.set(endpoint, snapshot);
    if (this.#open.size > 0) return;
    const snapshots = this.#snapshots;
    this.#snapshots = new Map();
    const held = this.#held.splice(0);
    this.#heldOf.clear();
    this.#parts.completed({ snapshots });
    for (const { endpoint: of, run } of held) this.hold(of, run);
  }
}
