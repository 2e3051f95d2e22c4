/** The MEGACO role: sockets, transactions, controller and partners, put together. */
import {
  Assembler,
  addressKey,
  announce,
  type ControllerAddress,
  ControllerPool,
  type CoreServices,
  defaultPoolOptions,
  formatAddress,
  formatSocketAddress,
  isWildcard,
  type Listener,
  MemberProbes,
  Members,
  maxMembers,
  memberIndex,
  memberSlice,
  RateLimitedLog,
  type Role,
  Strangers,
  shownHost,
  TransactionIds,
  type TrustSettings,
} from '../../src/internal.ts';
import { createMegacoAdapter } from './adapter.ts';
import { plainNaming } from './codec.ts';
import { type MegacoConfig, megacoConfigSchema } from './config.ts';
import { MegacoController } from './controller.ts';
import type { MegacoMessage, MId, PeerFormat } from './messages.ts';
import { addressMId } from './mid.ts';
import { MegacoEndpoint, remoteOf } from './transaction.ts';

/** RFC 3525 §8.1.1: 32 bits; 0 is the null id of an error that belongs to no transaction. */
const idSpace = { min: 1, max: 0xffff_fffe };

/** What a reload takes over. */
export const megacoReloads = ['gateways', 'lines', 'digitMap'];

export function createMegacoRole(services: CoreServices, config: MegacoConfig, _core: TrustSettings): Role {
  const { clock, random, metrics, network, cluster } = services;
  const log = services.log.child({ protocol: 'megaco' });
  const limited = new RateLimitedLog(log, clock);
  const pool = new ControllerPool(clock, random, { ...defaultPoolOptions, holdMs: config.timers.holdMs });
  const partnerAddresses: readonly ControllerAddress[] = uniqueAddresses([...cluster.backups, ...cluster.backupFor]);
  const { timers } = config;
  let listeners: readonly Listener[] = [];

  const self = (): ControllerAddress =>
    shown(listeners[0]?.local ?? config.listen[0] ?? { transport: 'udp', host: '127.0.0.1', port: 2944 });
  const mId = (): MId => config.mid ?? addressMId(self());
  const formatFor = (to: ControllerAddress): PeerFormat =>
    controller.agents.at(to)?.format ?? { encoding: 'pretty', version: 1 };
  const adapter = createMegacoAdapter({
    mId,
    namingOf: (sender) => controller.agents.byMId(sender)?.naming ?? plainNaming,
    formatFor,
  });
  const assembler = new Assembler({
    adapter,
    cluster,
    addressOf({ transport, local }) {
      const own = listeners.find((listener) => listener.local.transport === transport)?.local ?? self();
      return shown({ ...own, transport, host: local.host });
    },
    isDead: (member) => members.find(member)?.state === 'dead',
  });

  const isPartner = (host: string): boolean => partnerAddresses.some((partner) => partner.host === host);
  const members: Members = new Members({
    clock,
    log,
    role: 'megaco',
    partners: partnerAddresses,
    link: services.link,
    probeEveryMs: timers.heartbeatMs,
    deadMs: timers.partnerDeadMs,
    holdMs: timers.holdMs,
    word: () => {
      const own =
        listeners.length === 0 ? [addressKey(self())] : listeners.map(({ local }) => addressKey(shown(local)));
      const word = controller.ownership.word();
      // Our own home by each of our addresses: partners know us by one of them.
      const isHome = word.serves.includes(addressKey(self()));
      return {
        addresses: own,
        alternates: cluster.backups.map(addressKey),
        ...word,
        serves: isHome ? [...new Set([...word.serves, ...own])] : word.serves,
        hints: controller.hints(),
      };
    },
    probe: (partner) => probes.ask(partner),
    changed: () => controller.membersChanged(),
    absent: () => controller.ownership.absent(),
  });
  const probes = new MemberProbes({
    nextId: () => ids.unguessable(),
    send: (partner, id) => endpoint.ask(partner, id),
    answered: (partner) => members.answered(partner),
  });
  const member = config.member ?? memberIndex(config.listen[0], partnerAddresses);
  const ids = new TransactionIds(memberSlice(idSpace, member, maxMembers), random);
  const controller: MegacoController = new MegacoController({
    services,
    log,
    config,
    endpoint: () => endpoint,
    self,
    path: (gateway) => assembler.path(self(), controller.standsInFor(gateway)),
    members: () => members,
  });
  const endpoint: MegacoEndpoint = new MegacoEndpoint({
    adapter,
    assembler,
    clock,
    random,
    log,
    metrics,
    network,
    listen: config.listen,
    pool,
    ids,
    mId,
    timers: { tMaxMs: timers.tMaxMs, tHistMs: timers.tHistMs, longTimerMs: timers.pendingMs },
    formatFor,
    homeFor(to) {
      const agent = controller.agents.at(to);
      return agent && controller.standsInFor(agent.name);
    },
    securityFor: (host) => controller.agents.atHost(host)?.security,
    admits: (message, flow) => {
      services.link?.noticeAbsence();
      for (const id of repliesIn(message)) probes.heard(id, remoteOf(flow));
      const { host } = flow.remote;
      const { agents } = controller;
      if (agents.sender(message, flow) !== undefined || isPartner(host)) return true;
      // What a provisioned host answers is matched by its transaction id, whatever it calls itself.
      if (agents.atHost(host) !== undefined && !hasRequest(message)) return true;
      unauthorized.add();
      limited.info('message of a gateway that is not provisioned', host, () => ({ mId: message.mId, from: host }));
      return strangers.mayAnswer(host) ? 'refused' : false;
    },
    answersTo: ({ remote: { host } }) =>
      controller.agents.atHost(host) !== undefined || isPartner(host) || strangers.mayAnswer(host),
    // What is provisioned can have so much open within T-HIST, and nobody else has anything.
    maxReplies: () => 1_000 + 100 * controller.agents.registry.size + 20 * controller.switchboard.lines.size,
    heard: (message, flow) => {
      if (message.encoding === undefined || message.body.kind === 'error') return;
      controller.agents.sender(message, flow)?.encoding.heard(message.encoding);
    },
    onRequest: (incoming) => {
      const agent = controller.agents.sender(incoming.message, incoming.flow);
      if (agent !== undefined) controller.onRequest(agent, incoming);
      else if (isHeartbeat(incoming.request.actions)) incoming.reply(heartbeatReply);
      else incoming.refuse(402, 'Unauthorized');
    },
    onMessageError: (error, message, flow) => {
      const agent = controller.agents.sender(message, flow);
      const changes = agent?.isTroubled(message.encoding ?? 'pretty') === true;
      limited.warn('peer could not read our message', flow.remote.host, () => ({
        mId: message.mId,
        from: flow.remote.host,
        code: error.code,
        text: error.text,
        changes,
      }));
      // What is open is written anew, in the other form.
      if (changes && agent !== undefined) endpoint.redirect(agent.gateway);
    },
    onFlowFailed: ({ transport, remote }) => members.refused({ transport, ...remote }),
  });
  const unauthorized = metrics.counter('requests_unauthorized_total', 'Requests of senders that are not provisioned', {
    protocol: 'megaco',
  });
  metrics.gauge('gateways_up', 'Gateways that we command', () => ours().length, { protocol: 'megaco' });

  const strangers = new Strangers(clock);

  const ours = () => [...controller.agents.all()].filter((agent) => agent.ours);
  const startedMs = clock.now();

  return {
    name: 'megaco',
    async start() {
      listeners = await endpoint.start();
      for (const partner of partnerAddresses) pool.admit(partner, 'configured');
      members.start();
      controller.start();
      announce(log, 'megaco', 'MEGACO gateway controller', listeners);
      return listeners;
    },
    async drain(limitMs) {
      controller.drain();
      const until = clock.now() + limitMs;
      while (controller.pending > 0 && clock.now() < until)
        await new Promise<void>((resolve) => clock.after(50, resolve));
    },
    async stop() {
      members.stop();
      controller.stop();
      await endpoint.stop();
      limited.close();
    },
    reload(fresh) {
      const parsed = megacoConfigSchema.safeParse(fresh);
      return parsed.success ? controller.reload(parsed.data) : [];
    },
    status: () => ({
      mId: mId(),
      listeners: listeners.map(({ local, connections }) => ({ ...local, connections })),
      gateways: controller.agents.registry.size,
      gatewaysOurs: ours().length,
      lines: controller.switchboard.lines.size,
      calls: controller.switchboard.callCount,
      openTransactions: endpoint.open,
      upMs: Math.round(clock.now() - startedMs),
      backups: cluster.backups,
      backupFor: cluster.backupFor,
      ...controller.ownership.status(),
      members: members.list(),
    }),
    calls: () =>
      [...controller.switchboard.calls].map((call) => ({
        caller: call.caller?.name,
        callee: call.callee?.name,
        phase: call.phase,
        startedMs: call.startedMs,
        answeredMs: call.answeredMs,
      })),
    peers: () => [
      ...members.list(),
      ...[...controller.agents.all()].map(({ name, gateway, ours: isOurs, mId: heardMId, format }) => ({
        kind: 'gateway',
        name,
        mId: heardMId,
        ours: isOurs,
        state: gateway.state,
        encoding: format.encoding,
        version: format.version,
        addresses: gateway.addresses().map(formatAddress),
        lastHeardMs: gateway.lastHeardMs,
      })),
    ],
  };
}

