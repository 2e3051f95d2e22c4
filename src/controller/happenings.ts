/**
 * What happened of late, for whoever comes to look afterwards: peers that died and returned, gateways that moved, messages that went to
 * another address than first meant. Messages are counted, one entry for each pair of addresses and ten seconds: a flood makes one entry.
 */
import type { Clock } from '../clock.ts';
import type { ControllerEvents } from './events.ts';

export interface Happening {
  readonly sequence: number;
  /** Since the Unix epoch: of its first, and of its last. */
  readonly wallMs: number;
  readonly lastMs: number;
  readonly what: 'died' | 'returned' | 'gateway' | 'message' | 'order';
  readonly protocol?: string | undefined;
  /** Who died or returned. */
  readonly address?: string | undefined;
  /** A single gateway; undefined: all of a member. */
  readonly gateway?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly because?: string | undefined;
  /** Of messages: how many. */
  readonly count?: number | undefined;
}

type Kept = { -readonly [K in keyof Happening]: Happening[K] };

export class Happenings {
  readonly #clock: Clock;
  readonly #kept: Kept[] = [];
  /** Entries whose counts may still go up. */
  readonly #counting = new Map<string, Kept>();
  readonly #ends: readonly (() => void)[];
  #sequence = 0;
  #version = 0;

  constructor(clock: Clock, events: ControllerEvents) {
    this.#clock = clock;
    this.#ends = [
      events.onNews((event) => {
        if (event.kind === 'peer') this.#add({ what: event.state, ...pick(event), address: event.address });
        else if (event.what === 'gateway')
          this.#add({ what: 'gateway', ...pick(event), gateway: event.gateway, from: event.from, to: event.to });
      }),
      events.onMoved((from, to, because) => this.#moved(from, to, because)),
    ];
  }

  /** Goes up with every change. */
  get version(): number {
    return this.#version;
  }

  /** Newest first. */
  list(): readonly Happening[] {
    return this.#kept.toReversed();
  }

  /** The operator did this. */
  ordered(what: string): void {
    this.#add({ what: 'order', because: what });
  }

  stop(): void {
    for (const end of this.#ends) end();
  }

  #moved(from: string, to: string, because: string): void {
    const key = `${from} ${to} ${because}`;
    const now = this.#clock.wallNow();
    const open = this.#counting.get(key);
    if (open !== undefined && now - open.wallMs < togetherMs) {
      open.count = (open.count ?? 1) + 1;
      open.lastMs = now;
      this.#version += 1;
      return;
    }
    if (this.#counting.size >= maxCounting) this.#counting.clear();
    this.#counting.set(key, this.#add({ what: 'message', from, to, because, count: 1 }));
  }

  #add(happening: Omit<Happening, 'sequence' | 'wallMs' | 'lastMs'>): Kept {
    const now = Math.round(this.#clock.wallNow());
    this.#sequence += 1;
    this.#version += 1;
    const kept: Kept = { sequence: this.#sequence, wallMs: now, lastMs: now, ...happening };
    this.#kept.push(kept);
    if (this.#kept.length > 2 * maxKept) this.#kept.splice(0, this.#kept.length - maxKept);
    return kept;
  }
}

const pick = ({ protocol, because }: { readonly protocol: string; readonly because?: string | undefined }) => ({
  protocol,
  because,
});

const togetherMs = 10_000;
const maxKept = 100;
const maxCounting = 256;
