/**
 * A controller of gateways, whatever protocol they speak: which gateways and lines there are, which of them are ours to serve, whether they
 * live, and how they are given away when we leave. What is said to them is the protocol's.
 */
import type { Call } from '../calls/call.ts';
import { GatewayOwnership } from '../cluster/gateway-ownership.ts';
import { MemberProbes } from '../cluster/member-probes.ts';
import { type Member, Members } from '../cluster/members.ts';
import { speaks } from '../cluster/precedence.ts';
import { defaultHome, partnersOf } from '../cluster.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import type { CoreServices } from '../role.ts';
import { addressKey, type ControllerAddress, formatSocketAddress } from '../signaling/controller-address.ts';
import { AuditHandOver } from './audit-hand-over.ts';
import type { ControllerNode } from './controller-node.ts';
import type { GatewayProvision, GatewayTimers } from './gateway-config.ts';
import { addressOf, GatewayLiveness } from './gateway-liveness.ts';
import { GatewayMetrics } from './gateway-metrics.ts';
import type { GatewayProtocol } from './gateway-protocol.ts';
import { GatewayProvisioning, type Provisioning } from './gateway-provisioning.ts';
import { GatewayRegistry } from './gateway-registry.ts';
import { GatewayTakeover } from './gateway-takeover.ts';
import type { Line } from './line.ts';
import { LineControl } from './line-control.ts';
import { LineProvider } from './line-provider.ts';
import { RoamingGateways } from './roaming-gateways.ts';

export interface GatewayControllerParts<G extends GatewayProvision, A> {
  readonly services: CoreServices;
  readonly log: Logger;
  readonly protocol: GatewayProtocol<G, A>;
  readonly timers: GatewayTimers;
  readonly node: Pick<ControllerNode<never>, 'self' | 'addresses' | 'ids'>;
}

/** What a reload takes over. */
export interface Provisioned<G extends GatewayProvision> extends Provisioning<G> {
  /** Alternatives beyond the numbers that are known. */
  readonly digitMap: readonly string[];
}

export class GatewayController<G extends GatewayProvision = GatewayProvision, A = unknown> {
  readonly gateways: GatewayRegistry;
  readonly lineProvider: LineProvider;
  readonly members: Members;
  readonly probes: MemberProbes;
  readonly ownership: GatewayOwnership;
  readonly roaming: RoamingGateways;
  readonly liveness: GatewayLiveness;
  readonly takeover: GatewayTakeover<A>;
  /** Which lines we command. */
  readonly control: LineControl;
  readonly #parts: GatewayControllerParts<G, A>;
  readonly #provisioning: GatewayProvisioning<G>;
  readonly #homes = new Map<string, ControllerAddress>();
  /** By gateway. */
  readonly #homeOf = new Map<string, string>();
  #digitMap: readonly string[] = [];
  #started = false;
  #stopped = false;
  #isLeaving = false;

