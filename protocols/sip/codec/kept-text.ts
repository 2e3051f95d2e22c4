/**
 * Text that is kept longer than the message it stands in: as characters of its own, since a piece of a message keeps the whole message
 * alive, and never more of it than anybody needs.
 */
import { hash } from 'node:crypto';

/** A copy that shares no memory with the message. */
export const kept = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

/** A concatenation as characters of its own, not as a view of the messages that its pieces stand in. */
export function flat(text: string): string {
  // Asking for a character makes V8 join a concatenation in place; it must be used, or the question is optimized away.
  return text.charCodeAt(0) === 0 ? '' : text;
}

/** Four pieces in one copy: it costs as much as one of four. */
export function keptTogether(a: string, b: string, c: string, d: string): readonly [string, string, string, string] {
  const all = flat(`${a}\n${b}\n${c}\n${d}`);
  const second = a.length + 1;
  const third = second + b.length + 1;
  const fourth = third + c.length + 1;
  return [all.slice(0, a.length), all.slice(second, third - 1), all.slice(third, fourth - 1), all.slice(fourth)];
}

/** As many pieces in one copy: what is kept of a message together. */
export function keptAll(pieces: readonly string[]): readonly string[] {
  const all = flat(pieces.join('\n'));
  let at = 0;
  return pieces.map(({ length }) => {
    const piece = all.slice(at, at + length);
    at += length + 1;
    return piece;
  });
}

/** As `kept`, of 256 characters at most: for what is only shown. */
export const keptShort = (text: string): string => kept(text.slice(0, maxShown));

/** An identifier is compared: a long one is as good by its hash. */
export const idOf = (id: string): string => (id.length <= maxIdOctets ? id : `sha256 ${hash('sha256', id, 'hex')}`);

/** As `idOf`, as characters of its own. */
export const keptId = (id: string): string => (id.length <= maxIdOctets ? kept(id) : idOf(id));

/** As much of it as is shown. */
export const shown = (text: string): string => (text.length <= maxShown ? text : text.slice(0, maxShown));

const maxIdOctets = 256;
const maxShown = 256;
