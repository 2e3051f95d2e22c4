/**
 * The call agent: what it makes of the commands that gateways send (RFC 3435 §2.3.4, §2.3.9), and how it asks, audits and takes over. Which
 * gateways there are and which are ours is the core's GatewayController's, calls are its CallControl's.
 */
import {
  type Audited,
  type AuditProtocol,
  type ControllerAddress,
  type ControllerNode,
  type ControlPeer,
  type CoreServices,
  dialledNumber,
  type Flow,
  type Gateway,
  GatewayController,
  type GatewayProtocol,
  type KeptMedia,
  type Line,
  LineDriver,
  type LineSnapshot,
  localTime,
  logEvent,
  type RecordHabit,
  type Unit,
} from '../../src/internal.ts';
import { auditOf, keepAlive } from './adapter.ts';
import { accepts, canPlayKeys, learnCapabilities, localConnectionOptions } from './capabilities.ts';
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
import type { MgcpConfig, MgcpGatewayConfig } from './config.ts';
import { Deferral } from './deferral.ts';
import { reportDeletion, reportEvents } from './events.ts';
import { GatewayCommands } from './gateway-commands.ts';
import { type MgcpLineDriver, MgcpLineGateway, mgcpLines } from './line-gateway.ts';
import { unrequested } from './line-results.ts';
import { MgcpMediaRelay } from './media-relay.ts';
import { unknownCritical } from './path.ts';
import { RecordPlaces, recordHabit, withRecords } from './record-place.ts';
import { Restarts } from './restart.ts';
import { Routing } from './routing.ts';
import { remoteOf, Senders } from './senders.ts';
import { heardServedMembers, servedMembers } from './served-members.ts';
import type { EndpointAudit } from './snapshot.ts';
import { auditLines, observedOf, refreshed } from './takeover.ts';
import { type Draft, type MgcpEndpoint, MgcpTransactions, type Respond, type TransactionUser } from './transactions.ts';
import { withUnnamedMedia } from './unnamed-media.ts';

export interface CallAgentParts {
  readonly services: CoreServices;
  readonly config: MgcpConfig;
  readonly node: ControllerNode<MgcpDatagram>;
  readonly endpoint: MgcpEndpoint;
}

