/**
 * The media gateway controller: what it makes of the commands that gateways send (RFC 3525 §7.2), and how it asks, audits and takes over.
 * Which gateways there are and which are ours is the core's GatewayController's, calls are its CallControl's.
 */
import {
  addressKey,
  type CommandOutcome,
  type ControllerAddress,
  type CoreServices,
  formatAddress,
  type Gateway,
  GatewayController,
  type GatewayProtocol,
  gatewayIn,
  type Line,
  LineDriver,
  type LineFailure,
  type Logger,
  type PathAttribute,
} from '../../src/internal.ts';
import { type Agent, Agents } from './agents.ts';
import { isForeign } from './audit.ts';
import {
  type ActionReply,
  type ActionRequest,
  type Command,
  type CommandReply,
  contextNull,
  type Encoding,
  failure,
  type ObservedEvent,
} from './codec/messages.ts';
import type { MegacoConfig, MegacoGatewayConfig } from './config.ts';
import { reportEvent } from './events.ts';
import { MegacoHandOver } from './hand-over.ts';
import { h248DigitMap } from './line-commands.ts';
import { type LineGatewayParts, type MegacoLineDriver, MegacoLineGateway, megacoLines } from './line-gateway.ts';
import { commandsFor, packagesIn, packagesQuestion } from './packages.ts';
import { Registrations } from './registration.ts';
import { accepts, chooseLocal } from './sdp.ts';
import { servicesOf } from './service-change.ts';
import { MegacoTakeover } from './takeover.ts';
import { terminationOf } from './termination.ts';
import { type IncomingRequest, type MegacoEndpoint, type MegacoResponse, remoteOf } from './transactions.ts';

export interface ControllerParts {
  readonly services: CoreServices;
  readonly log: Logger;
  readonly config: MegacoConfig;
  readonly endpoint: () => MegacoEndpoint;
  /** Our own address towards gateways. */
  self(): ControllerAddress;
  /** All of them. */
  addresses(): readonly ControllerAddress[];
  nextId(): number;
  /** What a message to this gateway says of our backups. */
  path(gateway: string): PathAttribute | undefined;
}