  constructor(parts: GatewayControllerParts<G, A>) {
    this.#parts = parts;
    const { log, protocol, services, timers } = parts;
    const { callControl, clock, cluster, metrics } = services;
    const lineProvider = () => this.lineProvider;
    const homeOf = (gateway: string) => this.homeOf(gateway);
    this.gateways = new GatewayRegistry(clock, (gateway, downMs) =>
      logEvent(log, 'gatewayUp', { gateway: gateway.name, address: addressOf(gateway), downMs }),
    );
    const counted = new GatewayMetrics({
      metrics,
      protocol: protocol.name,
      all: () => this.gateways.all(),
      serves: ({ name }) => this.serves(name),
    });
    this.lineProvider = new LineProvider({
      ...services,
      log,
      protocol: protocol.name,
      driver: protocol.driver,
      claim: (line, ready) => this.#claim(line, ready),
      accepts: (line, offer) => protocol.accepts(line, offer),
      canPlayKeys: (line) => protocol.canPlayKeys(line),
      hasUnknownLines: () => this.control.hasUnknown(),
      recordHabit: (line, hasRemote) => protocol.recordHabit(line, hasRemote),
      tellsCall: protocol.tellsCall,
      relay: protocol.relay,
      timers: { noAnswerMs: timers.noAnswerMs, diallingMs: timers.diallingMs },
    });
    this.takeover = new GatewayTakeover({
      log,
      protocol: protocol.name,
      audits: protocol.audits,
      driver: protocol.driver,
      recovery: callControl.recovery,
      lineProvider,
      gatewayOf: (line) => this.control.gatewayOf(line),
      came: (gateway) => this.ownership.came(gateway),
      formerOf: (gateway) => this.formerOf(gateway),
    });
    this.control = new LineControl({
      clock,
      driver: protocol.driver,
      takeover: this.takeover,
      tMaxMs: timers.tMaxMs,
      lineProvider,
      liveness: () => this.liveness,
      homeOf,
      mayTake: (line) => this.#mayTake(line),
      lost: (gateway) => protocol.lost?.(gateway),
    });
    this.liveness = new GatewayLiveness({
      clock,
      log,
      registry: this.gateways,
      quietMs: timers.gatewayQuietMs,
      serves: (gateway) => this.serves(gateway.name) && protocol.mayAsk(gateway),
      ping: (gateway, done) => protocol.ping(gateway, done),
      back: (gateway) => protocol.back(gateway),
      silent: (gateway) => this.control.unheard(gateway),
      died: (gateway) => counted.died(gateway),
    });
    this.roaming = new RoamingGateways({
      clock,
      log,
      metrics,
      protocol: protocol.name,
      nextId: () => parts.node.ids.unguessable(),
      ask: (gateway, address, id) => protocol.askAt(gateway, address, id),
      moved: (gateway, address) => {
        protocol.located(gateway, [address]);
        protocol.redirect(gateway);
      },
    });
    this.members = new Members({
      clock,
      log,
      role: protocol.name,
      partners: partnersOf(cluster),
      link: services.link,
      events: services.events,
      metrics,
      probeEveryMs: timers.heartbeatMs,
      deadMs: timers.partnerDeadMs,
      holdMs: timers.holdMs,
      word: () => this.#word(),
      probe: (partner) => this.probes.ask(partner),
      changed: () => {
        for (const member of this.members.all())
          if (speaks(member)) this.roaming.learn(member.hints, ({ name }) => this.serves(name));
        protocol.membersChanged?.();
        this.ownership.evaluate();
      },
      absent: () => this.ownership.absent(),
    });
    this.probes = new MemberProbes({
      nextId: () => parts.node.ids.unguessable(),
      send: (partner, id) => protocol.askMember(partner, id),
      answered: (partner) => this.members.answered(partner),
    });
    this.ownership = new GatewayOwnership({
      clock,
      log,
      members: () => this.members,
      handOver:
        protocol.handOver ??
        new AuditHandOver({
          log,
          takeover: this.takeover,
          control: this.control,
          taking: (unit) => protocol.taking?.(unit),
        }),
      self: () => parts.node.self(),
      order: cluster.order,
      alternates: cluster.backups,
      homeOf,
      holdMs: timers.holdMs,
      startGraceMs: timers.startGraceMs,
    });
    this.#provisioning = new GatewayProvisioning({
      services,
      log,
      protocol,
      registry: this.gateways,
      lineProvider,
      driver: protocol.driver,
      added: (line, gateway) => this.control.added(line, gateway),
      withdrawn: (line) => this.takeover.drop(line),
      serve: (lines) => this.takeover.begin(lines.filter((line) => this.#mayTake(line))),
      roaming: this.roaming,
      placed: (gateway) => counted.added(gateway),
      removed: (gateway) => {
        this.liveness.forget(gateway);
        this.roaming.forget(gateway);
        protocol.removed(gateway);
      },
    });
  }

