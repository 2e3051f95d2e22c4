/** Traced messages as a ladder: one column per address, one arrow per message, in a terminal or as a Mermaid diagram. */
import type { TraceRow } from '../trace/trace-row.ts';

/** Draws rows as they come: the columns grow with the addresses. */
export class Ladder {
  readonly #columns: string[] = [];
  readonly #width: number;
  readonly #own = new Set<string>();
  #headed = 0;

  constructor(terminalWidth = 120) {
    this.#width = Math.max(24, Math.min(40, Math.floor((terminalWidth - timeWidth) / 4)));
  }

  /** The lines of this message, with a new head where an address is new. */
  add(row: TraceRow): readonly string[] {
    this.know(row);
    const lines: string[] = [];
    if (this.#headed !== this.#columns.length) lines.push(this.head());
    if (row.moved !== undefined)
      lines.push(
        `${''.padEnd(timeWidth)}  ✗ ${row.moved.from} failed (${row.moved.because}): sent to ${row.to} instead`,
      );
    lines.push(`${timeOf(row.wallMs)}${this.#arrow(row)}`);
    return lines;
  }

  /** Makes columns for its addresses. */
  know({ from, to, direction }: TraceRow): void {
    for (const address of [from, to]) if (!this.#columns.includes(address)) this.#columns.push(address);
    this.#own.add(direction === 'in' ? to : from);
  }

  /** The addresses; those of controllers in brackets. */
  head(): string {
    this.#headed = this.#columns.length;
    const cells = this.#columns.map((address) => {
      const name = this.#own.has(address) ? `[${address}]` : address;
      return centred(name.slice(0, this.#width - 1), this.#width);
    });
    return `${''.padEnd(timeWidth)}${cells.join('')}`.trimEnd();
  }

  #arrow({ from, to, title, moved }: TraceRow): string {
    const line = Array.from({ length: this.#columns.length * this.#width }, () => ' ');
    const at = (address: string): number => this.#columns.indexOf(address) * this.#width + Math.floor(this.#width / 2);
    for (const address of this.#columns) line[at(address)] = '│';
    const [a, b] = [at(from), at(to)];
    const [left, right] = [Math.min(a, b), Math.max(a, b)];
    if (left === right) return `${line.join('').trimEnd()}  ${shown(title)} (to itself)`;
    const stroke = moved === undefined ? '─' : '═';
    for (let i = left + 1; i < right; i += 1) line[i] = stroke;
    if (b > a) line[right - 1] = '▶';
    else line[left + 1] = '◀';
    const room = right - left - 5;
    const label = [...shown(title)];
    const text = label.length > room ? [...label.slice(0, room - 1), '…'] : label;
    const start = left + 1 + Math.floor((right - left - 1 - text.length - 2) / 2);
    [' ', ...text, ' '].forEach((letter, index) => {
      line[start + index] = letter;
    });
    return line.join('').trimEnd();
  }
}

/** All of it, under one head with every address. */
export function drawLadder(rows: readonly TraceRow[], terminalWidth?: number): string {
  const ladder = new Ladder(terminalWidth);
  for (const row of rows) ladder.know(row);
  return [ladder.head(), ...rows.flatMap((row) => ladder.add(row))].join('\n');
}

/** A sequence diagram, https://mermaid.js.org. */
export function mermaid(rows: readonly TraceRow[]): string {
  const addresses = [...new Set(rows.flatMap(({ from, to }) => [from, to]))];
  const name = (address: string): string => `p${addresses.indexOf(address)}`;
  return [
    'sequenceDiagram',
    ...addresses.map((address) => `  participant ${name(address)} as ${address}`),
    ...rows.flatMap(({ from, to, title, isRequest, moved }) => [
      ...(moved === undefined
        ? []
        : [`  Note over ${name(from)},${name(to)}: ${plain(`${moved.from} failed (${moved.because})`)}`]),
      `  ${name(from)}${isRequest ? '->>' : '-->>'}${name(to)}: ${plain(title)}`,
    ]),
  ].join('\n');
}

/** Semicolons and number signs mean something to Mermaid. */
const plain = (text: string): string =>
  shown(text)
    .slice(0, 120)
    .replaceAll(/[#;]/g, (mark) => (mark === '#' ? '#35;' : '#59;'));

/** What a peer wrote: a terminal must not obey it. */
const shown = (text: string): string => text.replaceAll(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '?');

const centred = (text: string, width: number): string => {
  const left = Math.max(0, Math.floor((width - text.length) / 2));
  return `${' '.repeat(left)}${text}`.padEnd(width);
};

function timeOf(wallMs: number): string {
  const date = new Date(wallMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')} `;
}

/** `12:00:00.000 ` */
const timeWidth = 13;
