/** Registrations of ever new users, through several members in turn, without a pause between dozens of them. */
import { setTimeout as pause } from 'node:timers/promises';
import { type LocationService, systemClock } from '../../../src/internal.ts';
import { contactAt } from '../../contract/location-service.contract.ts';
import { until } from './until.ts';

export class RegisterLoad {
  readonly refused: unknown[] = [];
  readonly #members: readonly LocationService[];
  readonly #acknowledged: string[] = [];
  #isOver = false;
  #running: Promise<void> = Promise.resolve();
  #begun = 0;

  constructor(members: readonly LocationService[]) {
    this.#members = members;
  }

  begin(): void {
    this.#running = this.#run();
  }

  /** So many have been acknowledged. */
  async until(count: number): Promise<void> {
    await until(`${count} registrations`, 60_000, () => this.#acknowledged.length >= count);
  }

  async end(): Promise<readonly string[]> {
    this.#isOver = true;
    await this.#running;
    await until(
      'every registration is answered',
      10_000,
      () => this.#acknowledged.length + this.refused.length === this.#begun,
    );
    return this.#acknowledged;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      for (let each = 0; each < 8; each += 1) this.#register();
      await pause(20);
    }
  }

  #register(): void {
    const number = this.#begun;
    this.#begun += 1;
    const member = this.#members[number % this.#members.length];
    const record = `${number}@example.com`;
    const registration = { callId: `c${number}`, cseq: 1, maxContacts: 10 };
    member?.save(record, [contactAt(systemClock, 'x', { callId: registration.callId, cseq: 1 })], registration).then(
      () => this.#acknowledged.push(record),
      (error: unknown) => this.refused.push(error),
    );
  }
}
