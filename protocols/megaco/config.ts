/** The `megaco:` section of the configuration: every setting of the gateway controller, its default and what it is for. */
import { z } from 'zod';
import {
  addressField,
  type ControllerAddress,
  duplicates,
  milliseconds,
  parsed,
  readAddress,
  secretField,
  section,
  unknowns,
  wholeNumber,
} from '../../src/internal.ts';
import { defaultTextPort } from './alternate-path.ts';
import { defaultTerminationNaming } from './binary/termination-naming.ts';
import type { Encoding, MId } from './messages.ts';
import { parseMId } from './mid.ts';

export type MegacoConfig = z.output<typeof megacoConfigSchema>;

export type MegacoGatewayConfig = MegacoConfig['gateways'][number];

export type MegacoLineConfig = MegacoConfig['lines'][number];

const address = () => addressField(() => defaultTextPort);

/** An operator's name for a gateway or a controller: an mId, its domain form without angle brackets included. */
const mIdField = () =>
  parsed<MId>(
    (text) => parseMId(text),
    (text) => `"${text}" is no mId: write [ip]:port, <name>:port, or a device name such as gw1`,
  );

const encoding = () =>
  parsed<Encoding>(
    (text) => encodings.get(text.toLowerCase()),
    (text) => `"${text}" is no encoding: write pretty, compact or binary (ber)`,
  );

const encodings: ReadonlyMap<string, Encoding> = new Map([
  ['pretty', 'pretty'],
  ['compact', 'compact'],
  ['binary', 'binary'],
  ['ber', 'binary'],
]);

const terminations = section({
  /** Octets of a termination id in binary (RFC 3525 Annex A.1): provisioned per gateway. */
  octets: wholeNumber(1, 8).default(defaultTerminationNaming.octets),
  /** The first octet of an id, and the prefix of text names that it stands for. */
  kinds: z
    .array(
      section({
        prefix: z
          .string()
          .regex(/^[a-z][a-z0-9_/]{0,31}$/i)
          .toLowerCase(),
        octet: wholeNumber(0, 254),
      }),
    )
    .max(32)
    .default([...defaultTerminationNaming.kinds]),
});

const gateway = section({
  /** Its mId, or the device name or domain name in it. */
  name: z.string().regex(/^[A-Za-z0-9[<][A-Za-z0-9.:/_\]>-]{0,79}$/, 'must be a name such as gw1 or an mId'),
  /** Where it lives, best first: nothing from another host is believed to be it. */
  addresses: z.array(address()).min(1).max(8),
  /** The member that it normally is with; absent: the first of the nodes, or the one whose backup we are. */
  home: address().optional(),
  /** What we write before it has said anything, the role's `encoding` if absent; afterwards it is answered in its own encoding. */
  encoding: encoding().optional(),
  /** "No signals" as `Signals`, which widespread stacks read alone, or `Signals{}`, as Annex B has it. Changed where it is refused. */
  emptySignals: z.enum(['braces', 'bare']).default('bare'),
  terminations: terminations.prefault({}),
  /** Interim AH (RFC 3525 §10.2): messages are signed, and refused unless signed. Text over IPv4 only. */
  security: section({
    spi: z.string().regex(/^[0-9a-fA-F]{8}$/, 'must be eight hexadecimal digits'),
    key: secretField(8),
    /** Refuse what came before, by its sequence number (RFC 2402 §3.4.3). Off for a gateway that counts from the start after a restart. */
    replay: z.boolean().default(true),
  }).optional(),
});

const gatewayFlag = parsed<z.output<typeof gateway>>(
  (text) => {
    const [, name, list = ''] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    const addresses = list.split(',').flatMap((each) => readAddress(each, { port: defaultTextPort }) ?? []);
    if (name === undefined || addresses.length !== list.split(',').length) return undefined;
    const made = gateway.safeParse({ name, addresses });
    return made.success ? made.data : undefined;
  },
  (text) => `"${text}" is no gateway: write NAME=[udp:|tcp:]HOST:PORT, for example gw1=127.0.0.1:2945`,
);

