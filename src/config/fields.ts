/**
 * The building blocks of configuration schemas, for the core's own section and for every protocol's: each turns a value as written in
 * YAML or given by a flag into its parsed form, or says in one sentence what is wrong with it. None ever quotes a secret.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { z } from 'zod';
import {
  bracketed,
  type ControllerAddress,
  isTransport,
  readAddress,
  type Transport,
} from '../signaling/controller-address.ts';
import type { NamedHop } from '../signaling/name-resolver.ts';

/** The port to assume where none is written. */
export type DefaultPort = (transport: Transport) => number;

/** A mapping that knows its keys: any other is an error. */
export const section = z.strictObject;

/** `[transport:][user@]host[:port]`. An address that is already parsed passes through. */
export const addressField = (defaultPort: DefaultPort, defaultTransport: Transport = 'udp') =>
  parsed<ControllerAddress>(
    (text) => withPort(readAddress(text, { transport: defaultTransport, port: noPort }), defaultPort),
    (text) =>
      `"${text}" is not an address: write [udp:|tcp:|tls:|ws:|wss:]host[:port], IPv6 in brackets, for example udp:127.0.0.1:${defaultPort('udp')}`,
    isParsedAddress,
  );

/** A next hop: as an address, but transport and port may be left to DNS. A hop that is already parsed passes through. */
export const hopField = () =>
  parsed<NamedHop>(
    (text) => {
      const address = readAddress(text, { port: noPort });
      if (address === undefined || address.user !== undefined) return undefined;
      const [scheme = ''] = text.trim().split(':', 1);
      return {
        host: address.host,
        ...(address.port === noPort ? {} : { port: address.port }),
        ...(isTransport(scheme) && text.trim().length > scheme.length ? { transport: address.transport } : {}),
      };
    },
    (text) => `"${text}" is no next hop: write [udp:|tcp:|tls:]host[:port] or a domain name, IPv6 in brackets`,
    isParsedHop,
  );

/** Text that `read` turns into a value; `complaint` says what is wrong where it cannot. Values parsed before may pass through. */
export const parsed = <T>(
  read: (text: string) => T | undefined,
  complaint: (text: string) => string,
  isParsed: (value: unknown) => value is T = (_value): _value is T => false,
) =>
  // Text is what may be written; that parsed values pass is nobody's business outside.
  writtenAs<string>().transform((value: unknown, context): T => {
    if (isParsed(value)) return value;
    if (typeof value !== 'string') {
      context.issues.push({ code: 'invalid_type', expected: 'string', input: value });
      return z.NEVER;
    }
    const result = read(value);
    if (result !== undefined) return result;
    context.issues.push({ code: 'custom', message: complaint(value), input: value });
    return z.NEVER;
  });

/** Anything, which the types of the configuration call by what it should be. */
const writtenAs = <I>() => z.custom<I>();

/** Whole milliseconds; the largest is what a timer can hold. */
export const milliseconds = (bounds: { min?: number; max?: number } = {}) =>
  z
    .number()
    .int()
    .min(bounds.min ?? 0)
    .max(bounds.max ?? 2_147_483_647);

export const wholeNumber = (min: number, max: number = Number.MAX_SAFE_INTEGER) => z.number().int().min(min).max(max);

/** Never shown in a problem, a log line or a status. */
export const secretField = (minLength = 1) => z.string().min(minLength).max(1_024);

/** A file that must be readable now; taken from the working directory if relative. */
export const readableFile = () =>
  z
    .string()
    .min(1)
    .superRefine((path, context) => {
      const problem = unreadable(path);
      if (problem !== undefined) context.addIssue({ code: 'custom', message: `cannot read "${path}": ${problem}` });
    });

function unreadable(path: string): string | undefined {
  try {
    if (statSync(path).isDirectory()) return 'it is a directory';
    accessSync(path, constants.R_OK);
    return undefined;
  } catch (error) {
    return fileProblem(error);
  }
}

/** What the system says about a file, in words. */
export function fileProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  switch (code) {
    case 'ENOENT':
      return 'no such file or directory';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a directory';
    case 'ENOTDIR':
      return 'a part of the path is not a directory';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

/** Stands for "no port was written" while an address is being read; outside the range of ports. */
const noPort = -1;

const withPort = (address: ControllerAddress | undefined, port: DefaultPort): ControllerAddress | undefined =>
  address === undefined || address.port !== noPort ? address : { ...address, port: port(address.transport) };

const isParsedAddress = (value: unknown): value is ControllerAddress =>
  isParsedHop(value) && typeof value.port === 'number' && value.transport !== undefined;

const isParsedHop = (value: unknown): value is NamedHop =>
  typeof value === 'object' &&
  value !== null &&
  'host' in value &&
  typeof value.host === 'string' &&
  readAddress(bracketed(value.host), { port: 0 })?.host === value.host &&
  (!('port' in value) || (Number.isInteger(value.port) && Number(value.port) >= 0 && Number(value.port) <= 65_535)) &&
  (!('transport' in value) || (typeof value.transport === 'string' && isTransport(value.transport)));
