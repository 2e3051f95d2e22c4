/**
 * The level of the log while it runs: of all parts or of one protocol's, for good or for some minutes; or more of what is about one call,
 * peer or number, and of nothing else.
 */
import type { Cancel, Clock } from './clock.ts';
import { AltpathError } from './errors.ts';
import { type LogLevel, logLevels, type ProcessLog } from './log.ts';
import { logEvent } from './log-events.ts';

export interface LogChange {
  readonly level: LogLevel;
  /** A protocol, or `core`; undefined: all. */
  readonly part?: string | undefined;
  /** Text that a line must have to be written at this level. */
  readonly about?: string | undefined;
  /** Undefined: until the process ends. */
  readonly minutes?: number | undefined;
}

export class LogControl {
  readonly #log: ProcessLog;
  readonly #clock: Clock;
  #current: (LogChange & { readonly untilMs: number | undefined }) | undefined;
  #back: Cancel | undefined;

  constructor(log: ProcessLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** What is asked for now, beside the configured level. */
  status(): Readonly<Record<string, unknown>> {
    const { level } = this.#log;
    if (this.#current === undefined) return { level };
    const { untilMs, ...change } = this.#current;
    return { level, change, ...(untilMs === undefined ? {} : { untilMs: Math.round(untilMs) }) };
  }

  change(change: LogChange): void {
    this.#restore();
    const { level, part, about, minutes } = change;
    const untilMs = minutes === undefined ? undefined : this.#clock.now() + minutes * minuteMs;
    this.#current = { ...change, untilMs };
    if (about !== undefined) this.#log.focus(level, about);
    else this.#log.setLevel(level, part);
    logEvent(this.#log.logger, 'logLevelChanged', { level, part, about, minutes });
    if (minutes !== undefined) this.#back = this.#clock.after(minutes * minuteMs, () => this.restore());
  }

  /** What the configuration says counts again. */
  restore(): void {
    const changed = this.#current;
    if (changed === undefined) return;
    this.#restore();
    logEvent(this.#log.logger, 'logLevelRestored', { level: this.#log.level, part: changed.part });
  }

  /** Tells of each line that is written. Returns what ends that. */
  tap(tap: (line: string) => void): () => void {
    return this.#log.tap(tap);
  }

  stop(): void {
    this.#back?.();
  }

  #restore(): void {
    this.#back?.();
    this.#back = undefined;
    this.#current = undefined;
    this.#log.focus(undefined, undefined);
    this.#log.setLevel(this.#log.level);
  }
}

/** Of the parameters of an order. @throws AltpathError with what is wrong with them. */
export function logChange(query: URLSearchParams, parts: readonly string[]): LogChange {
  const level = logLevels.find((each) => each === query.get('level'));
  if (level === undefined) throw new AltpathError('ERR_LOG', `the level is one of ${logLevels.join(', ')}`);
  const part = query.get('part') ?? undefined;
  if (part !== undefined && !parts.includes(part))
    throw new AltpathError('ERR_LOG', `the part is one of ${parts.join(', ')}`);
  const about = query.get('about') ?? undefined;
  if (about !== undefined && (about.length < 2 || about.length > 256))
    throw new AltpathError('ERR_LOG', 'what it is about has from 2 to 256 characters');
  const minutes = Number(query.get('minutes') ?? defaultMinutes);
  if (!(minutes >= 0 && minutes <= maxMinutes))
    throw new AltpathError('ERR_LOG', `minutes are from 0 (until the end of the process) to ${maxMinutes}`);
  return { level, part, about, minutes: minutes === 0 ? undefined : minutes };
}

const minuteMs = 60_000;
const defaultMinutes = 10;
const maxMinutes = 10_080;