const line = section({
  number: z.string().regex(/^[0-9*#]{1,15}$/, 'must be up to 15 digits, * or #'),
  /** `termination@gateway`, where the gateway is one of `gateways`. */
  termination: z.string().regex(/^[A-Za-z][A-Za-z0-9_/]*@[^@\s]+$/, 'must be a termination such as aaln/1@gw1'),
});

const lineFlag = parsed<z.output<typeof line>>(
  (text) => {
    const [, number, termination] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    const made = line.safeParse({ number, termination });
    return made.success ? made.data : undefined;
  },
  (text) => `"${text}" is no line: write NUMBER=TERMINATION@GATEWAY, for example 200=aaln/1@gw1`,
);

export const megacoConfigSchema = section({
  /** Sockets to open: `[udp:|tcp:]host[:port]`. */
  listen: z.array(address()).min(1).max(16).prefault(['udp:127.0.0.1:2944', 'tcp:127.0.0.1:2944']),
  /** Controllers that take over when we are gone, best first: they travel in every message. */
  backup: z.array(address()).max(3).default([]),
  /** Controllers whose gateways we take over: those that name us as their backup. */
  backupFor: z.array(address()).max(64).default([]),
  /** Our mId; the first listener's address if absent. Members may share one, so that gateways that know no attribute follow a HandOff. */
  mid: mIdField().optional(),
  /** Highest protocol version that is agreed to (RFC 3525 §11.3). */
  version: wholeNumber(1, 3).default(1),
  /** What gateways are written to in before they have said anything: pretty, compact or binary. */
  encoding: encoding().prefault('compact'),
  gateways: z
    .array(z.union([gateway, gatewayFlag]))
    .max(100_000)
    .default([]),
  lines: z
    .array(z.union([line, lineFlag]))
    .max(1_000_000)
    .default([]),
  /** Digit map alternatives beyond the numbers of `lines` (RFC 3525 §7.1.14). */
  digitMap: z
    .array(z.string().regex(/^[0-9A-Za-z#*.[\]-]{1,128}$/, 'must be a digit map alternative such as 9x.'))
    .max(64)
    .default([]),
  /** What ephemeral terminations are asked to offer, as RTP payload types in order of preference. */
  payloadTypes: z.array(wholeNumber(0, 127)).min(1).max(16).default([0, 8]),
  /** Our place among the members that control the same gateways, from 0; by the order of addresses if absent. Members never share ids. */
  member: wholeNumber(0, 15).optional(),
  timers: section({
    tMaxMs: milliseconds({ min: 1_000, max: 120_000 }).default(20_000),
    /** LONG-TIMER of RFC 3525 Annex D.1.1. */
    tHistMs: milliseconds({ min: 1_000, max: 300_000 }).default(30_000),
    /** The wait between repetitions once Pending came. */
    pendingMs: milliseconds({ min: 500, max: 30_000 }).default(5_000),
    noAnswerMs: milliseconds({ min: 1_000 }).default(120_000),
    diallingMs: milliseconds({ min: 1_000 }).default(60_000),
    /** Partners are asked for a sign of life this often … */
    heartbeatMs: milliseconds({ min: 50 }).default(500),
    /** … and count as dead after this long without one. */
    partnerDeadMs: milliseconds({ min: 100 }).default(1_500),
    /** A partner that was never heard of since we started is stood in for after this long. */
    startGraceMs: milliseconds({ min: 0 }).default(3_000),
    /** A partner that is back gets its gateways back after this long. */
    holdMs: milliseconds({ min: 0 }).default(10_000),
    /** In a takeover: how long to wait for the other gateways of the dead controller. */
    takeoverMs: milliseconds({ min: 100 }).default(4_000),
    /** Gateways with package it (H.248.14) report when they have not heard of us for this long; 0: they are not asked to. */
    inactivityMs: milliseconds({ max: 600_000 }).default(30_000),
    /** A gateway that was not heard of for this long is audited. */
    gatewayQuietMs: milliseconds({ min: 1_000 }).default(60_000),
  }).prefault({}),
}).check(({ value: { gateways, lines }, issues }) => {
  const names = gateways.map(({ name }) => name.toLowerCase());
  const at = (list: string) => (index: number) => [list, index];
  issues.push(
    ...duplicates(names, at('gateways'), (name) => `the gateway ${name} is configured twice`),
    ...duplicates(
      lines.map(({ termination }) => termination.toLowerCase()),
      at('lines'),
      (name) => `the termination ${name} is on two lines`,
    ),
    ...unknowns(
      lines.map(({ termination }) => termination.slice(termination.lastIndexOf('@') + 1)),
      names,
      at('lines'),
      (name) => `no gateway ${name} (name it in gateways)`,
    ),
  );
});

export const isSelf = (listen: readonly ControllerAddress[], other: ControllerAddress): boolean =>
  listen.some((own) => own.port === other.port && own.host === other.host);
