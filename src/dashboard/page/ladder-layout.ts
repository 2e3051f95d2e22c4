/**
 * Where everything of a call's ladder stands: a column for each address, a row for each message, and what failed drawn in. Pure: the view
 * only draws what this computes.
 */
import { bareAddress, clockTime, cut, plain } from './format.ts';
import type { TraceRow } from './rows.ts';

/** A line across the ladder: a member died or returned, a message of the call moved. */
export interface Mark {
  readonly atMs: number;
  readonly mood: 'bad' | 'good' | 'warn';
  readonly text: string;
  /** Whose column ends or begins again here. */
  readonly address?: string | undefined;
}

export interface LadderRequest {
  readonly rows: readonly TraceRow[];
  readonly marks: readonly Mark[];
  /** As wide as its place, in pixels. */
  readonly width: number;
  /** Who is at an address; undefined: nobody is known there. */
  readonly nameOf: (address: string) => string | undefined;
  /** Columns that are wanted though no message has come from there or gone there. */
  readonly besides?: readonly string[] | undefined;
}

export interface Column {
  readonly address: string;
  readonly name: string | undefined;
  /** This controller's. */
  readonly isOwn: boolean;
  readonly x: number;
  /** Pieces of its life line: from, to. */
  readonly life: readonly (readonly [top: number, bottom: number])[];
  /** Where it died. */
  readonly deaths: readonly number[];
}

export interface Message {
  readonly kind: 'message';
  readonly y: number;
  readonly from: number;
  readonly to: number;
  readonly isItself: boolean;
  readonly isMoved: boolean;
  readonly isRequest: boolean;
  readonly isFailure: boolean;
  readonly label: string;
  readonly labelX: number;
  readonly time: string;
  /** For who cannot see it. */
  readonly spoken: string;
  readonly row: TraceRow;
}

/** What was tried first, and failed. */
export interface Failed {
  readonly kind: 'failed';
  readonly y: number;
  readonly from: number;
  readonly to: number;
  readonly text: string;
  readonly labelX: number;
  readonly sequence: number;
}

export interface Band {
  readonly kind: 'mark';
  readonly y: number;
  readonly mood: Mark['mood'];
  readonly text: string;
  readonly time: string;
}

export interface LadderPicture {
  readonly width: number;
  readonly height: number;
  readonly timeWidth: number;
  /** From one column to the next. */
  readonly step: number;
  readonly columns: readonly Column[];
  readonly items: readonly (Message | Failed | Band)[];
}

export function ladder({ rows, marks, width, nameOf, besides = [] }: LadderRequest): LadderPicture {
  const { addresses, own } = columnsOf(rows, besides);
  const isNarrow = width < narrowBelow;
  const timeWidth = isNarrow ? narrowTime : wideTime;
  const usable = width - timeWidth - margin;
  const step = Math.max(leastStep, Math.min(mostStep, usable / Math.max(1, addresses.length)));
  const xOf = (address: string): number =>
    Math.round(timeWidth + step * (Math.max(0, addresses.indexOf(address)) + 0.5));
  const total = Math.max(width, Math.ceil(timeWidth + step * addresses.length + margin));
  const firstMs = rows[0]?.wallMs ?? 0;
  const timeText = (wallMs: number): string =>
    isNarrow ? `+${((wallMs - firstMs) / 1_000).toFixed(2)}` : clockTime(wallMs, true);

  const items: (Message | Failed | Band)[] = [];
  const deaths = new Map<string, { top: number; bottom: number | undefined }[]>();
  let y = topMargin;
  const waiting = marks.toSorted((a, b) => a.atMs - b.atMs);
  const markUntil = (atMs: number): void => {
    for (let mark = waiting[0]; mark !== undefined && mark.atMs <= atMs; mark = waiting[0]) {
      waiting.shift();
      items.push({ kind: 'mark', y: y + bandHeight / 2, mood: mark.mood, text: mark.text, time: timeText(mark.atMs) });
      const lives = mark.address === undefined ? undefined : (deaths.get(mark.address) ?? []);
      if (mark.address !== undefined && lives !== undefined) {
        deaths.set(mark.address, lives);
        if (mark.mood === 'bad') lives.push({ top: y + bandHeight / 2, bottom: undefined });
        else {
          const last = lives.at(-1);
          if (last !== undefined) last.bottom ??= y + bandHeight / 2;
        }
      }
      y += bandHeight;
    }
  };
  for (const row of rows) {
    markUntil(row.wallMs);
    if (row.moved !== undefined) {
      const [from, to] = [xOf(row.from), xOf(bareAddress(row.moved.from))];
      const text = `${nameOf(bareAddress(row.moved.from)) ?? bareAddress(row.moved.from)} failed: ${row.moved.because}`;
      items.push({ kind: 'failed', y: y + lineAt, from, to, ...label(text, from, to, total), sequence: row.sequence });
      y += rowHeight;
    }
    items.push(message(row, y + lineAt, xOf(row.from), xOf(row.to), total, timeText(row.wallMs), nameOf));
    y += rowHeight;
  }
  markUntil(Number.POSITIVE_INFINITY);
  const height = y + bottomMargin;
  const columns = addresses.map((address): Column => {
    const gone = deaths.get(address) ?? [];
    return {
      address,
      name: nameOf(address),
      isOwn: own.has(address),
      x: xOf(address),
      life: lifeOf(gone, height),
      deaths: gone.map(({ top }) => top),
    };
  });
  return { width: total, height, timeWidth, step, columns, items };
}

