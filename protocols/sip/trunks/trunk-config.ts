/** The `trunks:` part of the SIP section: carriers that take calls to numbers which are nobody's here. */
import { z } from 'zod';
import { duplicates, hopField, numberFormats, secretField, section, wholeNumber } from '../../../src/internal.ts';
import { parseUri } from '../codec/uri.ts';

export type TrunkConfig = z.output<typeof trunkSchema>;

const trunkSchema = section({
  /** How it is called in logs, metrics and `altpath status`. */
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a trunk name has letters, digits and . _ - only'),
  /** The carrier's next hops, best first: addresses, or names that DNS resolves (RFC 3263). */
  to: z.array(hopField()).min(1).max(16),
  /** What the carrier calls us, for digest and registration … */
  user: z
    .string()
    .regex(/^[^\s"<>@:\\\p{Cc}]{1,128}$/u, 'must be up to 128 characters without spaces, quotes, @ and :')
    .optional(),
  /** … and the password. */
  password: secretField().optional(),
  /** Challenges of this realm alone are answered; absent: of every realm that comes from a hop of the carrier, its customers' included. */
  realm: z
    .string()
    .regex(/^[^"\\\p{Cc}]{1,128}$/u, 'must be up to 128 characters without quotes')
    .optional(),
  /** The carrier's domain in what we send; the host of its first hop if absent. */
  domain: z
    .string()
    .regex(/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/, 'must be a domain name or an IPv4 address')
    .toLowerCase()
    .optional(),
  /** Register with the carrier, so that calls come in there where our address is not configured. */
  register: z.boolean().default(false),
  /** The lifetime that is asked for. */
  registerSeconds: wholeNumber(60, 86_400).default(3_600),
  /** Whom the carrier sees as caller: a number or SIP URI; absent: whoever calls. */
  from: z
    .string()
    .refine((text) => readFrom(text) !== undefined, 'must be a number such as +4930123, or a SIP URI')
    .optional(),
  /** What the numbers begin with that it takes, in their normal form or as they are dialled: `+`, `+49`, `0`. Absent: every number. */
  prefixes: z
    .array(z.string().regex(/^\+?[0-9*#]*$/, 'must be the first characters of a number, such as +49 or 0'))
    .min(1)
    .max(1_000)
    .default(['']),
  /** How it wants numbers: +4930123, 004930123, 030123, 4930123, or as they were dialled. */
  format: z.enum(numberFormats).default('e164'),
  /** May emergency calls go there? */
  emergency: z.boolean().default(true),
  /** Whom calls reach that name our account, and no number of ours, as the called party. */
  deliverTo: z
    .string()
    .regex(/^\+?[0-9*#]{1,15}$/, 'must be a number')
    .optional(),
  /** So many calls at a time, both ways, at this member; absent: as many as come. An emergency call goes there all the same. */
  maxCalls: wholeNumber(1, 100_000).optional(),
  /** Each hop is asked this often whether it is there; 0: never. */
  pingSeconds: wholeNumber(0, 3_600).default(30),
}).check(({ value, issues }) => {
  const { user, password, register } = value;
  if (password !== undefined && user === undefined)
    issues.push({ code: 'custom', path: ['password'], message: 'a password needs a user', input: null });
  if (value.realm !== undefined && password === undefined)
    issues.push({ code: 'custom', path: ['realm'], message: 'a realm needs user and password', input: null });
  if (register && (user === undefined || password === undefined))
    issues.push({
      code: 'custom',
      path: ['register'],
      message: 'to register, the trunk needs user and password',
      input: null,
    });
});

export const trunksSchema = z
  .array(trunkSchema)
  .max(256)
  .check(({ value, issues }) => {
    const names = value.map(({ name }) => name.toLowerCase());
    issues.push(
      ...duplicates(
        names,
        (index) => [index],
        (name) => `the trunk ${name} is configured twice`,
      ),
    );
  });

/** User and host of the caller as the carrier shall see him; the host is the carrier's domain where none is said. */
export function readFrom(text: string): { readonly user: string; readonly host: string | undefined } | undefined {
  if (/^\+?[0-9*#().-]{1,32}$/.test(text)) return { user: text.replace(/[().-]/g, ''), host: undefined };
  const uri = parseUri(text);
  return uri === undefined || (uri.scheme !== 'sip' && uri.scheme !== 'sips') || uri.user === undefined
    ? undefined
    : { user: uri.user, host: uri.host };
}
