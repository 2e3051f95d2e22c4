/** The `sip:` section of the configuration: every setting of the proxy and registrar, its default and what it is for. */
import { z } from 'zod';
import {
  addressField,
  duplicates,
  hopField,
  isIpLiteral,
  isSecure,
  milliseconds,
  readAddress,
  readAllowRule,
  readableFile,
  secretField,
  section,
  type Transport,
  wholeNumber,
} from '../../src/internal.ts';

import { trunksSchema } from './trunks/trunk-config.ts';

export type SipConfig = z.output<typeof sipConfigSchema>;

/** One entry of `routes`. */
export type SipRoute = SipConfig['routes'][number];

/** One entry of `auth.users`: either a password, or its hash per algorithm. */
export type SipUser = SipConfig['auth']['users'][number];

/** RFC 3261 §19.1.2 (udp, tcp, tls) and RFC 7118 §5.5 (ws, wss). */
export function sipDefaultPort(transport: Transport): number {
  switch (transport) {
    case 'udp':
    case 'tcp':
      return 5060;
    case 'tls':
      return 5061;
    case 'ws':
      return 80;
    case 'wss':
      return 443;
  }
}

const address = () => addressField(sipDefaultPort);

const tls = section({
  /** Our certificate chain, PEM. Needed by tls and wss listeners. */
  certFile: readableFile().optional(),
  /** Its private key, PEM. */
  keyFile: readableFile().optional(),
  /** Authorities we believe, PEM; the system's own if absent. */
  caFile: readableFile().optional(),
  /** Refuse clients that show no valid certificate. */
  requireClientCert: z.boolean().default(false),
  /** Check the certificates of servers we connect to. */
  verify: z.boolean().default(true),
});

const limits = section({
  /** Many subscribers may share one address behind a NAT. */
  maxConnectionsPerSource: wholeNumber(1).default(1_024),
  maxConnections: wholeNumber(1).default(12_000),
  /** A connection without any byte for this long is closed; longer than a registration usually lasts, and than 840 s (RFC 5626 §4.4.1). */
  idleMs: milliseconds({ min: 1_000 }).default(3_900_000),
  /** A new connection must bring its first whole message within this time. */
  firstMessageMs: milliseconds({ min: 100 }).default(20_000),
  connectMs: milliseconds({ min: 50 }).default(1_000),
  /** Bytes waiting for a slow reader before its connection is given up. */
  maxUnsentBytes: wholeNumber(4_096).default(1_048_576),
  /** RFC 3261 §18.1.1: a UDP message may have 65,535 octets; the stream transports are held to the same. */
  maxMessageBytes: wholeNumber(1_024, 65_535).default(65_535),
  /** What transactions may keep in all; a third of the heap where it is not said. */
  maxTransactionBytes: wholeNumber(1_048_576).optional(),
});

const timers = section({
  /** Estimate of the round trip; the base of all retransmission (RFC 3261 §17.1.1.1). */
  t1Ms: milliseconds({ min: 10, max: 10_000 }).default(500),
  /** Longest wait between two sends of a non-INVITE request (RFC 3261 §17.1.2.2). */
  t2Ms: milliseconds({ min: 10, max: 60_000 }).default(4_000),
  /** Longest life of a message in the network (RFC 3261 §17.1.2.2). */
  t4Ms: milliseconds({ min: 10, max: 60_000 }).default(5_000),
  /** A proxied INVITE that rings longer is cancelled; must exceed three minutes (RFC 3261 §16.6 item 11). */
  timerCMs: milliseconds({ min: 180_001 }).default(181_000),
  /** No response of any kind for this long, and the next address is tried. */
  silenceMs: milliseconds({ min: 50 }).default(1_000),
  /** Peers with pending transactions are asked for a sign of life this often. */
  probeMs: milliseconds({ min: 50 }).default(250),
  /** Peers that are down are asked this often whether they are back. */
  downProbeMs: milliseconds({ min: 50 }).default(1_000),
  /** A returned peer must stay up for this long before new work goes to it. */
  holdMs: milliseconds({ min: 0 }).default(10_000),
});

