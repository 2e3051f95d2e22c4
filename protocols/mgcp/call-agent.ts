/**
 * The call agent: what it makes of the commands that gateways send (RFC 3435 §2.3.4, §2.3.9, §2.3.12, §3.5), which gateways it serves,
 * and when it takes over or gives back those of its partners. Calls themselves are the core's switchboard.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  type Assembler,
  addressKey,
  type ControllerAddress,
  type ControlPeer,
  type CoreServices,
  defaultHome,
  type Flow,
  formatSocketAddress,
  type Gateway,
  GatewayLiveness,
  GatewayNames,
  GatewayOwnership,
  GatewayRegistry,
  type GatewayTransactions,
  isIpLiteral,
  type Line,
  lineChanges,
  MemberProbes,
  Members,
  RateLimitedLog,
  Switchboard,
  type TransactionIds,
} from '../../src/internal.ts';
import { keepAlive } from './adapter.ts';
import { unknownCritical } from './alternate-path.ts';
import { learnCapabilities, localConnectionOptions } from './capabilities.ts';
import type { MgcpConfig, MgcpGatewayConfig } from './config.ts';
import { Endpoint } from './endpoint.ts';
import { GatewayCommands } from './gateway-commands.ts';
import { MgcpHandOver } from './hand-over.ts';
import { MgcpLineDriver } from './line-driver.ts';
import { listEndpoints } from './listing.ts';
import { MgcpMediaRelay } from './media-relay.ts';
import {
  type MgcpCommand,
  type MgcpDatagram,
  type MgcpResponse,
  type Parameter,
  parameter,
  respond,
} from './messages.ts';
import { Routing } from './routing.ts';
import { heardServedMembers, servedMembers } from './served-members.ts';
import { MgcpTakeover } from './takeover.ts';
import { type Draft, MgcpTransactions, type Respond, type TransactionUser } from './transaction.ts';
import { isDigitId, readObservedEvents, type Signal } from './values/events.ts';
import { covers, isAllOf, readEndpointName, writeNotifiedEntity } from './values/names.ts';

export interface CallAgentParts {
  readonly services: CoreServices;
  readonly config: MgcpConfig;
  readonly assembler: Assembler<MgcpDatagram>;
  readonly outgoing: GatewayTransactions<MgcpResponse>;
  readonly ids: TransactionIds;
  /** The first bound address, as others reach us. */
  self(): ControllerAddress;
  sendOnce(to: ControllerAddress, datagram: MgcpDatagram): void;
}

export class CallAgent implements TransactionUser {
  readonly switchboard: Switchboard;
  readonly gateways: GatewayRegistry;
  readonly members: Members;
  readonly ownership: GatewayOwnership;
  readonly transactions: MgcpTransactions;
  readonly relay: MgcpMediaRelay | undefined;
  readonly #parts: CallAgentParts;
  readonly #strangers: RateLimitedLog;
  readonly #names: GatewayNames;
  #provisioned: ReadonlyMap<string, MgcpGatewayConfig> = new Map();
  readonly #routing: Routing;
  readonly #commands: GatewayCommands;
  readonly #driver: MgcpLineDriver;
  readonly #takeover: MgcpTakeover;
  readonly #endpoints = new Map<Line, Endpoint>();
  readonly #homes = new Map<string, ControllerAddress>();
  readonly #homeOf = new Map<Gateway, string>();
  /** Where a gateway has its own. */
  readonly #connectionOptions = new Map<Gateway, string>();
  readonly #probes: MemberProbes;
  /** Who is being asked for its endpoints, for the last time that it was. */
  readonly #listings = new Map<Gateway, object>();
  readonly #liveness: GatewayLiveness;
  /** Alternatives beyond the numbers that are known. */
  #digitMap: readonly string[] = [];
  #stopped = false;

