/** Plain data for people: ages and durations in place of milliseconds, addresses in place of their parts. */
import type { Row } from './table.ts';

/** `1.2 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`. */
export function duration(ms: number): string {
  if (!Number.isFinite(ms)) return '';
  const seconds = Math.abs(ms) / 1_000;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  const [s, min, h] = [Math.round(seconds), Math.floor(seconds / 60), Math.floor(seconds / 3_600)];
  if (s < 120) return `${s} s`;
  if (h < 1) return `${min} min ${s - min * 60} s`;
  return h < 48 ? `${h} h ${min - h * 60} min` : `${Math.floor(h / 24)} d ${h % 24} h`;
}

/** `3 s ago`, `in 12 s`. */
export const age = (wallMs: number, nowMs: number): string =>
  wallMs > nowMs + 500 ? `in ${duration(wallMs - nowMs)}` : `${duration(nowMs - wallMs)} ago`;

/** The row without milliseconds and split addresses; what is empty is left out. */
export function readable(row: Row, nowMs: number): Row {
  const { transport, host, port, ...rest } = row;
  const address = typeof host === 'string' ? { address: addressText(row) } : {};
  const kept = typeof host === 'string' ? rest : { transport, port, ...rest };
  return {
    ...address,
    ...Object.fromEntries(Object.entries(kept).flatMap(([key, value]) => entries(key, value, nowMs))),
  };
}

function entries(key: string, value: unknown, nowMs: number): readonly (readonly [string, unknown])[] {
  if (value === undefined || value === null) return [];
  const name = key
    .replace(/(?:Wall)?Ms$/, '')
    .replace(/Seconds$/, '')
    .replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  if (typeof value === 'number' && /Ms$/.test(key)) {
    if (value === 0 && /(Heard|Since|At|Return)/.test(key)) return [];
    return [[name, value > epochMs ? age(value, nowMs) : duration(value)]];
  }
  if (typeof value === 'number' && /Seconds$/.test(key)) return [[name, duration(value * 1_000)]];
  if (typeof value === 'number' && /Bytes$/.test(key))
    return [[name.replace(/ bytes$/, ''), `${Math.round(value / 1_048_576)} MB`]];
  if (Array.isArray(value))
    return [
      [name, value.map((each) => (isAddress(each) ? addressText(each) : isPlain(each) ? readable(each, nowMs) : each))],
    ];
  if (isAddress(value)) return [[name, addressText(value)]];
  return [[name, isPlain(value) ? readable(value, nowMs) : value]];
}

const isPlain = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value);

const isAddress = (value: unknown): value is Row =>
  isPlain(value) && 'host' in value && 'port' in value && 'transport' in value && Object.keys(value).length <= 4;

const addressText = ({ transport, host, port }: Row): string => {
  const text = String(host);
  const bracketed = text.includes(':') ? `[${text}]` : text;
  return `${transport === undefined ? '' : `${String(transport)}:`}${bracketed}${port === undefined ? '' : `:${String(port)}`}`;
};

/** What is later is no duration: it is a time of this century. */
const epochMs = 1_000_000_000_000;
