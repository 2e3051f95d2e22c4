/** The `mgcp:` section of the configuration: every setting of the call agent, its default and what it is for. */
import { z } from 'zod';
import {
  addressField,
  callerIdSettings,
  gatewayAddresses,
  gatewayTimers,
  lineNumber,
  milliseconds,
  partnerSettings,
  provisioningIssues,
  provisioningSettings,
  section,
  timeZone,
  unknownGateway,
  unknowns,
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
  /** Where it listens, best first; or `any`: known by its name, wherever it is (an access network with DHCP). */
  addresses: gatewayAddresses(() => addressField(() => gatewayPort)),
  /** The call agent that controls it when all live; absent: the one without `backupFor`. */
  home: addressField(() => callAgentPort).optional(),
  /** `lines`: residential, we learn what it bears. `media`: RTP endpoints only, such as osmo-mgw: no events, no audits. */
  profile: z.enum(['lines', 'media']).default('lines'),
  /** `L:` for its connections, where it differs from that of `mgcp`. */
  localConnectionOptions: z.string().max(200).optional(),
  /** For the time that telephones display with who calls. */
  timeZone: timeZone(),
});

const line = section({
  number: lineNumber(),
  /** `local@gateway`, where the gateway is one of `gateways`. */
  endpoint: z.string().regex(/^[^@\s*$]+@[^@\s]+$/, 'must be an endpoint such as aaln/1@rgw1'),
  ...callerIdSettings(),
});

export const mgcpConfigSchema = section({
  /** UDP sockets to open: `host[:port]`. */
  listen: z
    .array(addressField(() => callAgentPort))
    .min(1)
    .max(16)
    .prefault(['127.0.0.1:2727']),
  ...partnerSettings(() => addressField(() => callAgentPort)),
  /** What gateways are told to send to (`N:`): a name with several addresses in DNS helps gateways that know no attribute. Ours if absent. */
  notifiedEntity: z
    .string()
    .regex(/^([^@\s]+@)?[A-Za-z0-9.[\]:-]+$/, 'must be a notified entity such as ca@ca.example.net')
    .optional(),
  ...provisioningSettings(gateway, line, 'endpoint', {
    gateway: 'rgw1=127.0.0.1:2427',
    line: '200=aaln/1@rgw1',
    alternative: '9x.T',
  }),
  /** Name of a `media` gateway through which the media of every call runs; absent: directly between the lines. */
  relay: z.string().max(255).optional(),
  /** `loop`: a gateway goes on reporting by itself; `step`: it waits for the next request after each Notify (RFC 3435 §3.2.2.14). */
  quarantine: z.enum(['loop', 'step']).default('loop'),
  /**
   * `L:` (RFC 3435 §3.2.2.10). Without `a:` each gateway is offered PCMU, PCMA and telephone-event as far as its capabilities name them, else
   * PCMU; without `p:` it packetizes as the other party asks for, else 20 ms.
   */
  localConnectionOptions: z.string().max(200).default(''),
  timers: section({
    ...gatewayTimers({ startGraceMs: 5_000 }),
    longTimerMs: milliseconds({ min: 500, max: 30_000 }).default(5_000),
    /** No response of any kind for this long, and the gateway's next address is tried. */
    silenceMs: milliseconds({ min: 50 }).default(1_000),
  }).prefault({}),
}).check(({ value: { gateways, lines, relay }, issues }) => {
  const endpoints = lines.map(({ endpoint }) => endpoint);
  issues.push(
    ...provisioningIssues(gateways, endpoints, 'endpoint'),
    ...unknowns(
      relay === undefined ? [] : [relay],
      gateways.map(({ name }) => name),
      () => ['relay'],
      unknownGateway,
    ),
  );
});
