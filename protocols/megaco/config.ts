/** The `megaco:` section of the configuration: every setting of the gateway controller, its default and what it is for. */
import { z } from 'zod';
import {
  addressField,
  callerIdSettings,
  gatewayAddresses,
  gatewayTimers,
  lineNumber,
  milliseconds,
  parsed,
  partnerSettings,
  provisioningIssues,
  provisioningSettings,
  secretField,
  section,
  timeZone,
  wholeNumber,
} from '../../src/internal.ts';
import { defaultTerminationNaming } from './codec/binary/termination-naming.ts';
import type { Encoding, MId } from './codec/messages.ts';
import { parseMId } from './codec/mid.ts';
import { defaultTextPort } from './path.ts';

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
  /** Where it lives, best first: nothing from another host is believed to be it; or `any`: known by its mId, wherever it is. */
  addresses: gatewayAddresses(address),
  /** The member that it normally is with; absent: the first of the nodes, or the one whose backup we are. */
  home: address().optional(),
  /** What we write before it has said anything, the role's `encoding` if absent; afterwards it is answered in its own encoding. */
  encoding: encoding().optional(),
  /** "No signals" as `Signals`, which widespread stacks read alone, or `Signals{}`, as Annex B has it. Changed where it is refused. */
  emptySignals: z.enum(['braces', 'bare']).default('bare'),
  terminations: terminations.prefault({}),
  /** For the time that telephones display with who calls. */
  timeZone: timeZone(),
  /** Interim AH (RFC 3525 §10.2): messages are signed, and refused unless signed. Text over IPv4 only. */
  security: section({
    spi: z.string().regex(/^[0-9a-fA-F]{8}$/, 'must be eight hexadecimal digits'),
    key: secretField(8),
    /** Refuse what came before, by its sequence number (RFC 2402 §3.4.3). Off for a gateway that counts from the start after a restart. */
    replay: z.boolean().default(true),
  }).optional(),
});

const line = section({
  number: lineNumber(),
  /** `termination@gateway`, where the gateway is one of `gateways`. */
  termination: z.string().regex(/^[A-Za-z][A-Za-z0-9_/]*@[^@\s]+$/, 'must be a termination such as aaln/1@gw1'),
  ...callerIdSettings(),
});

export const megacoConfigSchema = section({
  /** Sockets to open: `[udp:|tcp:]host[:port]`. */
  listen: z.array(address()).min(1).max(16).prefault(['udp:127.0.0.1:2944', 'tcp:127.0.0.1:2944']),
  ...partnerSettings(address),
  /** Our mId; the first listener's address if absent. Members may share one, so that gateways that know no attribute follow a HandOff. */
  mid: mIdField().optional(),
  /** Highest protocol version that is agreed to (RFC 3525 §11.3). */
  version: wholeNumber(1, 3).default(1),
  /** What gateways are written to in before they have said anything: pretty, compact or binary. */
  encoding: encoding().prefault('compact'),
  ...provisioningSettings(gateway, line, 'termination', {
    gateway: 'gw1=127.0.0.1:2945',
    line: '200=aaln/1@gw1',
    alternative: '9x.',
  }),
  /** What ephemeral terminations are asked to offer, as RTP payload types in order of preference. */
  payloadTypes: z.array(wholeNumber(0, 127)).min(1).max(16).default([0, 8]),
  timers: section({
    ...gatewayTimers({ startGraceMs: 3_000 }),
    /** The wait between repetitions once Pending came. */
    pendingMs: milliseconds({ min: 500, max: 30_000 }).default(5_000),
    /** In a takeover: how long to wait for the other gateways of the dead controller. */
    takeoverMs: milliseconds({ min: 100 }).default(4_000),
    /** Gateways with package it (H.248.14) report when they have not heard of us for this long; 0: they are not asked to. */
    inactivityMs: milliseconds({ max: 600_000 }).default(30_000),
  }).prefault({}),
}).check(({ value: { gateways, lines }, issues }) => {
  const endpoints = lines.map(({ termination }) => termination);
  issues.push(...provisioningIssues(gateways, endpoints, 'termination'));
});