/** A wildcard is no address to name: the best of those behind it is. */
const shown = (address: ControllerAddress): ControllerAddress =>
  isWildcard(address.host) ? { ...address, host: shownHost(address.host, undefined) } : address;

function uniqueAddresses(addresses: readonly ControllerAddress[]): readonly ControllerAddress[] {
  const seen = new Set<string>();
  return addresses.filter((address) => {
    // A member is one, by whatever transport it can be reached.
    const key = formatSocketAddress(address);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

type Actions = Parameters<MegacoController['onRequest']>[1]['request']['actions'];

/** The question whether we live, which partners ask: an audit of nothing. */
const isHeartbeat = (actions: Actions): boolean =>
  actions.length === 1 &&
  actions[0]?.commands.length === 1 &&
  actions[0].commands[0]?.verb === 'AuditValue' &&
  actions[0].commands[0].terminationId === 'ROOT';

const hasRequest = ({ body }: MegacoMessage): boolean =>
  body.kind === 'transactions' && body.transactions.some(({ kind }) => kind === 'request');

const repliesIn = ({ body }: MegacoMessage): readonly number[] =>
  body.kind === 'transactions'
    ? body.transactions.flatMap((transaction) => (transaction.kind === 'reply' ? transaction.transactionId : []))
    : [];

const heartbeatReply = [
  { contextId: 0, commands: [{ verb: 'AuditValue' as const, terminationId: 'ROOT', descriptors: [] }] },
];
