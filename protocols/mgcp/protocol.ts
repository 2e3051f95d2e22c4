/**
 * The call agent: what it makes of the commands that gateways send (RFC 3435 §2.3.4, §2.3.9), and how it asks, audits and takes over. Which
 * gateways there are and which are ours is the core's GatewayController's, calls are its CallControl's.
 */
import {
  type Assembler,
  addressKey,
  type ControllerAddress,
  type ControlPeer,
  type CoreServices,
  type Flow,
  formatSocketAddress,
  type Gateway,
  GatewayController,
  type GatewayProtocol,
  type GatewayTransactions,
  gatewayIn,
  type Line,
  LineDriver,
  RateLimitedLog,
  type TransactionIds,
} from '../../src/internal.ts';
import { keepAlive } from './adapter.ts';
import { accepts, learnCapabilities, localConnectionOptions } from './capabilities.ts';
import {
  type MgcpCommand,
  type MgcpDatagram,
  type MgcpResponse,
  type Parameter,
  parameter,
  type Reply,
  respond,
} from './codec/messages.ts';
import { readObservedEvents } from './codec/values/events.ts';
import { readEndpointName } from './codec/values/names.ts';
import type { MgcpConfig, MgcpGatewayConfig } from './config.ts';
import type { Endpoint } from './endpoint.ts';
import { Endpoints } from './endpoints.ts';
import { reportDeletion, reportEvents } from './events.ts';
import { GatewayCommands } from './gateway-commands.ts';
import { MgcpHandOver } from './hand-over.ts';
import { type MgcpLineDriver, MgcpLineGateway, mgcpLines } from './line-gateway.ts';
import { MgcpMediaRelay } from './media-relay.ts';
import { unknownCritical } from './path.ts';
import { Restarts } from './restart.ts';
import { Routing } from './routing.ts';
import { heardServedMembers, servedMembers } from './served-members.ts';
import { MgcpTakeover } from './takeover.ts';
import { type Draft, MgcpTransactions, type Respond, type TransactionUser } from './transactions.ts';

export interface CallAgentParts {
  readonly services: CoreServices;
  readonly config: MgcpConfig;
  readonly assembler: Assembler<MgcpDatagram>;
  readonly outgoing: GatewayTransactions<MgcpResponse>;
  readonly ids: TransactionIds;
  /** The first bound address, as others reach us. */
  self(): ControllerAddress;
  /** All of them. */
  addresses(): readonly ControllerAddress[];
  sendOnce(to: ControllerAddress, datagram: MgcpDatagram): void;
}

export class CallAgent implements TransactionUser, GatewayProtocol<MgcpGatewayConfig> {
  readonly name = 'mgcp';
  readonly controller: GatewayController<MgcpGatewayConfig>;
  readonly transactions: MgcpTransactions;
  readonly driver: MgcpLineDriver;
  readonly handOver: MgcpHandOver;
  readonly relay: MgcpMediaRelay | undefined;
  readonly #parts: CallAgentParts;
  readonly #strangers: RateLimitedLog;
  readonly #routing: Routing;
  readonly #commands: GatewayCommands;
  readonly #takeover: MgcpTakeover;
  readonly #restarts: Restarts;
  readonly #endpoints = new Endpoints(() => this.controller.lineProvider.lines);
  #stopped = false;

