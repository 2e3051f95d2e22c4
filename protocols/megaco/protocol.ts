/**
 * The media gateway controller: what it makes of the commands that gateways send (RFC 3525 §7.2), and how it asks, audits and takes over.
 * Which gateways there are and which are ours is the core's GatewayController's, calls are its CallControl's.
 */
import {
  type CommandOutcome,
  type ControllerAddress,
  type ControllerNode,
  type CoreServices,
  formatAddress,
  type Gateway,
  GatewayController,
  type GatewayProtocol,
  type Line,
  LineDriver,
  type Logger,
  type PathAttribute,
  type RecordHabit,
} from '../../src/internal.ts';
import { isForeign } from './audit.ts';
import {
  type ActionReply,
  type ActionRequest,
  type Command,
  type CommandReply,
  contextNull,
  type Encoding,
  failure,
  type MegacoMessage,
  type ObservedEvent,
} from './codec/messages.ts';
import type { MegacoConfig, MegacoGatewayConfig } from './config.ts';
import { Deferral } from './deferral.ts';
import { reportEvent } from './events.ts';
import { MegacoHandOver } from './hand-over.ts';
import { LineAbilities } from './line-abilities.ts';
import { h248DigitMap } from './line-commands.ts';
import { type LineGatewayParts, type MegacoLineDriver, MegacoLineGateway, megacoLines } from './line-gateway.ts';
import { type MediaGateway, MediaGateways } from './media-gateways.ts';
import { commandsFor, packagesIn, packagesQuestion } from './packages.ts';
import { RecordPlace, recordHabit } from './record-place.ts';
import { Registrations } from './registration.ts';
import { chooseLocal } from './sdp.ts';
import { servicesOf } from './service-change.ts';
import type { AuditedLine } from './snapshot.ts';
import { MegacoTakeover } from './takeover.ts';
import { terminationOf } from './termination.ts';
import { type IncomingRequest, type MegacoEndpoint, type MegacoResponse, remoteOf } from './transactions.ts';

export interface ControllerParts {
  readonly services: CoreServices;
  readonly log: Logger;
  readonly config: MegacoConfig;
  readonly node: ControllerNode<MegacoMessage>;
  readonly endpoint: () => MegacoEndpoint;
  /** What a message to this gateway says of our backups. */
  path(gateway: string): PathAttribute | undefined;
}