  /** Once sockets are bound: homes follow from our own address. */
  start(): void {
    this.#started = true;
    this.#placeGateways();
    this.members.start();
    this.ownership.start();
    this.liveness.start();
    if (this.#parts.services.workers?.isSuccession === true) this.#succeed();
  }

  /** A gateway that obeyed another worker obeys us, whose address is the same: it is asked at once, and need not notice anything. */
  #succeed(): void {
    const { protocol } = this.#parts;
    for (const gateway of this.gateways.all())
      if (this.serves(gateway.name) && gateway.addresses().length > 0 && !protocol.mayAsk(gateway))
        protocol.ping(gateway, (obeys) => {
          if (obeys && !this.#stopped) protocol.back(gateway);
        });
  }

  /**
   * The floating address by which gateways reach us went to another host, which serves them from now on: nothing is said to them, and what
   * is known of them is forgotten. When it is back they are asked anew.
   */
  moved(isElsewhere: boolean): void {
    this.ownership.elsewhere(isElsewhere);
    if (isElsewhere) for (const gateway of this.gateways.all()) this.gateways.forget(gateway);
  }

  stop(): void {
    this.#stopped = true;
    this.members.stop();
    this.ownership.stop();
    this.liveness.stop();
    this.lineProvider.stop();
    this.roaming.stop();
    this.#provisioning.stop();
  }

  /** Says what changed. */
  provision(provisioned: Provisioned<G>): readonly string[] {
    this.#digitMap = provisioned.digitMap;
    return this.#provisioning.provision(provisioned, () => {
      if (this.#started) this.#placeGateways();
    });
  }

  /** What may be dialled. */
  get digitMap(): string {
    return this.#parts.services.callControl.numberingPlan(this.#digitMap).digitMap;
  }

  /** A gateway as the operator wrote it. */
  settingsOf(gateway: string): G | undefined {
    return this.#provisioning.of(gateway);
  }

  /** Replies kept for repetitions: what is provisioned can have so much open within T-HIST, and nobody else has anything. */
  maxReplies(): number {
    return 1_000 + 100 * this.gateways.size + 20 * this.lineProvider.lines.size;
  }

  serves(gateway: string): boolean {
    return this.ownership.serves(gateway);
  }

