/**
 * Flows by their tokens (RFC 5626 §5.3, §7): is the flow here, gone, or another member's? And who is behind it: a binding that was
 * made over one flow and renewed over another is found again by its subscriber, so that requests of a dialog reach a telephone that
 * had to connect anew.
 */
import {
  type Clock,
  type Contact,
  type ControllerAddress,
  type Flow,
  isSecure,
  type SocketAddress,
} from '../../../src/internal.ts';
import { parseUri, type SipUri, uriParam } from '../codec/uri.ts';
import type { FlowTokens, NamedFlow } from './flow-token.ts';

/** Where a token leads. */
export type FlowWay =
  /** Over this flow of ours. */
  | { readonly kind: 'open'; readonly flow: Flow }
  /** To the member that has it. */
  | {
      readonly kind: 'member';
      readonly address: ControllerAddress;
      readonly token: string;
      readonly subscriber: string;
      /** The other end of a datagram flow: others may try it where the member is dead. */
      readonly remote: SocketAddress | undefined;
    }
  /** Nowhere any more: the connection has ended, or belongs to an older life of this process, or to a member we do not know. */
  | {
      readonly kind: 'gone';
      readonly subscriber: string;
      readonly isOld: boolean;
      readonly endedMs?: number | undefined;
    };

export interface FlowsParts {
  readonly tokens: FlowTokens;
  /** The other members of the cluster, in every role they have for us. */
  readonly members: readonly ControllerAddress[];
  /** Our own ports: a partner is probably built as we are, whichever of its addresses we know. */
  readonly ports: readonly number[];
  /** An open connection of ours. */
  flowById(id: string): Flow | undefined;
  readonly clock: Clock;
  /** Since when this member is known to be down; undefined: it is not. */
  downSinceMs(member: ControllerAddress): number | undefined;
  /** When the member link found it dead: that is soon after its death, whether anything was sent there or not. */
  deadSinceMs?(member: ControllerAddress): number | undefined;
  /** The other workers of this host: connections that they have, and that they are told of. */
  readonly workers?: FlowSiblings | undefined;
  /** The way to an address from the socket that this token names. */
  datagramFlow(isSocket: (local: SocketAddress) => boolean, remote: SocketAddress): Flow | undefined;
}

export interface FlowSiblings {
  flowOf(life: string, id: string): Flow | undefined;
  /** When the worker with this life ended; undefined: it lives, or is not known. */
  endedMs(life: string): number | undefined;
  named(flow: Flow): void;
  /** This binding is over a connection of ours now. */
  renewed(subscriber: string, token: string): void;
}

/** What was bound over a flow. */
interface Bound {
  readonly record: string;
  readonly key: string;
  readonly subscriber: string;
  readonly flow: Flow;
  readonly token: string;
}

export interface Binding {
  readonly record: string;
  readonly key: string;
  readonly token: string;
}

/** Telephones come back from a member that ended within this time, or not soon. */
const renewalWindowMs = 10_000;

/** As long as it may take a telephone to notice that its member has ended, and to connect anew. */
const renewalWaitMs = 4_000;

/** Bindings that are known with their flow; the oldest is forgotten, and found by its token alone then. */
const maxBound = 1_000_000;

export class Flows {
  readonly #parts: FlowsParts;
  readonly #bySubscriber = new Map<string, Bound>();
  /** Subscribers by the flow they are bound over. */
  readonly #byFlow = new Map<string, Set<string>>();
  readonly #waiting = new Map<string, Set<(flow: Flow) => void>>();
  readonly #startedMs: number;
  readonly #members = new Map<string, ControllerAddress>();

  constructor(parts: FlowsParts) {
    this.#parts = parts;
    this.#startedMs = parts.clock.now();
    // What is listed comes before what is guessed.
    for (const member of parts.members) this.#know(member, member);
    for (const member of parts.members) for (const port of parts.ports) this.#know({ ...member, port }, member);
  }

  /** The token of a flow; `record` says who is meant, where several are bound over it. */
  tokenOf(flow: Flow, record?: () => string | undefined): string {
    this.#parts.workers?.named(flow);
    return this.#parts.tokens.of(flow, this.#subscriberOver(flow, record));
  }

  /** Was anything bound over this flow? */
  isBound(flow: Flow): boolean {
    return this.#byFlow.size > 0 && this.#byFlow.has(flow.id);
  }

  /** The token of a binding that is made over this flow, for the location service. */
  bindingToken(flow: Flow, record: string, key: string): string {
    const { tokens, workers } = this.#parts;
    workers?.named(flow);
    return tokens.of(flow, tokens.subscriber(record, key));
  }

