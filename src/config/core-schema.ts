/** The sections of the configuration that belong to no protocol: every setting, its default and what it is for. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { isRedisLocation, readStoreAddress, storeForms, withoutCredentials } from '../location/redis/location-url.ts';
import { logLevels } from '../log.ts';
import { canonicalHost, isWildcard } from '../network/local-address.ts';
import { bracketed, readAddress, type SocketAddress } from '../signaling/controller-address.ts';
import { duplicates } from './duplicates.ts';
import { milliseconds, parsed, readableFile, secretField, section, wholeNumber } from './fields.ts';
import { type IpNetwork, readIpNetwork } from './ip-network.ts';
import { defaultLinkPort, linkAddressField } from './link-addresses.ts';
import { type AllowRule, readAllowRule, readTrustRule, type TrustRule } from './trust-rules.ts';

export type CoreConfig = z.output<typeof coreSchema>;

/** `host:port` of the admin server, or `off`. */
const admin = parsed<SocketAddress | 'off'>(
  (text) => {
    if (text.trim() === 'off') return 'off';
    const address = readAddress(text, { transport: 'tcp', port: defaultAdminPort });
    return address === undefined || address.transport !== 'tcp' || isIP(address.host) === 0
      ? undefined
      : { host: address.host, port: address.port };
  },
  (text) => `"${text}" is no address for the admin server: write ip:port, such as 127.0.0.1:9060, or off`,
);

const collector = parsed<SocketAddress>(
  (text) => {
    const address = readAddress(text, { port: 9060 });
    return address === undefined || address.transport !== 'udp' || address.user !== undefined
      ? undefined
      : { host: address.host, port: address.port };
  },
  (text) => `"${text}" is no HEP collector: write host:port, such as 127.0.0.1:9060`,
);

const location = parsed<string>(
  (text) => {
    const spec = text.trim();
    const isOne = isRedisLocation(spec) ? readStoreAddress(spec) !== undefined : /^(memory|sqlite:.+)$/.test(spec);
    return isOne ? spec : undefined;
  },
  (text) =>
    isRedisLocation(text.trim())
      ? `"${withoutCredentials(text)}" is no Redis store: ${storeForms}`
      : `"${withoutCredentials(text)}" is no location store: write memory, sqlite:PATH such as sqlite:./var/locations.sqlite, or redis://HOST`,
);

const trustRule = parsed<TrustRule>(
  readTrustRule,
  (text) => `"${text}" names no hop: write an address, a network such as 10.0.0.0/8, or the name in a certificate`,
);

const allowRule = parsed<AllowRule>(
  readAllowRule,
  (text) =>
    `"${text}" allows nothing: write a network such as 10.0.0.0/8, with a port if wanted (10.0.0.0/8:5060), or a domain`,
);

const ipNetwork = parsed<IpNetwork>(
  readIpNetwork,
  (text) => `"${text}" is no network: write an address, or a network such as 10.0.0.0/8`,
);

const dnsServer = parsed<string>(
  (text) => {
    const address = readAddress(text, { port: 53 });
    return address === undefined || isIP(address.host) === 0 ? undefined : `${bracketed(address.host)}:${address.port}`;
  },
  (text) => `"${text}" is no DNS server: write ip or ip:port, IPv6 in brackets`,
);

const ipAddress = parsed<string>(
  (text) => {
    const host = text.trim().replace(/^\[|\]$/g, '');
    return isIP(host) === 0 || isWildcard(host) ? undefined : canonicalHost(host);
  },
  (text) => `"${text}" is no floating address: write an IP address, such as 192.0.2.10`,
);