  /** The members whose gateways we serve. */
  servedHomes(): readonly ControllerAddress[] {
    return this.ownership.served().flatMap((home) => this.#homes.get(home) ?? []);
  }

  /** The member that the gateway is with when all live; undefined where it is not provisioned. */
  homeOf(gateway: string): string | undefined {
    return this.#homeOf.get(gateway);
  }

  /** The member in whose place we serve this gateway; undefined: it is our own, or not provisioned. */
  standsInFor(gateway: string): ControllerAddress | undefined {
    const key = this.#homeOf.get(gateway);
    return key === undefined || key === addressKey(this.#parts.node.self()) ? undefined : this.#homes.get(key);
  }

  /** Who had this gateway's calls before: of all that served it and are dead the one that died last, else its home, which may be ourselves. */
  formerOf(gateway: string): ControllerAddress {
    const home = this.#homeOf.get(gateway) ?? '';
    let former: Member | undefined;
    for (const member of this.members.all())
      if ((member.served.has(home) || member.served.has(gateway)) && member.diedMs > (former?.diedMs ?? 0))
        former = member;
    return former?.address ?? this.standsInFor(gateway) ?? this.#parts.node.self();
  }

  /** The first backup that lives takes everything over, with the calls on it (RFC 3525 §11.5); where none lives, calls may end. */
  async drain(limitMs: number): Promise<void> {
    const { protocol, services } = this.#parts;
    const { clock } = services;
    const until = clock.now() + limitMs;
    if (this.ownership.heir() !== undefined) {
      await this.#setUpsEnd(Math.min(until, clock.now() + setUpMs));
      this.lineProvider.drain();
      this.ownership.drain();
    } else this.lineProvider.drain();
    while (!protocol.isDrained() && clock.now() < until && !this.#stopped)
      await new Promise<void>((resolve) => clock.after(50, resolve));
  }

  /** We are about to leave: what gateways say now is for the member that comes after us, to which they will say it again. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** Until the called line of each number that we took rings: digits that we have acknowledged nobody else will hear of. */
  async #setUpsEnd(untilMs: number): Promise<void> {
    const { clock } = this.#parts.services;
    this.#isLeaving = true;
    while (this.lineProvider.calls.some(isBeingSetUp) && clock.now() < untilMs && !this.#stopped)
      await new Promise<void>((resolve) => clock.after(arrivalCheckMs, resolve));
    this.#isLeaving = false;
  }

  status(): Readonly<Record<string, unknown>> {
    return {
      gateways: this.gateways.size,
      lines: this.lineProvider.lines.size,
      calls: this.lineProvider.callCount,
      serves: this.servedHomes().map(formatSocketAddress),
      ...this.ownership.status(),
      draining: this.ownership.isDraining,
      ...this.control.count(),
      members: this.members.list(),
      ...this.#parts.protocol.status(),
    };
  }

  calls(): readonly Readonly<Record<string, unknown>>[] {
    return this.lineProvider.calls.map(({ caller, callee, phase, callId, startedMs, answeredMs }) => ({
      caller: caller?.name,
      callee: callee?.name,
      phase,
      callId,
      startedMs,
      answeredMs,
    }));
  }

  /** Members and gateways. */
  peers(): readonly Readonly<Record<string, unknown>>[] {
    const gateways = [...this.gateways.all()].map((gateway) => ({
      kind: 'gateway',
      name: gateway.name,
      addresses: gateway.addresses(),
      state: gateway.state,
      lastHeardMs: gateway.lastHeardMs,
      ...this.#parts.protocol.describe(gateway),
    }));
    return [...this.members.list(), ...gateways];
  }

  /** Every line that is provisioned, and what it does as far as this member knows. */
  *lines(): Iterable<Readonly<Record<string, unknown>>> {
    for (const line of this.lineProvider.lines.all()) {
      const { number, endpoint, gateway, hook, inService, controlled, isMissing, isLeaving, desired } = line;
      yield {
        number,
        endpoint,
        gateway,
        // Of what is another member's nothing is known here but that it exists.
        ...(controlled ? { state: desired.state, hook } : {}),
        inService,
        isOurs: controlled,
        ...(isMissing ? { isMissing } : {}),
        ...(isLeaving ? { isLeaving } : {}),
      };
    }
  }

  /** Is the line ours to ask for, by what members say? */
  #mayTake(line: Line): boolean {
    const gateway = this.control.gatewayOf(line);
    return gateway !== undefined && this.serves(gateway.name) && this.#parts.protocol.mayAsk(gateway);
  }

  /** Somebody calls a line that is another member's, was a moment ago, or is on its way to us: it is asked for, or waited for. */
  #claim(line: Line, ready: () => void): boolean {
    const { protocol, services } = this.#parts;
    const gateway = this.control.gatewayOf(line);
    if (gateway === undefined || line.controlled || gateway.state === 'down') return false;
    if (protocol.mayAsk(gateway)) {
      this.takeover.begin([line]);
      return this.takeover.whenKnown(line, ready);
    }
    const { clock } = services;
    const until = clock.now() + (protocol.arrivalMs ?? 0);
    const look = (): void => {
      if (line.inService || clock.now() >= until) ready();
      else clock.after(arrivalCheckMs, look);
    };
    clock.after(arrivalCheckMs, look);
    return true;
  }

  #placeGateways(): void {
    const own = defaultHome(this.#parts.services.cluster, this.#parts.node.self());
    this.#homeOf.clear();
    for (const { name, home = own } of this.#provisioning.all()) {
      const key = addressKey(home);
      this.#homeOf.set(this.gateways.byName(name)?.name ?? name, key);
      this.#homes.set(key, home);
      this.ownership.addHome(key);
    }
  }

  #word() {
    const addresses = this.#parts.node.addresses().map(addressKey);
    const word = this.ownership.word();
    // Our own home by each of our addresses: partners know us by one of them.
    const isHome = word.serves.includes(addressKey(this.#parts.node.self()));
    return {
      ...word,
      addresses,
      alternates: this.#parts.services.cluster.backups.map(addressKey),
      serves: isHome ? [...new Set([...word.serves, ...addresses])] : word.serves,
      hints: { ...this.#parts.protocol.hints?.(), ...this.roaming.hints(({ name }) => this.serves(name)) },
    };
  }
}

const isBeingSetUp = ({ phase }: Call): boolean => phase === 'routing' || phase === 'offering' || phase === 'alerting';

/** Commands and replies of a set-up take no longer, unless a gateway is slow. */
const setUpMs = 1_000;

/** How often a call looks whether the gateway of the called line has come. */
const arrivalCheckMs = 50;
