/** What our messages say of our backups, now: while a member is dead that we stand in for, it is named after those that live. */
import type { Assembler, Cluster, ControllerAddress, PathAttribute } from '../../src/internal.ts';
import { alternatesOf } from './alternate-path.ts';
import type { MId } from './messages.ts';

export class OwnPath {
  readonly #assembler: Assembler;
  readonly #cluster: Cluster;
  readonly #isDead: (member: ControllerAddress) => boolean;
  /** By sender and by who is dead: few of either. */
  readonly #written = new Map<string, readonly MId[] | undefined>();

  constructor(assembler: Assembler, cluster: Cluster, isDead: (member: ControllerAddress) => boolean) {
    this.#assembler = assembler;
    this.#cluster = cluster;
    this.#isDead = isDead;
  }

  from(self: ControllerAddress): PathAttribute | undefined {
    const { backups, backupFor } = this.#cluster;
    const primary = backupFor.find(this.#isDead) ?? (backups.length === 0 ? backupFor[0] : undefined);
    return primary === undefined
      ? this.#assembler.pathFrom(self)
      : this.#assembler.takeoverPath(self, primary, this.#isDead);
  }

  /** The alternates as a message from `self` writes them. */
  alternates(self: ControllerAddress): readonly MId[] | undefined {
    const { backups, backupFor } = this.#cluster;
    let key = `${self.transport}:${self.host}`;
    if (backupFor.length > 0)
      for (const member of [...backups, ...backupFor]) key += this.#isDead(member) ? ' x' : ' -';
    if (!this.#written.has(key)) {
      if (this.#written.size >= 256) this.#written.clear();
      this.#written.set(key, alternatesOf(this.from(self)));
    }
    return this.#written.get(key);
  }
}
