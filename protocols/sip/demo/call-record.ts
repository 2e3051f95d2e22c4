/** What happened to one call of the load: seen from both ends, which live in one process here, with the moments of each step. */

export type Phase = 'setup' | 'ringing' | 'answered' | 'bye' | 'before' | 'after';

/** In the order in which the table shows them. */
export const phases: readonly Phase[] = ['before', 'setup', 'ringing', 'answered', 'bye', 'after'];

/** Plain: knows nothing of AlternatePath and talks to an edge proxy. Aware: follows the tag, straight to the pair. */
export type Kind = 'plain' | 'aware';

export class CallRecord {
  readonly kind: Kind;
  readonly invitedMs: number;
  rangMs: number | undefined;
  /** The callee has sent its 200. */
  acceptedMs: number | undefined;
  /** The caller has it. */
  answeredMs: number | undefined;
  /** The callee has the ACK. */
  acknowledgedMs: number | undefined;
  byeMs: number | undefined;
  endedMs: number | undefined;
  /** INVITEs that the callee took for new. */
  invitations = 0;
  /** Some message of it went through the backup. */
  switched = false;
  failure: string | undefined;

  constructor(kind: Kind, nowMs: number) {
    this.kind = kind;
    this.invitedMs = nowMs;
  }

  /** Where it stood at this moment. */
  phaseAt(momentMs: number): Phase {
    if (this.invitedMs > momentMs) return 'after';
    if (before(this.endedMs, momentMs)) return 'before';
    if (before(this.byeMs, momentMs)) return 'bye';
    if (before(this.acceptedMs, momentMs)) return 'answered';
    return before(this.rangMs, momentMs) ? 'ringing' : 'setup';
  }

  get isOver(): boolean {
    return this.endedMs !== undefined || this.failure !== undefined;
  }

  /** Answered, acknowledged, ended in order, and rung once. */
  get isLost(): boolean {
    return (
      this.failure !== undefined ||
      this.endedMs === undefined ||
      this.answeredMs === undefined ||
      this.acknowledgedMs === undefined ||
      this.invitations !== 1
    );
  }

  /** Why it counts as lost. */
  get complaint(): string {
    if (this.failure !== undefined) return this.failure;
    if (this.invitations !== 1) return `rang ${this.invitations} times`;
    if (this.rangMs === undefined) return 'no ringing';
    if (this.answeredMs === undefined) return this.acceptedMs === undefined ? 'not answered' : 'the 200 never arrived';
    if (this.acknowledgedMs === undefined) return 'the ACK never arrived';
    return 'the BYE was never answered';
  }

  /** The longest that one step of it took which takes a few milliseconds at other times. */
  get gapMs(): number {
    return Math.max(
      step(this.invitedMs, this.rangMs),
      step(this.acceptedMs, this.answeredMs),
      step(this.acceptedMs, this.acknowledgedMs),
      step(this.byeMs, this.endedMs),
    );
  }
}

const before = (ms: number | undefined, momentMs: number): boolean => ms !== undefined && ms <= momentMs;

const step = (from: number | undefined, to: number | undefined): number =>
  from === undefined || to === undefined ? 0 : to - from;
