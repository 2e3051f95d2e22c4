/**
 * The link between the members of a cluster: small sealed datagrams (sealed-datagram.ts), every 250 ms and at once on change, one link
 * per process for all its roles. A datagram is believed as a sign of life only if it repeats a counter that we sent a moment ago to
 * this life of ours: what was recorded earlier, also before we restarted, proves nothing. So a member that does not hear us is no
 * proven member either; what it says is still read once its boot was proven, and `isDeaf` tells the two apart.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import type { Counter, Metrics } from '../metrics.ts';
import type { Flow, Listener, Network } from '../network.ts';
import type { Random } from '../random.ts';
import { type ControllerAddress, formatSocketAddress, type SocketAddress } from '../signaling/controller-address.ts';
import {
  echoOf,
  type LinkContent,
  type LinkedRole,
  RoleReader,
  type RoleWord,
  readContent,
  wireRole,
  writeContent,
} from './link-content.ts';
import { ReplayWindow } from './replay-window.ts';
import { type Boot, bootId, DatagramSeal, isLaterBoot, maxSealedBytes } from './sealed-datagram.ts';

export interface MemberLinkParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly network: Network;
  readonly secret: string;
  /** Our name, unlike every other member's and the same after a restart. */
  readonly member: string;
  readonly version: string;
  readonly listen: SocketAddress;
  /** The link addresses of the other members, IP literals. */
  readonly partners: readonly SocketAddress[];
  /** The time of day; the clock's unless a test says otherwise. */
  wallClock?(): number;
}

/** Another member, as its datagrams show it. */
export interface LinkedMember {
  readonly member: string;
  readonly boot: Boot;
  readonly version: string;
  /** When its process started, by our clock. */
  readonly startedMs: number;
  /** When it last proved that it hears us. */
  readonly provenMs: number;
  /** The greatest counter of ours that it has proved to have heard. */
  readonly provenCounter: number;
  /** When it last said anything. */
  readonly heardMs: number;
  /** It speaks, and does not hear us. */
  readonly isDeaf: boolean;
  /** How far its clock is ahead of ours. */
  readonly clockDifferenceMs: number;
  readonly roles: ReadonlyMap<string, LinkedRole>;
}

export interface LinkListener {
  /** It said something new, or proved that it lives. */
  heard?(member: LinkedMember): void;
  /** The network says that nobody listens at this link address. Anybody can forge that. */
  refused?(partner: SocketAddress): void;
  /** Our own process stood still for longer than others wait for us. */
  absent?(): void;
  /** Octets that a member sent beside its words, each once. */
  parcel?(member: LinkedMember, octets: Buffer): void;
}

export class MemberLink {
  readonly member: string;
  readonly boot: Boot;
  readonly #parts: MemberLinkParts;
  readonly #seal: DatagramSeal;
  readonly #roles = new Map<string, () => RoleWord>();
  readonly #listeners = new Set<LinkListener>();
  readonly #members = new Map<string, Linked>();
  /** When each of our latest counters was sent. */
  readonly #sentMs: number[] = new Array<number>(sentKept).fill(Number.NEGATIVE_INFINITY);
  readonly #dropped = new Map<string, Dropped>();
  #counter = 0;
  #parcels = 0;
  #listener: Listener | undefined;
  #ticking: Cancel | undefined;
  #soon: Cancel | undefined;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  #presentMs: number;
  #startedMs: number;

  constructor(parts: MemberLinkParts) {
    this.#parts = parts;
    this.member = parts.member;
    this.#seal = new DatagramSeal(parts.secret);
    const wallMs = parts.wallClock?.() ?? parts.clock.now();
    this.boot = { startMs: Math.max(0, Math.floor(wallMs)), random: parts.random.hex(8) };
    this.#startedMs = this.#presentMs = parts.clock.now();
  }

  /** @throws BindError (rejects). */
  async start(): Promise<ControllerAddress> {
    const { network, listen, clock } = this.#parts;
    this.#listener = await network.bind(
      { transport: 'udp', ...listen },
      { maxMessageBytes: 65_535 },
      {
        received: (bytes, flow) => this.#received(bytes, flow),
        failed: (flow, { reason }) => {
          if (reason === 'refused') for (const each of this.#listeners) each.refused?.(flow.remote);
        },
      },
    );
    this.#startedMs = this.#presentMs = clock.now();
    this.#tick();
    return this.#listener.local;
  }

