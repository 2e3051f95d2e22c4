/**
 * Roles that one worker has for all: those with lines of gateways. Lines call each other, and telephones, within one call control, and a
 * gateway's association is one process's. When the worker that has them dies, the next one starts them, as a controller does that was
 * started anew: it asks the gateways, and calls go on.
 */
import type { CallControl } from '../calls/call-control.ts';
import type { Cancel } from '../clock.ts';
import type { RoleSection } from '../config/role-section.ts';
import type { Logger } from '../log.ts';
import { RemoteLines } from './remote-lines.ts';
import type { WorkerGroup } from './worker-group.ts';

interface Setup {
  readonly name: string;
  readonly section: RoleSection;
}

export interface LeadRolesParts<S extends Setup> {
  readonly workers: WorkerGroup;
  readonly callControl: CallControl;
  readonly log: Logger;
  start(setup: S): Promise<void>;
  stop(name: string): Promise<void>;
}

export class LeadRoles<S extends Setup = Setup> {
  readonly #parts: LeadRolesParts<S>;
  readonly #running = new Set<string>();
  #setups: readonly S[] = [];
  #turn: Promise<void> = Promise.resolve();
  #version = 0;
  #cancel: Cancel | undefined;

  constructor(parts: LeadRolesParts<S>) {
    this.#parts = parts;
  }

  isOf({ section }: Setup): boolean {
    return section.lines !== undefined;
  }

  /** @throws (rejects) what a role throws that cannot start. */
  async start(roles: ReadonlyMap<string, S>): Promise<void> {
    this.know(roles);
    if (this.#setups.length === 0) return;
    const { workers, log } = this.#parts;
    await this.#follow(workers.isLead);
    this.#cancel = workers.onLead((isLead) => {
      this.#turn = this.#turn.then(() =>
        this.#follow(isLead).catch((error: unknown) => {
          // Without its gateways it must not stay the one that has them.
          log.fatal(
            { err: error },
            'the roles with lines cannot be started here: ending, so that another worker has them',
          );
          process.exit(1);
        }),
      );
    });
  }

  /** As configured now. */
  know(roles: ReadonlyMap<string, S>): void {
    this.#setups = [...roles.values()].filter((setup) => this.isOf(setup));
    for (const setup of this.#setups) if (!this.#running.has(setup.name)) this.#know(setup);
  }

  async stop(): Promise<void> {
    this.#cancel?.();
    await this.#turn;
  }

  async #follow(isLead: boolean): Promise<void> {
    for (const setup of this.#setups) {
      if (isLead === this.#running.has(setup.name)) continue;
      if (isLead) {
        this.#running.add(setup.name);
        await this.#parts.start(setup);
      } else {
        this.#running.delete(setup.name);
        await this.#parts.stop(setup.name);
        this.#know(setup);
      }
    }
  }

  #know({ name, section }: S): void {
    this.#version += 1;
    const numbers = section.lines?.map(({ number }) => number) ?? [];
    this.#parts.callControl.register(new RemoteLines(name, numbers, this.#version));
  }
}
