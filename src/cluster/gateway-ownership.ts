/**
 * Which gateways this member serves: one ownership machine (ownership.ts) for each home, and one for each single gateway that came by
 * itself while its home is another's to serve (a guest). What members say over the link becomes the machines' events; how gateways
 * are taken, let go and handed over is the protocol's `HandOver`.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import { addressKey, type ControllerAddress } from '../signaling/controller-address.ts';
import { GuestClaims } from './guest-claims.ts';
import type { HandOver, Unit } from './hand-over.ts';
import type { RoleWord } from './link-content.ts';
import type { Member, Members } from './members.ts';
import { isClaim, nextOwnership, type OwnershipAction, type OwnershipEvent, type OwnershipState } from './ownership.ts';
import { Machine } from './ownership-machine.ts';
import { tellOfSwitch } from './ownership-news.ts';
import { isLiving, isReachable, Precedence, speaks } from './precedence.ts';

export type { HandOver, Unit } from './hand-over.ts';

export interface GatewayOwnershipParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly members: () => Members;
  readonly handOver: HandOver;
  self(): ControllerAddress;
  /** The role's addresses of all members, ourselves included, in the order of the operator's list; undefined where there is none. */
  readonly order?: readonly ControllerAddress[] | undefined;
  /** Our own named alternates, best first. */
  readonly alternates: readonly ControllerAddress[];
  /** Whose gateway it is, by name. */
  homeOf(gateway: string): string | undefined;
  readonly holdMs: number;
  /** A member that was never heard of since we started is stood in for after this long. */
  readonly startGraceMs: number;
}

export class GatewayOwnership {
  readonly #parts: GatewayOwnershipParts;
  readonly #precedence: Precedence;
  readonly #homes = new Map<string, Machine>();
  /** By gateway. */
  readonly #guests = new Map<string, Machine>();
  /** Gateways of homes that we serve which another serves as its guests, with its key. */
  readonly #away = new Map<string, string>();
  readonly #guestClaims = new GuestClaims();
  /** When single gateways or homes were released: what they still send belongs to the one who takes them. */
  readonly #released = new Map<string, number>();
  #startedMs = 0;
  /** Since our own pause: until everybody was heard again, what we serve is not claimed. */
  #absentMs: number | undefined;
  #draining = false;
  /** The floating address, where gateways reach us by one. */
  #address: 'here' | 'elsewhere' | 'came' = 'here';
  #running = false;
  #timer: Cancel | undefined;
  #isEvaluating = false;
  #isStale = false;

  constructor(parts: GatewayOwnershipParts) {
    this.#parts = parts;
    const { members, order, alternates, handOver } = parts;
    const { tellsGateways } = handOver;
    this.#precedence = new Precedence({ members, self: () => parts.self(), order, alternates, tellsGateways });
  }

  start(): void {
    this.#startedMs = this.#parts.clock.now();
    this.#running = true;
    this.evaluate();
  }

  stop(): void {
    this.#running = false;
    this.#timer?.();
  }

