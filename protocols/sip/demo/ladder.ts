/** The messages of one call as a ladder, line by line as they happen. */

export interface LadderStyle {
  /** May lines be coloured? */
  readonly colours: boolean;
}

const columns = ['alice', 'primary', 'backup', 'bob'] as const;

export type Column = (typeof columns)[number];

const firstColumn = 14;
const columnWidth = 22;

export class Ladder {
  readonly #colours: boolean;
  #primary: 'alive' | 'dead' = 'alive';

  constructor({ colours }: LadderStyle) {
    this.#colours = colours;
  }

  head(): string {
    const row = blank();
    for (const name of columns) write(row, position(name) - Math.floor(name.length / 2), name);
    return this.#paint(row.join('').trimEnd(), 'bold');
  }

  message(atMs: number, from: Column, to: Column, label: string, isRepetition: boolean): string {
    const row = this.#rails(atMs);
    const start = position(from);
    const stop = position(to);
    const [left, right] = start < stop ? [start, stop] : [stop, start];
    for (let at = left + 1; at < right; at += 1) row[at] = '─';
    row[start < stop ? right - 1 : left + 1] = start < stop ? '>' : '<';
    const shown = ` ${label.slice(0, right - left - 6)} `;
    // Next to the sender, where it can be read although rails are crossed.
    const room = columnWidth - 4;
    const near = start < stop ? left + 2 : right - 2 - shown.length;
    write(row, shown.length <= room || right - left > columnWidth ? near : left + 2, shown);
    return this.#paint(row.join('').trimEnd(), isRepetition ? 'dim' : involvesBackup(from, to) ? 'green' : 'none');
  }

  strike(atMs: number, word: string): string {
    this.#primary = 'dead';
    const row = this.#rails(atMs);
    const at = position('primary');
    write(row, at - 1, `╳╳╳ ${word}`);
    return this.#paint(row.join('').trimEnd(), 'red');
  }

  revived(): void {
    this.#primary = 'alive';
  }

  #rails(atMs: number): string[] {
    const row = blank();
    write(row, 0, `${atMs.toFixed(0).padStart(7)} ms`);
    for (const name of columns) row[position(name)] = name === 'primary' && this.#primary === 'dead' ? ' ' : '│';
    return row;
  }

  #paint(text: string, style: keyof typeof styles | 'none'): string {
    return this.#colours && style !== 'none' ? `\u001b[${styles[style]}m${text}\u001b[0m` : text;
  }
}

const styles = { bold: 1, dim: 2, red: 31, green: 32 } as const;

const involvesBackup = (from: Column, to: Column): boolean => from === 'backup' || to === 'backup';

const position = (name: Column): number => firstColumn + columns.indexOf(name) * columnWidth;

const blank = (): string[] => Array.from({ length: position('bob') + 24 }, () => ' ');

function write(row: string[], at: number, text: string): void {
  for (const [index, character] of [...text].entries()) if (row[at + index] !== undefined) row[at + index] = character;
}
