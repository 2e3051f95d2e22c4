/** `/events` of several workers: what happens at each, and what is a sum or a list of all, once a second. */
import { followAdmin } from '../admin-client.ts';
import { type EventKind, type EventSource, isEventKind } from '../admin-stream.ts';
import type { Cancel, Clock } from '../clock.ts';
import { byTime, itemsOf, ofWorker, summed, totalOf, withoutTwins } from './merged-rows.ts';
import { isRow, type Row, type Said, type ServingWorker, type WorkerAdmins } from './worker-admins.ts';

type Tell = (kind: EventKind, data: unknown) => void;

export class MergedEvents implements EventSource {
  readonly #clock: Clock;
  readonly #admins: WorkerAdmins;

  constructor(clock: Clock, admins: WorkerAdmins) {
    this.#clock = clock;
    this.#admins = admins;
  }

  listen(kinds: ReadonlySet<EventKind>, about: string | undefined, tell: Tell): () => void {
    const following = new Following(this.#admins, kinds, about, tell);
    let cancel: Cancel = () => undefined;
    const look = (): void => {
      following.look();
      cancel = this.#clock.after(lookMs, look);
    };
    look();
    return () => {
      following.stop();
      cancel();
    };
  }
}

/** One who listens. */
class Following {
  readonly #admins: WorkerAdmins;
  readonly #path: string;
  readonly #tell: Tell;
  /** By life. */
  readonly #followed = new Map<string, AsyncGenerator<unknown>>();
  /** By kind and worker: what it said last of what is told of all together. */
  readonly #last = new Map<EventKind, Map<number, Row>>();
  readonly #changed = new Set<EventKind>();
  #isOver = false;

  constructor(admins: WorkerAdmins, kinds: ReadonlySet<EventKind>, about: string | undefined, tell: Tell) {
    this.#admins = admins;
    this.#tell = tell;
    const words = new URLSearchParams({ kinds: [...kinds].join(','), ...(about === undefined ? {} : { about }) });
    this.#path = `/events?${words}`;
  }

  look(): void {
    for (const worker of this.#admins.serving()) if (!this.#followed.has(worker.life)) void this.#follow(worker);
    for (const kind of this.#changed) {
      const all = [...(this.#last.get(kind) ?? [])].map(([worker, row]): Said => ({ worker, row }));
      if (all.length > 0) this.#tell(kind, together(kind, all));
    }
    this.#changed.clear();
  }

  stop(): void {
    this.#isOver = true;
    for (const events of this.#followed.values()) void events.return(undefined).catch(() => undefined);
  }

  async #follow({ index, life, admin }: ServingWorker): Promise<void> {
    const events = followAdmin(admin, this.#path, { token: this.#admins.token });
    this.#followed.set(life, events);
    try {
      for await (const { kind, data } of events) {
        if (this.#isOver) return;
        if (isEventKind(kind)) this.#heard(kind, data, index);
      }
    } catch {
      // It has ended; its next life is followed anew.
    } finally {
      this.#followed.delete(life);
      for (const [kind, rows] of this.#last) if (rows.delete(index)) this.#changed.add(kind);
    }
  }

  #heard(kind: EventKind, data: unknown, worker: number): void {
    if (!isRow(data)) return;
    if (!merged.has(kind)) {
      // What one does for all shows all that there is of the cluster.
      if (kind !== 'cluster' || worker === this.#admins.lead) this.#tell(kind, ofWorker(data, worker));
      return;
    }
    const rows = this.#last.get(kind) ?? new Map<number, Row>();
    this.#last.set(kind, rows);
    rows.set(worker, data);
    this.#changed.add(kind);
  }
}

const merged: ReadonlySet<EventKind> = new Set(['figures', 'sample', 'calls', 'happenings']);

function together(kind: EventKind, all: readonly Said[]): Row {
  switch (kind) {
    case 'calls':
      return { open: board(all, 'open', 'begunMs'), failed: board(all, 'failed', 'endedMs', 'begunMs') };
    case 'happenings':
      return { items: byTime(itemsOf(all), 'lastMs', 'wallMs').slice(0, listed) };
    default:
      return summed(all.map(({ row }) => row));
  }
}

function board(all: readonly Said[], name: 'open' | 'failed', ...times: readonly string[]): Row {
  const parts = all.flatMap(({ worker, row }): readonly Said[] => {
    const list = row[name];
    return isRow(list) ? [{ worker, row: list }] : [];
  });
  return { total: totalOf(parts), items: byTime(withoutTwins(itemsOf(parts)), ...times).slice(0, listed) };
}

const lookMs = 1_000;

/** As many as one process tells. */
const listed = 60;