  /** A binding is stored that was made over this flow. */
  bound(flow: Flow, record: string, key: string): void {
    const { tokens } = this.#parts;
    const subscriber = tokens.subscriber(record, key);
    const token = tokens.of(flow, subscriber);
    if (flow.reliable && this.#bySubscriber.get(subscriber)?.flow.id !== flow.id)
      this.#tellSiblings(flow, subscriber, token);
    this.#forget(subscriber);
    if (this.#bySubscriber.size >= maxBound)
      for (const [oldest] of this.#bySubscriber) {
        this.#forget(oldest);
        break;
      }
    this.#bySubscriber.set(subscriber, { record, key, subscriber, flow, token });
    this.#wake(subscriber, flow);
    const bound = this.#byFlow.get(flow.id);
    if (bound === undefined) this.#byFlow.set(flow.id, new Set([subscriber]));
    else bound.add(subscriber);
  }

  /** Another worker of this host has stored it. */
  renewedBySibling(subscriber: string, token: string): void {
    if (!this.#waiting.has(subscriber)) return;
    const way = this.way(token);
    if (way?.kind === 'open') this.#wake(subscriber, way.flow);
  }

  #wake(subscriber: string, flow: Flow): void {
    const waiting = this.#waiting.get(subscriber);
    this.#waiting.delete(subscriber);
    for (const run of waiting ?? []) run(flow);
  }

  #tellSiblings(flow: Flow, subscriber: string, token: string): void {
    const { workers } = this.#parts;
    workers?.named(flow);
    workers?.renewed(subscriber, token);
  }

  /** A connection has ended: what was bound over it. */
  ended(flow: Flow): readonly Binding[] {
    const bound = this.#byFlow.get(flow.id);
    if (bound === undefined) return [];
    this.#byFlow.delete(flow.id);
    const bindings: Binding[] = [];
    for (const subscriber of bound) {
      const binding = this.#bySubscriber.get(subscriber);
      if (binding?.flow.id !== flow.id) continue;
      this.#bySubscriber.delete(subscriber);
      bindings.push(binding);
    }
    return bindings;
  }

  /** Tells once when this binding is renewed over a flow of ours; returns the function that ends the wait. */
  onRenewal(subscriber: string, run: (flow: Flow) => void): () => void {
    let waiting = this.#waiting.get(subscriber);
    if (waiting === undefined) {
      waiting = new Set();
      this.#waiting.set(subscriber, waiting);
    }
    const wait = waiting;
    wait.add(run);
    return () => {
      wait.delete(run);
      if (wait.size === 0 && this.#waiting.get(subscriber) === wait) this.#waiting.delete(subscriber);
    };
  }

  /**
   * How long a request waits for the telephone behind this token, which is likely to be back in a moment where its member, or our own
   * earlier life, ended just now; 0: not at all. Where the death was seen as it happened, the telephone has had the time since.
   */
  renewalWaitMs(way: FlowWay): number {
    if (way.kind === 'open' || way.subscriber === '') return 0;
    const { clock, downSinceMs, deadSinceMs } = this.#parts;
    const now = clock.now();
    if (way.kind === 'gone')
      return way.isOld && now - (way.endedMs ?? this.#startedMs) < renewalWindowMs ? renewalWaitMs : 0;
    const deadMs = deadSinceMs?.(way.address);
    if (deadMs !== undefined) return Math.max(0, deadMs + renewalWaitMs - now);
    const downMs = downSinceMs(way.address);
    return downMs === undefined || now - downMs < renewalWindowMs ? renewalWaitMs : 0;
  }

  /** Where this token leads; undefined where it is none of ours. */
  way(token: string | undefined): FlowWay | undefined {
    const named = token === undefined ? undefined : this.#parts.tokens.read(token);
    if (token === undefined || named === undefined) return undefined;
    const { member, subscriber } = named;
    if (member !== this.#parts.tokens.member) {
      const address = this.#members.get(member);
      return address === undefined
        ? { kind: 'gone', subscriber, isOld: false }
        : {
            kind: 'member',
            address,
            token,
            subscriber,
            remote: named.way.kind === 'datagram' ? named.way.remote : undefined,
          };
    }
    const flow = this.#flowOf(named);
    // Datagram flows do not end; where the binding was renewed from another address, the old one is nobody's.
    const renewed = flow?.reliable === false ? this.renewed(subscriber) : undefined;
    if (flow === undefined) return this.#gone(named);
    return { kind: 'open', flow: renewed ?? flow };
  }

  #gone({ subscriber, way }: NamedFlow): FlowWay {
    const isOld = way.kind === 'connection' && way.life !== this.#parts.tokens.life;
    const endedMs = way.kind === 'connection' ? this.#parts.workers?.endedMs(way.life) : undefined;
    return { kind: 'gone', subscriber, isOld, endedMs };
  }

  /** The flow over which the same binding was renewed here. */
  renewed(subscriber: string): Flow | undefined {
    const flow = subscriber === '' ? undefined : this.#bySubscriber.get(subscriber)?.flow;
    return flow === undefined || (flow.reliable && this.#parts.flowById(flow.id) === undefined) ? undefined : flow;
  }

  /** Has the flow of this contact ended, as far as we can know? */
  isGone({ flow }: Contact): boolean {
    if (flow === undefined) return false;
    const way = this.way(flow);
    return way?.kind === 'gone' || (way?.kind === 'member' && this.#parts.downSinceMs(way.address) !== undefined);
  }

  /** Is it of no use any more: made for a flow that has ended, and not to be reached in another way (RFC 5626 §7)? */
  isLost(contact: Contact): boolean {
    return contact.flow !== undefined && isBoundToFlow(contact) && this.isGone(contact);
  }

  /** How to reach this member, by TLS where the request must not leave it; undefined where it has no such address. */
  memberAddress(member: ControllerAddress, secure: boolean): ControllerAddress | undefined {
    if (!secure || isSecure(member.transport)) return member;
    return this.#parts.members.find(({ host, transport }) => host === member.host && isSecure(transport));
  }

  isDown(member: ControllerAddress): boolean {
    return this.#parts.downSinceMs(member) !== undefined;
  }

  /** Is this contact the binding that the token was made for? */
  isOf(record: string, { key }: Contact, subscriber: string): boolean {
    return subscriber !== '' && this.#parts.tokens.subscriber(record, key) === subscriber;
  }

  /** Did the request come over the very flow that the token names (RFC 5626 §5.3)? */
  isFrom(token: string, from: Flow): boolean {
    const way = this.way(token);
    if (way?.kind !== 'open' || way.flow.transport !== from.transport) return false;
    const { flow } = way;
    return from.reliable
      ? flow.id === from.id
      : flow.remote.port === from.remote.port && flow.remote.host === from.remote.host && sameSocket(flow, from);
  }

  #know(address: SocketAddress, member: ControllerAddress): void {
    const name = this.#parts.tokens.nameOf(address);
    if (!this.#members.has(name)) this.#members.set(name, member);
  }

  #flowOf({ way }: NamedFlow): Flow | undefined {
    const { tokens, flowById, datagramFlow, workers } = this.#parts;
    if (way.kind === 'connection')
      return way.life === tokens.life ? flowById(way.id) : workers?.flowOf(way.life, way.id);
    return datagramFlow((local) => tokens.nameOf(local) === way.socket, way.remote);
  }

  /** The one binding over this flow, or the one of this record. */
  #subscriberOver(flow: Flow, recordOf: (() => string | undefined) | undefined): string {
    const bound = this.#byFlow.size === 0 ? undefined : this.#byFlow.get(flow.id);
    if (bound === undefined) return '';
    const [only = ''] = bound;
    if (bound.size === 1) return only;
    const record = bound.size > maxSearched ? undefined : recordOf?.();
    if (record === undefined) return '';
    let found = '';
    for (const subscriber of bound) {
      if (this.#bySubscriber.get(subscriber)?.record !== record) continue;
      if (found !== '') return '';
      found = subscriber;
    }
    return found;
  }

  #forget(subscriber: string): void {
    const known = this.#bySubscriber.get(subscriber);
    if (known === undefined) return;
    this.#bySubscriber.delete(subscriber);
    const bound = this.#byFlow.get(known.flow.id);
    bound?.delete(subscriber);
    if (bound?.size === 0) this.#byFlow.delete(known.flow.id);
  }
}

/**
 * Does a contact live and die with its flow? One with reg-id does (RFC 5626 §6), and one that nobody can connect to: a browser's
 * (RFC 7118 §5), or a name that cannot exist (RFC 2606 §2).
 */
export function isBoundToFlow({ regId, target }: Contact): boolean {
  if (regId !== undefined) return true;
  const uri = parseUri(target);
  return uri !== undefined && !isDialable(uri);
}

/** Could a connection be made, or a datagram be sent, to where this URI says? */
export function isDialable(uri: SipUri): boolean {
  if (/(?:^|\.)invalid\.?$/i.test(uri.host)) return false;
  const transport = uriParam(uri, 'transport');
  return transport === undefined || !/^wss?$/i.test(transport);
}

/** Over a connection that carries a whole trunk nobody is looked for. */
const maxSearched = 32;

const sameSocket = (a: Flow, b: Flow): boolean => a.local.host === b.local.host && a.local.port === b.local.port;
