/** A place in a parameter value, for the recursive readers of this folder. Readers return undefined where the text is not theirs. */
export class Cursor {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get done(): boolean {
    return this.at >= this.text.length;
  }

  peek(): string {
    return this.text.charAt(this.at);
  }

  /** Takes this character if it is next. */
  take(character: string): boolean {
    if (this.text.charAt(this.at) !== character) return false;
    this.at += 1;
    return true;
  }

  skipBlanks(): void {
    for (let code = this.text.charCodeAt(this.at); code === 0x20 || code === 0x09; code = this.text.charCodeAt(this.at))
      this.at += 1;
  }

  /** As many characters as `accepts` wants. */
  while(accepts: (code: number) => boolean): string {
    const from = this.at;
    while (this.at < this.text.length && accepts(this.text.charCodeAt(this.at))) this.at += 1;
    return this.text.slice(from, this.at);
  }
}

/** Items parted by commas, with white space around them; undefined if one is not readable or something is left. */
export function commaList<T>(cursor: Cursor, item: (cursor: Cursor) => T | undefined): readonly T[] | undefined {
  const items: T[] = [];
  for (;;) {
    cursor.skipBlanks();
    const next = item(cursor);
    if (next === undefined || items.length === maxItems) return undefined;
    items.push(next);
    cursor.skipBlanks();
    if (!cursor.take(',')) return items;
  }
}

/** A whole value as a list; an empty value is an empty list. */
export function readList<T>(value: string, item: (cursor: Cursor) => T | undefined): readonly T[] | undefined {
  const cursor = new Cursor(value);
  cursor.skipBlanks();
  if (cursor.done) return [];
  const items = commaList(cursor, item);
  return items !== undefined && cursor.done ? items : undefined;
}

export const isAlphanumeric = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);

export const isNameCode = (code: number): boolean => isAlphanumeric(code) || code === 0x2d;

/** A list longer than this is not ours to understand. */
export const maxItems = 1_024;
