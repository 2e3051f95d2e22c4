/**
 * Log lines that a peer can cause with every message: one per source and kind and minute. What is left out is counted, and the count
 * is in the next line. Sources can be made up, so their number has a bound as well: those beyond it are counted together.
 */
import type { Cancel, Clock } from './clock.ts';
import type { Logger } from './log.ts';

type Level = 'debug' | 'info' | 'warn' | 'error';

type Fields = Readonly<Record<string, unknown>>;

/** What happened, in words without anything of the peer's: it is the message of the line. */
interface Kind {
  readonly level: Level;
  readonly sources: Map<string, Source>;
  /** Left out because there are too many sources. */
  others: number;
}

interface Source {
  /** Of its last line: the line with the count has them again. */
  readonly fields: Fields;
  leftOut: number;
}

export class RateLimitedLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #kinds = new Map<string, Kind>();
  #timer: Cancel | undefined;

  constructor(log: Logger, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** `fields` is asked for only where a line is written. */
  debug(kind: string, source: string, fields: () => Fields): void {
    this.#say('debug', kind, source, fields);
  }

  info(kind: string, source: string, fields: () => Fields): void {
    this.#say('info', kind, source, fields);
  }

  warn(kind: string, source: string, fields: () => Fields): void {
    this.#say('warn', kind, source, fields);
  }

  error(kind: string, source: string, fields: () => Fields): void {
    this.#say('error', kind, source, fields);
  }

  /** Says what was left out until now, and forgets. */
  close(): void {
    this.#timer?.();
    this.#timer = undefined;
    for (const [name, kind] of this.#kinds) this.#sayLeftOut(name, kind);
    this.#kinds.clear();
  }

  #say(level: Level, name: string, source: string, fields: () => Fields): void {
    if (!this.#log.isLevelEnabled(level)) return;
    let kind = this.#kinds.get(name);
    if (kind === undefined) {
      kind = { level, sources: new Map(), others: 0 };
      this.#kinds.set(name, kind);
    }
    const known = kind.sources.get(source);
    if (known !== undefined) {
      known.leftOut += 1;
      return;
    }
    if (kind.sources.size >= maxSources) {
      kind.others += 1;
      return;
    }
    const said = fields();
    kind.sources.set(source, { fields: said, leftOut: 0 });
    this.#log[level](said, name);
    this.#timer ??= this.#clock.after(minuteMs, () => this.#minuteIsOver());
  }

  #minuteIsOver(): void {
    this.#timer = undefined;
    for (const [name, kind] of this.#kinds) {
      this.#sayLeftOut(name, kind);
      // Who had a line just now has none in the next minute.
      for (const [source, state] of kind.sources)
        if (state.leftOut === 0) kind.sources.delete(source);
        else state.leftOut = 0;
      kind.others = 0;
      if (kind.sources.size === 0) this.#kinds.delete(name);
    }
    if (this.#kinds.size > 0) this.#timer = this.#clock.after(minuteMs, () => this.#minuteIsOver());
  }

  #sayLeftOut(name: string, { level, sources, others }: Kind): void {
    for (const { fields, leftOut } of sources.values())
      if (leftOut > 0) this.#log[level]({ ...fields, count: leftOut }, name);
    if (others > 0) this.#log[level]({ from: 'others', count: others }, name);
  }
}

/** Per kind: what one minute can write is bounded by it, whoever sends. */
const maxSources = 64;

const minuteMs = 60_000;
