/** The Contact values of a REGISTER, read and judged one by one (RFC 3261 §10.3 items 6 and 7, §20.10; RFC 5626 §11.2). */
import { type ControllerAddress, fail, ok, type Result } from '../../../src/internal.ts';
import { parseUri, type SipUri } from '../codec/uri.ts';
import { isToken, param, paramEnd, parseNameAddr, trim, unquote } from '../codec/values.ts';
import { nameAddrAlternates } from '../path.ts';
import { type Refusal, refusal } from './refusal.ts';
import { type CanonicalUri, canonicalUri } from './uri-equality.ts';

export interface ContactValue {
  /** As written, without brackets. */
  readonly target: string;
  readonly uri: SipUri;
  readonly canonical: CanonicalUri;
  /** Header parameters as written, without `expires`. */
  readonly params: string;
  /** Wish of the telephone, in seconds; 0: remove. */
  readonly seconds: number;
  /** 0 to 1000. */
  readonly q: number;
  /** As written, unquoted: `<urn:uuid:…>`. */
  readonly instance: string | undefined;
  readonly regId: number | undefined;
  readonly alternates: readonly ControllerAddress[] | undefined;
}

/** '*': all bindings. */
export type ContactValues = '*' | readonly ContactValue[];

/** `expires`: the value of the Expires field. `defaultSeconds`: where nothing is wished. */
export function readContacts(
  values: readonly string[],
  expires: string | undefined,
  defaultSeconds: number,
): Result<ContactValues, Refusal> {
  if (values.includes('*')) {
    if (values.length > 1) return fail(refusal(400, 'Bad Request - Contact * is not alone'));
    if (expires === undefined || !/^0+$/.test(expires))
      return fail(refusal(400, 'Bad Request - Contact * needs Expires 0'));
    return ok('*');
  }
  const wished = expires === undefined ? defaultSeconds : readSeconds(expires);
  const contacts: ContactValue[] = [];
  for (const value of values) {
    const contact = readContact(value, wished);
    if (contact === undefined) return fail(refusal(400, 'Bad Request - Contact'));
    contacts.push(contact);
  }
  return ok(contacts);
}

/** Longer values are no telephone's, and are kept for as long as the binding lives. */
const maxValueLength = 4_096;
const maxParamsLength = 2_048;

function readContact(value: string, wishedSeconds: number): ContactValue | undefined {
  if (value.length > maxValueLength) return undefined;
  const address = parseNameAddr(value);
  if (address === undefined) return undefined;
  const { uri: target, params } = address;
  if (params.length > maxParamsLength) return undefined;
  // RFC 3261 §20: a URI with a question mark or a comma stands in brackets.
  if (/[?,]/.test(target) && !value.includes(`<${target}>`)) return undefined;
  const uri = parseUri(target);
  if (uri === undefined) return undefined;
  const expires = param(params, 'expires', 1);
  const q = param(params, 'q', 1);
  const instance = param(params, '+sip.instance', 1);
  const regId = param(params, 'reg-id', 1);
  return {
    target,
    uri,
    canonical: canonicalUri(uri),
    params: withoutExpires(params),
    seconds: expires === undefined ? wishedSeconds : readSeconds(expires),
    q: q === undefined ? 1_000 : readQ(q),
    instance: instance === undefined || unquote(instance) === '' ? undefined : unquote(instance),
    regId: regId !== undefined && /^\d{1,10}$/.test(regId) && isRegId(Number(regId)) ? Number(regId) : undefined,
    alternates: nameAddrAlternates(address),
  };
}

/** RFC 3261 §10.2: malformed counts as 3600, more than 2^32-1 as that. */
function readSeconds(text: string): number {
  return /^\d+$/.test(text) ? Math.min(Number(text), 0xffffffff) : 3_600;
}

/** RFC 3261 §25.1 qvalue, in thousandths; malformed counts as none. */
const readQ = (text: string): number =>
  /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Math.round(Number(text) * 1_000) : 1_000;

/** RFC 5626 §11.2. */
const isRegId = (value: number): boolean => value >= 1 && value < 2 ** 31;

function withoutExpires(params: string): string {
  let kept = '';
  let at = 1;
  while (at < params.length) {
    const end = paramEnd(params, at, params.length);
    const item = trim(params, at, end);
    const equals = item.indexOf('=');
    const name = trim(item, 0, equals < 0 ? item.length : equals);
    if (isToken(name) && name.toLowerCase() !== 'expires') kept += `;${item}`;
    at = end + 1;
  }
  return kept;
}
