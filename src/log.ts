/** Logs: JSON lines, or readable ones on a terminal. One child per protocol and role; wire bytes at `trace` only, secrets never. */
import { type Logger, pino } from 'pino';
import { build as pretty } from 'pino-pretty';

export type { Logger } from 'pino';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  /** `auto`: readable where standard output is a terminal. */
  readonly format: 'auto' | 'json' | 'pretty';
}

export function createLog(options: LogOptions): Logger {
  const readable = options.format === 'pretty' || (options.format === 'auto' && process.stdout.isTTY);
  if (!readable)
    return pino({ level: options.level, base: null, formatters: { level: (label) => ({ level: label }) } });
  const stream = pretty({
    colorize: process.stdout.isTTY,
    translateTime: 'SYS:HH:MM:ss.l',
    // The message says these already.
    ignore: 'pid,hostname,protocol,address',
    singleLine: true,
    messageFormat: readableMessage,
    sync: true,
  });
  return pino({ level: options.level, base: null }, stream);
}

/** The protocol first. What a peer wrote may be part of a message: a terminal must not obey it. */
function readableMessage(line: Readonly<Record<string, unknown>>, messageKey: string): string {
  const message = String(line[messageKey] ?? '').replaceAll(/\p{Cc}/gu, '?');
  const { protocol } = line;
  return typeof protocol === 'string' ? `${protocol}: ${message}` : message;
}

/** For tests and for libraries that want none. */
export const silentLog: Logger = pino({ level: 'silent' });
