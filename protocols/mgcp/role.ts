/** The MGCP role: sockets, call agent and their parts of the core, put together. */
import {
  ControlEndpoint,
  ControllerNode,
  type CoreServices,
  gatewayRole,
  isIpLiteral,
  type Role,
  type TrustSettings,
  writtenAddresses,
} from '../../src/internal.ts';
import { createMgcpAdapter } from './adapter.ts';
import { maxDatagramBytes } from './codec/decode.ts';
import type { MgcpDatagram } from './codec/messages.ts';
import { type MgcpConfig, mgcpConfigSchema } from './config.ts';
import { CallAgent } from './protocol.ts';
import type { MgcpEndpoint } from './transactions.ts';

/** RFC 3435 §3.5.2. */
const transactionSpace = { min: 1, max: 999_999_999 };

export function createMgcpRole(services: CoreServices, config: MgcpConfig, _core: TrustSettings): Role {
  const log = services.log.child({ protocol: 'mgcp' });
  const { timers } = config;
  const adapter = createMgcpAdapter('controller', (to) => agent.gatewayAt(to));
  const node: ControllerNode<MgcpDatagram> = new ControllerNode({
    services,
    adapter,
    config,
    idSpace: transactionSpace,
    isDead: (member) => agent.controller.members.find(member)?.state === 'dead',
  });
  const { assembler, ids, pool } = node;
  const endpoint: MgcpEndpoint = new ControlEndpoint({
    services,
    log,
    adapter,
    assembler,
    pool,
    ids,
    listen: config.listen,
    maxMessageBytes: maxDatagramBytes,
    timers: { tMaxMs: timers.tMaxMs, tHistMs: timers.tHistMs, longTimerMs: timers.longTimerMs },
    transmission: { silenceMs: timers.silenceMs },
    maxReplies: () => agent.controller.maxReplies(),
    onMessage: (datagram, flow) => agent.onDatagram(datagram, flow),
    answersTo: (flow) => agent.answersTo(flow),
    members: () => agent.controller.members,
    moved: (isElsewhere) => agent.controller.moved(isElsewhere),
    // Members are asked by the call agent itself.
    probe: (to, flow, id) => {
      if (agent.controller.members.find(to) !== undefined) return undefined;
      const gateway = agent.gatewayAt(to);
      return assembler.probe(to, flow, String(id), gateway && agent.homeOf(gateway.name));
    },
  });
  const agent: CallAgent = new CallAgent({ services: { ...services, log }, config, node, endpoint });

  return gatewayRole({
    name: 'mgcp',
    title: 'MGCP call agent',
    services,
    log,
    node,
    endpoint,
    config,
    controller: agent.controller,
    parse: (fresh) => mgcpConfigSchema.safeParse(fresh).data,
    provision: (provisioned) => {
      // ICMP errors need a socket per peer: worth it for gateways that can be counted.
      const addresses = provisioned.gateways.flatMap(writtenAddresses);
      const watched = addresses.filter(({ host }) => isIpLiteral(host));
      if (watched.length <= maxWatchedGateways) for (const address of watched) pool.admit(address, 'configured');
      return agent.controller.provision(provisioned);
    },
    stop: () => agent.stop(),
    status: () => ({}),
  });
}

/** Above this many gateway addresses a dead gateway is told by silence, not by ICMP. */
const maxWatchedGateways = 512;
