/**
 * The other members of the cluster as one role sees them: which of them live. Two witnesses have to agree before a member counts as
 * dead: the member link is silent, and its signaling address fails (the network refuses, or a probe stays unanswered). A word of the
 * network alone, which anybody can forge, or a cut link alone moves nothing.
 *
 *     unknown    not heard yet, and not judged yet
 *     alive      proven by the link; without a link by answers to probes
 *     suspect    the link is silent, its signaling address still answers or is being asked
 *     dead       both fail
 *     returning  lives again, or just started, for less than the hold time
 *     leaving    says that it leaves
 */
import type { Cancel, Clock } from '../clock.ts';
import type { EventSink } from '../controller/events.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import type { Metrics } from '../metrics.ts';
import {
  addressKey,
  type ControllerAddress,
  formatAddress,
  formatSocketAddress,
  type SocketAddress,
} from '../signaling/controller-address.ts';
import { PeerNews } from '../signaling/peer-news.ts';
import { type Judging, Known, type Member, type MemberState, sameSet } from './known-member.ts';
import type { RoleWord } from './link-content.ts';
import type { LinkedMember, MemberLink } from './member-link.ts';

export type { Member, MemberState } from './known-member.ts';

export interface MembersParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** `sip`, …: the part of the link's content that is this role's. */
  readonly role: string;
  readonly partners: readonly ControllerAddress[];
  /** Without one (no secret), answers to probes are all there is to know. */
  readonly link?: MemberLink | undefined;
  /** How often a member that is not proven by the link is asked. */
  readonly probeEveryMs: number;
  /** Silent for this long, and dead. */
  readonly deadMs: number;
  readonly holdMs: number;
  /** What the others shall know. */
  word(): RoleWord;
  /** Sends a question that any living controller answers to this address; `answered` or `refused` is called later. */
  probe(partner: ControllerAddress): void;
  /** A state, or what a member says, is different now. */
  changed(): void;
  readonly events?: EventSink | undefined;
  /** Shared with whoever else notices deaths and returns. */
  readonly news?: PeerNews | undefined;
  readonly metrics?: Metrics | undefined;
  /** Our own process stood still: see `MemberLink.noticeAbsence`. */
  absent?(): void;
}

export class Members {
  readonly #parts: MembersParts;
  readonly #members = new Map<string, Known>();
  readonly #news: PeerNews;
  readonly #endings: Cancel[] = [];
  #startedMs = 0;
  #ticking: Cancel | undefined;

