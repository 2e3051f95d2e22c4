/**
 * The media gateway controller: gateways register and report, lines call each other, and gateways of a controller that died are taken
 * over by audit. Decisions about calls are the core's Switchboard's; what H.248 needs for them is here.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  AuditTakeover,
  addressKey,
  type Cancel,
  type CommandOutcome,
  type ControllerAddress,
  type CoreServices,
  defaultHome,
  type Gateway,
  GatewayLiveness,
  GatewayNames,
  GatewayOwnership,
  type Line,
  type LineProvision,
  type Logger,
  lineChanges,
  type Members,
  type PathAttribute,
  Switchboard,
} from '../../src/internal.ts';
import { type Agent, Agents } from './agents.ts';
import { auditGateway, isForeign } from './audit.ts';
import { type AuditedLine, auditedLine, hasLooseEnd, lineSnapshot, playedPackages } from './audit-picture.ts';
import type { MegacoConfig, MegacoLineConfig } from './config.ts';
import { MegacoHandOver } from './hand-over.ts';
import { fromH248Digits, h248DigitMap } from './line-commands.ts';
import { MegacoLineDriver } from './line-driver.ts';
import {
  type ActionReply,
  type ActionRequest,
  type Command,
  type CommandReply,
  contextNull,
  type Encoding,
  type MId,
  type ObservedEvent,
  type ServiceChangeDescriptor,
} from './messages.ts';
import { addressMId } from './mid.ts';
import { commandsFor, packagesIn, packagesQuestion } from './packages.ts';
import { digest } from './request-ids.ts';
import { chooseLocal } from './sdp.ts';
import { type Announcement, announcementOf, registrationReply, servicesOf } from './service-change.ts';
import { matchesTermination } from './termination-pattern.ts';
import { type IncomingRequest, type MegacoEndpoint, type MegacoResponse, remoteOf } from './transaction.ts';

export interface ControllerParts {
  readonly services: CoreServices;
  readonly log: Logger;
  readonly config: MegacoConfig;
  readonly endpoint: () => MegacoEndpoint;
  /** Our own address towards gateways. */
  self(): ControllerAddress;
  /** What a message to this gateway says of our backups. */
  path(gateway: string): PathAttribute | undefined;
  members(): Members;
}