export class MegacoController implements GatewayProtocol<MegacoGatewayConfig> {
  readonly name = 'megaco';
  readonly controller: GatewayController<MegacoGatewayConfig>;
  readonly agents: Agents;
  readonly driver: MegacoLineDriver;
  readonly handOver: MegacoHandOver;
  readonly #parts: ControllerParts;
  readonly #takeover: MegacoTakeover;
  readonly #registrations: Registrations;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    const { services, config, log } = parts;
    const { clock, callControl } = services;
    this.agents = new Agents({ encoding: config.encoding, tHistMs: config.timers.tHistMs });
    const lineParts: LineGatewayParts = {
      log,
      agentOf: (line) => this.agents.byName(line.gateway),
      terminationOf,
      request: (agent, actions, ended) => this.#request(agent, actions, ended),
      digitMap: () => h248DigitMap(this.controller.digitMap),
      chooseLocal: (offer) => chooseLocal(config.payloadTypes, offer),
      failed: (agent, because) => this.#lost(agent, because),
    };
    this.driver = new LineDriver({
      clock,
      protocol: megacoLines(lineParts),
      gateway: new MegacoLineGateway(lineParts),
      lineProvider: () => this.controller.lineProvider,
    });
    this.#takeover = new MegacoTakeover({
      clock,
      log,
      takeoverMs: config.timers.takeoverMs,
      agents: this.agents,
      driver: this.driver,
      recovery: callControl.recovery,
      numbers: () => callControl.numbers(),
      controller: () => this.controller,
      handOver: () => this.handOver,
      request: (agent, actions, ended) => this.#request(agent, actions, ended),
      lost: (agent) => this.#lost(agent, 'silent'),
      forgetStale: (agent) => this.#forgetStale(agent),
      adopted: (agent) => this.#afterRegistration(agent),
    });
    this.#registrations = new Registrations({
      clock,
      log,
      version: config.version,
      driver: this.driver,
      takeover: this.#takeover,
      controller: () => this.controller,
      abandon: ({ gateway }) => parts.endpoint().abandon(gateway),
      depart: (agent) => this.#depart(agent),
      registered: (agent) => this.#afterRegistration(agent),
    });
    this.handOver = new MegacoHandOver({
      clock,
      log,
      agents: () => this.agents.all(),
      homeOf: (gateway) => this.controller.homeOf(gateway),
      endpoint: parts.endpoint,
      self: parts.self,
      path: parts.path,
      hasLink: () => this.controller.members.hasLink,
      lives: (controller) => this.#lives(addressKey(controller)),
      isOwnerBack: (gateway) => {
        const home = this.controller.homeOf(gateway);
        return home !== undefined && home !== addressKey(parts.self()) && this.#lives(home);
      },
      depart: (agents) => {
        // All of them before any of their lines: a call between two of them must not be taken down by the first.
        for (const agent of agents) agent.ours = false;
        this.#release(agents);
      },
      stayed: (agent) => {
        if (!this.controller.ownership.isDraining) this.#takeover.begin(agent, undefined);
      },
      refused: (agent) => this.#takeover.refused(agent),
      dropAudit: (agent) => this.#takeover.forget(agent),
      isAuditing: () => this.#takeover.isRunning,
      takeoverMs: config.timers.takeoverMs,
    });
    this.controller = new GatewayController({
      services,
      log,
      protocol: this,
      timers: config.timers,
      self: parts.self,
      addresses: parts.addresses,
      nextId: parts.nextId,
    });
  }

  stop(): void {
    this.driver.stop();
    this.handOver.stop();
    this.#takeover.stop();
  }

  /** Gateways and lines as configured; says what changed. */
  provision({ gateways, lines, digitMap }: MegacoConfig): readonly string[] {
    return this.controller.provision({
      gateways,
      lines: lines.map(({ number, termination }) => ({
        number,
        endpoint: termination,
        gateway: gatewayIn(termination),
      })),
      digitMap,
    });
  }

  configured(gateway: Gateway, settings: MegacoGatewayConfig): void {
    this.agents.add(gateway, settings);
  }

  located({ name }: Gateway, addresses: readonly ControllerAddress[]): void {
    const agent = this.agents.byName(name);
    if (agent !== undefined) this.agents.locate(agent, addresses);
  }

  removed({ name }: Gateway): void {
    const agent = this.agents.byName(name);
    if (agent !== undefined) this.agents.remove(agent);
  }

  lineAdded(): void {}

  lineWithdrawn(line: Line): Promise<void> {
    return new Promise((resolve) => {
      this.driver.whenSettled(line, () => {
        this.driver.forget(line);
        resolve();
      });
    });
  }

  serve(lines: readonly Line[]): void {
    const { lineProvider } = this.controller;
    for (const line of lines) {
      const isProvisioned = lineProvider.lines.byEndpoint(line.endpoint) === line;
      if (this.agents.byName(line.gateway)?.ours === true && !line.inService && isProvisioned)
        lineProvider.inService(line, 'on');
    }
  }

  #lives(key: string): boolean {
    const state = this.controller.members.byKey(key)?.state;
    return state === 'alive' || state === 'returning' || state === 'suspect';
  }

  /** A successor need not find out which encoding a gateway of ours speaks, where that is not what it is provisioned with. */
  hints(): Readonly<Record<string, string>> {
    const hints: Record<string, string> = {};
    for (const agent of this.agents.all())
      if (agent.ours && agent.isUnlikeProvisioned) hints[agent.name] = agent.format.encoding;
    return hints;
  }

  membersChanged(): void {
    for (const { hints } of this.controller.members.all())
      for (const [name, encoding] of hints) {
        const agent = this.agents.byName(name);
        if (agent !== undefined && !agent.ours && isEncoding(encoding)) agent.encoding.heard(encoding);
      }
    this.handOver.membersChanged();
  }

  askMember(partner: ControllerAddress, id: number): void {
    this.#parts.endpoint().ask(partner, id);
  }

  /** A gateway's request; the sender has been found already. */
  onRequest(agent: Agent, incoming: IncomingRequest): void {
    // What a gateway still sends to us while we hand it over is for its new controller: it will be repeated there (§11.5).
    // Nor do we know, after a pause of ours, who has served it meanwhile.
    if (this.handOver.isLeaving(agent) || !this.controller.ownership.isCertain) {
      incoming.ignore();
      return;
    }
    const { message, flow } = incoming;
    this.controller.gateways.heard(agent.gateway);
    agent.mId = message.mId;
    // A connection is its own way back (Annex D.2); datagrams go where the gateway said it listens.
    if (flow.reliable) agent.reachedAt(remoteOf(flow));
    this.#run(agent, incoming, flow.remote.host);
  }

  /** Commands one after the other; the reply leaves when the last has been dealt with, or at the first failure (§8.2.2). */
  #run(agent: Agent, incoming: IncomingRequest, host: string): void {
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
      this.#perform(agent, command, incoming, after, (reply) => {
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
    this.#parts.log.trace({ gateway: agent.name, host, commands: queue.length }, 'request');
  }

  /** `after` runs once the reply has left: no command may overtake the reply to a ServiceChange (error 505 else). */
  #perform(
    agent: Agent,
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
        else done(this.#registrations.announced(agent, plain, services, incoming, after));
        return;
      }
      case 'Notify': {
        const events = descriptors.flatMap((descriptor) =>
          descriptor.kind === 'ObservedEvents' ? descriptor.events : [],
        );
        if (!agent.ours) this.#takeover.begin(agent, undefined);
        const held = this.#takeover.hold(agent, () => this.#notified(agent, terminationId, events, () => done(plain)));
        if (held) return;
        this.#parts.log.warn({ gateway: agent.name }, 'too many events wait for an audit');
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

  #notified(agent: Agent, terminationId: string, events: readonly ObservedEvent[], done: () => void): void {
    const line = this.controller.lineProvider.lines.byEndpoint(`${terminationId}@${agent.name}`);
    if (line === undefined) {
      done();
      return;
    }
    if (events.length > 0) this.driver.eventSeen(line);
    for (const event of events) reportEvent(this.controller.lineProvider, this.#parts.log, line, event);
    // Not before what follows from the event is on the gateway: if we die until then, it is reported again, to a backup.
    this.driver.whenSettled(line, done);
  }

  /** A gateway that has not got our reply to its ServiceChange yet says 505, some say 504: it is asked again in a moment. */
  #request(
    agent: Agent,
    actions: readonly ActionRequest[],
    ended: (outcome: CommandOutcome<MegacoResponse>) => void,
  ): void {
    const { clock } = this.#parts.services;
    this.#parts.endpoint().request(
      agent.gateway,
      () => actions,
      (outcome) => {
        if (outcome.kind === 'answered' && agent.ours) this.controller.liveness.answered(agent.gateway);
        const code = outcome.kind === 'answered' ? outcome.response.reply.error?.code : undefined;
        const isEarly = (code === 505 || code === 504) && clock.now() - agent.oursSinceMs < earlyMs;
        if (isEarly && agent.ours) clock.after(repeatMs, () => this.#request(agent, actions, ended));
        else ended(outcome);
      },
    );
  }

  #depart(agent: Agent): void {
    agent.ours = false;
    for (const line of this.controller.lineProvider.lines.of(agent.name)) {
      this.driver.forget(line);
      this.controller.lineProvider.outOfService(line);
    }
  }

  #lost(agent: Agent, because: LineFailure): void {
    if (!agent.ours) return;
    if (because === 'silent') this.controller.liveness.failed(agent.gateway);
    else this.controller.gateways.failed(agent.gateway);
    this.#parts.log.warn({ gateway: agent.name, because }, 'gateway is lost');
    this.#depart(agent);
  }

  /**
   * It was commanded by another meanwhile, so what we know of it is old, and of every gateway that shares a call with it. Nothing is
   * sent about the old calls: their contexts may be somebody's.
   */
  #forgetStale(agent: Agent): void {
    const stale = new Set([agent]);
    for (const line of this.controller.lineProvider.lines.of(agent.name)) {
      const other = line.leg?.call;
      for (const each of other === undefined ? [] : [other.caller?.name, other.callee?.name]) {
        const owner = this.agents.byName(this.controller.lineProvider.lines.byNumber(each ?? '')?.gateway ?? '');
        if (owner !== undefined) stale.add(owner);
      }
    }
    this.#release([...stale]);
  }

  /** Their calls are somebody else's: nothing is sent, and a party whose gateway stays here goes on talking. */
  #release(agents: readonly Agent[]): void {
    const names = new Set(agents.map(({ name }) => name.toLowerCase()));
    for (const agent of agents) agent.ours = false;
    for (const agent of agents)
      for (const line of this.controller.lineProvider.lines.of(agent.name)) {
        this.driver.forget(line);
        this.controller.lineProvider.forget(line, (other) => !names.has(other.gateway.toLowerCase()));
      }
  }

  /** A line that is called while its gateway is on its way to us: the call waits for it for a while. */
  claim(line: Line, ready: () => void): boolean {
    const agent = this.agents.byName(line.gateway);
    if (agent === undefined || agent.gateway.state === 'down') return false;
    if (agent.ours && !this.#takeover.isAuditing(agent)) return false;
    const { clock } = this.#parts.services;
    const until = clock.now() + this.#parts.config.timers.takeoverMs;
    const look = (): void => {
      if (line.inService || clock.now() >= until) ready();
      else clock.after(claimMs, look);
    };
    clock.after(claimMs, look);
    return true;
  }

  /** What a gateway is given depends on the packages of its ROOT: the path attribute as a property, and a watch on our silence. */
  #afterRegistration(agent: Agent): void {
    const [line] = this.controller.lineProvider.lines.of(agent.name);
    const question = packagesQuestion(
      line && terminationOf(line),
      (line === undefined ? undefined : this.driver.observed(line).media?.contextId) ?? contextNull,
    );
    this.#request(agent, question, (outcome) => {
      if (outcome.kind !== 'answered' || !agent.ours) return;
      agent.packages = packagesIn(outcome.response.reply.actions);
      const commands = commandsFor(
        agent.packages,
        this.#parts.path(agent.name),
        this.#parts.config.timers.inactivityMs,
      );
      if (commands.length > 0) this.#request(agent, [{ contextId: contextNull, commands }], () => undefined);
    });
  }

  accepts(_line: Line, offer: string): boolean {
    return accepts(this.#parts.config.payloadTypes, offer);
  }

  /** Lines of gateways that another controller has, or that we have not heard of. */
  hasUnknownLines(): boolean {
    for (const agent of this.agents.all())
      if (
        (!agent.ours || this.#takeover.isAuditing(agent)) &&
        this.controller.lineProvider.lines.of(agent.name).some(({ inService }) => !inService)
      )
        return true;
    return false;
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
    return state === 'down' || this.agents.byName(name)?.ours === true;
  }

  back({ name }: Gateway): void {
    const agent = this.agents.byName(name);
    if (agent !== undefined && !agent.ours) this.#takeover.begin(agent, undefined);
  }

  silent({ name }: Gateway): void {
    const agent = this.agents.byName(name);
    if (agent !== undefined) this.#lost(agent, 'silent');
  }

  /** Calls that go on and gateways that have not left yet are waited for. */
  isDrained(): boolean {
    return this.handOver.leaving + this.controller.lineProvider.callCount === 0;
  }

  status(): Readonly<Record<string, unknown>> {
    return { gatewaysOurs: [...this.agents.all()].filter(({ ours }) => ours).length };
  }

  describe(gateway: Gateway): Readonly<Record<string, unknown>> {
    const { mId, ours, format } = this.agents.byName(gateway.name) ?? {};
    const addresses = gateway.addresses().map(formatAddress);
    return { addresses, mId, ours, encoding: format?.encoding, version: format?.version };
  }
}

const isEncoding = (text: string): text is Encoding => text === 'pretty' || text === 'compact' || text === 'binary';

/** How often a call looks whether the gateway of the called line has come. */
const claimMs = 50;

/** How long after a registration its reply may still be on the way, and how soon to ask again. */
const earlyMs = 10_000;
const repeatMs = 250;
