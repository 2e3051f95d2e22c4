/**
 * The tokens of Annex B over a latin1 string (one character per octet): every method leaves the cursor behind the token and the
 * white space or comments after it. The first failure moves the cursor to the end, so that every loop above ends by itself.
 */
import { hashStep, type Keyword, keywordAt } from './keywords.ts';

export interface ScanFailure {
  readonly code: number;
  readonly reason: string;
  readonly offset: number;
}

export class Scanner {
  readonly text: string;
  readonly end: number;
  pos = 0;
  failure: ScanFailure | undefined;
  /** What a comment of the form `;AlternatePath=…` said. */
  alternatePath: string | undefined;
  #isEndless = false;
  /** Extent of the last word. */
  wordStart = 0;
  wordEnd = 0;

  constructor(text: string) {
    this.text = text;
    this.end = text.length;
  }

  fail(code: number, reason: string): void {
    if (this.failure === undefined) this.failure = { code, reason, offset: Math.min(this.pos, this.end) };
    this.pos = this.end;
  }

  /** LWSP: blanks, tabs, line ends, comments. */
  skip(): void {
    const { text, end } = this;
    let pos = this.pos;
    while (pos < end) {
      const code = text.charCodeAt(pos);
      if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) pos += 1;
      else if (code === 0x3b) pos = this.#comment(pos);
      else break;
    }
    this.pos = pos;
  }

  /** The character at the cursor; -1 at the end. */
  peek(): number {
    return this.pos < this.end ? this.text.charCodeAt(this.pos) : -1;
  }

  /** Takes one punctuation character with the space around it; false where another stands there. */
  take(code: number): boolean {
    if (this.pos >= this.end || this.text.charCodeAt(this.pos) !== code) return false;
    this.pos += 1;
    this.skip();
    return true;
  }

  expect(code: number, errorCode: number): void {
    if (!this.take(code)) this.fail(errorCode, `"${String.fromCharCode(code)}" expected`);
  }

  /** A word of letters, digits and "_": the keyword it spells, if any. Its extent is in wordStart and wordEnd. */
  word(): Keyword | undefined {
    const { text, end } = this;
    const start = this.pos;
    let pos = start;
    let hash = 0;
    while (pos < end) {
      const code = text.charCodeAt(pos);
      if ((classes[code] ?? 0) & nameChar) {
        hash = hashStep(hash, code);
        pos += 1;
      } else break;
    }
    this.wordStart = start;
    this.wordEnd = pos;
    this.pos = pos;
    const keyword = keywordAt(text, start, pos, hash);
    this.skip();
    return keyword;
  }

  /** The last word, in lower case. */
  lastWord(): string {
    return this.text.slice(this.wordStart, this.wordEnd).toLowerCase();
  }

  /** Is the last word followed by "/" at once, as a package name is? */
  isPackage(): boolean {
    return this.wordEnd < this.end && this.text.charCodeAt(this.wordEnd) === 0x2f;
  }

  /** `package/item`, `package/*` or `all packages` in lower case, begun by the word just read (or by "*" at the cursor). */
  packageItem(start: number, errorCode: number): string {
    const { text, end } = this;
    let pos = start;
    if (pos < end && text.charCodeAt(pos) === 0x2a) pos += 1;
    else while (pos < end && (classes[text.charCodeAt(pos)] ?? 0) & nameChar) pos += 1;
    if (pos === start || pos >= end || text.charCodeAt(pos) !== 0x2f) {
      this.pos = pos;
      this.fail(errorCode, 'package/item expected');
      return '';
    }
    pos += 1;
    const item = pos;
    if (pos < end && text.charCodeAt(pos) === 0x2a) pos += 1;
    else while (pos < end && (classes[text.charCodeAt(pos)] ?? 0) & nameChar) pos += 1;
    this.pos = pos;
    if (pos === item || pos - start > 129) {
      this.fail(errorCode, 'package/item expected');
      return '';
    }
    this.skip();
    return text.slice(start, pos).toLowerCase();
  }

  /** A NAME in lower case (digit map names, parameter names). */
  name(errorCode: number): string {
    this.word();
    if (this.wordEnd === this.wordStart || this.wordEnd - this.wordStart > 64) this.fail(errorCode, 'name expected');
    return this.lastWord();
  }

  /** TerminationID: `ROOT`, or a path name in lower case of at most 64 characters. */
  termination(errorCode: number): string {
    const { text, end } = this;
    const start = this.pos;
    let pos = start;
    while (pos < end && (classes[text.charCodeAt(pos)] ?? 0) & pathChar) pos += 1;
    this.pos = pos;
    if (pos === start || pos - start > 64) {
      this.fail(errorCode, 'termination id expected');
      return '';
    }
    this.skip();
    const name = text.slice(start, pos).toLowerCase();
    return name === 'root' ? 'ROOT' : name;
  }

  /** Decimal digits up to `max`. */
  uint(max: number, errorCode: number): number {
    const { text, end } = this;
    const start = this.pos;
    let pos = start;
    let value = 0;
    while (pos < end) {
      const digit = text.charCodeAt(pos) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      pos += 1;
    }
    if (pos === start || pos - start > 10 || value > max) {
      this.fail(errorCode, 'number expected');
      return 0;
    }
    this.pos = pos;
    this.skip();
    return value;
  }

  /** VALUE: a quoted string with its quotes, or safe characters. */
  value(errorCode: number): string {
    const { text, end } = this;
    const start = this.pos;
    let pos = start;
    if (pos < end && text.charCodeAt(pos) === 0x22) {
      pos = text.indexOf('"', pos + 1) + 1;
      if (pos === 0) {
        this.fail(errorCode, 'string without end');
        return '';
      }
    } else while (pos < end && (classes[text.charCodeAt(pos)] ?? 0) & safeChar) pos += 1;
    if (pos === start) {
      this.fail(errorCode, 'value expected');
      return '';
    }
    this.pos = pos;
    this.skip();
    return text.slice(start, pos);
  }

  /** The octets up to the brace that is not escaped, less the white space before it; the brace itself is taken (RFC 3525 Annex B.2, octetString). */
  octetString(errorCode: number): string {
    const { text } = this;
    const start = this.pos;
    const stop = unescapedBrace(text, start);
    if (stop < 0) {
      this.fail(errorCode, 'octet string without end');
      return '';
    }
    this.pos = stop + 1;
    this.skip();
    const octets = text.slice(start, stop).trimEnd();
    return octets.includes('\\}') ? octets.replaceAll('\\}', '}') : octets;
  }

  /**
   * Moves behind the brace that closes the one before `from`; false where there is none. Strings, comments and session descriptions
   * are jumped over.
   */
  resync(from: number): boolean {
    const { text, end } = this;
    // What is around a part without end has none either.
    if (this.#isEndless) return false;
    let depth = 1;
    for (let pos = from; pos < end; pos += 1) {
      const code = text.charCodeAt(pos);
      if (code === 0x7b) {
        // Quotes and semicolons of a session description are no strings and comments.
        const stop = isLocalOrRemote(text, from, pos) ? unescapedBrace(text, pos + 1) : pos;
        if (stop < 0) break;
        if (stop === pos) depth += 1;
        pos = stop;
      } else if (code === 0x7d) {
        depth -= 1;
        if (depth === 0) {
          this.failure = undefined;
          this.pos = pos + 1;
          this.skip();
          return true;
        }
      } else if (code === 0x22) {
        const close = text.indexOf('"', pos + 1);
        if (close < 0) break;
        pos = close;
      } else if (code === 0x3b) pos = this.#comment(pos) - 1;
    }
    this.#isEndless = true;
    return false;
  }

  /** From ";" to behind the end of its line. */
  #comment(start: number): number {
    const { text, end } = this;
    let pos = start + 1;
    while (pos < end) {
      const code = text.charCodeAt(pos);
      pos += 1;
      if (code === 0x0a || code === 0x0d) break;
    }
    if (this.alternatePath === undefined) {
      const said = /^;[ \t]*AlternatePath[ \t]*=[ \t]*([^\r\n]*)/i.exec(text.slice(start, Math.min(pos, start + 512)));
      if (said !== null) this.alternatePath = said[1];
    }
    return pos;
  }
}