export class MegacoController {
  readonly agents: Agents;
  readonly switchboard: Switchboard;
  readonly ownership: GatewayOwnership;
  readonly #parts: ControllerParts;
  readonly #names: GatewayNames;
  readonly #liveness: GatewayLiveness;
  readonly #driver: MegacoLineDriver;
  readonly #terminations = new Map<Line, string>();
  readonly #byTermination = new Map<string, Line>();
  readonly #audits: AuditTakeover<readonly AuditedLine[]>;
  /** What the gateways of the round have said so far. */
  readonly #pictures = new Map<string, readonly AuditedLine[]>();
  /** Gateways that are awaited from the dead controller: how to go on without them. */
  readonly #awaited = new Map<string, Awaited>();
  readonly #handOver: MegacoHandOver;
  /** Audits under way. */
  #auditing = 0;
  /** Questions under way whether a gateway's own controller lives. */
  #judging = 0;
  /** Alternatives beyond the numbers that are known. */
  #digitMap: readonly string[] = [];

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    const { services, config, log } = parts;
    this.agents = new Agents(services.clock, { encoding: config.encoding, tHistMs: config.timers.tHistMs });
    this.#liveness = new GatewayLiveness({
      clock: services.clock,
      log,
      registry: this.agents.registry,
      quietMs: config.timers.gatewayQuietMs,
      serves: ({ name, state }) =>
        this.ownership.serves(name) && (state === 'down' || this.agents.byName(name)?.ours === true),
      ping: (gateway, done) => this.#ping(gateway, done),
      back: (gateway) => {
        const agent = this.agents.byName(gateway.name);
        if (agent !== undefined && !agent.ours) this.#takeOver(agent, undefined);
      },
      silent: ({ name }) => {
        const agent = this.agents.byName(name);
        if (agent !== undefined) this.#lost(agent, 'silent');
      },
    });
    this.#driver = new MegacoLineDriver({
      log,
      agentOf: (line) => this.agents.byName(line.gateway),
      terminationOf: (line) => this.#terminations.get(line) ?? '',
      request: (agent, actions, ended) => this.#request(agent, actions, ended),
      digitMap: () => h248DigitMap(services.callControl.numberingPlan(this.#digitMap).digitMap),
      chooseLocal: chooseLocal(config.payloadTypes),
      mediaReady: (line, callId, local) => this.switchboard.mediaReady(line, callId, local),
      refused: (line, reason) => this.switchboard.refused(line, reason),
      lost: (agent, because) => this.#lost(agent, because),
    });
    this.switchboard = new Switchboard({
      clock: services.clock,
      log,
      metrics: services.metrics,
      locations: services.locations,
      callControl: services.callControl,
      protocol: 'megaco',
      driver: this.#driver,
      claim: (line, ready) => this.#claim(line, ready),
      hasUnknownLines: () => this.#hasUnknownLines(),
      timers: { noAnswerMs: config.timers.noAnswerMs, diallingMs: config.timers.diallingMs },
    });
    this.#audits = new AuditTakeover({
      audit: (name, answer) => this.#audit(name, answer),
      completed: ({ snapshots }) => this.#rebuild(snapshots),
      maxHeld: 10_000,
    });
    this.#names = new GatewayNames({
      ...services,
      log,
      located: (name, addresses) => {
        const agent = this.agents.byName(name);
        if (agent !== undefined) this.agents.locate(agent, addresses);
      },
    });
    const homeOf = (name: string): string | undefined => this.#homeOf(name);
    this.#handOver = new MegacoHandOver({
      clock: services.clock,
      log,
      agents: () => this.agents.all(),
      homeOf,
      endpoint: parts.endpoint,
      self: parts.self,
      path: parts.path,
      hasLink: () => parts.members().hasLink,
      lives: (controller) => this.#lives(addressKey(controller)),
      isOwnerBack: (gateway) => {
        const home = homeOf(gateway);
        return home !== undefined && home !== addressKey(parts.self()) && this.#lives(home);
      },
      depart: (agents) => {
        // All of them before any of their lines: a call between two of them must not be taken down by the first.
        for (const agent of agents) agent.ours = false;
        this.#release(agents);
      },
      stayed: (agent) => {
        if (!this.ownership.isDraining) this.#takeOver(agent, undefined);
      },
      refused: (agent) => {
        const awaited = this.#awaited.get(agent.name);
        if (awaited === undefined) return;
        awaited.refuses = true;
        this.#awaitNoMore();
      },
      dropAudit: ({ name }) => this.#dropAudit(name),
      isAuditing: () => this.#audits.isRunning,
      takeoverMs: config.timers.takeoverMs,
    });
    this.ownership = new GatewayOwnership({
      clock: services.clock,
      log,
      members: parts.members,
      handOver: this.#handOver,
      self: parts.self,
      order: services.cluster.order,
      alternates: services.cluster.backups,
      homeOf,
      holdMs: config.timers.holdMs,
      startGraceMs: config.timers.startGraceMs,
    });
    for (const gateway of config.gateways) this.agents.add(gateway);
    for (const line of config.lines) this.addLine(line);
    this.#digitMap = config.digitMap;
  }

  /** Homes follow from our own address, which is known once sockets are bound. */
  #homeOf(name: string): string | undefined {
    const home = this.#homeAddress(name);
    return home && addressKey(home);
  }

  #homeAddress(name: string): ControllerAddress | undefined {
    const agent = this.agents.byName(name);
    return agent && (agent.home ?? defaultHome(this.#parts.services.cluster, this.#parts.self()));
  }

  /** The member in whose place we serve this gateway. */
  standsInFor(name: string): ControllerAddress | undefined {
    const home = this.#homeAddress(name);
    return home === undefined || addressKey(home) === addressKey(this.#parts.self()) ? undefined : home;
  }

  #lives(key: string): boolean {
    const state = this.#parts.members().byKey(key)?.state;
    return state === 'alive' || state === 'returning' || state === 'suspect';
  }

  /** What a successor need not find out: which encoding each gateway of ours speaks, where that is not what it is provisioned with. */
  hints(): Readonly<Record<string, string>> {
    const hints: Record<string, string> = {};
    for (const agent of this.agents.all())
      if (agent.ours && agent.isUnlikeProvisioned) hints[agent.name] = agent.format.encoding;
    return hints;
  }

  /** What members say or do is different now. */
  membersChanged(): void {
    for (const { hints } of this.#parts.members().all())
      for (const [name, encoding] of hints) {
        const agent = this.agents.byName(name);
        if (agent !== undefined && !agent.ours && isEncoding(encoding)) agent.encoding.heard(encoding);
      }
    this.#handOver.membersChanged();
    this.ownership.evaluate();
  }

  start(): void {
    for (const { name, addresses } of this.#parts.config.gateways) this.#names.watch(name, addresses);
    this.#addHomes();
    this.ownership.start();
    this.#liveness.start();
  }

  #addHomes(): void {
    for (const { name } of this.agents.all()) this.ownership.addHome(this.#homeOf(name) ?? '');
  }

  stop(): void {
    this.#liveness.stop();
    this.ownership.stop();
    this.#handOver.stop();
    for (const { timer } of this.#awaited.values()) timer();
    this.switchboard.stop();
    this.#names.stop();
  }

  /** Freshly read configuration: new gateways and lines are served from now on, lines that are gone no more. */
  reload(config: MegacoConfig): readonly string[] {
    const changes: string[] = [];
    const wanted = new Set(config.gateways.map(({ name }) => name.toLowerCase()));
    for (const gateway of config.gateways) {
      const known = this.agents.byName(gateway.name);
      if (known !== undefined && isDeepStrictEqual(known.config, gateway)) continue;
      this.agents.add(gateway);
      this.#names.watch(gateway.name, gateway.addresses);
      changes.push(`gateway ${gateway.name} ${known === undefined ? 'added' : 'changed'}`);
    }
    const removed = [...this.agents.all()].filter(({ name }) => !wanted.has(name.toLowerCase()));
    for (const agent of removed) {
      this.#names.forget(agent.name);
      this.#liveness.forget(agent.gateway);
      this.agents.remove(agent);
      changes.push(`gateway ${agent.name} removed`);
    }
    this.#addHomes();
    const changed = lineChanges(this.switchboard.lines.all(), config.lines.map(provisionOf));
    const leaving: Promise<void>[] = [];
    for (const line of changed.gone) {
      this.switchboard.withdraw(line);
      this.#byTermination.delete(line.endpoint.toLowerCase());
      leaving.push(
        new Promise((resolve) => {
          this.#driver.whenSettled(line, () => {
            this.#driver.forget(line);
            this.#terminations.delete(line);
            resolve();
          });
        }),
      );
    }
    const added = changed.fresh.map((provision) => this.#add(provision));
    this.#digitMap = config.digitMap;
    // What was at a termination leaves before what comes is armed.
    void Promise.all(leaving).then(() => {
      for (const line of added)
        if (this.agents.byName(line.gateway)?.ours === true && !line.inService && this.#terminations.has(line))
          this.switchboard.inService(line, 'on');
    });
    return [...changes, ...changed.words];
  }

  addLine(config: MegacoLineConfig): Line {
    return this.#add(provisionOf(config));
  }

  #add(provision: LineProvision): Line {
    const line = this.switchboard.lines.add(provision);
    const { endpoint } = line;
    this.#terminations.set(line, endpoint.slice(0, endpoint.lastIndexOf('@')).toLowerCase());
    this.#byTermination.set(endpoint.toLowerCase(), line);
    return line;
  }

  /** A gateway's request; the sender has been found already. */
  onRequest(agent: Agent, incoming: IncomingRequest): void {
    // What a gateway still sends to us while we hand it over is for its new controller: it will be repeated there (§11.5).
    // Nor do we know, after a pause of ours, who has served it meanwhile.
    if (this.#handOver.isLeaving(agent) || !this.ownership.isCertain) {
      incoming.ignore();
      return;
    }
    const { message, flow } = incoming;
    this.agents.registry.heard(agent.gateway);
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
        else done(this.#announced(agent, plain, services, incoming, after));
        return;
      }
      case 'Notify': {
        const events = descriptors.flatMap((descriptor) =>
          descriptor.kind === 'ObservedEvents' ? descriptor.events : [],
        );
        if (!agent.ours) this.#takeOver(agent, undefined);
        const held = this.#audits.hold(agent.name, () =>
          this.#notified(agent, terminationId, events, () => done(plain)),
        );
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
    const line = this.#byTermination.get(`${terminationId}@${agent.name}`.toLowerCase());
    if (line === undefined) {
      done();
      return;
    }
    if (events.length > 0) this.#driver.eventSeen(line);
    for (const event of events) this.#observed(line, event);
    // Not before what follows from the event is on the gateway: if we die until then, it is reported again, to a backup.
    this.#driver.whenSettled(line, done);
  }

  #observed(line: Line, { name, parameters }: ObservedEvent): void {
    switch (name) {
      case 'al/of':
        this.switchboard.offHook(line);
        return;
      case 'al/on':
        this.switchboard.onHook(line);
        return;
      case 'dd/ce': {
        const value = (wanted: string): string =>
          (parameters.find((parameter) => parameter.name === wanted)?.values[0] ?? '').replaceAll('"', '');
        const digits = fromH248Digits(value('ds'));
        // Annex E.6.2: a partial match is what remains when nothing more came, or nothing that fits.
        if (value('meth').toUpperCase() === 'PM' && digits === '') this.switchboard.incomplete(line);
        else this.switchboard.dialled(line, digits);
        return;
      }
      default:
        // Inactivity (it/ito), completed signals (g/sc), a cause: that it speaks is all we need to know.
        this.#parts.log.debug({ line: line.endpoint, event: name }, 'event');
    }
  }

  #announced(
    agent: Agent,
    plain: CommandReply,
    services: ServiceChangeDescriptor,
    incoming: IncomingRequest,
    after: (() => void)[],
  ): CommandReply {
    const announcement = announcementOf(services);
    const { terminationId } = plain;
    this.#parts.log.info(
      { gateway: agent.name, terminationId, method: services.method, reason: services.reason },
      'service change',
    );
    if (announcement === undefined) return failure(plain, 501, 'no such method');
    if (services.version === 0) return failure(plain, 406, 'version');
    if (terminationId !== 'ROOT') {
      after.push(() => this.#terminationAnnounced(agent, terminationId, announcement));
      return plain;
    }
    const backup = this.ownership.isDraining ? this.ownership.heir() : undefined;
    if (backup !== undefined && announcement !== 'left' && announcement !== 'leaving')
      return this.#registered(plain, services, addressMId(backup));
    if (announcement === 'left') after.push(() => this.#depart(agent));
    else if (announcement !== 'leaving') {
      agent.reachedAt(addressFrom(services.address, incoming));
      agent.agreed(Math.min(services.version ?? 1, this.#parts.config.version));
      after.push(() => {
        if (announcement === 'restarted') this.#restarted(agent);
        else this.#takeOver(agent, services.method);
      });
    }
    return this.#registered(plain, services, undefined);
  }

  /** Of one termination, or of all that a wildcard names; the ephemeral ones, too. */
  #terminationAnnounced(agent: Agent, pattern: string, announcement: Announcement): void {
    if (announcement !== 'left' && announcement !== 'restarted') return;
    for (const line of this.switchboard.lines.of(agent.name)) {
      const rtp = this.#driver.mediaOf(line)?.rtp;
      if (matchesTermination(pattern, this.#terminations.get(line) ?? '')) {
        if (announcement === 'left') {
          this.switchboard.outOfService(line);
          this.#driver.withdraw(line);
        } else {
          this.switchboard.lost(line);
          this.#driver.forget(line);
          this.switchboard.inService(line, 'on');
        }
      } else if (announcement === 'left' && rtp !== undefined && matchesTermination(pattern, rtp))
        this.switchboard.refused(line, 'gatewayLost');
    }
  }

  #registered(plain: CommandReply, services: ServiceChangeDescriptor, mgcId: MId | undefined): CommandReply {
    return registrationReply(plain.terminationId, services, {
      version: this.#parts.config.version,
      nowMs: this.#parts.services.clock.now(),
      mgcId,
    });
  }

  /** Its contexts are gone: calls with its lines are over, and every line is armed anew. */
  #restarted(agent: Agent): void {
    this.#own(agent);
    this.#audits.drop(agent.name);
    const lines = this.switchboard.lines.of(agent.name);
    for (const line of lines) this.#driver.forget(line);
    this.#parts.endpoint().abandon(agent.gateway);
    for (const line of lines) {
      this.switchboard.lost(line);
      this.switchboard.inService(line, 'on');
    }
    this.#afterRegistration(agent);
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
        if (outcome.kind === 'answered' && agent.ours) this.#liveness.answered(agent.gateway);
        const code = outcome.kind === 'answered' ? outcome.response.reply.error?.code : undefined;
        const isEarly = (code === 505 || code === 504) && clock.now() - agent.oursSinceMs < earlyMs;
        if (isEarly && agent.ours) clock.after(repeatMs, () => this.#request(agent, actions, ended));
        else ended(outcome);
      },
    );
  }

  #own(agent: Agent): void {
    agent.ours = true;
    agent.oursSinceMs = this.#parts.services.clock.now();
    const awaited = this.#awaited.get(agent.name);
    if (awaited !== undefined) {
      awaited.timer();
      this.#awaited.delete(agent.name);
    }
    this.#handOver.arrived(agent);
    this.ownership.came(agent.name);
  }

  #depart(agent: Agent): void {
    agent.ours = false;
    for (const line of this.switchboard.lines.of(agent.name)) {
      this.#driver.forget(line);
      this.switchboard.outOfService(line);
    }
  }

  #lost(agent: Agent, because: 'silent' | 'notOurs'): void {
    if (!agent.ours) return;
    if (because === 'silent') this.#liveness.failed(agent.gateway);
    else this.agents.registry.failed(agent.gateway);
    this.#parts.log.warn({ gateway: agent.name, because }, 'gateway is lost');
    this.#depart(agent);
  }

  /**
   * It was commanded by another meanwhile, so what we know of it is old, and of every gateway that shares a call with it. Nothing is
   * sent about the old calls: their contexts may be somebody's.
   */
  #forgetStale(agent: Agent): void {
    const stale = new Set([agent]);
    for (const line of this.switchboard.lines.of(agent.name)) {
      const other = line.leg?.call;
      for (const each of other === undefined ? [] : [other.caller?.name, other.callee?.name]) {
        const owner = this.agents.byName(this.switchboard.lines.byNumber(each ?? '')?.gateway ?? '');
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
      for (const line of this.switchboard.lines.of(agent.name)) {
        this.#driver.forget(line);
        this.switchboard.forget(line, (other) => !names.has(other.gateway.toLowerCase()));
      }
  }

  /** The gateway comes with what it is doing; it and the others of its former controller are asked what that is. */
  #takeOver(agent: Agent, method: string | undefined): void {
    if (agent.ours && method === 'Disconnected') {
      // It had lost us for a while, nothing more: every line hears its order again.
      for (const line of this.switchboard.lines.of(agent.name)) this.#driver.apply(line);
      return;
    }
    if (agent.ours) this.#forgetStale(agent);
    const awaited = this.#awaited.get(agent.name);
    this.#own(agent);
    this.#parts.log.info({ gateway: agent.name, method: method ?? 'a message' }, 'gateway is taken over: audit');
    if (awaited !== undefined) {
      awaited.give();
      return;
    }
    // A gateway that was not sent to us has lost its controller, perhaps together with others.
    if (method === undefined || method === 'Failover') {
      this.#judging += 1;
      this.#parts.members().judge(this.#homeOf(agent.name) ?? '', () => {
        this.#judging -= 1;
        this.#awaitNoMore();
      });
    }
    const home = this.#homeOf(agent.name);
    const strangers = [...this.agents.all()].filter(
      (other) =>
        other !== agent && !other.ours && !this.#handOver.isLeaving(other) && this.#homeOf(other.name) === home,
    );
    this.#audits.begin([agent.name, ...strangers.map(({ name }) => name)]);
  }

  #audit(name: string, answer: (lines: readonly AuditedLine[] | undefined) => void): void {
    const agent = this.agents.byName(name);
    if (agent === undefined) {
      answer(undefined);
      return;
    }
    if (!agent.ours) {
      this.#await(agent, answer);
      return;
    }
    const lines = this.switchboard.lines.of(name);
    this.#auditing += 1;
    auditGateway(
      agent,
      lines.map((line) => this.#terminations.get(line) ?? ''),
      (to, actions, ended) => this.#request(to, actions, ended),
      (picture) => {
        this.#auditing -= 1;
        if (picture === undefined) {
          this.#lost(agent, 'silent');
          answer(undefined);
          return;
        }
        agent.packages = playedPackages(picture);
        const audited = lines.flatMap(
          (line) => auditedLine(line.endpoint, this.#terminations.get(line) ?? '', picture) ?? [],
        );
        this.#pictures.set(name, audited);
        answer(audited);
        this.#awaitNoMore();
      },
    );
  }

  /** A gateway of the dead controller that has not come yet: it is called, and awaited for a while. */
  #await(agent: Agent, answer: (lines: readonly AuditedLine[] | undefined) => void): void {
    const { clock } = this.#parts.services;
    const timer = clock.after(this.#parts.config.timers.takeoverMs, () => {
      this.#awaited.delete(agent.name);
      answer(undefined);
    });
    this.#awaited.set(agent.name, {
      timer,
      refuses: false,
      give: () => this.#audit(agent.name, answer),
    });
  }

  /** The owner serves it again, or another does: what we ask does not matter any more. */
  #dropAudit(name: string): void {
    this.#awaited.get(name)?.timer();
    this.#awaited.delete(name);
    this.#pictures.delete(name);
    this.#audits.drop(name);
  }

  /** Once every end of every call is known, nobody else needs to be waited for. */
  #awaitNoMore(): void {
    if (this.#awaited.size === 0 || this.#judging > 0 || this.#auditing > 0) return;
    // Those of a dead controller are called and may come yet.
    if ([...this.#awaited].some(([name, { refuses }]) => !refuses && this.ownership.serves(name))) return;
    if (hasLooseEnd([...this.#pictures.values()].flat())) return;
    for (const [name, { timer }] of [...this.#awaited]) {
      timer();
      this.#awaited.delete(name);
      this.#audits.drop(name);
    }
  }

  /** A line that is called while its gateway is on its way to us: the call waits for it for a while. */
  #claim(line: Line, ready: () => void): boolean {
    const agent = this.agents.byName(line.gateway);
    if (agent === undefined || agent.gateway.state === 'down') return false;
    if (agent.ours && !this.#audits.isAuditing(agent.name)) return false;
    const { clock } = this.#parts.services;
    const until = clock.now() + this.#parts.config.timers.takeoverMs;
    const look = (): void => {
      if (line.inService || clock.now() >= until) ready();
      else clock.after(claimMs, look);
    };
    clock.after(claimMs, look);
    return true;
  }

  #rebuild(snapshots: ReadonlyMap<string, readonly AuditedLine[] | undefined>): void {
    this.#pictures.clear();
    const audited = [...snapshots.values()].flatMap((lines) => lines ?? []);
    const numbers = new Map([...this.#parts.services.callControl.numbers()].map((number) => [digest(number), number]));
    const bySnapshot = new Map(audited.map((line) => [lineSnapshot(line, (of) => numbers.get(of)), line]));
    const calls = this.#parts.services.callControl.recovery.report({
      protocol: 'megaco',
      snapshots: [...bySnapshot.keys()],
      isOurs: () => true,
      adopt: (snapshot, kept) => {
        const line = this.switchboard.lines.byEndpoint(snapshot.endpoint);
        const media = bySnapshot.get(snapshot)?.media;
        if (line === undefined) return;
        this.switchboard.lines.setInService(line, true);
        line.hook = snapshot.hook;
        // Media of no call stay known under a name that no call has: the next order takes the line out of its context.
        const callId = kept?.callId ?? '';
        this.#driver.adopt(
          line,
          media === undefined ? undefined : { ...media, remote: kept?.media.remote ?? media.remote, callId },
          snapshot.tone,
        );
      },
      settle: (endpoint, disposition) => {
        const line = this.switchboard.lines.byEndpoint(endpoint);
        if (line !== undefined) this.switchboard.restoreLine(line, disposition);
      },
    });
    for (const [name, known] of snapshots) {
      const agent = this.agents.byName(name);
      if (known === undefined || agent === undefined) continue;
      this.#parts.log.info({ gateway: name, lines: known.length, calls }, 'gateway is ours');
      this.#afterRegistration(agent);
    }
    queueMicrotask(() => this.#handOver.settled());
  }

  /** What a gateway is given depends on the packages of its ROOT: the path attribute as a property, and a watch on our silence. */
  #afterRegistration(agent: Agent): void {
    const [line] = this.switchboard.lines.of(agent.name);
    const question = packagesQuestion(
      line === undefined ? undefined : this.#terminations.get(line),
      (line === undefined ? undefined : this.#driver.mediaOf(line)?.contextId) ?? contextNull,
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

  /** Everything goes to the first backup that lives (§11.5); the calls go on there. */
  drain(): void {
    this.switchboard.drain();
    if (this.ownership.heir() !== undefined) this.ownership.drain();
  }

  /** Calls that go on and gateways that have not left yet. */
  get pending(): number {
    return this.#handOver.leaving + this.switchboard.callCount;
  }

  /** Lines of gateways that another controller has, or that we have not heard of. */
  #hasUnknownLines(): boolean {
    for (const agent of this.agents.all())
      if (
        (!agent.ours || this.#audits.isAuditing(agent.name)) &&
        this.switchboard.lines.of(agent.name).some(({ inService }) => !inService)
      )
        return true;
    return false;
  }

  /** An audit that changes nothing. */
  #ping(gateway: Gateway, done: (answered: boolean) => void): void {
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
}

const isEncoding = (text: string): text is Encoding => text === 'pretty' || text === 'compact' || text === 'binary';

interface Awaited {
  readonly give: () => void;
  readonly timer: Cancel;
  /** It does not take our word; it may still come by itself. */
  refuses: boolean;
}

/** How often a call looks whether the gateway of the called line has come. */
const claimMs = 50;

/** How long after a registration its reply may still be on the way, and how soon to ask again. */
const earlyMs = 10_000;
const repeatMs = 250;

const failure = (plain: CommandReply, code: number, text: string): CommandReply => ({
  ...plain,
  descriptors: [{ kind: 'Error', code, text }],
});

/** Where later requests go: the port or address that the gateway names, else where the announcement came from (§9). */
function addressFrom(named: string | undefined, { flow }: IncomingRequest): ControllerAddress {
  const source = remoteOf(flow);
  // A connection is its own way back.
  if (named === undefined || flow.reliable) return source;
  if (/^\d{1,5}$/.test(named)) return { ...source, port: Number(named) };
  const found = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(named);
  return found === null ? source : { ...source, host: found[1] ?? source.host, port: Number(found[2] ?? 2944) };
}

const provisionOf = ({ number, termination }: MegacoLineConfig): LineProvision => ({
  number,
  endpoint: termination,
  gateway: termination.slice(termination.lastIndexOf('@') + 1),
});
