/** Settings that are the same for every protocol of gateways: partners, numbers, digit maps, timers, and flags for gateways and lines. */
import { z } from 'zod';
import { duplicates, unknowns } from '../config/duplicates.ts';
import { milliseconds, parsed, wholeNumber } from '../config/fields.ts';
import type { ControllerAddress } from '../signaling/controller-address.ts';
import { maxMembers } from './transaction-ids.ts';

/** What the controller reads of a gateway's provisioning. */
export interface GatewayProvision {
  readonly name: string;
  /** Best first; `any`: it may be anywhere, and is known by its name. */
  readonly addresses: 'any' | readonly ControllerAddress[];
  /** The member that it is with when all live. */
  readonly home?: ControllerAddress | undefined;
}

export const partnerSettings = <A extends z.ZodType>(address: () => A) => ({
  /** The host that gateways are told where a socket is bound to a wildcard (0.0.0.0, ::). */
  advertise: z
    .string()
    .regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'must be a host name or an address')
    .optional(),
  /** Controllers that take over when we are gone, best first: they travel in every message. */
  backup: z.array(address()).max(3).default([]),
  /** Controllers whose gateways we take over: those that name us as their backup. */
  backupFor: z.array(address()).max(64).default([]),
  /** Our place among the members that control the same gateways, from 0; by the order of addresses if absent. Members never share ids. */
  member: wholeNumber(0, maxMembers - 1).optional(),
});

