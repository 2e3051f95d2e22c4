/**
 * Finished transactions that wait for repetitions (Timers D, I, J, K, L, M). There are tens of thousands of them at a time and nothing
 * happens to nearly all: they leave together, in groups by the time they came, and cost one place in a list each.
 */
import type { Clock } from '../../../src/internal.ts';

export interface Absorbing {
  /** The wait is over. */
  leave(): void;
}

export class AbsorbTimers {
  readonly #clock: Clock;
  readonly #groupsPerWait: number;
  readonly #waits = new Map<number, Wait>();

  /** A group is open for one part of so many of its wait: that much later than its time a member may leave, never earlier. */
  constructor(clock: Clock, groupsPerWait = 64) {
    this.#clock = clock;
    this.#groupsPerWait = groupsPerWait;
  }

  add(member: Absorbing, ms: number): void {
    let wait = this.#waits.get(ms);
    if (wait === undefined) {
      wait = new Wait(this.#clock, ms, Math.floor(ms / this.#groupsPerWait));
      this.#waits.set(ms, wait);
    }
    wait.add(member);
  }
}

/** All that absorb for the same time. */
class Wait {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #openMs: number;
  #groups: Group[] = [];
  #isArmed = false;

  constructor(clock: Clock, ms: number, openMs: number) {
    this.#clock = clock;
    this.#ms = ms;
    this.#openMs = openMs;
  }

  add(member: Absorbing): void {
    const now = this.#clock.now();
    const last = this.#groups.at(-1);
    if (last !== undefined && now <= last.openUntilMs) {
      last.members.push(member);
      return;
    }
    this.#groups.push({ openUntilMs: now + this.#openMs, members: [member] });
    if (!this.#isArmed) this.#arm();
  }

  #arm(): void {
    const [next] = this.#groups;
    this.#isArmed = next !== undefined;
    if (next === undefined) return;
    this.#clock.after(Math.max(0, next.openUntilMs + this.#ms - this.#clock.now()), () => {
      this.#groups.shift();
      this.#arm();
      for (const member of next.members) member.leave();
    });
  }
}

interface Group {
  readonly openUntilMs: number;
  readonly members: Absorbing[];
}