  constructor(parts: CallAgentParts) {
    this.#parts = parts;
    const { services, config } = parts;
    const { clock, log, callControl } = services;
    this.#strangers = new RateLimitedLog(log, clock);
    this.transactions = new MgcpTransactions(clock, parts.outgoing, parts.assembler, this);
    this.#routing = new Routing({
      assembler: parts.assembler,
      notifiedEntity: config.notifiedEntity,
      homeOf: ({ name }) => this.homeOf(name),
    });
    this.#commands = new GatewayCommands({
      log,
      transactions: () => this.transactions,
      hasPath: (gateway, flow) => this.#routing.hasPath(gateway, flow),
      probe: (gateway) => audit(gateway),
    });
    const lineGateway = new MgcpLineGateway({
      log,
      quarantine: config.quarantine,
      localConnectionOptions: (gateway, dialect, offer) =>
        localConnectionOptions(this.#connectionOptions(gateway), gateway, dialect, offer),
      digitMap: () => this.controller.digitMap,
      endpointOf: (line) => this.#endpoints.of(line),
      commands: () => this.#commands,
      routing: ({ gateway }, flow, dialect) => this.#routing.parameters(gateway, flow, dialect),
      failed: (endpoint, because) => {
        if (because === 'silent') this.#gatewayFailed(endpoint);
        else this.#restarts.takeOut(endpoint);
      },
    });
    this.driver = new LineDriver({
      clock,
      protocol: mgcpLines,
      gateway: lineGateway,
      lineProvider: () => this.controller.lineProvider,
    });
    const { relay } = config;
    if (relay !== undefined)
      this.relay = new MgcpMediaRelay({
        clock,
        log,
        localConnectionOptions: (gateway) =>
          localConnectionOptions(this.#connectionOptions(gateway), gateway, new Set()),
        gateway: () => this.controller.gateways.byName(relay),
        commands: () => this.#commands,
      });
    this.#takeover = new MgcpTakeover({
      log,
      driver: this.driver,
      lineProvider: () => this.controller.lineProvider,
      recovery: callControl.recovery,
      commands: () => this.#commands,
      after: (ms, run) => clock.after(ms, () => this.#stopped || run()),
      endpointByName: (name) => this.#endpoints.byName(name),
      endpoints: () => this.#endpoints.all(),
      learn: (endpoint, learned) => this.#learn(endpoint, learned),
      adopted: ({ gateway }) => this.controller.ownership.came(gateway.name),
      unreachable: (endpoint, code) => this.#auditFailed(endpoint, code),
    });
    this.#restarts = new Restarts({
      clock,
      log,
      endpoints: this.#endpoints,
      routing: this.#routing,
      driver: this.driver,
      takeover: this.#takeover,
      lineProvider: () => this.controller.lineProvider,
      ownership: () => this.controller.ownership,
      commands: () => this.#commands,
    });
    this.handOver = new MgcpHandOver({
      log,
      takeover: this.#takeover,
      driver: this.driver,
      lineProvider: () => this.controller.lineProvider,
      endpoints: this.#endpoints,
      homeOf: ({ name }) => this.controller.homeOf(name),
      relayOf: (home) => (this.#homeOfRelay() === home ? this.relay : undefined),
    });
    this.controller = new GatewayController({
      services,
      log,
      protocol: this,
      timers: config.timers,
      self: () => parts.self(),
      addresses: () => parts.addresses(),
      nextId: () => parts.ids.unguessable(),
    });
  }

  stop(): void {
    this.#stopped = true;
    this.relay?.stop();
    this.#restarts.stop();
    this.driver.stop();
    this.transactions.stop();
    this.#strangers.close();
  }

  /** Gateways and lines as configured; says what changed. */
  provision({ gateways, lines, digitMap }: MgcpConfig): readonly string[] {
    return this.controller.provision({
      gateways,
      lines: lines.map(({ number, endpoint }) => ({ number, endpoint, gateway: gatewayIn(endpoint) })),
      digitMap,
    });
  }

  configured(gateway: Gateway, { profile }: MgcpGatewayConfig): void {
    if (profile === 'media') gateway.dialect.add('media');
    else gateway.dialect.delete('media');
  }

  located(gateway: Gateway, addresses: readonly ControllerAddress[]): void {
    gateway.setAddresses(addresses);
    if (this.controller.serves(gateway.name)) this.#takeover.begin(this.#endpoints.unknownOn(gateway));
  }

  removed(gateway: Gateway): void {
    this.#restarts.forget(gateway);
  }

  lineAdded(line: Line, gateway: Gateway): void {
    this.#endpoints.add(line, gateway);
  }

  lineWithdrawn(line: Line): undefined {
    const endpoint = this.#endpoints.of(line);
    if (endpoint !== undefined) this.#takeover.drop(endpoint);
    // It is left idle first.
    this.driver.whenSettled(line, () => {
      this.driver.forget(line);
      this.#endpoints.remove(line);
    });
  }

  serve(lines: readonly Line[]): void {
    const endpoints = lines.map((line) => this.#endpoints.of(line)).filter((endpoint) => endpoint !== undefined);
    this.#takeover.begin(endpoints.filter(({ gateway }) => this.controller.serves(gateway.name)));
  }

  onDatagram(datagram: MgcpDatagram, flow: Flow): void {
    const from = remoteOf(flow);
    const { members, probes } = this.controller;
    this.#parts.services.link?.noticeAbsence();
    if (members.find(from) !== undefined) {
      const [first] = datagram.messages;
      if (first?.kind === 'response') probes.heard(first.transactionId, from);
      heardServedMembers(members, from, datagram);
    }
    this.transactions.onDatagram(datagram, flow);
  }

  /** RFC 3435 §3.5.2: gateways number their commands by domain. */
  senderOf(command: MgcpCommand, flow: Flow): string | undefined {
    const from = remoteOf(flow);
    const { members, ownership } = this.controller;
    if (members.find(from) !== undefined) return `partner ${addressKey(from)}`;
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
    if (!ownership.isCertain) return undefined;
    if (ownership.isReleased(gateway.name) && command.verb !== 'RSIP') return undefined;
    return gateway.name;
  }

  trusts(peer: ControlPeer, flow: Flow): boolean {
    const gateway = this.controller.gateways.byName(peer.name);
    if (gateway === undefined || !gateway.livesAt(flow.remote.host)) return false;
    this.controller.liveness.answered(gateway);
    return true;
  }

  /** The member in whose place we serve this gateway. */
  homeOf(name: string): ControllerAddress | undefined {
    return this.controller.standsInFor(name);
  }

  /** The gateway at this address. */
  gatewayAt(to: ControllerAddress): Gateway | undefined {
    for (const gateway of this.controller.gateways.all())
      if (gateway.addresses().some(({ host, port }) => host === to.host && port === to.port)) return gateway;
    return undefined;
  }

  /** What is provisioned can have so much open within T-HIST, and nobody else has anything. */
  maxReplies(): number {
    const { gateways, lineProvider } = this.controller;
    return 1_000 + 100 * gateways.size + 20 * lineProvider.lines.size;
  }

  onCommand(command: MgcpCommand, flow: Flow, answer: Respond): void {
    const { transactionId, verb } = command;
    const reply = (code: number, comment: string, parameters: readonly Parameter[] = []) =>
      answer(respond(transactionId, code, comment, parameters));
    if (this.controller.members.find(remoteOf(flow)) !== undefined) {
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
    const isBack = this.controller.gateways.heard(gateway);
    switch (verb) {
      case 'NTFY':
        this.#onNotify(command, gateway, reply);
        break;
      case 'RSIP':
        this.#restarts.onRestart(command, gateway, flow, reply);
        break;
      case 'DLCX':
        reportDeletion(this.driver, this.#endpoints.byName(command.endpoint), command, reply);
        break;
      default:
        // Also MESG, which no gateway depends on (RFC 3435 B.3).
        reply(504, 'Unknown or unsupported command');
    }
    if (isBack) this.back(gateway);
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
    const endpoint = this.#endpoints.byName(command.endpoint);
    if (endpoint === undefined) {
      reply(500, 'Endpoint unknown');
      return;
    }
    const process = () => {
      // The answer first: what the events cause goes with it in one datagram (RFC 3435 §3.5.5, §4.4.1).
      reply(200, 'OK');
      this.#restarts.arm(endpoint);
      reportEvents(this.controller.lineProvider, this.driver, endpoint.line, events);
      // In step mode every Notify asks for a new request (§4.4.1).
      const isStepped = this.#parts.config.quarantine === 'step' || gateway.dialect.has('noLoop');
      if (isStepped) this.driver.renew(endpoint.line);
      else this.driver.apply(endpoint.line);
    };
    endpoint.isUnlisted = false;
    if (endpoint.owned) {
      process();
      return;
    }
    // Somebody else had this line until now. It is answered once we know what it was doing.
    this.controller.ownership.came(gateway.name);
    this.#takeover.begin(this.#endpoints.unknownOn(gateway));
    this.#takeover.whenKnown(endpoint, () => {
      if (endpoint.owned || this.controller.serves(gateway.name)) process();
    });
  }

  /** Somebody calls a line that is another member's, or was a moment ago. */
  claim(line: Line, ready: () => void): boolean {
    const endpoint = this.#endpoints.of(line);
    if (endpoint === undefined || endpoint.owned || endpoint.gateway.state === 'down') return false;
    this.#takeover.begin([endpoint]);
    this.#takeover.whenKnown(endpoint, ready);
    return true;
  }

  accepts(line: Line, offer: string): boolean {
    const gateway = this.#endpoints.of(line)?.gateway;
    return gateway === undefined || accepts(this.#connectionOptions(gateway), gateway, offer);
  }

  hasUnknownLines(): boolean {
    return this.#endpoints.hasUnknown();
  }

  /** A command of ours had no answer, or no way. */
  #gatewayFailed(endpoint: Endpoint): void {
    const { gateway } = endpoint;
    endpoint.owned = false;
    const quietMs = this.#parts.services.clock.now() - gateway.lastHeardMs;
    if (gateway.state !== 'down' && quietMs < this.transactions.timers.tMaxMs) {
      // It lives, but not for this command: what came of it must be asked.
      this.#restarts.takeOut(endpoint);
      this.#takeover.begin([endpoint]);
      return;
    }
    this.controller.liveness.failed(gateway);
    for (const each of this.#endpoints.on(gateway)) this.#restarts.takeOut(each);
  }

  #auditFailed(endpoint: Endpoint, code: number | undefined): void {
    if (code === undefined) {
      this.#gatewayFailed(endpoint);
      return;
    }
    this.#parts.services.log.warn({ endpoint: endpoint.line.endpoint, code }, 'line cannot be audited');
    this.#restarts.takeOut(endpoint);
  }

  /** Any answer, also an error, is a sign of life (RFC 3435 §2.3.10). */
  ping(gateway: Gateway, done: (answered: boolean) => void): void {
    this.#commands.submit({
      peer: gateway,
      urgent: true,
      draft: () => audit(gateway),
      ended: (outcome) => done(outcome.kind === 'answered'),
    });
  }

  mayAsk(): boolean {
    return true;
  }

  /** A gateway we had not heard of, or not for long. */
  back(gateway: Gateway): void {
    if (!this.controller.serves(gateway.name)) return;
    const [first] = this.#endpoints.on(gateway);
    if (first !== undefined) this.#learn(first);
    this.#takeover.begin(this.#endpoints.unknownOn(gateway));
  }

  silent(gateway: Gateway): void {
    const [endpoint] = this.#endpoints.on(gateway);
    if (endpoint !== undefined) this.#gatewayFailed(endpoint);
  }

  #learn(endpoint: Endpoint, learned?: (answered: boolean) => void): void {
    learnCapabilities({ commands: this.#commands }, endpoint.gateway, endpoint.line.endpoint, learned);
  }

  #connectionOptions({ name }: Gateway): string {
    return this.controller.settingsOf(name)?.localConnectionOptions ?? this.#parts.config.localConnectionOptions;
  }

  #homeOfRelay(): string | undefined {
    const gateway = this.controller.gateways.byName(this.#parts.config.relay ?? '');
    return gateway && this.controller.homeOf(gateway.name);
  }

  askMember(partner: ControllerAddress, id: number): void {
    const message = keepAlive(this.#parts.self(), id);
    const whole = { ...message, parameters: [...message.parameters, this.#servedMembers()] };
    this.#parts.sendOnce(partner, { messages: [whole] });
  }

  membersChanged(): void {}

  hints(): Readonly<Record<string, string>> {
    return {};
  }

  #servedMembers(): Parameter {
    return servedMembers(this.controller.servedHomes(), this.controller.ownership.isDraining);
  }

  #gatewayOf(command: MgcpCommand, flow: Flow): Gateway | undefined {
    const domain = readEndpointName(command.endpoint)?.domain ?? '';
    const named = this.controller.gateways.byName(domain);
    if (named !== undefined) return named.livesAt(flow.remote.host) ? named : undefined;
    // A gateway may call itself by its address.
    if (domain !== flow.remote.host) return undefined;
    for (const gateway of this.controller.gateways.all()) if (gateway.livesAt(domain)) return gateway;
    return undefined;
  }

  isDrained(): boolean {
    const { ownership, lineProvider } = this.controller;
    return ownership.heir() === undefined ? lineProvider.callCount === 0 : ownership.isHandedOver;
  }

  status(): Readonly<Record<string, unknown>> {
    return {
      ...this.#endpoints.status(),
      ...(this.relay === undefined
        ? {}
        : { relayedCalls: this.relay.size, relayEndpointsTaken: this.relay.endpointsTaken }),
      commandsUnderWay: this.transactions.size,
      commandsWaiting: this.transactions.waiting,
    };
  }

  describe({ dialect }: Gateway): Readonly<Record<string, unknown>> {
    return { dialect: [...dialect] };
  }
}

const remoteOf = ({ remote }: Flow): ControllerAddress => ({ transport: 'udp', host: remote.host, port: remote.port });

/** An audit that asks for nothing. */
const audit = ({ name }: Gateway): Draft => ({ verb: 'AUEP', endpoint: `*@${name}`, parameters: [], sdp: [] });
