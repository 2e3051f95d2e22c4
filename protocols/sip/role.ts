/** The SIP role: sockets, proxy core, registrar and their four parts of the core, put together. */
import { isDeepStrictEqual } from 'node:util';
import {
  Assembler,
  announce,
  ConfigError,
  type ControllerAddress,
  ControllerPool,
  type CoreServices,
  defaultPoolOptions,
  type Flow,
  formatAddress,
  type Listener,
  type NamedHop,
  PeerNews,
  RateLimitedLog,
  Receiver,
  type Role,
  TakeoverLog,
  type TransmitError,
  Transmitter,
  type TrustSettings,
  wellKnownSecret,
} from '../../src/internal.ts';
import { createSipAdapter, type SipAssembler } from './adapter.ts';
import { CallEvents } from './call-events.ts';
import { SipCallWatch } from './call-watch.ts';
import type { SipMessage } from './codec/messages.ts';
import { type SipConfig, sipConfigSchema } from './config.ts';
import { Identity } from './identity.ts';
import { EarlyRefusal } from './overload/early-refusal.ts';
import { HopFeedback } from './overload/hop-feedback.ts';
import { NextHopControl } from './overload/next-hop-control.ts';
import { sipScreen } from './overload/screen.ts';
import { ServedSources } from './overload/served-sources.ts';
import { Partners } from './partners.ts';
import { CarriedInvites } from './proxy/carried-invites.ts';
import { dialledNumber } from './proxy/dialled-number.ts';
import { FlowNaming } from './proxy/flow-naming.ts';
import { FlowTokens } from './proxy/flow-token.ts';
import { Flows } from './proxy/flows.ts';
import { NamedHops } from './proxy/named-hops.ts';
import { ProxyCore } from './proxy/proxy-core.ts';
import { DialogProof } from './proxy/route-user.ts';
import type { RoutingTable } from './proxy/target-set.ts';
import { PathTrust } from './proxy/trust.ts';
import { BranchKey } from './proxy/via-branch.ts';
import { probeIdFor, workerMark } from './proxy/worker-routing.ts';
import { LostBindings } from './registrar/lost-bindings.ts';
import { createRegistration } from './registrar/registration.ts';
import { SipNames } from './rfc3263.ts';
import { checkedTls, readTls } from './tls.ts';
import type { ServerObserver } from './transactions/host.ts';
import { TransactionLayer } from './transactions/layer.ts';
import { transactionBudget } from './transactions/memory.ts';
import { DialogOffsets } from './trunks/dialog-offsets.ts';
import { OwnRequests } from './trunks/own-requests.ts';
import { noteStored, noting, recordsOf, SipDirectory } from './trunks/sip-directory.ts';
import { TrunkCallCounts } from './trunks/trunk-call-counts.ts';
import { TrunkService } from './trunks/trunk-service.ts';
import { Trunks } from './trunks/trunks.ts';
import { DialogEnds } from './user-agent/agent.ts';
import { DerivedIds, userAgentHost } from './user-agent/derived-ids.ts';
import { InnerPath } from './user-agent/inner-path.ts';
import { predecessorAmong } from './user-agent/predecessor.ts';
import { UserAgent } from './user-agent/user-agent.ts';
import { flowSiblings, WorkerPart } from './worker-part.ts';

/** What a reload takes over. */
export const sipReloads = [
  'routes',
  'defaultRoute',
  'auth.users',
  'auth.usersFile',
  'tls.certFile',
  'tls.keyFile',
  'tls.caFile',
];