export class CallAgent
  implements TransactionUser, GatewayProtocol<MgcpGatewayConfig, EndpointAudit>, AuditProtocol<EndpointAudit>
{
  readonly name = 'mgcp';
  readonly audits = this;
  readonly tellsCall = true;
  readonly controller: GatewayController<MgcpGatewayConfig, EndpointAudit>;
  readonly transactions: MgcpTransactions;
  readonly driver: MgcpLineDriver;
  readonly relay: MgcpMediaRelay | undefined;
  readonly #parts: CallAgentParts;
  readonly #senders: Senders;
  readonly #routing: Routing;
  readonly #commands: GatewayCommands;
  readonly #restarts: Restarts;
  #stopped = false;

  constructor(parts: CallAgentParts) {
    this.#parts = parts;
    const { services, config, node, endpoint } = parts;
    const { clock, log, callControl } = services;
    const { assembler } = node;
    this.#senders = new Senders({
      services,
      controller: () => this.controller,
      again: (command, flow) => this.transactions.onDatagram({ messages: [command] }, flow),
      // RFC 3435 §3.5.6: it shall not take us for dead meanwhile.
      pend: (to, { transactionId }) => this.#sendOnce(to, respond(transactionId, 100, 'Pending')),
    });
    this.transactions = new MgcpTransactions(clock, endpoint, assembler, this, new Deferral(services, this));
    this.#routing = new Routing({
      assembler,
      notifiedEntity: config.notifiedEntity,
      homeOf: ({ name }) => this.homeOf(name),
    });
    this.#commands = new GatewayCommands({
      log,
      transactions: () => this.transactions,
      hasPath: (gateway, flow) => this.#routing.hasPath(gateway, flow),
      probe: (gateway) => audit(gateway),
    });
    const places = new RecordPlaces({ log, records: callControl.records, commands: () => this.#commands });
    this.driver = new LineDriver({
      clock,
      protocol: mgcpLines,
      gateway: new MgcpLineGateway({
        log,
        quarantine: config.quarantine,
        localConnectionOptions: (gateway, dialect, offer) =>
          localConnectionOptions(this.#connectionOptions(gateway), gateway, dialect, offer),
        digitMap: () => this.controller.digitMap,
        localTime: ({ name }) => localTime(clock.wallNow(), this.controller.settingsOf(name)?.timeZone).join('/'),
        control: () => this.controller.control,
        places: () => places,
        commands: () => this.#commands,
        routing: (gateway, flow, dialect) => this.#routing.parameters(gateway, flow, dialect),
      }),
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
    this.#restarts = new Restarts({
      clock,
      log,
      routing: this.#routing,
      controller: () => this.controller,
      commands: () => this.#commands,
    });
    this.controller = new GatewayController({
      services,
      log,
      protocol: this,
      timers: config.timers,
      node,
    });
  }

  stop(): void {
    this.#stopped = true;
    this.relay?.stop();
    this.#restarts.stop();
    this.driver.stop();
    this.transactions.stop();
    this.#senders.stop();
  }

  configured(gateway: Gateway, { profile }: MgcpGatewayConfig): void {
    if (profile === 'media') gateway.dialect.add('media');
    else gateway.dialect.delete('media');
  }

  located(gateway: Gateway, addresses: readonly ControllerAddress[]): void {
    gateway.setAddresses(addresses);
    this.#senders.hostsChanged();
    if (this.controller.serves(gateway.name)) this.#takeUnknown(gateway);
  }

  removed(gateway: Gateway): void {
    this.#senders.hostsChanged();
    this.#restarts.forget(gateway);
  }

  onDatagram(datagram: MgcpDatagram, flow: Flow): void {
    const from = remoteOf(flow);
    const { members, probes, roaming } = this.controller;
    this.#parts.services.link?.noticeAbsence();
    if (members.find(from) !== undefined) {
      const [first] = datagram.messages;
      if (first?.kind === 'response') probes.heard(first.transactionId, from);
      heardServedMembers(members, from, datagram);
    } else if (roaming.size > 0) {
      for (const message of datagram.messages)
        if (message.kind === 'response') roaming.heard(message.transactionId, from);
    }
    this.transactions.onDatagram(datagram, flow);
  }

  senderOf(command: MgcpCommand, flow: Flow): string | undefined {
    return this.#senders.senderOf(command, flow);
  }

  trusts(peer: ControlPeer, flow: Flow): boolean {
    return this.#senders.trusts(peer, flow);
  }

  answersTo(flow: Flow): boolean {
    return this.#senders.answersTo(flow);
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

  onCommand(command: MgcpCommand, flow: Flow, answer: Respond): void {
    const { transactionId, verb } = command;
    const reply = (code: number, comment: string, parameters: readonly Parameter[] = []) =>
      answer(respond(transactionId, code, comment, parameters));
    if (this.controller.members.find(remoteOf(flow)) !== undefined) {
      reply(200, 'OK', [this.#servedMembers()]);
      return;
    }
    const gateway = this.#senders.gatewayOf(command, flow);
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
        reportDeletion(this.driver, this.#senders.lineOf(gateway, command), command, reply);
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
    const { lineProvider, ownership, takeover } = this.controller;
    const line = this.#senders.lineOf(gateway, command);
    if (line === undefined) {
      reply(500, 'Endpoint unknown');
      return;
    }
    const process = () => {
      // The answer first: what the events cause goes with it in one datagram (RFC 3435 §3.5.5, §4.4.1).
      reply(200, 'OK');
      this.#restarts.arm(line);
      reportEvents(lineProvider, this.driver, line, events);
      // In step mode every Notify asks for a new request (§4.4.1).
      const isStepped = this.#parts.config.quarantine === 'step' || gateway.dialect.has('noLoop');
      if (isStepped) this.driver.renew(line);
      else this.driver.apply(line);
    };
    line.isMissing = false;
    if (line.controlled) {
      process();
      return;
    }
    // Somebody else had this line until now. It is answered once we know what it was doing.
    ownership.came(gateway.name);
    this.#takeUnknown(gateway);
    takeover.whenKnown(line, () => {
      if (line.controlled || this.controller.serves(gateway.name)) process();
    });
  }

  #takeUnknown(gateway: Gateway): void {
    this.controller.takeover.begin(this.controller.control.unknownOn(gateway));
  }

  audit(gateway: Gateway, lines: readonly Line[], audited: Audited<EndpointAudit>): void {
    const { clock } = this.#parts.services;
    const parts = {
      commands: () => this.#commands,
      after: (ms: number, run: () => void) => clock.after(ms, () => this.#stopped || run()),
      learn: (of: Gateway, endpoint: string, learned: (answered: boolean) => void) =>
        learnCapabilities({ commands: this.#commands }, of, endpoint, learned),
    };
    auditLines(parts, gateway, lines, audited);
  }

  snapshots(audits: readonly EndpointAudit[]): ReadonlyMap<LineSnapshot, EndpointAudit> {
    const { lines } = this.controller.lineProvider;
    const endpointOf = (number: string) => lines.byNumber(number)?.endpoint;
    const { records } = this.#parts.services.callControl;
    const known = withUnnamedMedia(audits, { dialled: dialledNumber, endpointOf }).map((audit) => {
      const gateway = lines.byEndpoint(audit.endpoint)?.gateway;
      return records === undefined || gateway === undefined ? audit : withRecords(audit, gateway, records);
    });
    return new Map(known.map((each) => [each, each]));
  }

  /** Any gateway answers whoever asks (RFC 3435 §2.3.10). */
  pairable(): Iterable<Line> {
    const { control, lineProvider } = this.controller;
    return [...lineProvider.lines.all()].filter(
      (line) => !line.controlled && control.gatewayOf(line)?.state !== 'down',
    );
  }

  adopt(line: Line, audited: EndpointAudit, kept: KeptMedia | undefined): void {
    this.driver.adopt(line, observedOf(audited, kept));
    this.#restarts.known(line);
  }

  refresh(line: Line, audited: EndpointAudit): boolean {
    const before = this.driver.observed(line);
    const isStale = this.driver.isUnderWay(line);
    const observed = isStale ? before : refreshed(before, audited, line.desired.media?.callId);
    this.driver.observe(line, unrequested(observed));
    return observed.connection !== undefined;
  }

  unreachable(line: Line, code: number | undefined): void {
    const { control } = this.controller;
    if (code === undefined) {
      control.unanswered(line, true);
      return;
    }
    logEvent(this.#parts.services.log, 'lineNotAudited', { endpoint: line.endpoint, code });
    control.takeOut([line], { code: String(code), detail: `${line.endpoint} cannot be audited` });
    control.lookAgain(line);
  }

  /** A relay cannot be asked: calls that were taken over go on without it, so nothing on it is needed any more. */
  taking({ home, gateway }: Unit): void {
    const relay = this.controller.gateways.byName(this.#parts.config.relay ?? '');
    if (gateway === undefined && relay !== undefined && this.controller.homeOf(relay.name) === home)
      this.relay?.clearAll();
  }

  accepts(line: Line, offer: string): boolean {
    const gateway = this.controller.control.gatewayOf(line);
    return gateway === undefined || accepts(this.#connectionOptions(gateway), gateway, offer);
  }

  canPlayKeys(line: Line): boolean {
    const gateway = this.controller.control.gatewayOf(line);
    return gateway !== undefined && canPlayKeys(gateway);
  }

  recordHabit(line: Line, hasRemote: boolean): RecordHabit {
    const gateway = this.controller.control.gatewayOf(line);
    return gateway === undefined ? 'unknown' : recordHabit(gateway, hasRemote);
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
    const [first] = this.controller.control.of(gateway);
    if (first !== undefined) learnCapabilities({ commands: this.#commands }, gateway, first.endpoint);
    this.#takeUnknown(gateway);
  }

  #connectionOptions({ name }: Gateway): string {
    return this.controller.settingsOf(name)?.localConnectionOptions ?? this.#parts.config.localConnectionOptions;
  }

  askAt({ name, dialect }: Gateway, address: ControllerAddress, id: number): void {
    this.#sendOnce(address, { ...auditOf(address, id, name), pathless: dialect.has('noPath') });
  }

  redirect(gateway: Gateway): void {
    this.transactions.redirect(gateway);
  }

  askMember(partner: ControllerAddress, id: number): void {
    const message = keepAlive(this.#parts.node.self(), id);
    this.#sendOnce(partner, { ...message, parameters: [...message.parameters, this.#servedMembers()] });
  }

  #sendOnce(to: ControllerAddress, message: MgcpCommand | MgcpResponse): void {
    const { endpoint, node } = this.#parts;
    endpoint.transmitter.sendOnce(to, (flow) => node.assembler.octets({ messages: [message] }, flow));
  }

  #servedMembers(): Parameter {
    return servedMembers(this.controller.servedHomes(), this.controller.ownership.isDraining);
  }

  isDrained(): boolean {
    const { ownership, lineProvider } = this.controller;
    return ownership.heir() === undefined ? lineProvider.callCount === 0 : ownership.isHandedOver;
  }

  status(): Readonly<Record<string, unknown>> {
    return {
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

/** An audit that asks for nothing. */
const audit = ({ name }: Gateway): Draft => ({ verb: 'AUEP', endpoint: `*@${name}`, parameters: [], sdp: [] });