  async stop(): Promise<void> {
    this.#ticking?.();
    this.#soon?.();
    const listener = this.#listener;
    this.#listener = undefined;
    await listener?.close();
  }

  /** What a role tells the others is asked for before each datagram; a changed word goes out at once by `ask` or `tell`. */
  speak(role: string, word: () => RoleWord): Cancel {
    this.#roles.set(role, word);
    this.tell();
    return () => this.#roles.delete(role);
  }

  listen(listener: LinkListener): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  members(): Iterable<LinkedMember> {
    return this.#members.values();
  }

  /** Our word changed: everybody hears it now. */
  tell(): void {
    this.#sendSoon(false);
  }

  /** Who lives? Everybody answers at once; who proves a counter of at least the returned one has answered. */
  ask(): number {
    const next = this.#counter + 1;
    this.#sendSoon(true);
    return next;
  }

  /**
   * Octets for one member, sealed like everything else here. Whether they came is for who sends them to find out. False: it is not there, or
   * they are too many.
   */
  sendParcel(member: string, octets: Uint8Array): boolean {
    const to = this.#members.get(member);
    if (this.#listener === undefined || to?.remote === undefined) return false;
    this.#parcels += 1;
    // Counters of their own, above all others: parcels may be many, and a sign of life is told by the latest few.
    const bytes = this.#seal.seal(this.boot, firstParcel + this.#parcels, octets);
    if (bytes.length > maxSealedBytes) return false;
    this.#listener.flowTo(to.remote, { connected: true }).send(bytes);
    return true;
  }

  /** Called before anything is believed that came in: a process that was stopped and goes on may find old messages first. */
  noticeAbsence(): void {
    const now = this.#parts.clock.now();
    const goneMs = now - this.#presentMs;
    this.#presentMs = now;
    if (goneMs < absenceMs) return;
    logEvent(this.#parts.log, 'processStoodStill', { goneMs: Math.round(goneMs) });
    for (const each of this.#listeners) each.absent?.();
  }

  #tick(): void {
    this.noticeAbsence();
    this.#send(false);
    for (const [kind, dropped] of this.#dropped) this.#reportDropped(kind, dropped);
    this.#ticking = this.#parts.clock.after(intervalMs, () => this.#tick());
  }

  #sendSoon(wantsAnswer: boolean): void {
    if (this.#listener === undefined) return;
    const waitMs = this.#sentAtMs + minGapMs - this.#parts.clock.now();
    if (waitMs <= 0) this.#send(wantsAnswer);
    else if (this.#soon === undefined || wantsAnswer) {
      this.#soon?.();
      this.#soon = this.#parts.clock.after(waitMs, () => this.#send(wantsAnswer));
    }
  }

  #send(wantsAnswer: boolean): void {
    const { clock, partners, version, wallClock } = this.#parts;
    const listener = this.#listener;
    if (listener === undefined) return;
    this.#soon?.();
    this.#soon = undefined;
    const now = clock.now();
    this.#counter += 1;
    const counter = this.#counter;
    this.#sentMs[counter % sentKept] = now;
    this.#sentAtMs = now;
    const content: LinkContent = {
      m: this.member,
      v: version,
      t: Math.round(wallClock?.() ?? now),
      u: Math.max(0, Math.round(now - this.#startedMs)),
      q: wantsAnswer,
      h: [...this.#members.values(), ...this.#unproven.values()]
        .slice(0, maxMembers)
        .map(({ member, boot, window }) => echoOf(member, boot, window.highest)),
      r: Object.fromEntries([...this.#roles].map(([role, word]) => [role, wireRole(word(), counter)])),
    };
    const bytes = this.#seal.seal(this.boot, counter, writeContent(content));
    if (bytes.length > maxSealedBytes) {
      this.#drop('too much to say');
      return;
    }
    for (const partner of partners) listener.flowTo(partner, { connected: true }).send(bytes);
  }

  /** Boots that have not proved yet that they live now: what they need is our echo. */
  readonly #unproven = new Map<string, { member: string; boot: Boot; window: ReplayWindow }>();

  #received(bytes: Buffer, flow: Flow): void {
    this.noticeAbsence();
    const opened = this.#seal.open(bytes);
    if (!opened.ok) {
      this.#drop(opened.error);
      return;
    }
    const { boot, counter, content: json } = opened.value;
    if (counter > firstParcel) {
      this.#onParcel(boot, counter - firstParcel, json);
      return;
    }
    const content = readContent(json);
    if (content === undefined) this.#drop('malformed');
    else if (content.m === this.member)
      this.#drop(bootId(boot) === bootId(this.boot) ? 'reflected' : 'of our own name');
    else {
      this.#onContent(content, boot, counter);
      const known = this.#members.get(content.m);
      if (known !== undefined && bootId(known.boot) === bootId(boot)) known.remote = flow.remote;
    }
  }

  /** Taken from members that have proved to live now. */
  #onParcel(boot: Boot, counter: number, octets: Buffer): void {
    const id = bootId(boot);
    const known = [...this.#members.values()].find((each) => bootId(each.boot) === id);
    if (known === undefined) this.#drop('of a boot that has not proved to live');
    else if (!known.parcels.admit(counter)) this.#drop('replayed');
    else for (const each of this.#listeners) each.parcel?.(known, octets);
  }

  #onContent(content: LinkContent, boot: Boot, counter: number): void {
    const { clock } = this.#parts;
    const now = clock.now();
    const echoed = this.#echoedBy(content, now);
    const known = this.#members.get(content.m);
    if (known === undefined || bootId(known.boot) !== bootId(boot)) {
      const isOlder = known !== undefined && !isLaterBoot(boot, known.boot);
      // A machine whose clock was set back starts with an older id: heard only once the newer life is over, and proven to be now.
      if (isOlder && (echoed === undefined || now - known.heardMs < goneMs)) {
        this.#drop('of an older boot');
        if (now - known.heardMs >= goneMs) this.#greet(content.m, boot, counter);
        return;
      }
      if (echoed === undefined) {
        this.#greet(content.m, boot, counter);
        return;
      }
      if (known === undefined && this.#members.size >= maxMembers) {
        this.#drop('of too many members');
        return;
      }
      const window = this.#unproven.get(content.m)?.window;
      this.#unproven.delete(content.m);
      const fresh = new Linked(
        content.m,
        boot,
        now,
        window !== undefined && window.highest < counter ? window : undefined,
      );
      fresh.isClockReported = known?.isClockReported ?? false;
      this.#members.set(content.m, fresh);
      this.#take(fresh, content, counter, echoed, now);
      return;
    }
    this.#take(known, content, counter, echoed, now);
  }

  #take(known: Linked, content: LinkContent, counter: number, echoed: number | undefined, now: number): void {
    const isLatest = counter > known.window.highest;
    if (!known.window.admit(counter)) {
      this.#drop('replayed');
      return;
    }
    known.heardMs = now;
    if (echoed !== undefined) {
      known.provenMs = now;
      known.provenCounter = Math.max(known.provenCounter, echoed);
    }
    known.isDeaf = now - known.provenMs >= deafMs;
    if (isLatest) known.read(content, now);
    this.#compareClocks(known, content.t);
    if (content.q) this.#sendSoon(false);
    for (const each of this.#listeners) each.heard?.(known);
  }

  /** The greatest counter of ours that it repeats, if we sent that not long ago. */
  #echoedBy({ h }: LinkContent, now: number): number | undefined {
    const own = bootId(this.boot);
    for (const [member, boot, counter] of h) {
      if (member !== this.member || boot !== own || counter > this.#counter || counter <= this.#counter - sentKept)
        continue;
      if (now - (this.#sentMs[counter % sentKept] ?? 0) < freshMs) return counter;
    }
    return undefined;
  }

  #greet(member: string, boot: Boot, counter: number): void {
    const known = this.#unproven.get(member);
    const isNew = known === undefined || bootId(known.boot) !== bootId(boot);
    if (isNew && this.#unproven.size >= maxMembers && known === undefined) this.#unproven.clear();
    // A recorded later boot must not keep the living one from being greeted: the last one heard is.
    const window = isNew ? new ReplayWindow() : known.window;
    if (isNew) this.#unproven.set(member, { member, boot, window });
    if (window.admit(counter) && isNew) this.#sendSoon(true);
  }

  #compareClocks(known: Linked, wallMs: number): void {
    const { log, clock, wallClock } = this.#parts;
    const differenceMs = wallMs - (wallClock?.() ?? clock.now());
    known.clockDifferenceMs = Math.round(differenceMs);
    if (known.isClockReported || Math.abs(differenceMs) <= maxClockDifferenceMs) return;
    known.isClockReported = true;
    logEvent(log, 'clocksDiffer', { member: known.member, differenceMs: Math.round(differenceMs) });
  }

  /** Counted always; one line a minute and kind. */
  #drop(kind: string): void {
    const { metrics, clock } = this.#parts;
    let dropped = this.#dropped.get(kind);
    if (dropped === undefined) {
      const counter = metrics.counter(
        'link_datagrams_dropped_total',
        'Datagrams on the member link that were not believed',
        {
          reason: kind,
        },
      );
      dropped = { counter, unsaid: 0, saidMs: Number.NEGATIVE_INFINITY };
      this.#dropped.set(kind, dropped);
    }
    dropped.counter.add();
    dropped.unsaid += 1;
    if (clock.now() - dropped.saidMs >= logEveryMs) this.#reportDropped(kind, dropped);
  }

  #reportDropped(kind: string, dropped: Dropped): void {
    const now = this.#parts.clock.now();
    if (dropped.unsaid === 0 || now - dropped.saidMs < logEveryMs) return;
    logEvent(this.#parts.log, 'linkDropped', { reason: kind, count: dropped.unsaid });
    dropped.unsaid = 0;
    dropped.saidMs = now;
  }

  status(): Readonly<Record<string, unknown>> {
    const now = this.#parts.clock.now();
    return {
      address: this.#listener === undefined ? undefined : formatSocketAddress(this.#listener.local),
      member: this.member,
      partners: this.#parts.partners.map(formatSocketAddress),
      heard: [...this.#members.values()].map(
        ({ member, version, startedMs, provenMs, isDeaf, clockDifferenceMs, roles }) => ({
          member,
          version,
          upMs: Math.round(now - startedMs),
          provenMsAgo: Math.round(now - provenMs),
          hearsUs: !isDeaf,
          clockDifferenceMs,
          roles: [...roles.keys()],
        }),
      ),
    };
  }
}

interface Dropped {
  readonly counter: Counter;
  unsaid: number;
  saidMs: number;
}

class Linked implements LinkedMember {
  readonly member: string;
  readonly boot: Boot;
  readonly window: ReplayWindow;
  readonly parcels = new ReplayWindow();
  /** Where its latest datagram came from. */
  remote: SocketAddress | undefined;
  readonly roles = new Map<string, RoleReader>();
  version = '';
  startedMs: number;
  provenMs: number;
  provenCounter = 0;
  heardMs: number;
  isDeaf = false;
  isClockReported = false;
  clockDifferenceMs = 0;

  constructor(member: string, boot: Boot, now: number, window = new ReplayWindow()) {
    this.member = member;
    this.boot = boot;
    this.window = window;
    this.startedMs = this.provenMs = this.heardMs = now;
  }

  read({ v, u, r }: LinkContent, now: number): void {
    this.version = v;
    this.startedMs = now - u;
    for (const role of this.roles.keys()) if (!Object.hasOwn(r, role)) this.roles.delete(role);
    for (const [role, word] of Object.entries(r)) {
      let reader = this.roles.get(role);
      if (reader === undefined) {
        reader = new RoleReader();
        this.roles.set(role, reader);
      }
      reader.read(word);
    }
  }
}

const intervalMs = 250;

/** Between two datagrams of ours, however much changes. */
const minGapMs = 10;

/** Counters above this one are of parcels. */
const firstParcel = 2 ** 47;

/** An echo of what we sent longer ago proves no life. */
const freshMs = 1_000;
const sentKept = 256;

/** It speaks, but has not heard us for this long. */
const deafMs = 1_000;

/** Its newer life is over when it was not heard for this long. */
const goneMs = 3_000;

/** No tick and no message of ours for this long: others count us as dead by now, or soon. */
const absenceMs = 1_200;

const maxMembers = 64;
const maxClockDifferenceMs = 2_000;
const logEveryMs = 60_000;
