/** The number that a URI dials, however it is written (RFC 3261 §19.1.2, §19.1.6, RFC 3966 §3, §5.1): what `routes` and the location service go by. */
import { plainNumber } from '../../../src/internal.ts';
import { type SipUri, unescapeText, uriParam } from '../codec/uri.ts';

/**
 * A user part without escapes, and without the visual separators and parameters of a number: `%2B49(30)-12.3;isub=1` is `+4930123`.
 * The user part of anything but a number loses its escapes alone. The text itself where there is nothing to do.
 */
export function dialledNumber(user: string): string {
  if (!hasMarks(user)) return user;
  const semicolon = user.indexOf(';');
  const text = unescapeText(semicolon < 0 ? user : user.slice(0, semicolon));
  return plainNumber(text) ?? (semicolon < 0 ? text : unescapeText(user));
}

/** `%`, `;` and the visual separators. */
function hasMarks(user: string): boolean {
  for (let i = 0; i < user.length; i += 1) {
    const c = user.charCodeAt(i);
    if (c === 37 || c === 59 || c === 40 || c === 41 || c === 45 || c === 46) return true;
  }
  return false;
}

/**
 * Where the local number of a `tel` URI is valid: a domain, or the beginning of global numbers with its plus (RFC 3966 §5.1.5); undefined
 * where nothing is said, as with global numbers.
 */
export function phoneContext(uri: SipUri): string | undefined {
  const context = uriParam(uri, 'phone-context')?.toLowerCase();
  return context === undefined || context === '' ? undefined : unescapeText(context).replace(/\.$/, '');
}

/** The user part of `text`, a URI, with leading characters of its number taken off and others put on. */
export function redial(text: string, user: string, strip: number, prepend: string): string {
  if (strip === 0 && prepend === '') return text;
  const at = text.indexOf(':') + 1;
  const number = dialledNumber(user);
  const semicolon = user.indexOf(';');
  // The parameters of a number stand behind it, still; a name that only looks as if it had some is one piece.
  const rest = number !== user && semicolon >= 0 && !number.includes(';') ? user.slice(semicolon) : '';
  return text.slice(0, at) + prepend + escapeUser(number.slice(strip)) + rest + text.slice(at + user.length);
}

/** RFC 3261 §25.1 user: what may not stand there as it is. */
const escapeUser = (text: string): string =>
  text.replace(
    /[^A-Za-z0-9\-_.!~*'()&=+$,;?/]/g,
    (c) => `%${(c.charCodeAt(0) & 255).toString(16).toUpperCase().padStart(2, '0')}`,
  );