/** `gateway` and `line` are the protocol's, as mappings; both may be written as flags, too. */
export const provisioningSettings = <G extends z.ZodType, L extends z.ZodType>(
  gateway: G,
  line: L,
  /** What the protocol calls an endpoint, and what is shown to the operator. */
  endpoint: string,
  example: { readonly gateway: string; readonly line: string; readonly alternative: string },
) => ({
  gateways: z
    .array(z.union([gateway, gatewayFlag(gateway, example.gateway)]))
    .max(100_000)
    .default([]),
  lines: z
    .array(z.union([line, lineFlag(line, endpoint, example.line)]))
    .max(1_000_000)
    .default([]),
  /** Digit map alternatives beyond the numbers of `lines` (RFC 3435 §2.1.5, RFC 3525 §7.1.14). */
  digitMap: z
    .array(
      z.string().regex(/^[0-9A-Za-z#*.[\]-]{1,128}$/, `must be a digit map alternative such as ${example.alternative}`),
    )
    .max(64)
    .default([]),
});

/** Where a gateway lives: a list of addresses, or `any`. */
export const gatewayAddresses = <A extends z.ZodType<ControllerAddress, string>>(address: () => A) =>
  z.preprocess(
    (value) => (Array.isArray(value) && value.length === 1 && value[0] === 'any' ? 'any' : value),
    z.union([z.literal('any'), z.array(address()).min(1).max(8)], {
      error: 'must be a list of addresses, or any: known by its name, wherever it is',
    }),
  );

/** As written, none where it may be anywhere. */
export const writtenAddresses = ({ addresses }: Pick<GatewayProvision, 'addresses'>): readonly ControllerAddress[] =>
  addresses === 'any' ? [] : addresses;

/** What the operator ought to know: for each gateway that a name alone lets in. `isSigned`: its messages prove themselves. */
export function roamingWarnings<G extends GatewayProvision>(
  gateways: readonly G[],
  isSigned: (gateway: G) => boolean = () => false,
): readonly string[] {
  const open = gateways.filter((gateway) => gateway.addresses === 'any' && !isSigned(gateway)).map(({ name }) => name);
  if (open.length === 0) return [];
  const shown = `${open.slice(0, 3).join(', ')}${open.length > 3 ? ` and ${open.length - 3} more` : ''}`;
  return [
    `addresses: any lets in whoever says the name of ${shown} while it does not answer elsewhere: use it in an access network that strangers cannot send into`,
  ];
}

export const lineNumber = () => z.string().regex(/^[0-9*#]{1,15}$/, 'must be up to 15 digits, * or #');

/** What a line is called, towards those who are called from it. */
export const callerIdSettings = () => ({
  name: z.string().max(64, 'must be at most 64 characters').optional(),
  /** `withheld`: those who are called are not told who calls (RFC 3323); `shown` if absent. */
  callerId: z.enum(['shown', 'withheld']).optional(),
});

/** Of the gateway's clock on the wall; ours if absent. */
export const timeZone = () => z.string().refine(isTimeZone, 'must be a time zone such as Europe/Berlin').optional();

function isTimeZone(name: string): boolean {
  try {
    return Intl.DateTimeFormat('en', { timeZone: name }) !== undefined;
  } catch {
    return false;
  }
}

/** `NAME=ADDRESS`, further addresses behind commas. */
const gatewayFlag = <G extends z.ZodType>(gateway: G, example: string) =>
  parsed<z.output<G>>(
    (text) => {
      const [, name, list = ''] = /^([^=]+)=(.+)$/.exec(text) ?? [];
      return gateway.safeParse({ name, addresses: list.split(',') }).data;
    },
    (text) => `"${text}" is no gateway: write NAME=ADDRESS[,ADDRESS], for example ${example}`,
  );

/** `NUMBER=ENDPOINT`. */
const lineFlag = <L extends z.ZodType>(line: L, endpoint: string, example: string) =>
  parsed<z.output<L>>(
    (text) => {
      const [, number, name] = /^([^=]+)=(.+)$/.exec(text) ?? [];
      return line.safeParse({ number, [endpoint]: name }).data;
    },
    (text) => `"${text}" is no line: write NUMBER=${endpoint.toUpperCase()}@GATEWAY, for example ${example}`,
  );

export type GatewayTimers = z.output<z.ZodObject<ReturnType<typeof gatewayTimers>>>;

/** Transaction timers: RFC 3435 §3.5.3, §4.3; RFC 3525 Annex D.1. */
export const gatewayTimers = (defaults: { readonly startGraceMs: number }) => ({
  tMaxMs: milliseconds({ min: 1_000, max: 120_000 }).default(20_000),
  /** LONG-TIMER: how long answers are kept for repetitions. */
  tHistMs: milliseconds({ min: 1_000, max: 300_000 }).default(30_000),
  noAnswerMs: milliseconds({ min: 1_000 }).default(120_000),
  diallingMs: milliseconds({ min: 1_000 }).default(60_000),
  /** Partners are asked for a sign of life this often … */
  heartbeatMs: milliseconds({ min: 50 }).default(500),
  /** … and count as dead after this long without one. */
  partnerDeadMs: milliseconds({ min: 100 }).default(1_500),
  /** A partner that was never heard of since we started is stood in for after this long. */
  startGraceMs: milliseconds({ min: 0 }).default(defaults.startGraceMs),
  /** A partner that is back gets its gateways back after this long. */
  holdMs: milliseconds({ min: 0 }).default(10_000),
  /** A gateway that was not heard of for this long is audited. */
  gatewayQuietMs: milliseconds({ min: 1_000 }).default(60_000),
});

type Issue = z.core.$ZodRawIssue;

/** What is configured twice, and lines of gateways that are not configured. `endpoints`: of the lines, in their order. */
export function provisioningIssues(
  gateways: readonly { readonly name: string }[],
  endpoints: readonly string[],
  noun: string,
): readonly Issue[] {
  const names = gateways.map(({ name }) => name.toLowerCase());
  const at = (list: string) => (index: number) => [list, index];
  return [
    ...duplicates(names, at('gateways'), (name) => `the gateway ${name} is configured twice`),
    ...duplicates(
      endpoints.map((endpoint) => endpoint.toLowerCase()),
      at('lines'),
      (name) => `the ${noun} ${name} is on two lines`,
    ),
    ...unknowns(endpoints.map(gatewayIn), names, at('lines'), unknownGateway),
  ];
}

export const unknownGateway = (name: string): string => `no gateway ${name} (name it in gateways)`;

/** `local@gateway`. */
export const gatewayIn = (endpoint: string): string => endpoint.slice(endpoint.lastIndexOf('@') + 1);