export class MegacoController implements GatewayProtocol<MegacoGatewayConfig, AuditedLine> {
  readonly name = 'megaco';
  readonly tellsCall = false;
  readonly controller: GatewayController<MegacoGatewayConfig, AuditedLine>;
  readonly arrivalMs: number;
  readonly mediaGateways: MediaGateways;
  readonly driver: MegacoLineDriver;
  readonly handOver: MegacoHandOver;
  readonly #parts: ControllerParts;
  readonly #abilities: LineAbilities;
  readonly #deferral: Deferral;
  readonly audits: MegacoTakeover;
  readonly #registrations: Registrations;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    const { services, config, log } = parts;
    const { clock, callControl } = services;
    const { takeoverMs } = config.timers;
    this.arrivalMs = takeoverMs;
    this.#deferral = new Deferral({ services, lines: () => this.controller.lineProvider.lines });
    this.mediaGateways = new MediaGateways({ encoding: config.encoding, tHistMs: config.timers.tHistMs });
    const mediaGatewayOf = (line: Line) => this.mediaGateways.byName(line.gateway);
    this.#abilities = new LineAbilities({
      payloadTypes: config.payloadTypes,
      mediaGatewayOf,
      timeZoneOf: (gateway) => this.controller.settingsOf(gateway)?.timeZone,
      wallNow: () => clock.wallNow(),
    });
    const lineParts: LineGatewayParts = {
      log,
      mediaGatewayOf,
      terminationOf,
      request: (mg, actions, ended) => this.#request(mg, actions, ended),
      digitMap: () => h248DigitMap(this.controller.digitMap),
      localTime: (line) => this.#abilities.localTime(line),
      chooseLocal: (offer, hasEvents) => chooseLocal(config.payloadTypes, offer, hasEvents),
      control: () => this.controller.control,
      notObeyed: (line) => this.#notObeyed(line),
      place: () => place,
    };
    const place = new RecordPlace({ ...lineParts, records: callControl.records });
    this.driver = new LineDriver({
      clock,
      protocol: megacoLines(lineParts),
      gateway: new MegacoLineGateway(lineParts),
      lineProvider: () => this.controller.lineProvider,
    });
    this.audits = new MegacoTakeover({
      clock,
      log,
      takeoverMs,
      mediaGateways: this.mediaGateways,
      driver: this.driver,
      records: callControl.records,
      numbers: () => callControl.diallable(),
      controller: () => this.controller,
      handOver: () => this.handOver,
      request: (mg, actions, ended) => this.#request(mg, actions, ended),
      forgetStale: (mg) => this.#forgetStale(mg),
      taken: (mg) => this.#afterRegistration(mg),
    });
    this.#registrations = new Registrations({
      clock,
      log,
      version: config.version,
      driver: this.driver,
      takeover: this.audits,
      controller: () => this.controller,
      abandon: ({ gateway }) => parts.endpoint().abandon(gateway),
      depart: (mg) => this.#depart(mg),
      registered: (mg) => this.#afterRegistration(mg),
    });
    this.handOver = new MegacoHandOver({
      clock,
      log,
      mediaGateways: this.mediaGateways,
      takeover: this.audits,
      controller: () => this.controller,
      endpoint: parts.endpoint,
      self: () => parts.node.self(),
      path: parts.path,
      takeoverMs,
    });
    this.controller = new GatewayController({
      services,
      log,
      protocol: this,
      timers: config.timers,
      node: parts.node,
    });
  }

  stop(): void {
    this.#deferral.stop();
    this.#registrations.stop();
    this.driver.stop();
    this.handOver.stop();
    this.audits.stop();
  }

  configured(gateway: Gateway, settings: MegacoGatewayConfig): void {
    this.mediaGateways.add(gateway, settings);
  }

  located({ name }: Gateway, addresses: readonly ControllerAddress[]): void {
    const mg = this.mediaGateways.byName(name);
    if (mg !== undefined) this.mediaGateways.locate(mg, addresses);
  }

  /** Requests went over this connection: now they go to where the gateway is provisioned, with what is open. */
  disconnected(from: ControllerAddress): void {
    const mg = this.mediaGateways.at(from);
    if (mg?.disconnected(from) === true) this.#parts.endpoint().redirect(mg.gateway);
  }

  removed({ name }: Gateway): void {
    const mg = this.mediaGateways.byName(name);
    if (mg !== undefined) this.mediaGateways.remove(mg);
  }

  /** A successor need not find out which encoding a gateway of ours speaks, where that is not what it is provisioned with. */
  hints(): Readonly<Record<string, string>> {
    const hints: Record<string, string> = {};
    for (const mg of this.mediaGateways.all())
      if (mg.controlled && mg.isUnlikeProvisioned) hints[mg.name] = mg.format.encoding;
    return hints;
  }

  membersChanged(): void {
    for (const { hints } of this.controller.members.all())
      for (const [name, encoding] of hints) {
        const mg = this.mediaGateways.byName(name);
        if (mg !== undefined && !mg.controlled && isEncoding(encoding)) mg.encoding.heard(encoding);
      }
    this.handOver.membersChanged();
  }

  askAt(_gateway: Gateway, address: ControllerAddress, id: number): void {
    this.#parts.endpoint().ask(address, id);
  }

  redirect(gateway: Gateway): void {
    this.#parts.endpoint().redirect(gateway);
  }

  askMember(partner: ControllerAddress, id: number): void {
    this.#parts.endpoint().ask(partner, id);
  }

  /** A gateway's request; the sender has been found already. */
  onRequest(mg: MediaGateway, incoming: IncomingRequest): void {
    // What a gateway still sends to us while we hand it over is for its new controller: it will be repeated there (§11.5).
    // Nor do we know, after a pause of ours, who has served it meanwhile.
    const { isLeaving, ownership } = this.controller;
    if (isLeaving || this.handOver.isLeaving(mg) || !ownership.isCertain) {
      incoming.ignore();
      return;
    }
    const { message, flow } = incoming;
    this.controller.gateways.heard(mg.gateway);
    mg.mId = message.mId;
    // A connection is its own way back (Annex D.2); datagrams go where the gateway said it listens.
    if (flow.reliable) mg.reachedAt(remoteOf(flow));
    this.#deferral.offer(mg.name, incoming, () => this.#run(mg, incoming, flow.remote.host));
  }

  /** Commands one after the other; the reply leaves when the last has been dealt with, or at the first failure (§8.2.2). */
  #run(mg: MediaGateway, incoming: IncomingRequest, host: string): void {
    const queue: (readonly [contextId: number, command: Command])[] = incoming.request.actions.flatMap(
      ({ contextId, commands }) => commands.map((command) => [contextId, command] as const),
    );
    const actions: { contextId: number; commands: CommandReply[]; error?: ActionReply['error'] }[] = [];
    const after: (() => void)[] = [];
    const next = (index: number): void => {
      const entry = queue[index];
      if (entry === undefined) {
        incoming.reply(actions);
        for (const run of after) run();
        return;
      }
      const [contextId, command] = entry;
      this.#perform(mg, command, incoming, after, (reply) => {
        const last = actions.at(-1);
        const action = last?.contextId === contextId ? last : { contextId, commands: [] };
        if (action !== last) actions.push(action);
        action.commands.push(reply);
        const failed = reply.descriptors.some(({ kind }) => kind === 'Error') && command.optional !== true;
        next(failed ? queue.length : index + 1);
      });
    };
    if (queue.length === 0) incoming.refuse(422, 'no command');
    else next(0);
    this.#parts.log.trace({ gateway: mg.name, host, commands: queue.length }, 'request');
  }

  /** `after` runs once the reply has left: no command may overtake the reply to a ServiceChange (error 505 else). */
  #perform(
    mg: MediaGateway,
    command: Command,
    incoming: IncomingRequest,
    after: (() => void)[],
    done: (reply: CommandReply) => void,
  ): void {
    const { verb, terminationId, descriptors } = command;
    const plain: CommandReply = { verb, terminationId, descriptors: [] };
    switch (verb) {
      case 'ServiceChange': {
        const services = servicesOf(descriptors);
        if (services === undefined) done(failure(plain, 442, 'no Services'));
        else done(this.#registrations.announced(mg, plain, services, incoming, after));
        return;
      }
      case 'Notify': {
        const events = descriptors.flatMap((descriptor) =>
          descriptor.kind === 'ObservedEvents' ? descriptor.events : [],
        );
        if (!mg.controlled) this.audits.begin(mg, undefined);
        const line = this.controller.lineProvider.lines.byEndpoint(`${terminationId}@${mg.name}`);
        if (line === undefined) {
          done(plain);
          return;
        }
        const { takeover } = this.controller;
        line.isMissing = false;
        if (mg.controlled && !line.controlled) takeover.begin([line]);
        if (takeover.whenKnown(line, () => this.#notified(line, events, () => done(plain)))) return;
        this.#parts.log.warn({ line: line.endpoint }, 'too many events wait for an audit');
        incoming.ignore();
        return;
      }
      case 'AuditValue':
      case 'AuditCapability':
        done(terminationId === 'ROOT' ? plain : failure(plain, 430, 'a controller has no terminations'));
        return;
      case 'Add':
      case 'Move':
      case 'Modify':
      case 'Subtract':
        done(failure(plain, 443, 'not for a controller'));
    }
  }

  #notified(line: Line, events: readonly ObservedEvent[], done: () => void): void {
    if (events.length > 0) this.driver.eventSeen(line);
    for (const event of events) reportEvent(this.controller.lineProvider, this.#parts.log, line, event);
    // Not before what follows from the event is on the gateway: if we die until then, it is reported again, to a backup.
    this.driver.whenSettled(line, done);
  }

  /** A gateway that has not got our reply to its ServiceChange yet says 505, some say 504: it is asked again in a moment. */
  #request(
    mg: MediaGateway,
    actions: readonly ActionRequest[],
    ended: (outcome: CommandOutcome<MegacoResponse>) => void,
  ): void {
    const { clock } = this.#parts.services;
    this.#parts.endpoint().request(
      mg.gateway,
      () => actions,
      (outcome) => {
        if (outcome.kind === 'answered' && mg.controlled) this.controller.liveness.answered(mg.gateway);
        const code = outcome.kind === 'answered' ? outcome.response.reply.error?.code : undefined;
        const isEarly = (code === 505 || code === 504) && clock.now() - mg.controlledSinceMs < earlyMs;
        if (isEarly && mg.controlled) clock.after(repeatMs, () => this.#request(mg, actions, ended));
        else ended(outcome);
      },
    );
  }

  #depart(mg: MediaGateway): void {
    const { control } = this.controller;
    mg.controlled = false;
    control.takeOut(control.of(mg.gateway));
  }

  lost({ name }: Gateway): void {
    const mg = this.mediaGateways.byName(name);
    if (mg !== undefined) mg.controlled = false;
  }

  /** 402 or 504: the gateway obeys another controller, or refuses commands for this line alone. An audit of ROOT tells which. */
  #notObeyed(line: Line): void {
    const { control } = this.controller;
    const mg = this.mediaGateways.byName(line.gateway);
    control.takeOut([line]);
    if (mg === undefined) return;
    this.ping(mg.gateway, (obeys) => {
      if (!mg.controlled) return;
      this.#parts.log.warn({ line: line.endpoint, gateway: mg.name, obeys }, 'the gateway does not take our command');
      if (obeys) control.lookAgain(line);
      else control.lost(mg.gateway);
    });
  }

  /**
   * It was commanded by another meanwhile, so what we know of it is old, and of every gateway that shares a call with it. Nothing is
   * sent about the old calls: their contexts may be somebody's.
   */
  #forgetStale(mg: MediaGateway): void {
    const { control, lineProvider } = this.controller;
    const stale = new Set([mg]);
    for (const { leg } of control.of(mg.gateway))
      for (const number of [leg?.call.caller?.name, leg?.call.callee?.name]) {
        const owner = this.mediaGateways.byName(lineProvider.lines.byNumber(number ?? '')?.gateway ?? '');
        if (owner !== undefined) stale.add(owner);
      }
    this.handOver.release([...stale]);
  }

  /** What a gateway is given depends on the packages of its ROOT: the path attribute as a property, and a watch on our silence. */
  #afterRegistration(mg: MediaGateway): void {
    const [line] = this.controller.lineProvider.lines.of(mg.name);
    const question = packagesQuestion(
      line && terminationOf(line),
      (line === undefined ? undefined : this.driver.observed(line).media?.contextId) ?? contextNull,
    );
    this.#request(mg, question, (outcome) => {
      if (outcome.kind !== 'answered' || !mg.controlled) return;
      mg.packages = packagesIn(outcome.response.reply.actions);
      const commands = commandsFor(mg.packages, this.#parts.path(mg.name), this.#parts.config.timers.inactivityMs);
      if (commands.length > 0) this.#request(mg, [{ contextId: contextNull, commands }], () => undefined);
    });
  }

  accepts(line: Line, offer: string): boolean {
    return this.#abilities.accepts(line, offer);
  }

  canPlayKeys(line: Line): boolean {
    return this.#abilities.canPlayKeys(line);
  }

  recordHabit({ gateway }: Line, hasRemote: boolean): RecordHabit {
    const mg = this.mediaGateways.byName(gateway);
    return mg === undefined ? 'unknown' : recordHabit(mg, hasRemote);
  }

  /** An audit that changes nothing. */
  ping(gateway: Gateway, done: (answered: boolean) => void): void {
    this.#parts.endpoint().request(
      gateway,
      () => [
        {
          contextId: contextNull,
          commands: [{ verb: 'AuditValue', terminationId: 'ROOT', descriptors: [{ kind: 'Audit', items: [] }] }],
        },
      ],
      (outcome) => done(outcome.kind === 'answered' && !isForeign(outcome.response.reply)),
    );
  }

  mayAsk({ name, state }: Gateway): boolean {
    return state === 'down' || this.mediaGateways.byName(name)?.controlled === true;
  }

  back({ name }: Gateway): void {
    const mg = this.mediaGateways.byName(name);
    if (mg !== undefined && !mg.controlled) this.audits.begin(mg, undefined);
  }

  /** Calls that go on and gateways that have not left yet are waited for. */
  isDrained(): boolean {
    return this.handOver.leaving + this.controller.lineProvider.callCount === 0;
  }

  status(): Readonly<Record<string, unknown>> {
    return { gatewaysOurs: [...this.mediaGateways.all()].filter(({ controlled }) => controlled).length };
  }

  describe(gateway: Gateway): Readonly<Record<string, unknown>> {
    const { mId, controlled, format } = this.mediaGateways.byName(gateway.name) ?? {};
    const addresses = gateway.addresses().map(formatAddress);
    return { addresses, mId, ours: controlled, encoding: format?.encoding, version: format?.version };
  }
}

const isEncoding = (text: string): text is Encoding => text === 'pretty' || text === 'compact' || text === 'binary';

/** How long after a registration its reply may still be on the way, and how soon to ask again. */
const earlyMs = 10_000;
const repeatMs = 250;
