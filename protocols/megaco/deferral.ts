/**
 * Under overload a line that goes off-hook hears its dial tone later, and a gateway that restarts is registered in its turn: TransactionPending
 * keeps them waiting (RFC 3525 §8.2.3), error 510 (insufficient resources) refuses what finds no room. What belongs to a call does not wait.
 */
import { type CoreServices, DeferredWork, type Lines } from '../../src/internal.ts';
import type { Command } from './codec/messages.ts';
import { servicesOf } from './service-change.ts';
import type { IncomingRequest } from './transactions.ts';

export interface DeferralParts {
  readonly services: Pick<CoreServices, 'clock' | 'metrics' | 'overload'>;
  lines(): Lines;
}

export class Deferral {
  readonly #parts: DeferralParts;
  readonly #work: DeferredWork;

  constructor(parts: DeferralParts) {
    this.#parts = parts;
    this.#work = new DeferredWork({ ...parts.services, overload: parts.services.overload, protocol: 'megaco' });
  }

  /** Runs it now or later, or refuses it. `gateway`: the name of the gateway that asks. */
  offer(gateway: string, incoming: IncomingRequest, run: () => void): void {
    const commands = incoming.request.actions.flatMap((action) => action.commands);
    const [first] = commands;
    this.#work.offer({
      party: `${first?.terminationId ?? ''}@${gateway}`.toLowerCase(),
      octets: commandOctets * Math.max(1, commands.length),
      isNew: commands.every((command) => this.#isBeginning(command, gateway)),
      run,
      refuse: () => incoming.refuse(510, 'Insufficient Resources'),
    });
  }

  stop(): void {
    this.#work.stop();
  }

  #isBeginning({ verb, terminationId, descriptors }: Command, gateway: string): boolean {
    if (verb === 'ServiceChange') return servicesOf(descriptors)?.method === 'Restart';
    if (verb !== 'Notify') return false;
    const line = this.#parts.lines().byEndpoint(`${terminationId}@${gateway}`);
    if (line === undefined || line.leg !== undefined) return false;
    return descriptors.some(
      (descriptor) => descriptor.kind === 'ObservedEvents' && descriptor.events.some(({ name }) => name === 'al/of'),
    );
  }
}

/** A command with what is kept to carry it out. */
const commandOctets = 1_000;