export function createSipRole(services: CoreServices, config: SipConfig, core: TrustSettings): Role {
  const { clock, random, metrics, network, dns, locations, resolver, cluster, workers } = services;
  const log = services.log.child({ protocol: 'sip' });
  const adapter = createSipAdapter(config.placement);
  const { timers } = config;
  if (config.auth.invite && cluster.secret === wellKnownSecret)
    throw new ConfigError(
      'sip.auth.invite needs cluster.secret, the same on all members: with the well-known one anybody can prove any dialog',
    );

  const assembler: SipAssembler = new Assembler({
    adapter,
    cluster,
    addressOf: (flow) => identity.localHeaders(flow).address,
    isDead: (member) => pool.find(member)?.health === 'down',
  });
  const partnerAddresses: readonly ControllerAddress[] = [...cluster.backups, ...cluster.backupFor];
  const identity: Identity = new Identity(
    {
      domains: config.domains,
      advertise: config.advertise,
      placement: config.placement,
      partners: partnerAddresses,
      secret: cluster.secret,
      viaMark: workers && workerMark(workers.index),
    },
    assembler,
  );
  const pool = new ControllerPool(clock, random, { ...defaultPoolOptions, holdMs: timers.holdMs });
  const trust = new PathTrust(core, config.placement, metrics);
  const trunks = new Trunks(config.trunks, resolver.plan, random, metrics);
  trust.knowTrunks(config.trunks.flatMap(({ to }) => to));
  const directory = new SipDirectory(config, trunks);
  resolver.join(directory);
  for (const record of recordsOf(locations)) directory.note(record);
  if (locations.loaded !== undefined) void noteStored(locations, directory);

  let tls = readTls(config);
  const receiver = new Receiver<SipMessage>({
    adapter,
    clock,
    network,
    log,
    metrics,
    listen: config.listen,
    tls,
    limits: config.limits,
    maxMessageBytes: config.limits.maxMessageBytes,
    assembler,
    onMessage: (message, flow) => (worker === undefined ? proxy.onMessage(message, flow) : worker.route(message, flow)),
    onFailed(flow, error) {
      if (flow.reliable) workers?.ended(flow);
      onFailed(flow, error);
    },
    onLeft(local) {
      layer.left(local);
    },
  });
  const onFailed = (flow: Flow, error: TransmitError): void => {
    transmitter.flowFailed(flow, error);
    if (error.reason === 'refused') partners.refused(flow);
    if (flow.reliable) lostBindings.ended(flow);
  };
  const news = new PeerNews({
    protocol: 'sip',
    events: services.events,
    nameOf: (address) => partners.at(address)?.address,
    wasThere: (address) => partners.at(address)?.state !== 'unknown',
  });
  const partners: Partners = new Partners({
    services,
    log,
    news,
    holdMs: timers.holdMs,
    transmitter: () => transmitter,
    addresses: () => identity.addresses,
    isDraining: () => proxy.isDraining,
  });
  const transmitter: Transmitter = new Transmitter({
    clock,
    pool,
    log,
    metrics,
    protocol: 'sip',
    events: services.events,
    news,
    answered: (address) => partners.answered(address),
    isBusy: () => services.overload?.isBusy === true,
    listeners: () => receiver.listeners,
    probe: (to, flow) => {
      const id = workers === undefined ? random.hex(16) : probeIdFor(workers.index, random.hex(16));
      return { id, bytes: assembler.probe(to, flow, id) };
    },
    options: { silenceMs: timers.silenceMs, probeMs: timers.probeMs, downProbeMs: timers.downProbeMs },
  });
  const transports = [...new Set(config.listen.map(({ transport }) => transport))];
  const names = new SipNames({ dns, clock, random, transports });
  const nextHops = resolver.using(names);
  const layer = new TransactionLayer(
    clock,
    transmitter,
    timers,
    (text, flow) => assembler.octets(text, flow),
    (via, flow) => trust.backWays(via, flow),
    transactionBudget(config.limits.maxTransactionBytes),
  );
  const watch = services.journal === undefined ? undefined : new SipCallWatch(clock, services.journal);
  const served = new ServedSources(clock);
  layer.observer = observers(
    served,
    services.events === undefined
      ? undefined
      : new CallEvents(services.events, (request) => userAgent.hasCallOf(request)),
    watch,
    TrunkCallCounts.of(clock, trunks),
  );
  const { overload } = services;
  const mayBeEmergency = (user: string): boolean => resolver.plan.isEmergency(dialledNumber(user));
  const load =
    overload === undefined
      ? undefined
      : {
          overload,
          feedback: new HopFeedback(overload),
          early: new EarlyRefusal({
            overload,
            isUnderWay: (key) => layer.knows(key),
            isEmergency: mayBeEmergency,
            localTag: (callId, fromTag, cseq) => identity.localTag({ callId, fromTag, cseq }),
          }),
        };
  layer.feedback = load?.feedback;
  const takeovers = new TakeoverLog({ clock, log, metrics, protocol: 'sip' });
  metrics.gauge('sip_transaction_bytes', 'Octets that SIP transactions keep', () => layer.memory.used);
  const tokens = new FlowTokens(cluster.secret, workers?.life ?? random.hex(6));
  const flows: Flows = new Flows({
    tokens,
    members: partnerAddresses,
    ports: config.listen.map(({ port }) => port),
    clock,
    downSinceMs(member) {
      const peer = pool.find(member);
      return peer?.health === 'down' ? peer.downSinceMs : undefined;
    },
    deadSinceMs: (member) => partners.deadSinceMs(member),
    flowById: (id) => transmitter.flowById(id) ?? workers?.flowById(id),
    workers: workers && flowSiblings(workers),
    datagramFlow: (isSocket, remote) =>
      receiver.listeners.find(({ local }) => local.transport === 'udp' && isSocket(local))?.flowTo(remote),
  });
  const lostBindings = new LostBindings({ clock, log, locations, flows });
  const carried = new CarriedInvites({
    clock,
    transmitter: () => transmitter,
    partners: partnerAddresses,
    silenceMs: timers.silenceMs,
    isDown: (partner) => pool.find(partner)?.health === 'down',
    lastHeardMs: (partner) => pool.find(partner)?.lastHeardMs ?? 0,
  });
  const registration = createRegistration(
    { ...services, locations: noting(locations, directory) },
    config,
    identity,
    trust,
    flows,
    carried.isPartnerDead,
  );
  const reports = new RateLimitedLog(log, clock);
  const namedHops = new NamedHops({ clock, nextHops });
  const flowNaming = new FlowNaming(flows, identity);
  trust.trustInner(userAgentHost);
  const inner = new InnerPath({
    log,
    metrics,
    toProxy: (message, flow) => proxy.onMessage(message, flow),
    toUserAgent: (message) => userAgent.onResponse(message),
  });
  const ends = new DialogEnds();
  if (watch !== undefined) watch.endsHere = (callId) => ends.size > 0 && ends.of(callId).length > 0;
  const userAgent: UserAgent = new UserAgent({
    clock,
    random,
    log,
    metrics,
    layer,
    identity,
    ids: new DerivedIds(cluster.secret),
    inner,
    trust,
    flowNaming,
    callControl: services.callControl,
    ends,
    contacts: (record) => resolver.contactsOf(record),
    knows: registration.knows,
    watch,
    isTrunk: (flow) => trunks.from(flow) !== undefined,
    records: () => recordsOf(locations),
    flowTo: (to) => receiver.listeners.find(({ local }) => local.transport === to.transport)?.flowTo(to),
    predecessor: (host) =>
      // What an earlier life of ours has sent is sent again as ours.
      host !== undefined && identity.addresses.some((own) => own.host === host)
        ? undefined
        : predecessorAmong(cluster.backupFor, pool, host),
  });
  const proxy = new ProxyCore({
    watch,
    takenOver: (partner, what, callId) =>
      takeovers.adopted(formatAddress(partner), what, callId, partners.lastHeardMs(partner, pool.find(partner))),
    reports,
    clock,
    layer,
    resolver,
    nextHops,
    identity,
    log,
    branches: new BranchKey(cluster.secret, (request) => identity.destination(request)),
    dialogs: new DialogProof(cluster.secret),
    trunks,
    offsets: new DialogOffsets(),
    timerCMs: timers.timerCMs,
    maxBreadth: config.maxBreadth,
    config,
    assembler,
    cluster,
    metrics,
    trust,
    flows,
    flowNaming,
    carried,
    userAgent,
    load,
    workers,
    nextHopControl:
      services.announcesOverloadControl === true
        ? new NextHopControl({
            ...services,
            isNamed: ({ remote, transport }) => trust.isConfigured({ ...remote, transport }),
          })
        : undefined,
    ...registration,
    register: (request, flow, respond) =>
      registration.register(request, flow, (status, text, isRepeatable) => {
        served.note(flow.remote.host, status);
        respond(status, text, isRepeatable);
      }),
  });
  const worker =
    workers &&
    new WorkerPart({
      clock,
      workers,
      adapter,
      layer,
      flows,
      watch,
      isOurs: ({ host, port }) => identity.isSelf(host, port) || partnerAddresses.some((each) => each.host === host),
      isForUserAgent: ({ text }) => text.includes(userAgentHost),
      isForLine: (uri) => identity.isLocal(uri) && userAgent.isFor(uri),
      serve: (message, flow) => proxy.onMessage(message, flow),
      listeners: () => receiver.listeners,
      failed: onFailed,
    });
  metrics.gauge('sip_transactions', 'SIP transactions in memory', () => layer.size);
  metrics.gauge('sip_registrations', 'Addresses of record with a live contact', () => locations.size);

  const trunkService = new TrunkService({
    clock,
    random,
    log,
    identity,
    cluster,
    workers,
    trunks,
    requests: new OwnRequests({ clock, random, layer, nextHops, identity }),
    isDown: (member) => pool.find(member)?.health === 'down' || partners.isGone(member),
    ask: (member) => transmitter.ask(member),
  });

  let listeners: readonly Listener[] = [];
  const startedMs = clock.now();
  let routing: RoutingTable = config;

  /** Without auth.invite carriers alone are closed to some. */
  function followNames(ofRoutes: readonly NamedHop[]): void {
    namedHops.follow([
      ...(config.auth.invite ? ofRoutes : []).map((hop) => ({
        hop,
        learn: (found: readonly ControllerAddress[]) => trust.learn(found),
      })),
      ...trunks.all.flatMap((trunk) =>
        trunk.config.to.map((hop) => ({
          hop,
          learn(found: readonly ControllerAddress[]) {
            trust.learn(found);
            trunks.learn(trunk, found);
          },
        })),
      ),
    ]);
  }

  /** The hops that the operator names are trusted, watched, and stand for one another where they are listed together. */
  function knowHops(table: RoutingTable): void {
    const sets = [...table.routes.map(({ to }) => to), table.defaultRoute ?? []];
    const hops: readonly NamedHop[] = [...partnerAddresses, ...sets.flat()];
    trust.know(hops);
    trust.knowSets(sets);
    followNames(sets.flat());
    for (const hop of hops)
      if (hop.port !== undefined)
        pool.admit({ host: hop.host, port: hop.port, transport: hop.transport ?? 'udp' }, 'configured');
  }

  return {
    name: 'sip',
    async start() {
      listeners = await receiver.start();
      identity.bound(listeners);
      tokens.is(identity.address);
      worker?.join();
      knowHops(config);
      partners.start();
      announce(log, 'sip', 'SIP proxy and registrar', listeners);
      trunkService.start({ ...identity.address, transport: config.listen[0]?.transport ?? 'udp' });
      return listeners;
    },
    async drain(limitMs) {
      proxy.drain();
      trunkService.leave();
      partners.tell();
      const until = clock.now() + limitMs;
      // A turn in any case: peers sent it something before they could hear that it leaves.
      while (clock.now() < until) {
        await new Promise<void>((resolve) => clock.after(drainLookMs, resolve));
        if (proxy.pending === 0 && !layer.hasUnsettled) break;
      }
    },
    async stop() {
      partners.stop();
      carried.stop();
      namedHops.stop();
      userAgent.stop();
      trunkService.stop();
      watch?.stop();
      takeovers.stop();
      layer.stop();
      load?.feedback.stop();
      lostBindings.stop();
      transmitter.stop();
      await receiver.stop();
      reports.close();
    },
    reload(fresh) {
      const table = sipConfigSchema.parse(fresh);
      // Certificates and users first: they may be refused, and then nothing changes.
      const freshTls = checkedTls(table);
      const changed = [...registration.reload(fresh)];
      // Without a certificate the listeners keep theirs until the restart that closes them.
      if (!isDeepStrictEqual(freshTls, tls) && (freshTls?.cert !== undefined || tls?.cert === undefined)) {
        tls = freshTls;
        receiver.renewTls(freshTls);
        changed.push('TLS certificates');
      }
      if (isDeepStrictEqual([table.routes, table.defaultRoute], [routing.routes, routing.defaultRoute])) return changed;
      routing = table;
      knowHops(table);
      proxy.reroute(table);
      return [...changed, `${table.routes.length} routes${table.defaultRoute === undefined ? '' : ' and the default'}`];
    },
    status: () => ({
      listeners: listeners.map(({ local, connections }) => ({ ...local, connections })),
      transactions: layer.size,
      pending: proxy.pending,
      registrations: locations.size,
      ...(trunks.all.length === 0
        ? {}
        : { trunks: Object.fromEntries(trunks.all.map((trunk) => [trunk.name, trunk.status(clock.now())])) }),
      upMs: Math.round(clock.now() - startedMs),
      backups: cluster.backups,
      backupFor: cluster.backupFor,
      takeovers: takeovers.list(),
      draining: proxy.isDraining,
      members: partners.list(),
    }),
    screen: sipScreen({
      knows: (flow) => trust.isTrusted(flow) || trunks.from(flow) !== undefined,
      serves: (flow) => served.serves(flow.remote.host),
      isEmergency: mayBeEmergency,
      early: load?.early,
    }),
    calls: () => proxy.calls(),
    peers: () => partners.peers(pool.peers()),
  };
}

const drainLookMs = 50;

/** All are told, in this order. */
const observers = (
  served: ServedSources,
  events: CallEvents | undefined,
  watch: SipCallWatch | undefined,
  trunkCalls: TrunkCallCounts | undefined,
): ServerObserver => ({
  accepted(request, flow) {
    events?.accepted(request);
    watch?.accepted(request, flow);
    trunkCalls?.accepted(request, flow);
  },
  answered(request, status, flow) {
    served.note(flow.remote.host, status);
    events?.answered(request, status);
    watch?.answered(request, status);
    trunkCalls?.answered(request, status);
  },
});
