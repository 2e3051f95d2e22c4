/**
 * Under overload a line that goes off-hook hears its dial tone later, and a gateway that restarts is served in its turn: their commands are
 * answered 101 (queued) meanwhile, and 409 (processing overload) where there is no room (RFC 3435 §4.4.8). What belongs to a call does not wait.
 */
import { type Clock, type CoreServices, DeferredWork, type Line, type Lines, type Random } from '../../src/internal.ts';
import { type MgcpCommand, parameter } from './codec/messages.ts';
import { readObservedEvents } from './codec/values/events.ts';

/** The call agent whose commands wait. */
export interface DeferralHost {
  readonly controller: { readonly lineProvider: { readonly lines: Lines } };
  /** Asks the line's endpoint for events again. */
  readonly driver: { renew(line: Line): void };
}

export class Deferral {
  readonly #host: DeferralHost;
  readonly #work: DeferredWork;
  readonly #clock: Clock;
  readonly #random: Random;
  #stopped = false;

  constructor(
    { clock, random, metrics, overload }: Pick<CoreServices, 'clock' | 'random' | 'metrics' | 'overload'>,
    host: DeferralHost,
  ) {
    this.#host = host;
    this.#clock = clock;
    this.#random = random;
    this.#work = new DeferredWork({ clock, metrics, protocol: 'mgcp', overload });
  }

  /** Runs it now or later, or refuses it. */
  offer(command: MgcpCommand, run: () => void, refuse: () => void): void {
    const line = this.#host.controller.lineProvider.lines.byEndpoint(command.endpoint);
    this.#work.offer({
      party: command.endpoint.toLowerCase(),
      octets: commandOctets,
      isNew: isBeginning(command, line),
      run,
      refuse: () => {
        refuse();
        if (line !== undefined) this.#renewLater(line);
      },
    });
  }

  /** Does a command of this endpoint wait for its turn? */
  isWaiting(endpoint: string): boolean {
    return this.#work.has(endpoint.toLowerCase());
  }

  stop(): void {
    this.#stopped = true;
    this.#work.stop();
  }

  /** In step mode an endpoint reports nothing more before it is asked again (§4.4.1): also not that it is hung up. */
  #renewLater(line: Line): void {
    if (this.#stopped) return;
    this.#clock.after(1_000 + 4_000 * this.#random.fraction(), () => {
      if (!this.#stopped && line.controlled) this.#host.driver.renew(line);
    });
  }
}

function isBeginning(command: MgcpCommand, line: Line | undefined): boolean {
  if (command.verb === 'RSIP') return (parameter(command, 'RM') ?? 'restart').toLowerCase() === 'restart';
  if (command.verb !== 'NTFY' || line === undefined || line.leg !== undefined) return false;
  const events = readObservedEvents(parameter(command, 'O') ?? '') ?? [];
  return events.some(({ id }) => id.toLowerCase() === 'hd');
}

/** A command with what is kept to carry it out. */
const commandOctets = 1_000;