/** The brace that ends an octetString. */
function unescapedBrace(text: string, start: number): number {
  let stop = text.indexOf('}', start);
  while (stop > start && text.charCodeAt(stop - 1) === 0x5c) stop = text.indexOf('}', stop + 1);
  return stop;
}

/** Does the brace at `pos` begin a session description? */
function isLocalOrRemote(text: string, from: number, pos: number): boolean {
  let last = pos - 1;
  while (last > from && last > pos - 8 && text.charCodeAt(last) <= 0x20) last -= 1;
  const letter = text.charCodeAt(last) | 32;
  // The last letter of L, Local, R, Remote.
  if (letter !== 0x6c && letter !== 0x72 && letter !== 0x65) return false;
  return /(?:^|[{},\s])(?:L|Local|R|Remote)$/i.test(text.slice(Math.max(from, last - 7), last + 1));
}

const nameChar = 1;
const pathChar = 2;
const safeChar = 4;

/** Which of the character sets of Annex B.2 each octet belongs to. */
const classes = new Uint8Array(256);
for (let code = 0; code < 256; code += 1) {
  const char = String.fromCharCode(code);
  if (/[A-Za-z0-9_]/.test(char)) classes[code] = nameChar | pathChar | safeChar;
  // Domain part of a path name, and the wildcards.
  else if (/[/*$@.-]/.test(char)) classes[code] = pathChar | safeChar;
  else if (/[+&!'?^`~\\()%|]/.test(char)) classes[code] = safeChar;
}
