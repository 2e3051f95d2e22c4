/** What client and server transactions do alike: the timers of their machines, and the wait in which repetitions are absorbed. */
import type { Cancel } from '../../../src/internal.ts';
import type { Absorbing } from './absorb-timers.ts';
import type { TransactionHost } from './host.ts';

export abstract class Transaction implements Absorbing {
  protected readonly host: TransactionHost;
  protected readonly isInvite: boolean;
  /** The next wait of the retransmission schedule. */
  protected waitMs: number;
  protected retransmission: Cancel | undefined;
  /** Timer B, F or H. */
  protected deadline: Cancel | undefined;

  constructor(host: TransactionHost, isInvite: boolean) {
    this.host = host;
    this.isInvite = isInvite;
    this.waitMs = host.timers.t1Ms;
  }

  /** @internal The wait for repetitions is over. */
  abstract leave(): void;

  /** The machine's last state. */
  protected abstract terminated(): void;

  protected disarmRetransmit(): void {
    this.retransmission?.();
    this.retransmission = undefined;
  }

  protected disarmTimeout(): void {
    this.deadline?.();
    this.deadline = undefined;
  }

  /** Timers D, I, J, K, L and M; nothing is awaited where nothing is repeated. */
  protected absorb(ms: number): void {
    this.disarmTimeout();
    if (ms === 0) this.terminated();
    else this.host.absorbTimers.add(this, ms);
  }

  protected end(): void {
    this.terminated();
    this.disarmRetransmit();
    this.disarmTimeout();
  }
}