export const coreSchema = section({
  log: section({
    level: z.enum(logLevels).default('info'),
    /** `auto`: readable on a terminal, else JSON lines. */
    format: z.enum(['auto', 'json', 'pretty']).default('auto'),
  }).prefault({}),
  /** Metrics, health and the commands status, calls, peers, reg and drain. */
  admin: admin.prefault('off'),
  /** Processes that share the listeners, so that more than one processor works: a number, or `auto`, one for each processor. */
  workers: z
    .union([z.literal('auto'), wholeNumber(1, 64)], { error: 'must be a number from 1 to 64, or auto' })
    .default(1),
  /** Floating addresses (VRRP): listeners on them are bound when the address is here, and never send from another. */
  vip: z.array(ipAddress).max(16).default([]),
  /** Who shows it may read from other machines; where it is set, drain and log need it everywhere. */
  adminToken: secretField(16).optional(),
  /** The last messages, for `altpath trace`. */
  trace: z
    .union([
      z.literal('off'),
      section({
        /** Memory for them; about 2,000 to the megabyte. */
        maxBytes: wholeNumber(65_536, 1_073_741_824).default(16_777_216),
      }),
    ])
    .prefault({}),
  /** Every message as it passes, to a collector such as Homer. */
  capture: section({
    hep: collector.optional(),
    agentId: wholeNumber(0, 4_294_967_295).default(2_001),
    password: secretField(1).optional(),
  }).prefault({}),
  /** One JSON line for each call attempt that has ended. */
  callRecords: section({
    /** A path, or `stdout`. */
    file: z.string().min(1).optional(),
  }).prefault({}),
  /** Where registrations live; a relative path counts from the working directory. */
  location: location.prefault('memory'),
  /** Where `location` is a Redis or Valkey store. */
  redis: section({
    /** What a registration waits for before it is acknowledged: the store (50 ms at most), or memory alone. */
    ack: z.enum(['store', 'memory']).default('store'),
    /** A file of this process for what is acknowledged while the store is away, so that it outlives kill -9. */
    journal: z.string().min(1).optional(),
    /** Instead of those in the URL, which others may see in a list of processes. */
    username: z.string().min(1).optional(),
    password: secretField().optional(),
    sentinelUsername: z.string().min(1).optional(),
    sentinelPassword: secretField().optional(),
    /** For rediss: who signed the servers' certificates, where the system does not know; what we show ourselves. */
    caFile: readableFile().optional(),
    certFile: readableFile().optional(),
    keyFile: readableFile().optional(),
  }).prefault({}),
  cluster: section({
    /** Known to all members and nobody else; with it they compute the same transaction identities. */
    secret: secretField(16).optional(),
    /** The secret before this one: records of calls that were sealed with it still open, for a day after the start. */
    formerSecret: secretField(16).optional(),
    /** UDP port of the member link, on the host of the first address of each member. */
    port: wholeNumber(0, 65_535).default(defaultLinkPort),
    /** Our own link address, where it is another. */
    link: linkAddressField().optional(),
    /** The link addresses of the other members, where they do not follow from `nodes` or from `backup` and `backupFor`. */
    partners: z.array(linkAddressField()).max(63).default([]),
  }).prefault({}),
  /** What numbers mean here: the operator's country, and whom everybody may always call. */
  numbers: section({
    /** Country code, `49`: without it numbers stay as they are dialled. */
    country: z
      .string()
      .regex(/^[1-9][0-9]{0,2}$/, 'must be a country code without plus or zeros, such as 49')
      .optional(),
    /** What local numbers lack: the area code `30`, or with it the first digits of a private exchange, `305550`. */
    area: z
      .string()
      .regex(/^[0-9]{1,11}$/, 'must be an area code without the national prefix, such as 30')
      .optional(),
    /** Dialled before an area code; '' where numbers have none. */
    nationalPrefix: z
      .string()
      .regex(/^[0-9]{0,4}$/, 'must be up to four digits')
      .default('0'),
    /** Dialled before a country code. */
    internationalPrefix: z
      .string()
      .regex(/^[0-9]{1,8}$/, 'must be up to eight digits')
      .default('00'),
    /** Dialled exactly and without a pause, by everybody, never refused: `[112, 911]`. */
    emergency: z
      .array(z.string().regex(/^[0-9*#]{2,8}$/, 'must be two to eight digits'))
      .max(32)
      .default([]),
  })
    .check(({ value, issues }) => {
      if (value.area !== undefined && value.country === undefined)
        issues.push({ code: 'custom', path: ['area'], message: 'an area needs a country', input: null });
      if (value.nationalPrefix.startsWith(value.internationalPrefix))
        issues.push({
          code: 'custom',
          path: ['nationalPrefix'],
          message: 'must not begin with the international prefix',
          input: null,
        });
      issues.push(
        ...duplicates(
          value.emergency,
          (index) => ['emergency', index],
          (number) => `the emergency number ${number} is there twice`,
        ),
      );
    })
    .prefault({}),
  /** What becomes of work beyond what this process can do, and of sources that send too much. */
  overload: section({
    /** Refuse a share of the new work under overload; off: everything is taken, and everything is late. */
    shedding: z.boolean().default(true),
    /** The event loop may be as late as this. */
    delayMs: milliseconds({ min: 20, max: 10_000 }).default(250),
    /** New requests per second that are always taken. */
    keptPerSecond: wholeNumber(1, 1_000_000).default(100),
    /** Told to those that are refused, half of it more or less. */
    retryAfterSeconds: wholeNumber(1, 3_600).default(10),
    /** Tell configured next hops that we obey their overload control. */
    announce: z.boolean().default(true),
    sources: section({
      /** Messages per second of one address (IPv6: of one /64); 0: no limit. */
      perSecond: wholeNumber(0, 10_000_000).default(2_000),
      /** The first ban; each further one takes twice as long. */
      banSeconds: wholeNumber(1, 86_400).default(60),
      /** Never limited; members, configured hops, trunks and gateways are not either. */
      exempt: z.array(ipNetwork).max(1_000).prefault(['127.0.0.0/8', '::1']),
    }).prefault({}),
  }).prefault({}),
  trust: z.array(trustRule).max(1_000).default([]),
  allow: z.array(allowRule).max(1_000).default([]),
  strip: z.enum(['untrusted', 'none']).default('none'),
  /** What is open may finish for this long after SIGTERM. */
  shutdownSeconds: wholeNumber(0, 86_400).default(10),
  dns: section({
    /** The system's own if empty. */
    servers: z.array(dnsServer).max(8).default([]),
  }).prefault({}),
});

/** Members of the cluster: for each its addresses per role. Backups follow from it. */
export const nodesSchema = (roles: readonly string[]) =>
  z.record(
    z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a node name has letters, digits and . _ - only'),
    section({
      ...Object.fromEntries(roles.map((role) => [role, z.array(z.string()).min(1).max(64).optional()])),
      /** Its link address, where it is not `cluster.port` on the host of its first address. */
      link: z.string().optional(),
      /** Its admin server, where it is not `admin` above; the dashboards of the others lead there. */
      admin: z
        .string()
        .refine((text) => admin.safeParse(text).success, 'must be ip:port, such as 192.0.2.1:9060, or off')
        .optional(),
    }),
  );

export const defaultAdminPort = 9060;
