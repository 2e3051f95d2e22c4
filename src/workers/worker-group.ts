/**
 * The workers of one host as a role of one of them sees them. A message that belongs to another worker is handed over whole, with the
 * way it came: the other answers from the same address, since datagram sockets are shared, or over the connection where it is.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Counter, Metrics } from '../metrics.ts';
import type { Flow, Listener, TransmitError } from '../network.ts';
import type { SocketAddress } from '../signaling/controller-address.ts';
import type { Frame } from './frames.ts';
import { SharedConnections } from './shared-connections.ts';
import { type Links, SiblingLinks, type SiblingLinksParts, type Speaker, type WorkerAddress } from './sibling-links.ts';

/** What of a role takes part. */
export interface WorkerRole {
  listeners(): readonly Listener[];
  /** A message that came to a sibling and is for us. */
  receive(bytes: Buffer, flow: Flow): void;
  /** A connection that a sibling has, or had, is gone. */
  failed(flow: Flow, error: TransmitError): void;
  /** Is this transaction here? */
  has(key: string): boolean;
}

export interface WorkerGroupParts {
  readonly self: WorkerAddress;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Sockets of the file system, but for simulations. */
  readonly links?: ((parts: SiblingLinksParts) => Links) | undefined;
}

/** Reads and writes what siblings share beside messages, by name. */
export interface Notes {
  /** A sibling is there: what it has to know. */
  joined(index: number): void;
  received(index: number, fields: readonly string[], body: Buffer): void;
}

export class WorkerGroup {
  readonly #parts: WorkerGroupParts;
  readonly #links: Links;
  readonly #connections: SharedConnections;
  readonly #roles = new Map<string, WorkerRole>();
  /** Roles that siblings serve, by index: a worker that starts is linked before it is of use. */
  readonly #serving = new Map<number, { readonly life: string; readonly roles: Set<string> }>();
  readonly #notes = new Map<string, Notes>();
  /** Notes for a part of us that is not there yet: workers that start together are not equally fast. */
  readonly #early: { from: number; name: string; fields: readonly string[]; body: Buffer }[] = [];
  /** When workers ended, by life; and by index, the last of them. */
  readonly #endedMs = new Map<string, number>();
  readonly #diedMs = new Map<number, number>();
  readonly #asked = new Map<number, Question>();
  readonly #movedUntilMs = new Map<string, number>();
  readonly #leadListeners = new Set<(isLead: boolean) => void>();
  readonly #linkListeners = new Set<(bytes: Buffer, from: SocketAddress) => void>();
  readonly #handedOver: Counter;
  readonly #takenIn: Counter;
  readonly #questions: Counter;
  #questionNumber = 0;
  #unsettledUntilMs: number;
  #lead = 1;
  #isSuccession = false;