  constructor(parts: MembersParts) {
    this.#parts = parts;
    this.#news = parts.news ?? new PeerNews({ protocol: parts.role, events: parts.events });
    for (const address of parts.partners) {
      const key = addressKey(address);
      if (this.#members.has(key)) continue;
      const member = new Known(address, key);
      this.#members.set(key, member);
      parts.metrics?.gauge(
        'member_up',
        'Does this other member live (1), by the member link or by its signaling address?',
        () => (member.state === 'dead' || member.state === 'unknown' ? 0 : 1),
        { protocol: parts.role, member: formatAddress(address) },
      );
    }
  }

  start(): void {
    const { clock, link, role } = this.#parts;
    this.#startedMs = clock.now();
    if (link !== undefined) {
      this.#endings.push(
        link.speak(role, () => this.#parts.word()),
        link.listen({
          heard: (member) => this.#onLink(member),
          refused: (partner) => this.#linkRefused(partner),
          absent: () => this.#absent(),
        }),
      );
      for (const member of link.members()) this.#onLink(member);
    }
    if (this.#members.size > 0) this.#tick();
  }

  stop(): void {
    this.#ticking?.();
    for (const end of this.#endings.splice(0)) end();
  }

  all(): readonly Member[] {
    return [...this.#members.values()];
  }

  find(address: ControllerAddress): Member | undefined {
    if (this.#members.size === 0) return undefined;
    return this.#members.get(addressKey(address));
  }

  byKey(key: string): Member | undefined {
    return this.#members.get(key);
  }

  /** The member that has this address among its own. */
  at(address: ControllerAddress): Member | undefined {
    const key = addressKey(address);
    const known = this.#members.get(key);
    if (known !== undefined) return known;
    const members = [...this.#members.values()];
    return (
      members.find(({ addresses }) => addresses.includes(key)) ??
      members.find((each) => each.address.host === address.host && each.address.port === address.port)
    );
  }

  /** Whose members: `mgcp`, `megaco`. */
  get role(): string {
    return this.#parts.role;
  }

  get events(): EventSink | undefined {
    return this.#parts.events;
  }

  get hasLink(): boolean {
    return this.#parts.link !== undefined;
  }

  /** Our word changed. */
  tell(): void {
    this.#parts.link?.tell();
  }

  /** Something points to a death: whoever lives says so at once. */
  ask(): void {
    this.#parts.link?.ask();
    for (const member of this.#members.values()) if (!this.#isProven(member)) this.#probe(member);
  }

  /** Asks this one; `judged` is called when it has shown that it lives, or when it is dead. */
  judge(key: string, judged: () => void): void {
    const member = this.#members.get(key);
    if (member === undefined || member.state === 'dead') {
      judged();
      return;
    }
    const counter = this.#parts.link?.ask() ?? 0;
    const sinceMs = this.#parts.clock.now();
    this.#probe(member);
    if (member.judging.length < maxJudging) member.judging.push({ counter, sinceMs, judged });
    else judged();
  }

  /** An answer to a probe of ours came from this address. */
  answered(address: ControllerAddress): void {
    const member = this.#members.get(addressKey(address));
    if (member === undefined) return;
    member.answeredMs = this.#parts.clock.now();
    member.doubtCounter = undefined;
    this.#judge(member);
  }

  /** The network says that nobody is there. It is asked whether that is so; only silence on the link as well makes it true. */
  refused(address: ControllerAddress): void {
    const member = this.#members.get(addressKey(address));
    if (member === undefined) return;
    member.refusedMs = this.#parts.clock.now();
    this.#doubt(member);
    this.#judge(member);
  }

  /** What a member said without a proof. It counts only where no secret is shared, so that nothing better can be known. */
  said(address: ControllerAddress, serves: ReadonlySet<string>, isLeaving: boolean): void {
    const member = this.#members.get(addressKey(address));
    if (member === undefined || this.hasLink) return;
    const isNew = !sameSet(member.serves, serves) || member.isLeaving !== isLeaving;
    member.serves = serves;
    member.isLeaving = isLeaving;
    this.#judge(member);
    if (isNew) this.#parts.changed();
  }

  #onLink(linked: LinkedMember): void {
    const word = linked.roles.get(this.#parts.role);
    if (word === undefined) return;
    for (const address of word.addresses) {
      const member = this.#members.get(address);
      if (member === undefined) continue;
      const isRestarted = member.heardFrom(linked);
      member.isDeaf = linked.isDeaf && linked.provenMs >= member.provenMs;
      if (linked.isDeaf) member.deafHeardMs = linked.heardMs;
      if (linked.provenMs > member.provenMs) {
        member.provenMs = linked.provenMs;
        member.provenCounter = linked.provenCounter;
        member.startedMs = linked.startedMs;
        if (member.doubtCounter !== undefined && linked.provenCounter >= member.doubtCounter)
          member.doubtCounter = undefined;
      }
      const isNew = member.read(word, linked);
      if (isRestarted) member.restartedMs = member.aliveSinceMs = linked.startedMs;
      this.#judge(member);
      if (isNew || isRestarted) this.#parts.changed();
    }
  }

  #linkRefused({ host }: SocketAddress): void {
    for (const member of this.#members.values())
      if (member.address.host === host && this.#isProven(member)) this.#doubt(member);
  }

  /** It is asked over the link, and at its signaling address; until it has answered over the link, its death is possible. */
  #doubt(member: Known): void {
    const { link, clock } = this.#parts;
    if (member.doubtCounter !== undefined || member.state === 'dead') return;
    member.doubtMs = clock.now();
    member.doubtCounter = link?.ask() ?? Number.POSITIVE_INFINITY;
    this.#probe(member);
    // Once more, so that two losses in a row are needed.
    clock.after(verifyMs / 2, () => {
      if (member.doubtCounter === undefined) return;
      link?.ask();
      this.#probe(member);
    });
    clock.after(verifyMs, () => this.#judge(member));
  }

  #absent(): void {
    const now = this.#parts.clock.now();
    // The silence was ours.
    for (const member of this.#members.values()) {
      member.presumedMs = now;
      member.suspectSinceMs = undefined;
    }
    this.#parts.absent?.();
  }

  #tick(): void {
    const { clock, probeEveryMs } = this.#parts;
    const now = clock.now();
    for (const member of this.#members.values()) {
      if (!this.#isProven(member) && now - member.probedMs >= probeEveryMs - 1) this.#probe(member);
      if (member.isDeaf && now - member.deafHeardMs >= suspectAfter(this.#parts.deadMs)) {
        member.isDeaf = false;
        if (member.state === 'dead') member.forgetWord();
        this.#parts.changed();
      }
      this.#judge(member);
    }
    this.#ticking = clock.after(Math.min(probeEveryMs, 250), () => this.#tick());
  }

  #probe(member: Known): void {
    member.probedMs = this.#parts.clock.now();
    this.#parts.probe(member.address);
  }

  /** The link proves that it lives now. */
  #isProven(member: Known): boolean {
    const now = this.#parts.clock.now();
    const isDoubted = member.doubtCounter !== undefined && now - member.doubtMs >= verifyMs;
    return (
      this.hasLink &&
      !isDoubted &&
      member.provenMs > member.diedMs &&
      now - member.provenMs < suspectAfter(this.#parts.deadMs)
    );
  }

  #judge(member: Known): void {
    const { clock, holdMs } = this.#parts;
    const now = clock.now();
    const before = member.state;
    const isProven = this.#isProven(member);
    let state = isProven ? 'alive' : this.#judgeBySignaling(member, now);
    if (isProven) member.suspectSinceMs = undefined;
    if (state === 'dead') {
      member.doubtCounter = undefined;
      if (before !== 'dead') {
        member.diedMs = now;
        if (!member.isDeaf) member.forgetWord();
      }
    } else if (state !== 'unknown') {
      if (before === 'dead') member.aliveSinceMs = now;
      else if (before === 'unknown') member.aliveSinceMs = now;
      // Its process says for how long it has lived.
      if (isProven && member.diedMs === Number.NEGATIVE_INFINITY)
        member.aliveSinceMs = Math.min(member.aliveSinceMs, Math.max(member.startedMs, member.restartedMs));
      if (state === 'alive' && member.isLeaving) state = 'leaving';
      else if (state === 'alive' && now - member.aliveSinceMs < holdMs) state = 'returning';
    }
    if (state !== before) {
      member.state = state;
      this.#say(member, before);
      this.#parts.changed();
    }
    if (member.judging.length > 0) this.#settleJudging(member, isProven);
  }

  #settleJudging(member: Known, isProven: boolean): void {
    const open = member.judging.splice(0);
    const isJudged = ({ counter, sinceMs }: Judging): boolean =>
      member.state === 'dead' ||
      member.answeredMs > sinceMs ||
      (isProven && counter > 0 && member.provenCounter >= counter);
    member.judging.push(...open.filter((each) => !isJudged(each)));
    for (const each of open) if (isJudged(each)) each.judged();
  }

  /** Nothing on the link, or no link: what its signaling address says. */
  #judgeBySignaling(member: Known, now: number): MemberState {
    const { deadMs, probeEveryMs } = this.#parts;
    const { state, answeredMs, refusedMs, presumedMs, doubtCounter, doubtMs } = member;
    if (member.suspectSinceMs === undefined) {
      member.suspectSinceMs = now;
      if (state !== 'dead') this.#probe(member);
    }
    const wasLinked = this.hasLink && state !== 'unknown';
    const patienceMs = wasLinked ? deadMs - suspectAfter(deadMs) : deadMs;
    const sinceMs = Math.max(wasLinked ? member.suspectSinceMs : this.#startedMs, presumedMs);
    // What it answered before it died is no return.
    const isAnswering = answeredMs > member.diedMs && now - answeredMs < Math.max(patienceMs, 2 * probeEveryMs);
    // Refused again after it was asked once more: one packet that says so may be anybody's.
    const isRefused = doubtCounter !== undefined && now - doubtMs >= verifyMs && refusedMs > doubtMs;
    if (isRefused && refusedMs > answeredMs) return 'dead';
    if (isAnswering) return this.hasLink ? 'suspect' : 'alive';
    if (now - Math.max(sinceMs, answeredMs) >= patienceMs) return 'dead';
    if (state === 'dead' || state === 'unknown') return state;
    return this.hasLink ? 'suspect' : 'alive';
  }

  /** One line for a death and one for a return; what is no news, or only the end of a hold time, is for those who look closely. */
  #say(member: Known, before: MemberState): void {
    const { log, metrics, role } = this.#parts;
    const { address, state } = member;
    const name = formatSocketAddress(address);
    const line = { member: name, state, before };
    const wasSuspect = member.isSuspicionTold;
    member.isSuspicionTold = state === 'suspect' && before !== 'unknown' && before !== 'dead';
    if (member.isSuspicionTold) logEvent(log, 'memberSuspected', { member: name, before });
    else if (state !== 'dead') {
      const isNews = before === 'dead' ? this.#news.returned(address) : wasSuspect || isFirstNews(before, state);
      if (isNews) logEvent(log, 'memberChanged', line);
      else log.debug(line, 'member is found, returning or leaving, as is known');
    } else if (before === 'unknown') {
      this.#news.absent(address);
      logEvent(log, 'memberAbsent', { member: name });
    } else {
      metrics?.counter('member_deaths_total', 'Times another member was found dead', { protocol: role }).add();
      if (this.#news.died(address, 'silent')) logEvent(log, 'memberDied', { member: name, before });
      else log.debug(line, 'member is dead, as is known');
    }
  }

  list(): readonly Readonly<Record<string, unknown>>[] {
    return this.all().map((member) => ({
      ...member.address,
      kind: 'member',
      state: member.state,
      lastHeardMs: member.lastHeardMs,
      ...(member.state === 'dead' || member.state === 'unknown' ? {} : { aliveSinceMs: member.aliveSinceMs }),
      ...(member.state === 'dead' && Number.isFinite(member.diedMs) ? { diedMs: member.diedMs } : {}),
      ...(member.version === undefined ? {} : { version: member.version }),
      ...(member.clockDifferenceMs === undefined ? {} : { clockDifferenceMs: member.clockDifferenceMs }),
      serves: [...member.serves],
      ...(member.guests.size === 0 ? {} : { guests: member.guests.size }),
    }));
  }
}

/** Neither the end of a hold time nor the link's word after that of the signaling address. */
const isFirstNews = (before: MemberState, state: MemberState): boolean =>
  before === 'unknown' || before === 'leaving' || state === 'leaving' || (before === 'alive' && state === 'returning');

/** The link may be silent for this long before the member is suspected. */
const suspectAfter = (deadMs: number): number => (deadMs * 2) / 3;

const maxJudging = 1_000;

/** How long a living member may take to answer over the link. */
const verifyMs = 110;
