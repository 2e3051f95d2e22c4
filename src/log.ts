/** Logs: JSON lines, or readable ones on a terminal. One child per protocol and role; wire bytes at `trace` only, secrets never. */
import { createRequire } from 'node:module';
import { type Logger, pino } from 'pino';
import { boundedError, boundedFields } from './log-bounds.ts';
import { LogOutput } from './log-output.ts';
import type { Metrics } from './metrics.ts';

export type { Logger } from 'pino';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  /** `auto`: readable where standard output is a terminal. */
  readonly format: 'auto' | 'json' | 'pretty';
}

/** The log of a process, with what the process alone may do to it. */
export interface ProcessLog {
  readonly logger: Logger;
  /** As configured. */
  readonly level: LogLevel;
  /** The configuration says another one now. */
  configure(level: LogLevel): void;
  /** Of this logger and of all its children, or of those of one protocol; `core`: of those of none. */
  setLevel(level: LogLevel, part?: string): void;
  /** Lines below the configured level are written from this level on, if they have this text; undefined: none are. */
  focus(level: LogLevel | undefined, about: string | undefined): void;
  /** Tells of each line that is written, as JSON. Returns what ends that. */
  tap(tap: (line: string) => void): () => void;
  /** Gives a slow reader a last moment for what waits. */
  close(): Promise<void>;
}

export const createLog = (options: LogOptions): Logger => openLog(options).logger;

/** `common`: stands in every line. */
export function openLog(
  options: LogOptions,
  metrics?: Metrics,
  inEachLine: Readonly<Record<string, unknown>> | null = null,
): ProcessLog {
  const lost = metrics?.counter(
    'log_lines_dropped_total',
    'Log lines that could not be written: the disk is full, or nobody reads',
  );
  const output = new LogOutput({
    dropped: (count) => lost?.add(count),
    resumed: (dropped) => logger.warn({ dropped }, 'log lines were dropped: the log could not be written'),
  });
  const children: Logger[] = [];
  const common = {
    level: options.level,
    base: inEachLine,
    serializers: { err: boundedError },
    onChild: (child: Logger) => {
      if (children.length < maxChildren) children.push(child);
    },
  };
  let configured = options.level;
  let focused: { readonly rank: number; readonly text: string } | undefined;
  const taps = new Set<(line: string) => void>();
  const gate = (to: { write(line: string): void }): { write(line: string): void } => ({
    write(line) {
      if (focused !== undefined && rankIn(line) < rankOf(configured) && !line.includes(focused.text)) return;
      to.write(line);
      for (const tap of taps) tap(line);
    },
  });
  const isReadable = options.format === 'pretty' || (options.format === 'auto' && process.stdout.isTTY);
  const logger = isReadable
    ? pino({ ...common, formatters: { log: boundedFields } }, gate(readable(output)))
    : pino({ ...common, formatters: { log: boundedFields, level: (label) => ({ level: label }) } }, gate(output));
  return {
    logger,
    get level() {
      return configured;
    },
    configure(level) {
      configured = level;
      for (const each of [logger, ...children]) each.level = level;
    },
    setLevel(level, part) {
      for (const each of [logger, ...children]) {
        const { protocol = 'core' } = each.bindings();
        if (part === undefined || protocol === part) each.level = level;
      }
    },
    focus(level, about) {
      focused =
        level === undefined || about === undefined
          ? undefined
          : { rank: rankOf(level), text: JSON.stringify(about).slice(1, -1) };
      if (level === undefined) return;
      for (const each of [logger, ...children])
        if (focused !== undefined && focused.rank < rankOf(configured)) each.level = level;
    },
    tap(tap) {
      taps.add(tap);
      return () => taps.delete(tap);
    },
    async close() {
      for (let turn = 0; turn < closingTurns && !output.flush(); turn += 1)
        await new Promise((resolve) => setTimeout(resolve, closingTurnMs));
    },
  };
}

const rankOf = (level: LogLevel): number => logLevels.indexOf(level);

/** The level that a line begins with, by name or by pino's number. */
function rankIn(line: string): number {
  const said = /^\{"level":"?(\w+)/.exec(line)?.[1] ?? '';
  return /^\d+$/.test(said) ? Number(said) / 10 - 1 : logLevels.findIndex((level) => said.startsWith(level));
}

function readable(output: LogOutput): { write(line: string): void } {
  // A service has no terminal, and does not load what writes to one.
  const { prettyFactory }: typeof import('pino-pretty') = createRequire(import.meta.url)('pino-pretty');
  const prettify = prettyFactory({
    colorize: process.stdout.isTTY,
    translateTime: 'SYS:HH:MM:ss.l',
    // The message says these already.
    ignore: 'pid,hostname,protocol,address',
    singleLine: true,
    messageFormat: readableMessage,
  });
  return { write: (line) => output.write(prettify(line)) };
}

/** The protocol first. What a peer wrote may be part of a message: a terminal must not obey it. */
function readableMessage(line: Readonly<Record<string, unknown>>, messageKey: string): string {
  const message = String(line[messageKey] ?? '').replaceAll(/\p{Cc}/gu, '?');
  const { protocol } = line;
  return typeof protocol === 'string' ? `${protocol}: ${message}` : message;
}

/** Roles have one each: there are a handful. */
const maxChildren = 1_000;

/** Half a second for a reader that is behind. */
const closingTurns = 10;
const closingTurnMs = 50;

/** For tests and for libraries that want none. */
export const silentLog: Logger = pino({ level: 'silent' });