const route = section({
  /** Requests for this domain … */
  domain: domainField().optional(),
  /** … or whose user part starts with this (`+49`, `00`). With both, both must hold. */
  prefix: z
    .string()
    .regex(/^\+?[0-9A-Da-d*#]+$/, 'must be the first characters of a number, such as +49 or 00')
    .optional(),
  /** The hops to try, in this order: addresses, or names that DNS resolves (RFC 3263). */
  to: z.array(hopField()).min(1).max(16),
  /** Leading characters to take off the user part first … */
  stripDigits: wholeNumber(0, 64).default(0),
  /** … and what to put in front of it then. */
  prepend: z
    .string()
    .regex(/^[+0-9A-Za-z*#._-]{0,64}$/, 'may hold digits, letters and + * # . _ - only')
    .default(''),
}).check(({ value, issues }) => {
  if (value.domain === undefined && value.prefix === undefined)
    issues.push({ code: 'custom', message: 'a route needs a domain or a prefix', input: value });
});

const hash = (digits: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-fA-F]{${digits}}$`), `must be ${digits} hexadecimal digits`)
    .toLowerCase();

const user = section({
  user: z.string().min(1).max(256),
  /** The password itself … */
  password: secretField().optional(),
  /** … or the hash of user:realm:password (RFC 7616 §3.4.2), per algorithm. */
  ha1: section({ md5: hash(32).optional(), sha256: hash(64).optional() }).optional(),
}).check(({ value, issues }) => {
  const { md5, sha256 } = value.ha1 ?? {};
  const hashed = md5 !== undefined || sha256 !== undefined;
  if ((value.password !== undefined) === hashed)
    issues.push({ code: 'custom', message: 'a user needs either a password or ha1 (md5, sha256)', input: null });
});

const auth = section({
  /** Said in every challenge; the first of `domains`, or else our address, if absent. */
  realm: z
    .string()
    .regex(/^[^"\\\p{Cc}]{1,128}$/u, 'must be up to 128 characters without quotes')
    .optional(),
  /**
   * Ask for credentials on REGISTER, and let users register their own address of record only: `alice` is alice of the realm if that is
   * one of `domains`, else of the first domain; users of other domains are written `alice@other.example`.
   */
  register: z.boolean().default(false),
  /** Ask for credentials on INVITE and all other requests that go further than to registered users (admission.ts). */
  invite: z.boolean().default(false),
  /** Offered in this order, each in its own challenge (RFC 8760 §2.3). */
  algorithms: z
    .array(z.enum(['SHA-256', 'MD5']))
    .min(1)
    .default(['SHA-256', 'MD5']),
  /** Life of a nonce; a correct answer to an older one is told `stale` (RFC 7616 §3.3). */
  nonceSeconds: wholeNumber(1, 86_400).default(300),
  users: z.array(user).max(1_000_000).default([]),
  /** More users: a YAML list in the same form as `users`. */
  usersFile: readableFile().optional(),
}).check(({ value, issues }) => {
  const { register, users, usersFile } = value;
  issues.push(
    ...duplicates(
      users.map(({ user: name }) => name),
      (index) => ['users', index],
      (name) => `the user ${name} is configured twice`,
    ),
  );
  if (register && users.length === 0 && usersFile === undefined)
    issues.push({
      code: 'custom',
      path: ['register'],
      message: 'needs users (auth.users or auth.usersFile): nobody could answer the challenge',
      input: null,
    });
});

const registrar = section({
  /** A shorter wish is refused with 423 (RFC 3261 §10.3 item 7). */
  minExpiresSeconds: wholeNumber(1, 3_600).default(60),
  /** A longer wish is cut to this. */
  maxExpiresSeconds: wholeNumber(1, 31_536_000).default(7_200),
  /** Where the telephone wishes nothing. */
  defaultExpiresSeconds: wholeNumber(1, 31_536_000).default(3_600),
  /** Contacts per address of record. */
  maxContacts: wholeNumber(1, 100).default(10),
  /**
   * A REGISTER with a Path and without \`Supported: path\`: \`strict\` answers 420, as RFC 3327 §5.3 recommends; \`lenient\` takes it, for
   * edge proxies of others that add a Path for telephones that know nothing of it.
   */
  path: z.enum(['strict', 'lenient']).default('strict'),
  /**
   * Addresses and domains that contacts and Paths may name although they are this machine's, or loopback from outside: `127.0.0.0/8`,
   * `192.0.2.1:5080`, `phones.example.com`.
   */
  allowContacts: z
    .array(
      z
        .string()
        .refine(
          (text) => readAllowRule(text) !== undefined,
          'must be an address, a network such as 10.0.0.0/8, or a domain',
        ),
    )
    .max(1_000)
    .default([]),
}).check(({ value, issues }) => {
  const { minExpiresSeconds, defaultExpiresSeconds, maxExpiresSeconds } = value;
  if (minExpiresSeconds > defaultExpiresSeconds || defaultExpiresSeconds > maxExpiresSeconds)
    issues.push({
      code: 'custom',
      message: 'must hold: minExpiresSeconds <= defaultExpiresSeconds <= maxExpiresSeconds',
      input: value,
    });
});

export const sipConfigSchema = section({
  /** Sockets to open: `[udp:|tcp:|tls:|ws:|wss:]host[:port]`. */
  listen: z.array(address()).min(1).max(64).prefault(['udp:127.0.0.1:5060', 'tcp:127.0.0.1:5060']),
  /** The host that Via and Record-Route show where a socket is bound to a wildcard (0.0.0.0, ::). */
  advertise: hostField().optional(),
  /** Domains we are registrar and proxy for; the addresses we listen on always count. */
  domains: z.array(domainField()).max(1_000).default([]),
  /** Controllers that take over when we are gone, best first: they travel in every message as AlternatePath. */
  backup: z.array(address()).max(64).default([]),
  /** Controllers whose work we take over: those that name us as their backup. */
  backupFor: z.array(address()).max(64).default([]),
  tls: tls.prefault({}),
  limits: limits.prefault({}),
  timers: timers.prefault({}),
  /** Next hops for what is not ours; the longest prefix wins, then the order of the list. */
  routes: z.array(route).max(10_000).default([]),
  /** Where everything else that is not ours goes; absent: to where its URI says. */
  defaultRoute: z.array(hopField()).min(1).max(16).optional(),
  /** Carriers for numbers that are nobody's here (trunks/trunk-config.ts); a number goes to the longest prefix, a trunk before a route. */
  trunks: trunksSchema.default([]),
  auth: auth.prefault({}),
  registrar: registrar.prefault({}),
  /** Stay in the path of a dialog's later requests (RFC 3261 §16.6 item 4). */
  recordRoute: z.boolean().default(true),
  /** Where AlternatePath stands in Record-Route and Route: behind the URI, inside it, or both. */
  placement: z.enum(['header', 'uri', 'both']).default('header'),
  /** Several contacts: all at once by equal q, or one after the other (RFC 3261 §16.6). */
  forking: z.enum(['parallel', 'serial']).default('parallel'),
  /** Branches that a request may have in all, over all proxies (RFC 5393 §5.3.3). */
  maxBreadth: wholeNumber(1, 1_000).default(60),
  maxBranches: wholeNumber(1, 100_000).default(120),
  maxBranchesPerUser: wholeNumber(1, 1_000_000).default(2_000),
  /** Tell registering telephones to send their requests through us (RFC 3608 §6.3). */
  serviceRoute: z.boolean().default(false),
}).check(({ value, issues }) => {
  for (const [index, { transport, host }] of value.listen.entries()) {
    const at = ['listen', index];
    if (isSecure(transport) && (value.tls.certFile === undefined || value.tls.keyFile === undefined))
      issues.push({
        code: 'custom',
        path: at,
        message: `a ${transport} listener needs tls.certFile and tls.keyFile`,
        input: null,
      });
    if (!isIpLiteral(host) && host !== 'localhost')
      issues.push({ code: 'custom', path: at, message: `"${host}" is a name: listen on an IP address`, input: null });
  }
});

function domainField() {
  return hostField();
}

/** A domain name or an IP literal without brackets, in lower case. */
function hostField() {
  return z
    .string()
    .transform((text) =>
      text
        .trim()
        .toLowerCase()
        .replace(/^\[|[\].]$/g, ''),
    )
    .refine((host) => isIpLiteral(host) || readAddress(host, { port: 0 })?.host === host, {
      message: 'must be a domain name or an IP address, without a port',
    });
}