  constructor(parts: WorkerGroupParts) {
    this.#parts = parts;
    const { clock, metrics, self, log, links = (each) => new SiblingLinks(each) } = parts;
    this.#unsettledUntilMs = clock.now() + unsettledMs;
    this.#links = links({
      self,
      log,
      joined: (sibling) => this.#joined(sibling),
      left: (sibling) => this.#left(sibling),
      received: (from, frame) => this.#received(from, frame),
    });
    this.#connections = new SharedConnections({
      life: self.life,
      links: this.#links,
      listeners: (role) => this.#roles.get(role)?.listeners() ?? [],
      failed: (role, flow, error) => this.#roles.get(role)?.failed(flow, error),
    });
    this.#handedOver = metrics.counter('worker_handed_over_total', 'Messages that another worker was given');
    this.#takenIn = metrics.counter(
      'worker_taken_in_total',
      'Messages that came to another worker and were given to us',
    );
    this.#questions = metrics.counter('worker_questions_total', 'Messages of which it was asked which worker has them');
  }

  get index(): number {
    return this.#parts.self.index;
  }

  /** In the name of our connections. */
  get life(): string {
    return this.#parts.self.life;
  }

  start(): Promise<void> {
    return this.#links.start();
  }

  stop(): void {
    for (const { cancel } of this.#asked.values()) cancel();
    this.#asked.clear();
    this.#links.stop();
  }

  meet(workers: readonly WorkerAddress[]): Promise<void> {
    return this.#links.meet(workers);
  }

  /** Once its sockets are bound: from now on siblings give us its messages. */
  join(role: string, part: WorkerRole): void {
    this.#roles.set(role, part);
    this.#links.toAll('serves', [role]);
  }

  // --- who does what one does for all ---------------------------------------------------------------------------------------

  get lead(): number {
    return this.#lead;
  }

  get isLead(): boolean {
    return this.#lead === this.index;
  }

  /** Told at once, and whenever it changes. */
  onLead(listener: (isLead: boolean) => void): Cancel {
    this.#leadListeners.add(listener);
    listener(this.isLead);
    return () => this.#leadListeners.delete(listener);
  }

  /** Has another worker, or an earlier life of this one, done before what one does for all? */
  get isSuccession(): boolean {
    return this.#isSuccession;
  }

  setLead(index: number, isSuccession = false): void {
    const was = this.isLead;
    this.#isSuccession = isSuccession;
    this.#lead = index;
    if (this.isLead !== was) for (const each of [...this.#leadListeners]) each(this.isLead);
  }

  // --- messages -------------------------------------------------------------------------------------------------------------

  isLiving(index: number): boolean {
    return this.#links.isLiving(index);
  }

  /** Does it serve the role, and has been the same process for as long as a transaction may live? What is its own is nowhere else then. */
  isSettled(index: number, role: string): boolean {
    if (!this.#isServing(index, role)) return false;
    const diedMs = this.#diedMs.get(index);
    return diedMs === undefined || this.#parts.clock.now() - diedMs >= unsettledMs;
  }

  #isServing(index: number, role: string): boolean {
    return this.#links.isLiving(index) && this.#serving.get(index)?.roles.has(role) === true;
  }

  living(): readonly WorkerAddress[] {
    return this.#links.living();
  }

  /** False: that worker is not there; the message is ours to handle. */
  handOver(index: number, role: string, bytes: Uint8Array, flow: Flow): boolean {
    if (!this.#isServing(index, role)) return false;
    const fields = this.#connections.wayOf(role, flow);
    if (fields === undefined || !this.#links.send(index, 'message', fields, bytes)) return false;
    this.#handedOver.add();
    return true;
  }

  /** Whichever sibling has this transaction takes the message as well; it is handled here all the same, and at once. */
  offer(role: string, key: string, bytes: Uint8Array, flow: Flow): void {
    const fields = this.#connections.wayOf(role, flow);
    if (fields !== undefined) this.#links.toAll('offer', [...fields, key], bytes);
  }

  /**
   * Workers have come or gone a moment ago, or messages from this host come to another worker than before: what finds no transaction here may
   * have one at a sibling, or have had one at a worker that is dead (RFC 3261 §17.1.1.1: 64·T1 is how long one may live).
   */
  isUnsettled(host: string): boolean {
    const now = this.#parts.clock.now();
    if (now < this.#unsettledUntilMs) return true;
    if (this.#movedUntilMs.size === 0) return false;
    const untilMs = this.#movedUntilMs.get(host);
    if (untilMs === undefined) return false;
    if (now < untilMs) return true;
    this.#movedUntilMs.delete(host);
    return false;
  }

  /** Messages from this host go to the newest socket that is connected to it, whichever worker has that. */
  moved(host: string): void {
    this.#noteMoved(host);
    this.#links.toAll('moved', [host]);
  }

  /** Which sibling has this transaction? Told once, in a moment; undefined: none, or none that answers. */
  ask(role: string, key: string, done: (owner: number | undefined) => void): void {
    const siblings = this.#links.living();
    if (siblings.length === 0 || this.#asked.size >= maxQuestions) {
      done(undefined);
      return;
    }
    this.#questions.add();
    this.#questionNumber += 1;
    const number = this.#questionNumber;
    const question: Question = {
      open: new Set(siblings.map(({ index }) => index)),
      done,
      cancel: this.#parts.clock.after(answerMs, () => this.#settle(number, undefined)),
    };
    this.#asked.set(number, question);
    for (const { index } of siblings)
      if (!this.#links.send(index, 'ask', [String(number), role, key])) question.open.delete(index);
    if (question.open.size === 0) this.#settle(number, undefined);
  }

  // --- connections ----------------------------------------------------------------------------------------------------------

  /** A token names this connection of ours: siblings shall be able to use it. */
  named(role: string, flow: Flow): void {
    this.#connections.name(role, flow);
  }

  /** A connection of ours has ended. */
  ended(flow: Flow): void {
    this.#connections.ended(flow);
  }

  /** A sibling's connection. */
  flowOf(life: string, id: string): Flow | undefined {
    return this.#connections.of(life, id);
  }

  flowById(id: string): Flow | undefined {
    return this.#connections.byId(id);
  }

  /** When the worker with this life ended; undefined: it lives, or nothing is known of it. */
  endedMs(life: string): number | undefined {
    return this.#endedMs.get(life);
  }

  // --- what else is shared --------------------------------------------------------------------------------------------------

  share(name: string, notes: Notes): void {
    this.#notes.set(name, notes);
    const early = this.#early.splice(0);
    for (const each of early) this.#onNote(each.from, each.name, each.fields, each.body);
    for (const { index } of this.#links.living()) notes.joined(index);
  }

  note(index: number, name: string, fields: readonly string[], body?: Uint8Array): boolean {
    return this.#links.send(index, 'note', [name, ...fields], body);
  }

  noteToAll(name: string, fields: readonly string[], body?: Uint8Array): void {
    this.#links.toAll('note', [name, ...fields], body);
  }

  /** A datagram of the member link: it came to one of us, and concerns all. */
  passLink(bytes: Uint8Array, { host, port }: SocketAddress): void {
    this.#links.toAll('link', [host, String(port)], bytes);
  }

  onLink(listener: (bytes: Buffer, from: SocketAddress) => void): Cancel {
    this.#linkListeners.add(listener);
    return () => this.#linkListeners.delete(listener);
  }

  status(): Readonly<Record<string, unknown>> {
    return { index: this.index, lead: this.#lead, siblings: this.#links.living().map(({ index }) => index) };
  }

  #joined({ index }: WorkerAddress): void {
    this.#unsettled();
    for (const role of this.#roles.keys()) this.#links.send(index, 'serves', [role]);
    this.#connections.tellAll(index);
    for (const notes of this.#notes.values()) notes.joined(index);
  }

  #left({ index, life }: WorkerAddress): void {
    this.#unsettled();
    const now = this.#parts.clock.now();
    this.#diedMs.set(index, now);
    this.#endedMs.set(life, now);
    for (const oldest of this.#endedMs.keys()) {
      if (this.#endedMs.size <= maxLives) break;
      this.#endedMs.delete(oldest);
    }
    if (this.#serving.get(index)?.life === life) this.#serving.delete(index);
    for (const [number, question] of [...this.#asked]) {
      question.open.delete(index);
      if (question.open.size === 0) this.#settle(number, undefined);
    }
    this.#connections.lost(life);
  }

  #unsettled(): void {
    this.#unsettledUntilMs = this.#parts.clock.now() + unsettledMs;
  }

  #settle(number: number, owner: number | undefined): void {
    const question = this.#asked.get(number);
    if (question === undefined) return;
    this.#asked.delete(number);
    question.cancel();
    question.done(owner);
  }

  #noteMoved(host: string): void {
    if (this.#movedUntilMs.size >= maxMoved) this.#movedUntilMs.clear();
    this.#movedUntilMs.set(host, this.#parts.clock.now() + unsettledMs);
  }

  #received(from: Speaker, { kind, fields, body }: Frame): void {
    const [first = '', second = ''] = fields;
    switch (kind) {
      case 'serves':
        this.#onServes(from, first);
        break;
      case 'message':
        this.#onMessage(fields, body);
        break;
      case 'offer':
        if (this.#roles.get(first)?.has(fields.slice(6).join('\n')) === true) this.#onMessage(fields, body);
        break;
      case 'send':
        this.#ownFlow(first)?.send(body);
        break;
      case 'close':
        this.#ownFlow(first)?.close();
        break;
      case 'named':
        // What a dead worker said last may be read after its end was seen.
        if (!this.#endedMs.has(from.life)) this.#connections.named(from, fields);
        break;
      case 'ended':
        this.#connections.endedAt(from.life, first);
        break;
      case 'ask':
        this.#onAsk(from.index, first, second, fields.slice(2).join('\n'));
        break;
      case 'answer': {
        const question = this.#asked.get(Number(first));
        question?.open.delete(from.index);
        if (second === '1') this.#settle(Number(first), from.index);
        else if (question?.open.size === 0) this.#settle(Number(first), undefined);
        break;
      }
      case 'moved':
        this.#noteMoved(first);
        break;
      case 'link':
        for (const each of this.#linkListeners) each(body, { host: first, port: Number(second) });
        break;
      case 'note':
        this.#onNote(from.index, first, fields.slice(1), body);
        break;
      case 'hello':
        break;
    }
  }

  #onAsk(from: number, number: string, role: string, key: string): void {
    this.#links.send(from, 'answer', [number, this.#roles.get(role)?.has(key) === true ? '1' : '0']);
  }

  /** Its sockets are bound now: the system gives it a part of what came to others. */
  #onServes({ index, life }: Speaker, role: string): void {
    if (this.#endedMs.has(life)) return;
    this.#unsettled();
    const known = this.#serving.get(index);
    if (known?.life === life) known.roles.add(role);
    else this.#serving.set(index, { life, roles: new Set([role]) });
  }

  #onNote(from: number, name: string, fields: readonly string[], body: Buffer): void {
    const notes = this.#notes.get(name);
    if (notes !== undefined) notes.received(from, fields, body);
    else if (this.#early.length < maxEarly) this.#early.push({ from, name, fields, body });
  }

  #onMessage(fields: readonly string[], body: Buffer): void {
    const [role = ''] = fields;
    const flow = this.#connections.flowBy(fields);
    if (flow === undefined) return;
    this.#takenIn.add();
    this.#roles.get(role)?.receive(body, flow);
  }

  #ownFlow(id: string): Flow | undefined {
    for (const part of this.#roles.values())
      for (const listener of part.listeners()) {
        const flow = listener.flowById(id);
        if (flow !== undefined) return flow;
      }
    return undefined;
  }
}

interface Question {
  readonly open: Set<number>;
  readonly done: (owner: number | undefined) => void;
  readonly cancel: Cancel;
}

/** 64·T1 (RFC 3261 §17.1.1.2). */
const unsettledMs = 32_000;

/** A sibling that dies is seen to: one that does not answer in this time stands still. */
const answerMs = 500;

const maxQuestions = 10_000;
const maxMoved = 4_096;
const maxEarly = 4_096;
const maxLives = 256;