  constructor(parts: CallAgentParts) {
    this.#parts = parts;
    const { services, config } = parts;
    const { clock, log, metrics, locations, callControl, cluster } = services;
    this.#strangers = new RateLimitedLog(log, clock);
    this.#names = new GatewayNames({
      ...services,
      located: (name, addresses) => this.#located(name, addresses),
    });
    this.gateways = new GatewayRegistry(clock);
    this.#liveness = new GatewayLiveness({
      clock,
      log,
      registry: this.gateways,
      quietMs: config.timers.gatewayQuietMs,
      serves: (gateway) => this.#serves(gateway),
      ping: (gateway, done) => this.#ask(gateway, done),
      back: (gateway) => this.#greet(gateway),
      silent: (gateway) => {
        const [endpoint] = this.#endpointsOf(gateway);
        if (endpoint !== undefined) this.#gatewayFailed(endpoint);
      },
    });
    this.transactions = new MgcpTransactions(clock, parts.outgoing, parts.assembler, this);
    this.#routing = new Routing({
      assembler: parts.assembler,
      notifiedEntity: config.notifiedEntity,
      homeOf: (gateway) => this.homeOf(gateway.name),
    });
    this.#commands = new GatewayCommands({
      log,
      transactions: () => this.transactions,
      hasPath: (gateway, flow) => this.#routing.hasPath(gateway, flow),
      probe: (gateway) => audit(gateway),
    });
    this.#driver = new MgcpLineDriver({
      clock,
      log,
      quarantine: config.quarantine,
      localConnectionOptions: (gateway, dialect) =>
        localConnectionOptions(this.#connectionOptions.get(gateway) ?? config.localConnectionOptions, gateway, dialect),
      digitMap: () => callControl.numberingPlan(this.#digitMap).digitMap,
      endpointOf: (line) => this.#endpoints.get(line),
      switchboard: () => this.switchboard,
      commands: () => this.#commands,
      routing: ({ gateway }, flow, dialect) => this.#routing.parameters(gateway, flow, dialect),
      gatewayFailed: (endpoint) => this.#gatewayFailed(endpoint),
    });
    const { relay } = config;
    if (relay !== undefined)
      this.relay = new MgcpMediaRelay({
        clock,
        log,
        localConnectionOptions: (gateway) =>
          localConnectionOptions(
            this.#connectionOptions.get(gateway) ?? config.localConnectionOptions,
            gateway,
            new Set(),
          ),
        gateway: () => this.gateways.byName(relay),
        commands: () => this.#commands,
      });
    this.switchboard = new Switchboard({
      clock,
      log,
      metrics,
      locations,
      callControl,
      protocol: 'mgcp',
      driver: this.#driver,
      claim: (line, ready) => this.#claim(line, ready),
      hasUnknownLines: () => this.#hasUnknownLines(),
      relay: this.relay,
      timers: { noAnswerMs: config.timers.noAnswerMs, diallingMs: config.timers.diallingMs },
    });
    this.#takeover = new MgcpTakeover({
      log,
      driver: this.#driver,
      switchboard: () => this.switchboard,
      recovery: callControl.recovery,
      commands: () => this.#commands,
      after: (ms, run) => clock.after(ms, () => this.#stopped || run()),
      endpointByName: (name) => this.#endpointByName(name),
      endpoints: () => this.#endpoints.values(),
      learn: (endpoint, learned) => this.#learn(endpoint, learned),
      adopted: ({ gateway }) => this.ownership.came(gateway.name),
      unreachable: (endpoint, code) => this.#auditFailed(endpoint, code),
    });
    this.ownership = new GatewayOwnership({
      clock,
      log,
      members: () => this.members,
      self: () => parts.self(),
      order: cluster.order,
      alternates: cluster.backups,
      homeOf: (name) => {
        const gateway = this.gateways.byName(name);
        return gateway && this.#homeOf.get(gateway);
      },
      holdMs: config.timers.holdMs,
      startGraceMs: config.timers.startGraceMs,
      handOver: new MgcpHandOver({
        log,
        takeover: this.#takeover,
        switchboard: () => this.switchboard,
        endpoints: () => this.#endpoints,
        homeOf: (gateway) => this.#homeOf.get(gateway),
        relayOf: (home) => this.#relayOf(home),
      }),
    });
    this.members = new Members({
      clock,
      log,
      role: 'mgcp',
      partners: [...cluster.backups, ...cluster.backupFor],
      link: parts.services.link,
      probeEveryMs: config.timers.heartbeatMs,
      deadMs: config.timers.partnerDeadMs,
      holdMs: config.timers.holdMs,
      word: () => ({
        addresses: [addressKey(parts.self())],
        alternates: cluster.backups.map(addressKey),
        ...this.ownership.word(),
      }),
      probe: (partner) => this.#probes.ask(partner),
      changed: () => this.ownership.evaluate(),
      absent: () => this.ownership.absent(),
    });
    this.#probes = new MemberProbes({
      nextId: () => parts.ids.unguessable(),
      send: (partner, id) => {
        const message = keepAlive(parts.self(), id);
        const whole = { ...message, parameters: [...message.parameters, this.#servedMembers()] };
        parts.sendOnce(partner, { messages: [whole] });
      },
      answered: (partner) => this.members.answered(partner),
    });
  }

  start(): void {
    this.provision(this.#parts.config);
    this.members.start();
    this.ownership.start();
    this.#liveness.start();
  }

  stop(): void {
    this.#stopped = true;
    this.members.stop();
    this.ownership.stop();
    this.relay?.stop();
    this.#liveness.stop();
    for (const endpoint of this.#endpoints.values()) endpoint.stop();
    this.switchboard.stop();
    this.transactions.stop();
    this.#strangers.close();
    this.#names.stop();
  }

  /** Gateways and lines as configured; says what changed. */
  provision({ gateways, lines, digitMap }: MgcpConfig): readonly string[] {
    const changes: string[] = [];
    const { cluster } = this.#parts.services;
    const self = this.#parts.self();
    const before = this.#provisioned;
    this.#provisioned = new Map(gateways.map((gateway) => [gateway.name.toLowerCase(), gateway]));
    for (const configured of gateways) {
      const { name, addresses, home, profile, localConnectionOptions: own } = configured;
      const former = before.get(name.toLowerCase());
      if (former === undefined) changes.push(`gateway ${name} added`);
      else if (!isDeepStrictEqual(former, configured)) changes.push(`gateway ${name} changed`);
      else continue;
      const literals = addresses.filter(({ host }) => isIpLiteral(host));
      const gateway =
        literals.length === addresses.length
          ? this.gateways.add(name, addresses)
          : (this.gateways.byName(name) ?? this.gateways.add(name, literals));
      if (profile === 'media') gateway.dialect.add('media');
      else gateway.dialect.delete('media');
      this.#names.watch(name, addresses);
      if (own === undefined) this.#connectionOptions.delete(gateway);
      else this.#connectionOptions.set(gateway, own);
      const homeAddress = home ?? defaultHome(cluster, self);
      this.#homes.set(addressKey(homeAddress), homeAddress);
      this.#homeOf.set(gateway, addressKey(homeAddress));
      this.ownership.addHome(addressKey(homeAddress));
    }
    for (const [key, { name }] of before) {
      const gateway = this.#provisioned.has(key) ? undefined : this.gateways.byName(name);
      if (gateway === undefined) continue;
      this.#names.forget(name);
      this.gateways.remove(name);
      this.#homeOf.delete(gateway);
      this.#liveness.forget(gateway);
      changes.push(`gateway ${name} removed`);
    }
    const wanted = lines.flatMap(({ number, endpoint }) => {
      const gateway = this.gateways.byName(readEndpointName(endpoint)?.domain ?? '');
      if (gateway !== undefined) return [{ number, endpoint, gateway: gateway.name }];
      this.#parts.services.log.warn({ number, endpoint }, 'line on a gateway that is not configured: left out');
      return [];
    });
    const changed = lineChanges(this.switchboard.lines.all(), wanted);
    for (const line of changed.gone) {
      const endpoint = this.#endpoints.get(line);
      if (endpoint !== undefined) this.#takeover.drop(endpoint);
      this.switchboard.withdraw(line);
      this.#endpoints.delete(line);
    }
    const fresh: Endpoint[] = [];
    for (const provision of changed.fresh) {
      const gateway = this.gateways.byName(provision.gateway);
      if (gateway === undefined) continue;
      const line = this.switchboard.lines.add(provision);
      const endpoint = new Endpoint(line, gateway);
      this.#endpoints.set(line, endpoint);
      if (this.#serves(gateway)) fresh.push(endpoint);
    }
    changes.push(...changed.words);
    this.#digitMap = digitMap;
    this.#takeover.begin(fresh);
    return changes;
  }

  #located(name: string, addresses: readonly ControllerAddress[]): void {
    const gateway = this.gateways.byName(name);
    if (gateway === undefined) return;
    gateway.setAddresses(addresses);
    if (this.#serves(gateway)) this.#takeover.begin(this.#unownedOf(gateway));
  }

  get pending(): number {
    return this.switchboard.callCount;
  }

  /**
   * Announces to the partners that we leave: the first backup that lives takes all gateways over by audit, with the calls on them.
   * Where none lives, calls may end.
   */
  async drain(limitMs: number): Promise<void> {
    const { clock } = this.#parts.services;
    const until = clock.now() + limitMs;
    this.switchboard.drain();
    const hasHeir = (): boolean => this.ownership.heir() !== undefined;
    if (hasHeir()) this.ownership.drain();
    const isOver = () => (hasHeir() ? this.ownership.isHandedOver : this.switchboard.callCount === 0);
    while (!isOver() && clock.now() < until && !this.#stopped)
      await new Promise<void>((resolve) => clock.after(50, resolve));
  }

  onDatagram(datagram: MgcpDatagram, flow: Flow): void {
    const from: ControllerAddress = { transport: 'udp', host: flow.remote.host, port: flow.remote.port };
    this.#parts.services.link?.noticeAbsence();
    if (this.members.find(from) !== undefined) this.#partnerHeard(from, datagram);
    this.transactions.onDatagram(datagram, flow);
  }

  #partnerHeard(from: ControllerAddress, datagram: MgcpDatagram): void {
    const { messages } = datagram;
    const [first] = messages;
    if (first?.kind === 'response') this.#probes.heard(first.transactionId, from);
    heardServedMembers(this.members, from, datagram);
  }

  #servedMembers(): Parameter {
    return servedMembers(this.#servedHomes(), this.ownership.isDraining);
  }

  /** RFC 3435 §3.5.2: gateways number their commands by domain. */
  senderOf(command: MgcpCommand, flow: Flow): string | undefined {
    const from: ControllerAddress = { transport: 'udp', host: flow.remote.host, port: flow.remote.port };
    if (this.members.find(from) !== undefined) return `partner ${addressKey(from)}`;
    const gateway = this.#gatewayOf(command, flow);
    if (gateway === undefined) {
      this.#parts.services.metrics
        .counter('mgcp_strangers_total', 'Commands of gateways that are not provisioned, or not at their address')
        .add();
      this.#strangers.info('command of a stranger: dropped', flow.remote.host, () => ({
        from: formatSocketAddress(flow.remote),
        endpoint: command.endpoint,
      }));
      return undefined;
    }
    // What it still sends is for the one who serves it now, and will be repeated there.
    if (!this.ownership.isCertain) return undefined;
    if (this.ownership.isReleased(gateway.name) && command.verb !== 'RSIP') return undefined;
    return gateway.name;
  }

  trusts(peer: ControlPeer, flow: Flow): boolean {
    const gateway = this.gateways.byName(peer.name);
    if (gateway === undefined || !gateway.livesAt(flow.remote.host)) return false;
    this.#liveness.answered(gateway);
    return true;
  }

  /** The member in whose place we serve this gateway. */
  homeOf(name: string): ControllerAddress | undefined {
    const gateway = this.gateways.byName(name);
    const home = gateway === undefined ? undefined : this.#homes.get(this.#homeOf.get(gateway) ?? '');
    return home === undefined || addressKey(home) === addressKey(this.#parts.self()) ? undefined : home;
  }

  /** The gateway at this address. */
  gatewayAt(to: ControllerAddress): Gateway | undefined {
    for (const gateway of this.gateways.all())
      if (gateway.addresses().some(({ host, port }) => host === to.host && port === to.port)) return gateway;
    return undefined;
  }

  onCommand(command: MgcpCommand, flow: Flow, answer: Respond): void {
    const { transactionId, verb } = command;
    const reply = (code: number, comment: string, parameters: readonly Parameter[] = []) =>
      answer(respond(transactionId, code, comment, parameters));
    const from: ControllerAddress = { transport: 'udp', host: flow.remote.host, port: flow.remote.port };
    if (this.members.find(from) !== undefined) {
      reply(200, 'OK', [this.#servedMembers()]);
      return;
    }
    const gateway = this.#gatewayOf(command, flow);
    if (gateway === undefined) return;
    const critical = unknownCritical(command.parameters);
    if (critical !== undefined) {
      reply(511, `Unrecognized extension ${critical.code}`);
      return;
    }
    // Alive again before it is acted upon: commands to it may leave with this very answer.
    const isBack = this.gateways.heard(gateway);
    switch (verb) {
      case 'NTFY':
        this.#onNotify(command, gateway, reply);
        break;
      case 'RSIP':
        this.#onRestart(command, gateway, flow, reply);
        break;
      case 'DLCX':
        this.#onDelete(command, reply);
        break;
      default:
        // Also MESG, which no gateway depends on (RFC 3435 B.3).
        reply(504, 'Unknown or unsupported command');
    }
    if (isBack) this.#greet(gateway);
  }

  #onNotify(command: MgcpCommand, gateway: Gateway, reply: Reply): void {
    const observed = parameter(command, 'O');
    const events = observed === undefined ? undefined : readObservedEvents(observed);
    if (events === undefined || parameter(command, 'X') === undefined) {
      reply(510, 'ObservedEvents or RequestIdentifier missing or malformed');
      return;
    }
    // An empty Notify asks whether we live.
    if (events.length === 0) {
      reply(200, 'OK');
      return;
    }
    const endpoint = this.#endpointByName(command.endpoint);
    if (endpoint === undefined) {
      reply(500, 'Endpoint unknown');
      return;
    }
    const process = () => {
      // The answer first: what the events cause goes with it in one datagram (RFC 3435 §3.5.5, §4.4.1).
      reply(200, 'OK');
      this.#arm(endpoint);
      this.#onEvents(endpoint, events);
    };
    endpoint.isUnlisted = false;
    if (endpoint.owned) {
      process();
      return;
    }
    // Somebody else had this line until now. It is answered once we know what it was doing.
    this.ownership.came(gateway.name);
    this.#takeover.begin(this.#unownedOf(gateway));
    this.#takeover.whenKnown(endpoint, () => {
      if (endpoint.owned || this.#serves(gateway)) process();
    });
  }

  #onEvents(endpoint: Endpoint, events: readonly Signal[]): void {
    const { line } = endpoint;
    let digits = '';
    const dialled = () => {
      if (digits !== '') this.switchboard.dialled(line, digits);
      digits = '';
    };
    for (const { packageName, id, parameters } of events) {
      const code = id.toLowerCase();
      if (isDigitId(id) && (packageName ?? 'd').toLowerCase() === 'd') {
        digits += id.toUpperCase();
        continue;
      }
      dialled();
      if (code === 'hd' || code === 'hu') endpoint.disturb();
      if (code === 'hd') this.switchboard.offHook(line);
      else if (code === 'hu') this.switchboard.onHook(line);
      // Dial tone ended by itself: nobody dials (RFC 3660 §2.4).
      else if (code === 'oc' && parameters?.some((each) => /(^|\/)dl$/i.test(each)) === true)
        this.switchboard.incomplete(line);
      // Hook flash asks for services that are not offered; other events of a line say nothing about its call.
    }
    dialled();
    this.#driver.notified(endpoint);
  }

  /** RFC 3435 §2.3.12, §4.4.5 to §4.4.7. */
  #onRestart(command: MgcpCommand, gateway: Gateway, flow: Flow, reply: Reply): void {
    const method = (parameter(command, 'RM') ?? '').toLowerCase();
    const delaySeconds = Number(parameter(command, 'RD') ?? '0');
    const concerned = this.#covered(command.endpoint, gateway);
    if (this.ownership.isDraining) {
      const heir = this.ownership.heir();
      if (heir !== undefined) {
        reply(521, 'Redirect', [{ code: 'N', value: writeNotifiedEntity({ ...heir, user: 'ca' }) }]);
        return;
      }
    }
    const here = [{ code: 'N', value: this.#routing.notifiedEntity(flow) }];
    switch (method) {
      case 'restart':
        reply(200, 'OK', here);
        // Announced for later: it will say so again (§2.3.12).
        if (delaySeconds > 0) return;
        this.#restarted(command.endpoint, gateway, concerned);
        this.ownership.came(gateway.name);
        return;
      case 'disconnected':
        reply(200, 'OK', here);
        this.#takeover.begin(concerned);
        this.ownership.came(gateway.name);
        return;
      case 'forced':
        reply(200, 'OK');
        for (const endpoint of concerned) this.#takeOut(endpoint);
        return;
      case 'graceful':
        reply(200, 'OK');
        // Existing calls go on; no new ones begin or are sent there. The endpoints are in service until the gateway says more (§4.4.5).
        for (const { line } of concerned) if (line.inService) this.switchboard.lines.setLeaving(line, true);
        return;
      case 'cancel-graceful':
        reply(200, 'OK', here);
        for (const { line } of concerned) this.switchboard.lines.setLeaving(line, false);
        this.#takeover.begin(concerned.filter(({ owned, isUnlisted }) => !owned && !isUnlisted));
        if (isAllOf(readEndpointName(command.endpoint)?.local ?? ''))
          this.#list(command.endpoint, gateway, concerned, () => {});
        return;
      default:
        reply(536, 'Unknown or unsupported RestartMethod');
    }
  }

  /** Clean state; armed once the gateway has said which endpoints it has. Who restarts alone has spoken for itself. */
  #restarted(name: string, gateway: Gateway, endpoints: readonly Endpoint[]): void {
    for (const endpoint of endpoints) {
      this.#takeover.drop(endpoint);
      this.switchboard.lost(endpoint.line);
      endpoint.reset();
      endpoint.owned = true;
      endpoint.isUnlisted = false;
      endpoint.isUnarmed = true;
    }
    const arm = () => {
      for (const endpoint of endpoints) this.#arm(endpoint);
    };
    if (!isAllOf(readEndpointName(name)?.local ?? '')) {
      arm();
      return;
    }
    // Lines do not stay dead for long if the answer does not come.
    const cancel = this.#parts.services.clock.after(listingMs, arm);
    this.#list(name, gateway, endpoints, () => {
      cancel();
      arm();
    });
  }

  #arm(endpoint: Endpoint): void {
    if (!endpoint.isUnarmed || this.#stopped) return;
    endpoint.isUnarmed = false;
    this.switchboard.inService(endpoint.line, 'on');
    this.#driver.reconcile(endpoint);
  }

  /** One audit for all that the name covers; lines that the gateway does not have are taken out. */
  #list(name: string, gateway: Gateway, endpoints: readonly Endpoint[], done: () => void): void {
    if (endpoints.length === 0) return;
    // A list that was asked for before the gateway restarted again says nothing.
    const turn = {};
    this.#listings.set(gateway, turn);
    listEndpoints({ commands: this.#commands }, gateway, name, (has) => {
      if (this.#listings.get(gateway) !== turn) return;
      this.#listings.delete(gateway);
      const missing = endpoints.filter(
        ({ owned, line }) => has !== undefined && owned && !has(readEndpointName(line.endpoint)?.local ?? ''),
      );
      for (const endpoint of missing) {
        this.#takeOut(endpoint);
        endpoint.isUnlisted = true;
      }
      if (missing.length > 0)
        this.#parts.services.log.warn(
          {
            gateway: gateway.name,
            lines: missing.length,
            endpoints: missing.slice(0, 10).map(({ line }) => line.endpoint),
          },
          'the gateway does not have endpoints that are provisioned: not armed',
        );
      done();
    });
  }

  /** The gateway deleted a connection by itself, and names it (RFC 3435 §2.3.8). */
  #onDelete(command: MgcpCommand, reply: Reply): void {
    const endpoint = this.#endpointByName(command.endpoint);
    if (endpoint?.owned !== true) {
      reply(endpoint === undefined ? 500 : 200, endpoint === undefined ? 'Endpoint unknown' : 'OK');
      return;
    }
    const found = endpoint.deleted(parameter(command, 'I'), parameter(command, 'C'));
    if (found === 'other') reply(515, 'Incorrect connection id');
    else if (found === 'otherCall') reply(516, 'Incorrect call id');
    else reply(200, 'OK');
    if (found !== 'connection') return;
    endpoint.line.leg?.report({ kind: 'failed', reason: 'gatewayLost' });
    this.#driver.reconcile(endpoint);
  }

  /** Somebody calls a line that is another member's, or was a moment ago. */
  #claim(line: Line, ready: () => void): boolean {
    const endpoint = this.#endpoints.get(line);
    if (endpoint === undefined || endpoint.owned || endpoint.gateway.state === 'down') return false;
    this.#takeover.begin([endpoint]);
    this.#takeover.whenKnown(endpoint, ready);
    return true;
  }

  #takeOut(endpoint: Endpoint): void {
    this.#takeover.drop(endpoint);
    endpoint.reset();
    endpoint.owned = false;
    this.switchboard.outOfService(endpoint.line);
  }

  /** A command of ours had no answer, or no way. */
  #gatewayFailed(endpoint: Endpoint): void {
    const { gateway } = endpoint;
    const { clock } = this.#parts.services;
    endpoint.owned = false;
    if (gateway.state !== 'down' && clock.now() - gateway.lastHeardMs < this.transactions.timers.tMaxMs) {
      // It lives, but not for this command: what came of it must be asked.
      this.#takeOut(endpoint);
      this.#takeover.begin([endpoint]);
      return;
    }
    this.#liveness.failed(gateway);
    for (const each of this.#endpointsOf(gateway)) this.#takeOut(each);
  }

  #auditFailed(endpoint: Endpoint, code: number | undefined): void {
    if (code !== undefined) {
      this.#parts.services.log.warn({ endpoint: endpoint.line.endpoint, code }, 'line cannot be audited');
      this.#takeOut(endpoint);
      return;
    }
    this.#gatewayFailed(endpoint);
  }

  /** An audit that changes nothing; any answer, also an error, is a sign of life (RFC 3435 §2.3.10). */
  #ask(gateway: Gateway, done: (answered: boolean) => void): void {
    this.#commands.submit({
      peer: gateway,
      urgent: true,
      draft: () => audit(gateway),
      ended: (outcome) => done(outcome.kind === 'answered'),
    });
  }

  #learn(endpoint: Endpoint, learned?: (answered: boolean) => void): void {
    learnCapabilities({ commands: this.#commands }, endpoint.gateway, endpoint.line.endpoint, learned);
  }

  /** A gateway we had not heard of, or not for long. */
  #greet(gateway: Gateway): void {
    if (!this.#serves(gateway)) return;
    const [first] = this.#endpointsOf(gateway);
    if (first !== undefined) this.#learn(first);
    this.#takeover.begin(this.#unownedOf(gateway));
  }

  #relayOf(home: string): MgcpMediaRelay | undefined {
    const { relay } = this.#parts.config;
    const gateway = relay === undefined ? undefined : this.gateways.byName(relay);
    return gateway !== undefined && this.#homeOf.get(gateway) === home ? this.relay : undefined;
  }

  #serves(gateway: Gateway): boolean {
    return this.ownership.serves(gateway.name);
  }

  #servedHomes(): readonly ControllerAddress[] {
    return this.ownership.served().flatMap((home) => this.#homes.get(home) ?? []);
  }

  #gatewayOf(command: MgcpCommand, flow: Flow): Gateway | undefined {
    const domain = readEndpointName(command.endpoint)?.domain ?? '';
    const named = this.gateways.byName(domain);
    if (named !== undefined) return named.livesAt(flow.remote.host) ? named : undefined;
    // A gateway may call itself by its address.
    if (domain !== flow.remote.host) return undefined;
    for (const gateway of this.gateways.all()) if (gateway.livesAt(domain)) return gateway;
    return undefined;
  }

  #endpointByName(name: string): Endpoint | undefined {
    const line = this.switchboard.lines.byEndpoint(name);
    return line === undefined ? undefined : this.#endpoints.get(line);
  }

  #endpointsOf(gateway: Gateway): readonly Endpoint[] {
    return this.switchboard.lines
      .of(gateway.name)
      .map((line) => this.#endpoints.get(line))
      .filter((endpoint) => endpoint !== undefined);
  }

  #hasUnknownLines(): boolean {
    for (const { owned, isUnlisted } of this.#endpoints.values()) if (!owned && !isUnlisted) return true;
    return false;
  }

  #unownedOf(gateway: Gateway): readonly Endpoint[] {
    return this.#endpointsOf(gateway).filter(({ owned, isUnlisted }) => !owned && !isUnlisted);
  }

  #covered(name: string, gateway: Gateway): readonly Endpoint[] {
    const local = readEndpointName(name)?.local ?? '';
    return this.#endpointsOf(gateway).filter(({ line }) => covers(local, readEndpointName(line.endpoint)?.local ?? ''));
  }

  status(): Readonly<Record<string, unknown>> {
    let owned = 0;
    let unlisted = 0;
    for (const endpoint of this.#endpoints.values()) {
      if (endpoint.owned) owned += 1;
      if (endpoint.isUnlisted) unlisted += 1;
    }
    return {
      gateways: this.gateways.size,
      lines: this.switchboard.lines.size,
      linesServed: owned,
      linesUnlisted: unlisted,
      calls: this.switchboard.callCount,
      ...(this.relay === undefined
        ? {}
        : { relayedCalls: this.relay.size, relayEndpointsTaken: this.relay.endpointsTaken }),
      serves: this.#servedHomes().map(formatSocketAddress),
      commandsUnderWay: this.transactions.size,
      commandsWaiting: this.transactions.waiting,
      ...this.ownership.status(),
      draining: this.ownership.isDraining,
    };
  }
}

type Reply = (code: number, comment: string, parameters?: readonly Parameter[]) => void;

/** Lines of a restarted gateway are armed after this, even if it has not said yet which it has. */
const listingMs = 500;

/** An audit that asks for nothing. */
const audit = ({ name }: Gateway): Draft => ({ verb: 'AUEP', endpoint: `*@${name}`, parameters: [], sdp: [] });