  /** A home that has gateways. */
  addHome(home: string): void {
    if (this.#homes.has(home)) return;
    this.#homes.set(home, new Machine({ home, gateway: undefined }, 'theirs', this.#parts.clock.now()));
    if (this.#running) this.evaluate();
  }

  /** What the others hear. */
  word(): Pick<RoleWord, 'serves' | 'guests' | 'draining'> {
    const isSilent = this.#draining || this.#address === 'elsewhere' || this.#absentMs !== undefined;
    return {
      draining: this.#draining,
      serves: isSilent
        ? []
        : [...this.#homes.values()].filter(({ state }) => isClaim(state)).map(({ unit }) => unit.home),
      guests: isSilent ? [] : [...this.#guests].filter(([, { state }]) => isClaim(state)).map(([gateway]) => gateway),
    };
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  /** Homes that we serve now. */
  served(): readonly string[] {
    return [...this.#homes.values()].filter(({ state }) => isClaim(state)).map(({ unit }) => unit.home);
  }

  stateOf(home: string): OwnershipState | undefined {
    return this.#homes.get(home)?.state;
  }

  serves(gateway: string): boolean {
    const guest = this.#guests.get(gateway);
    if (guest !== undefined && isClaim(guest.state)) return true;
    const home = this.#parts.homeOf(gateway);
    const machine = home === undefined ? undefined : this.#homes.get(home);
    return machine !== undefined && isClaim(machine.state) && machine.state !== 'contested' && !this.#away.has(gateway);
  }

  /** Was it let go a moment ago, so that what it still sends is another's to answer? */
  isReleased(gateway: string): boolean {
    if (this.serves(gateway)) return false;
    const home = this.#parts.homeOf(gateway) ?? '';
    const sinceMs = Math.max(
      this.#released.get(`gateway ${gateway}`) ?? Number.NEGATIVE_INFINITY,
      this.#released.get(`home ${home}`) ?? Number.NEGATIVE_INFINITY,
    );
    return this.#parts.clock.now() - sinceMs < graceMs;
  }

  /** May gateways be answered now? Not while we were away and do not know yet who has served them. */
  get isCertain(): boolean {
    return this.#absentMs === undefined;
  }

  /** A gateway turned to us by itself. */
  came(gateway: string): void {
    const home = this.#parts.homeOf(gateway);
    if (home === undefined || this.#draining || this.#address === 'elsewhere' || !this.#running) return;
    const now = this.#parts.clock.now();
    if (this.#guests.has(gateway) || this.serves(gateway)) return;
    const machine = new Machine({ home, gateway }, 'theirs', now);
    machine.cameMs = now;
    this.#guests.set(gateway, machine);
    this.#away.delete(gateway);
    this.#released.delete(`gateway ${gateway}`);
    this.#step(machine, { kind: 'gatewayCame' });
    this.#parts.members().tell();
    this.evaluate();
  }

  /** The gateway left, or its hand-over failed for good: it is nobody's guest here. */
  left(gateway: string): void {
    if (this.#guests.delete(gateway)) this.#parts.members().tell();
  }

  /** Everything goes to the first living alternate. */
  drain(): void {
    this.#draining = true;
    for (const machine of this.#machines()) this.#step(machine, { kind: 'drain' });
    this.#parts.members().tell();
  }

  /** The address by which gateways reach us went to another host, whose they all are from now on; or it is back. */
  elsewhere(isElsewhere: boolean): void {
    this.#address = isElsewhere ? 'elsewhere' : 'came';
    if (isElsewhere) {
      for (const machine of this.#machines()) this.#step(machine, { kind: 'elsewhere' });
      this.#guests.clear();
    }
    if (!this.#running) return;
    this.#parts.members().tell();
    this.evaluate();
  }

  /** Have gateways been reached by this address before it came here, so that they do not come by themselves? */
  get hasCome(): boolean {
    return this.#address === 'came';
  }

  /** Is every home that we served served by another now? */
  get isHandedOver(): boolean {
    return [...this.#homes.values()].every(
      ({ state, unit }) => state !== 'releasing' || this.#precedence.others(unit).length > 0,
    );
  }

  /** The first member that stands in for us. */
  heir(): ControllerAddress | undefined {
    return this.#precedence.heirOf(addressKey(this.#parts.self()))?.address;
  }

  /** Our own process stood still: others may serve what we did. */
  absent(): void {
    if (!this.#running || this.#parts.members().all().length === 0) return;
    this.#absentMs = this.#parts.clock.now();
    this.#parts.members().ask();
    this.evaluate();
  }

  evaluate(): void {
    if (!this.#running || this.#address === 'elsewhere') return;
    if (this.#isEvaluating) {
      this.#isStale = true;
      return;
    }
    this.#isEvaluating = true;
    const before = this.#claims();
    let dueMs = Number.POSITIVE_INFINITY;
    // What one machine does may be news for the next; there are few states, so this ends.
    for (let round = 0; round < 8; round += 1) {
      this.#isStale = false;
      dueMs = this.#evaluateAll();
      if (!this.#isStale) break;
    }
    this.#isEvaluating = false;
    if (this.#claims() !== before) this.#parts.members().tell();
    this.#timer?.();
    const waitMs = dueMs - this.#parts.clock.now();
    this.#timer = Number.isFinite(waitMs)
      ? this.#parts.clock.after(Math.max(10, waitMs), () => this.evaluate())
      : undefined;
  }

  #claims(): string {
    const { serves, guests } = this.word();
    return `${serves.join(' ')}|${guests.join(' ')}`;
  }

  *#machines(): Iterable<Machine> {
    yield* [...this.#homes.values()];
    yield* [...this.#guests.values()];
  }

  #evaluateAll(): number {
    const { clock } = this.#parts;
    let dueMs = this.#settleAbsence();
    this.#guestClaims.note(this.#parts.members().all(), clock.now());
    if (this.#draining) {
      for (const machine of this.#machines())
        if (this.#precedence.others(machine.unit).length > 0) this.#step(machine, { kind: 'serves', who: 'other' });
      return dueMs;
    }
    for (const machine of this.#machines())
      dueMs = Math.min(
        dueMs,
        machine.unit.gateway === undefined ? this.#judgeHome(machine) : this.#judgeGuest(machine),
      );
    this.#noteAway();
    for (const [key, sinceMs] of this.#released) if (clock.now() - sinceMs >= graceMs) this.#released.delete(key);
    return dueMs;
  }

  /** Back from a pause: every member that lives has been heard since, or is dead. */
  #settleAbsence(): number {
    if (this.#absentMs === undefined) return Number.POSITIVE_INFINITY;
    const absentMs = this.#absentMs;
    const members = this.#parts.members().all();
    const now = this.#parts.clock.now();
    for (const machine of this.#machines())
      if (isClaim(machine.state) && this.#precedence.others(machine.unit).length > 0)
        this.#step(machine, { kind: 'conflict', wins: false });
    const isSettled = members.every(({ state, lastHeardMs }) => state === 'dead' || lastHeardMs > absentMs);
    if (!isSettled && now - absentMs < absenceSettledMs) return absentMs + absenceSettledMs;
    this.#absentMs = undefined;
    this.#isStale = true;
    return Number.POSITIVE_INFINITY;
  }

  #judgeHome(machine: Machine): number {
    const { clock, holdMs, startGraceMs } = this.#parts;
    const members = this.#parts.members();
    const { unit } = machine;
    const now = clock.now();
    const isHome = unit.home === addressKey(this.#parts.self());
    const owner = isHome ? undefined : members.byKey(unit.home);
    const others = this.#precedence.others(unit);
    const isGone = !isHome && (owner === undefined || owner.state === 'dead' || owner.state === 'leaving');
    const lives = owner !== undefined && isLiving(owner);
    let dueMs = Number.POSITIVE_INFINITY;
    const at = (ms: number): void => {
      dueMs = Math.min(dueMs, ms);
    };
    if (isClaim(machine.state) && others.length > 0 && this.#absentMs === undefined)
      this.#step(machine, { kind: 'conflict', wins: others.every((other) => this.#precedence.wins(unit, other)) });
    switch (machine.state) {
      case 'theirs':
        if (others.length > 0) break;
        if (isHome) {
          // Who answers at its signaling address will say over the link in a moment whether it serves us.
          const linkEndsMs = this.#startedMs + linkPatienceMs;
          const isSilent = ({ state, isLinked }: Member): boolean =>
            state === 'unknown' || (state === 'suspect' && !isLinked && now < linkEndsMs);
          if (!members.all().some(isSilent)) this.#step(machine, { kind: 'serves', who: 'nobody' });
          else if (now < linkEndsMs) at(linkEndsMs);
        } else if (isGone) {
          const graceEndsMs = this.#startedMs + startGraceMs;
          if (owner !== undefined && owner.lastHeardMs === 0 && now < graceEndsMs) at(graceEndsMs);
          else this.#step(machine, { kind: 'died', isFirst: this.#precedence.isFirst(unit.home) });
        }
        break;
      case 'taking':
        if (lives) this.#step(machine, { kind: 'alive' });
        break;
      case 'ours':
        if (lives) this.#step(machine, { kind: 'alive' });
        break;
      case 'returning': {
        if (isGone) {
          this.#step(machine, { kind: 'died', isFirst: true });
          // Back for a while, the owner may have commanded some of them. It would have said so over a link.
          if (!members.hasLink) for (const action of ['letGo', 'take'] as const) this.#act(machine, action);
          break;
        }
        const overMs = (owner?.aliveSinceMs ?? now) + holdMs;
        const isReady = now >= overMs && owner !== undefined && isReachable(owner);
        if (isReady && !this.#isBusy(unit, overMs)) this.#step(machine, { kind: 'holdOver' });
        else at(Math.max(overMs, now + recheckMs));
        break;
      }
      case 'releasing':
        if (others.length > 0 || this.#precedence.serverOf(unit.home) !== undefined)
          this.#step(machine, { kind: 'serves', who: 'other' });
        else if (isGone) this.#step(machine, { kind: 'died', isFirst: this.#precedence.isFirst(unit.home) });
        else if (now - machine.sinceMs >= graceMs) this.#step(machine, { kind: 'holdOver' });
        else at(machine.sinceMs + graceMs);
        break;
      case 'contested':
        if (others.length === 0) this.#step(machine, { kind: 'serves', who: 'nobody' });
        else if (now - machine.sinceMs >= graceMs) this.#step(machine, { kind: 'holdOver' });
        else at(machine.sinceMs + graceMs);
    }
    return dueMs;
  }

  #judgeGuest(machine: Machine): number {
    const { clock, holdMs } = this.#parts;
    const { unit } = machine;
    const gateway = unit.gateway ?? '';
    const now = clock.now();
    const home = this.#homes.get(unit.home);
    const hosts = this.#parts
      .members()
      .all()
      .filter((member) => speaks(member) && member.guests.has(gateway));
    if (hosts.some((other) => this.#absentMs !== undefined || !this.#keeps(machine, other))) {
      this.#step(machine, { kind: 'conflict', wins: false });
      this.#guests.delete(gateway);
      return Number.POSITIVE_INFINITY;
    }
    if (home !== undefined && isClaim(home.state)) {
      // It is with us anyhow, once the others have let it go.
      if (hosts.length === 0) this.#guests.delete(gateway);
      return Number.POSITIVE_INFINITY;
    }
    const target = this.#precedence.serverOf(unit.home);
    if (machine.state === 'ours' && target !== undefined) this.#step(machine, { kind: 'alive' });
    if (machine.state === 'theirs' || machine.state === 'releasing') this.#guests.delete(gateway);
    if (machine.state !== 'returning') return Number.POSITIVE_INFINITY;
    if (target === undefined) {
      this.#step(machine, { kind: 'died', isFirst: false });
      return Number.POSITIVE_INFINITY;
    }
    const overMs = Math.max(machine.cameMs, target.aliveSinceMs) + holdMs;
    if (now < overMs || !isReachable(target) || this.#isBusy(unit, overMs)) return Math.max(overMs, now + recheckMs);
    this.#step(machine, { kind: 'holdOver' });
    this.#guests.delete(gateway);
    return Number.POSITIVE_INFINITY;
  }

  /** Would a call suffer if it went now? For one that is being made it is not waited without end: there may always be another. */
  #isBusy(unit: Unit, dueMs: number): boolean {
    const { clock, handOver } = this.#parts;
    return handOver.isBusy?.(unit, clock.now() < dueMs + setUpMs) === true;
  }

  /**
   * Of two that have the same guest, the one that it turned to last keeps it: it sends there what it has to say. Who that is cannot
   * be told where both heard it within a moment, or could not hear each other; then precedence decides.
   */
  #keeps({ unit, cameMs }: Machine, other: Member): boolean {
    const claimedMs = this.#guestClaims.sinceMs(unit.gateway ?? '', other);
    if (other.isDeaf || claimedMs === undefined || Math.abs(claimedMs - cameMs) < sameMomentMs)
      return this.#precedence.wins(unit, other);
    return claimedMs < cameMs;
  }

  /** Gateways of homes that we serve, and others have as guests: theirs for now; taken again when they are let go. */
  #noteAway(): void {
    const { handOver, homeOf } = this.#parts;
    const away = new Map<string, string>();
    for (const member of this.#parts.members().all()) {
      if (!speaks(member)) continue;
      for (const gateway of member.guests) {
        const home = homeOf(gateway);
        const machine = home === undefined ? undefined : this.#homes.get(home);
        if (machine !== undefined && isClaim(machine.state) && !this.#guests.has(gateway))
          away.set(gateway, member.key);
      }
    }
    for (const gateway of away.keys())
      if (!this.#away.has(gateway)) {
        logEvent(this.#parts.log, 'gatewayElsewhere', { gateway, member: away.get(gateway) });
        const unit = { home: homeOf(gateway) ?? '', gateway };
        this.#away.set(gateway, away.get(gateway) ?? '');
        handOver.dropAudits(unit);
        handOver.letGo(unit, undefined);
      }
    for (const gateway of [...this.#away.keys()]) {
      if (away.has(gateway)) continue;
      this.#away.delete(gateway);
      const home = homeOf(gateway);
      const machine = home === undefined ? undefined : this.#homes.get(home);
      if (home !== undefined && machine !== undefined && isClaim(machine.state) && machine.state !== 'contested')
        handOver.take({ home, gateway }, () => {});
    }
  }

  #step(machine: Machine, event: OwnershipEvent): void {
    const { unit } = machine;
    const isHome = unit.gateway === undefined && unit.home === addressKey(this.#parts.self());
    const { state, actions } = nextOwnership(machine.state, event, isHome);
    if (state !== machine.state) {
      const { log } = this.#parts;
      const line = { home: unit.home, because: event.kind, from: machine.state, to: state };
      // What becomes of one gateway is told by its audit, or by the member that it goes to.
      if (unit.gateway === undefined) logEvent(log, 'gatewaysOwned', line);
      else log.debug({ ...line, gateway: unit.gateway }, 'ownership of one gateway');
      this.#tellOfSwitch(machine, state, event);
      machine.state = state;
      machine.sinceMs = this.#parts.clock.now();
      this.#isStale = true;
    }
    for (const action of actions) this.#act(machine, action);
  }

  /** Gateways of another member come to us, or leave us. */
  #tellOfSwitch({ unit, state: before }: Machine, state: OwnershipState, event: OwnershipEvent): void {
    const isTaken = isClaim(state);
    if (isTaken === isClaim(before)) return;
    const target = isTaken ? undefined : this.#precedence.targetOf(unit, this.#draining);
    tellOfSwitch(this.#parts.members(), this.#parts.self(), unit, { isTaken, target, because: event.kind });
  }

  #act(machine: Machine, action: OwnershipAction): void {
    const { handOver, clock } = this.#parts;
    const { unit } = machine;
    const key = unit.gateway === undefined ? `home ${unit.home}` : `gateway ${unit.gateway}`;
    machine.round += 1;
    // What is still being asked would be adopted at its end, whoever serves it then.
    if (action !== 'take') handOver.dropAudits(unit);
    switch (action) {
      case 'take': {
        const { round } = machine;
        this.#released.delete(key);
        handOver.take(unit, () => {
          if (machine.round !== round) return;
          this.#step(machine, { kind: 'auditDone' });
          this.evaluate();
        });
        return;
      }
      case 'dropAudits':
        return;
      case 'letGo':
      case 'handOver': {
        this.#released.set(key, clock.now());
        const isContested = action === 'letGo' && machine.state === 'contested';
        handOver[action](unit, isContested ? undefined : this.#precedence.targetOf(unit, this.#draining));
      }
    }
  }

  status(): Readonly<Record<string, unknown>> {
    return {
      homes: Object.fromEntries([...this.#homes].map(([home, { state }]) => [home, state])),
      ...(this.#guests.size === 0 ? {} : { guests: this.#guests.size }),
      ...(this.#away.size === 0 ? {} : { away: this.#away.size }),
    };
  }
}

/** Claims that are this close were made before either was heard. */
const sameMomentMs = 300;

/** How long gateways that were given back are left to the one who takes them. */
const graceMs = 3_000;

/** After a pause of ours: members that are not heard within this time are gone. */
const absenceSettledMs = 1_500;
const recheckMs = 250;

/** So long gateways stay beyond their time for calls that are being made. */
const setUpMs = 30_000;

/** Members of the version before, and those whose link is cut, are not waited for longer than this. */
const linkPatienceMs = 1_500;
