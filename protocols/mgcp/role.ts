/** The MGCP role: sockets, call agent and their parts of the core, put together. */
import {
  Assembler,
  announce,
  type ControllerAddress,
  ControllerPool,
  type CoreServices,
  defaultPoolOptions,
  GatewayTransactions,
  isIpLiteral,
  isWildcard,
  type Listener,
  maxMembers,
  memberIndex,
  memberSlice,
  Receiver,
  type Role,
  shownHost,
  TransactionIds,
  Transmitter,
  type TrustSettings,
} from '../../src/internal.ts';
import { createMgcpAdapter } from './adapter.ts';
import { CallAgent } from './call-agent.ts';
import { type MgcpConfig, mgcpConfigSchema } from './config.ts';
import { maxDatagramBytes } from './decode.ts';
import type { MgcpDatagram, MgcpResponse } from './messages.ts';

/** RFC 3435 §3.5.2. */
export const transactionSpace = { min: 1, max: 999_999_999 };

/** What a reload takes over. */
export const mgcpReloads = ['gateways', 'lines', 'digitMap'];

export function createMgcpRole(services: CoreServices, config: MgcpConfig, _core: TrustSettings): Role {
  const { clock, random, metrics, network, cluster } = services;
  const log = services.log.child({ protocol: 'mgcp' });
  const adapter = createMgcpAdapter('controller', (to) => agent?.gatewayAt(to));
  const { timers } = config;
  const assembler: Assembler<MgcpDatagram> = new Assembler({
    adapter,
    cluster,
    addressOf: ({ local }) => ({
      transport: 'udp',
      host: isWildcard(local.host) ? (config.advertise ?? self().host) : local.host,
      port: local.port,
    }),
    isDead: (member) => agent?.members.find(member)?.state === 'dead',
  });
  const partners = [...cluster.backups, ...cluster.backupFor];
  const pool = new ControllerPool(clock, random, { ...defaultPoolOptions, holdMs: timers.holdMs });
  let listeners: readonly Listener[] = [];
  let agent: CallAgent | undefined;

  const receiver = new Receiver({
    adapter,
    clock,
    network,
    log,
    metrics,
    listen: config.listen,
    maxMessageBytes: maxDatagramBytes,
    pathFor: (flow) => assembler.path(assembler.addressOf(flow)),
    onMessage: (datagram, flow) => agent?.onDatagram(datagram, flow),
    onFailed: (flow, error) => {
      transmitter.flowFailed(flow, error);
      if (error.reason === 'refused')
        agent?.members.refused({ transport: 'udp', host: flow.remote.host, port: flow.remote.port });
    },
  });
  const transmitter: Transmitter = new Transmitter({
    clock,
    pool,
    log,
    metrics,
    protocol: 'mgcp',
    listeners: () => receiver.listeners,
    // Partners are asked by the call agent itself.
    probe: (to, flow) => {
      if (agent?.members.find(to) !== undefined) return undefined;
      const id = String(ids.unguessable());
      const gateway = agent?.gatewayAt(to);
      return { id, bytes: assembler.probe(to, flow, id, gateway && agent?.homeOf(gateway.name)) };
    },
    options: { silenceMs: timers.silenceMs },
  });
  const self = (): ControllerAddress => selfOf(listeners, config);
  const member = config.member ?? memberIndex(config.listen[0], partners);
  const ids = new TransactionIds(memberSlice(transactionSpace, member, maxMembers), random);
  const outgoing = new GatewayTransactions<MgcpResponse>({
    clock,
    random,
    transmitter,
    ids,
    timers: { tMaxMs: timers.tMaxMs, tHistMs: timers.tHistMs, longTimerMs: timers.longTimerMs },
  });
  const startedMs = clock.now();

  return {
    name: 'mgcp',
    async start() {
      listeners = await receiver.start();
      for (const partner of partners) pool.admit(partner, 'configured');
      // ICMP errors need a socket per peer: worth it for gateways that can be counted.
      const addresses = config.gateways.flatMap((gateway) => gateway.addresses).filter(({ host }) => isIpLiteral(host));
      if (addresses.length <= maxWatchedGateways) for (const address of addresses) pool.admit(address, 'configured');
      agent = new CallAgent({
        services: { ...services, log },
        config,
        assembler,
        outgoing,
        ids,
        self,
        sendOnce: (to, datagram) => transmitter.sendOnce(to, (flow) => assembler.octets(datagram, flow)),
      });
      agent.start();
      announce(log, 'mgcp', 'MGCP call agent', listeners);
      return listeners;
    },
    async drain(limitMs) {
      await agent?.drain(limitMs);
    },
    async stop() {
      agent?.stop();
      transmitter.stop();
      await receiver.stop();
    },
    reload(fresh) {
      const parsed = mgcpConfigSchema.safeParse(fresh);
      return parsed.success && agent !== undefined ? agent.provision(parsed.data) : [];
    },
    status: () => ({
      listeners: listeners.map(({ local }) => ({ ...local })),
      upMs: Math.round(clock.now() - startedMs),
      backups: cluster.backups,
      backupFor: cluster.backupFor,
      ...agent?.status(),
    }),
    calls: () =>
      [...(agent?.switchboard.calls ?? [])].map(
        ({ caller, callee, phase, callId, startedMs: beganMs, answeredMs }) => ({
          caller: caller?.name,
          callee: callee?.name,
          phase,
          callId,
          startedMs: beganMs,
          answeredMs,
        }),
      ),
    peers: () => [
      ...(agent?.members.list() ?? []),
      ...[...(agent?.gateways.all() ?? [])].map((gateway) => ({
        kind: 'gateway',
        name: gateway.name,
        addresses: gateway.addresses(),
        state: gateway.state,
        lastHeardMs: gateway.lastHeardMs,
        dialect: [...gateway.dialect],
      })),
    ],
  };
}

/** Above this many gateway addresses a dead gateway is told by silence, not by ICMP. */
const maxWatchedGateways = 512;

function selfOf(listeners: readonly Listener[], config: MgcpConfig): ControllerAddress {
  const local = listeners[0]?.local ?? config.listen[0] ?? { transport: 'udp' as const, host: '127.0.0.1', port: 2727 };
  return { transport: 'udp', host: shownHost(local.host, config.advertise), port: local.port };
}
