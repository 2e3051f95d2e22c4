/** The `mgcp:` section of the configuration: every setting of the call agent, its default and what it is for. */
import { z } from 'zod';
import {
  addressField,
  type ControllerAddress,
  duplicates,
  milliseconds,
  parsed,
  readAddress,
  section,
  unknowns,
  wholeNumber,
} from '../../src/internal.ts';

export type MgcpConfig = z.output<typeof mgcpConfigSchema>;

export type MgcpGatewayConfig = MgcpConfig['gateways'][number];

export type MgcpLineConfig = MgcpConfig['lines'][number];

/** RFC 3435 §3.5: call agents listen on 2727, gateways on 2427. */
export const callAgentPort = 2727;
export const gatewayPort = 2427;

const gateway = section({
  /** The domain part of its endpoint names. */
  name: z
    .string()
    .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,253}[A-Za-z0-9])?$/, 'must be a name such as rgw1 or rgw1.example.net'),
  /** Where it listens, best first. */
  addresses: z
    .array(addressField(() => gatewayPort))
    .min(1)
    .max(8),
  /** The call agent that controls it when all live; absent: the one without `backupFor`. */
  home: addressField(() => callAgentPort).optional(),
  /** `lines`: residential, we learn what it bears. `media`: RTP endpoints only, such as osmo-mgw: no events, no audits. */
  profile: z.enum(['lines', 'media']).default('lines'),
  /** `L:` for its connections, where it differs from that of `mgcp`. */
  localConnectionOptions: z.string().max(200).optional(),
});

/** `NAME=HOST:PORT`, further addresses behind commas, as the flag has it. */
const gatewayFlag = parsed<z.output<typeof gateway>>(
  (text) => {
    const [name = '', list = ''] = text.split('=', 2);
    const addresses = list.split(',').map((each) => readAddress(each, { transport: 'udp', port: gatewayPort }));
    if (!/^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(name) || addresses.some((address) => address === undefined))
      return undefined;
    return { name, addresses: addresses.filter((address) => address !== undefined), profile: 'lines' };
  },
  (text) => `"${text}" is no gateway: write NAME=HOST:PORT, for example rgw1=127.0.0.1:2427`,
);

const number = z.string().regex(/^[0-9*#]{1,15}$/, 'must be up to 15 digits, * or #');

const line = section({
  number,
  /** `local@gateway`, where the gateway is one of `gateways`. */
  endpoint: z.string().regex(/^[^@\s*$]+@[^@\s]+$/, 'must be an endpoint such as aaln/1@rgw1'),
});

const lineFlag = parsed<z.output<typeof line>>(
  (text) => {
    const [, digits, endpoint] = /^([0-9*#]{1,15})=([^@\s*$]+@[^@\s]+)$/.exec(text) ?? [];
    return digits === undefined || endpoint === undefined ? undefined : { number: digits, endpoint };
  },
  (text) => `"${text}" is no line: write NUMBER=ENDPOINT@GATEWAY, for example 200=aaln/1@rgw1`,
);

export const mgcpConfigSchema = section({
  /** UDP sockets to open: `host[:port]`. */
  listen: z
    .array(addressField(() => callAgentPort))
    .min(1)
    .max(16)
    .prefault(['127.0.0.1:2727']),
  /** The host that gateways are told where a socket is bound to a wildcard (0.0.0.0, ::). */
  advertise: z
    .string()
    .regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'must be a host name or an address')
    .optional(),
  /** Call agents that take over when we are gone, best first: they travel in every message. */
  backup: z
    .array(addressField(() => callAgentPort))
    .max(3)
    .default([]),
  /** Call agents whose gateways we take over: those that name us as their backup. */
  backupFor: z
    .array(addressField(() => callAgentPort))
    .max(64)
    .default([]),
  /** What gateways are told to send to (`N:`): a name with several addresses in DNS helps gateways that know no attribute. Ours if absent. */
  notifiedEntity: z
    .string()
    .regex(/^([^@\s]+@)?[A-Za-z0-9.[\]:-]+$/, 'must be a notified entity such as ca@ca.example.net')
    .optional(),
  gateways: z
    .array(z.union([gateway, gatewayFlag]))
    .max(100_000)
    .default([]),
  lines: z
    .array(z.union([line, lineFlag]))
    .max(1_000_000)
    .default([]),
  /** Name of a `media` gateway through which the media of every call runs; absent: directly between the lines. */
  relay: z.string().max(255).optional(),
  /** Digit map alternatives beyond the numbers of `lines` (RFC 3435 §2.1.5). */
  digitMap: z
    .array(z.string().regex(/^[0-9A-Za-z#*.[\]-]{1,128}$/, 'must be a digit map alternative such as 9x.T'))
    .max(64)
    .default([]),
  /** Our place among the members that control the same gateways, from 0; by the order of addresses if absent. Members never share ids. */
  member: wholeNumber(0, 15).optional(),
  /** `loop`: a gateway goes on reporting by itself; `step`: it waits for the next request after each Notify (RFC 3435 §3.2.2.14). */
  quarantine: z.enum(['loop', 'step']).default('loop'),
  /** `L:` (RFC 3435 §3.2.2.10). Without `a:` each gateway is offered PCMU, PCMA and telephone-event as far as its capabilities name them, else PCMU. */
  localConnectionOptions: z.string().max(200).default('p:20'),
  timers: section({
    tMaxMs: milliseconds({ min: 1_000, max: 120_000 }).default(20_000),
    tHistMs: milliseconds({ min: 1_000, max: 300_000 }).default(30_000),
    longTimerMs: milliseconds({ min: 500, max: 30_000 }).default(5_000),
    /** No response of any kind for this long, and the gateway's next address is tried. */
    silenceMs: milliseconds({ min: 50 }).default(1_000),
    noAnswerMs: milliseconds({ min: 1_000 }).default(120_000),
    diallingMs: milliseconds({ min: 1_000 }).default(60_000),
    /** Partners are asked for a sign of life this often … */
    heartbeatMs: milliseconds({ min: 50 }).default(500),
    /** … and count as dead after this long without one. */
    partnerDeadMs: milliseconds({ min: 100 }).default(1_500),
    /** A partner that was never heard of since we started is stood in for after this long. */
    startGraceMs: milliseconds({ min: 0 }).default(5_000),
    /** A partner that is back gets its gateways back after this long. */
    holdMs: milliseconds({ min: 0 }).default(10_000),
    /** A gateway that was not heard of for this long is audited. */
    gatewayQuietMs: milliseconds({ min: 1_000 }).default(60_000),
  }).prefault({}),
}).check(({ value: { gateways, lines, relay }, issues }) => {
  const names = gateways.map(({ name }) => name.toLowerCase());
  const at = (list: string) => (index: number) => [list, index];
  issues.push(
    ...duplicates(names, at('gateways'), (name) => `the gateway ${name} is configured twice`),
    ...duplicates(
      lines.map(({ endpoint }) => endpoint.toLowerCase()),
      at('lines'),
      (name) => `the endpoint ${name} is on two lines`,
    ),
    ...unknowns(
      lines.map(({ endpoint }) => endpoint.slice(endpoint.indexOf('@') + 1)),
      names,
      at('lines'),
      (name) => `no gateway ${name} (name it in gateways)`,
    ),
    ...unknowns(
      relay === undefined ? [] : [relay],
      names,
      () => ['relay'],
      (name) => `no gateway ${name} (name it in gateways)`,
    ),
  );
});

export const isSelf = (listen: readonly ControllerAddress[], address: ControllerAddress): boolean =>
  listen.some((own) => own.port === address.port && own.host === address.host);
