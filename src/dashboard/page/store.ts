/**
 * All that the page knows of its controller: one stream of events, put together and shown at most twice a second, and taken up again by
 * itself when it ends.
 */
import { askAccess, follow, get, RefusedError } from './api.ts';
import type { StreamEvent } from './event-reader.ts';
import { keepTakeovers } from './model.ts';
import type { Access, CallBoard, ClusterView, Figures, Happening, PeerRow, TakeoverRow } from './rows.ts';

export interface State {
  /** `waiting`: not heard yet. `closed`: it wants a token. `gone`: it does not answer, since `sinceMs`. */
  readonly connection: 'waiting' | 'open' | 'gone' | 'closed';
  readonly sinceMs: number;
  readonly access: Access | undefined;
  readonly cluster: ClusterView | undefined;
  /** Those of dead members are kept. */
  readonly takeovers: readonly TakeoverRow[];
  readonly figures: Figures | undefined;
  readonly samples: readonly Figures[];
  readonly board: CallBoard | undefined;
  readonly happenings: readonly Happening[];
  /** Names of gateways by address. */
  readonly gateways: ReadonlyMap<string, string>;
  readonly lost: number;
}

type Listener = () => void;

export class Store {
  #state: State = {
    connection: 'waiting',
    sinceMs: Date.now(),
    access: undefined,
    cluster: undefined,
    takeovers: [],
    figures: undefined,
    samples: [],
    board: undefined,
    happenings: [],
    gateways: new Map(),
    lost: 0,
  };
  readonly #listeners = new Set<Listener>();
  #isDue = false;
  #shownMs = 0;
  #stop = new AbortController();

  get state(): State {
    return this.#state;
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Begins, or begins anew with another token. */
  async run(): Promise<void> {
    this.#stop.abort();
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const access = await askAccess();
        if (signal.aborted) return;
        this.#set({ access });
        if (!access.read) {
          this.#set({ connection: 'closed' }, true);
          return;
        }
        await this.#loadOnce();
        await follow('events', { kinds: 'cluster,figures,calls,happenings,sample' }, signal, (event) =>
          this.#take(event),
        );
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof RefusedError && (error.status === 401 || error.status === 403)) {
          this.#set({ connection: 'closed' }, true);
          return;
        }
      }
      if (signal.aborted) return;
      if (this.#state.connection !== 'gone') this.#set({ connection: 'gone', sinceMs: Date.now() }, true);
      await new Promise((resolve) => setTimeout(resolve, againMs));
    }
  }

  async #loadOnce(): Promise<void> {
    const [{ items: samples }, peers] = await Promise.all([
      get<{ items: readonly Figures[] }>('figures'),
      get<{ items: readonly PeerRow[] }>('peers', { limit: 1_000 }),
    ]);
    this.#set({ samples, gateways: gatewaysOf(peers.items) });
  }

  #take({ kind, data }: StreamEvent): void {
    if (this.#state.connection !== 'open') this.#set({ connection: 'open', sinceMs: Date.now() }, true);
    switch (kind) {
      case 'cluster': {
        const cluster = data as ClusterView;
        this.#set({ cluster, takeovers: keepTakeovers(this.#state.takeovers, cluster) });
        break;
      }
      case 'figures':
        this.#set({ figures: data as Figures });
        break;
      case 'sample':
        this.#set({ samples: [...this.#state.samples.slice(1 - maxSamples), data as Figures] });
        break;
      case 'calls':
        this.#set({ board: data as CallBoard });
        break;
      case 'happenings':
        this.#set({ happenings: (data as { items: readonly Happening[] }).items });
        break;
      case 'lost':
        this.#set({ lost: this.#state.lost + (data as { count: number }).count });
        break;
      default:
    }
  }

  #set(change: Partial<State>, isUrgent = false): void {
    this.#state = { ...this.#state, ...change };
    if (isUrgent) {
      this.#show();
      return;
    }
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => this.#show(), Math.max(0, this.#shownMs + showMs - Date.now()));
  }

  #show(): void {
    this.#isDue = false;
    this.#shownMs = Date.now();
    for (const listener of this.#listeners) listener();
  }
}

export function gatewaysOf(peers: readonly PeerRow[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { kind, name, addresses } of peers) {
    if (kind !== 'gateway' || name === undefined) continue;
    for (const address of addresses ?? [])
      names.set(
        typeof address === 'string' ? address.replace(/^[a-z]+:/, '') : `${address.host}:${address.port}`,
        name,
      );
  }
  return names;
}

/** Twice a second at most. */
const showMs = 500;
const againMs = 2_000;

/** An hour of five-second samples. */
const maxSamples = 720;