/** In the order in which they come up; what failed stands beside what took its place. */
function columnsOf(
  rows: readonly TraceRow[],
  besides: readonly string[],
): { readonly addresses: readonly string[]; readonly own: ReadonlySet<string> } {
  const addresses: string[] = [];
  const own = new Set<string>();
  for (const { from, to, direction } of rows) {
    for (const address of [from, to]) if (!addresses.includes(address)) addresses.push(address);
    own.add(direction === 'in' ? to : from);
  }
  for (const { moved, to } of rows) {
    const failed = moved === undefined ? undefined : bareAddress(moved.from);
    if (failed !== undefined && !addresses.includes(failed)) addresses.splice(addresses.indexOf(to), 0, failed);
  }
  for (const address of besides)
    if (!addresses.includes(address)) {
      const at = addresses.findIndex((each) => own.has(each));
      addresses.splice(Math.max(0, at), 0, address);
    }
  return { addresses, own };
}

function message(
  row: TraceRow,
  y: number,
  from: number,
  to: number,
  total: number,
  time: string,
  nameOf: LadderRequest['nameOf'],
): Message {
  const title = shortTitle(row);
  const { text, labelX } = label(title, from, to, total);
  const who = (address: string): string => nameOf(address) ?? address;
  return {
    kind: 'message',
    y,
    from,
    to,
    isItself: from === to,
    isMoved: row.moved !== undefined,
    isRequest: row.isRequest,
    isFailure: !row.isRequest && /^[4-6]\d\d\b/.test(row.title),
    label: text,
    labelX,
    time,
    spoken: `${clockTime(row.wallMs, true)} ${plain(row.title)}, from ${who(row.from)} to ${who(row.to)}${
      row.moved === undefined ? '' : `, because ${who(bareAddress(row.moved.from))} failed: ${row.moved.because}`
    }`,
    row,
  };
}

/** The address that a request is for stands in the message itself: here it only widens the row. */
function shortTitle({ title }: TraceRow): string {
  return plain(title).replace(/^([A-Z]+) [a-z]+:([^;?\s]+)\S*$/, '$1 $2');
}

/** It begins beside the left end, and may run on to the edge: nothing else stands in its row. */
function label(text: string, from: number, to: number, total: number): { text: string; labelX: number } {
  const labelX = Math.min(from, to) + 8;
  return { text: cut(text, Math.max(6, Math.floor((total - labelX - 4) / letterWidth))), labelX };
}

function lifeOf(
  gone: readonly { readonly top: number; readonly bottom: number | undefined }[],
  height: number,
): readonly (readonly [number, number])[] {
  const life: (readonly [number, number])[] = [];
  let top = 0;
  for (const { top: death, bottom } of gone) {
    if (death > top) life.push([top, death]);
    if (bottom === undefined) return life;
    top = bottom;
  }
  return [...life, [top, height]];
}

const rowHeight = 34;
const bandHeight = 34;
/** Of a row, above its arrow: the text. */
const lineAt = 24;
const topMargin = 6;
const bottomMargin = 14;
const margin = 12;
const narrowBelow = 560;
const narrowTime = 54;
const wideTime = 104;
const leastStep = 92;
const mostStep = 250;
const letterWidth = 6.9;
