/**
 * Names of flows (RFC 5626 §5.2): what stands in a Route of ours, or in a binding, to lead back to one connection or one pair of
 * datagram addresses. A token says which member has the flow and, for a connection, in which life of its process, so that every
 * member knows another's and an older one as such; nobody else can make one up or change one.
 *
 *     connection: member "." life "." id "." subscriber "." mac          datagrams: member ".u" socket "." remote "." subscriber "." mac
 *     member, socket, subscriber: 6 characters (subscriber may be empty)          mac: 64 bits over all that stands before it
 */
import { isIPv4, isIPv6 } from 'node:net';
import { type Flow, formatSocketAddress, KeyedHash, type SocketAddress, sameText } from '../../../src/internal.ts';

/** What a token of a member of ours says; whether the flow is still there is another question. */
export interface NamedFlow {
  /** `FlowTokens.nameOf` an address of the member that has it. */
  readonly member: string;
  /** `FlowTokens.subscriber` of the binding that was made over it, if one was. */
  readonly subscriber: string;
  readonly way: ConnectionName | DatagramName;
}

export interface ConnectionName {
  readonly kind: 'connection';
  readonly life: string;
  readonly id: string;
}

export interface DatagramName {
  readonly kind: 'datagram';
  /** `FlowTokens.nameOf` the socket. */
  readonly socket: string;
  readonly remote: SocketAddress;
}

/** The longest token: a datagram flow of IPv6. */
export const maxTokenLength = 80;

export class FlowTokens {
  readonly #mac: KeyedHash;
  readonly #names: KeyedHash;
  readonly #subscribers: KeyedHash;
  readonly #life: string;
  readonly #connections = new WeakMap<Flow, string>();
  #member = '';

  /** `life`: unlike for any two lives of our process, up to 16 letters and digits. */
  constructor(secret: string, life: string) {
    this.#mac = new KeyedHash(secret, 'SIP flow token');
    this.#names = new KeyedHash(secret, 'SIP flow member');
    this.#subscribers = new KeyedHash(secret, 'SIP flow subscriber');
    this.#life = life;
  }

  get life(): string {
    return this.#life;
  }

  get member(): string {
    return this.#member;
  }

  /** Call once our own address is known: the first of those by which partners know us. */
  is(self: SocketAddress): void {
    this.#member = this.nameOf(self);
  }

  /** A short name of an address; the same on every member. */
  nameOf(address: SocketAddress): string {
    return this.#names.short(formatSocketAddress(address));
  }

  /** A short name of a binding: who is behind a flow, told to nobody. */
  subscriber(record: string, key: string): string {
    return this.#subscribers.short(`${record}\n${key}`);
  }

  /** The token of this flow. */
  of(flow: Flow, subscriber = ''): string {
    if (!flow.reliable)
      return this.#signed(`${this.#member}.u${this.nameOf(flow.local)}.${packed(flow.remote)}.${subscriber}`);
    const { life, id } = flow.relayed ?? { life: this.#life, id: flow.id };
    if (subscriber !== '') return this.#signed(`${this.#member}.${life}.${id}.${subscriber}`);
    let token = this.#connections.get(flow);
    if (token === undefined) {
      token = this.#signed(`${this.#member}.${life}.${id}.`);
      this.#connections.set(flow, token);
    }
    return token;
  }

  /** What a token says; undefined where no member of ours made it as it is. */
  read(token: string): NamedFlow | undefined {
    if (token.length > maxTokenLength) return undefined;
    const dot = token.lastIndexOf('.');
    if (dot < 0 || !sameText(token.slice(dot + 1), this.#mac.of(token.slice(0, dot)))) return undefined;
    const [member = '', second = '', third = '', subscriber = ''] = token.slice(0, dot).split('.', 4);
    if (!second.startsWith('u')) return { member, subscriber, way: { kind: 'connection', life: second, id: third } };
    const remote = unpacked(third);
    return remote === undefined
      ? undefined
      : { member, subscriber, way: { kind: 'datagram', socket: second.slice(1), remote } };
  }

  #signed(text: string): string {
    return `${text}.${this.#mac.of(text)}`;
  }
}

/** Address and port as octets in base64url. */
function packed({ host, port }: SocketAddress): string {
  const octets = isIPv4(host)
    ? host.split('.').map(Number)
    : groupsOf(host).flatMap((group) => [group >> 8, group & 255]);
  return Buffer.from([...octets, port >> 8, port & 255]).toString('base64url');
}

function unpacked(text: string): SocketAddress | undefined {
  const octets = Buffer.from(text, 'base64url');
  const { length } = octets;
  if (length !== 6 && length !== 18) return undefined;
  const port = octets.readUInt16BE(length - 2);
  if (length === 6) return { host: [...octets.subarray(0, 4)].join('.'), port };
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(octets.readUInt16BE(at).toString(16));
  return { host: shortest(groups), port };
}

/** The eight groups of an IPv6 address; a zone is left out, an embedded IPv4 address counts as two groups. */
function groupsOf(host: string): readonly number[] {
  if (!isIPv6(host)) return [0, 0, 0, 0, 0, 0, 0, 0];
  const plain = host
    .replace(/%.*$/, '')
    .replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a: string, b: string, c: string, d: string) =>
      [(Number(a) << 8) | Number(b), (Number(c) << 8) | Number(d)].map((group) => group.toString(16)).join(':'),
    );
  const [left = '', right] = plain.split('::');
  const numbers = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const head = numbers(left);
  const tail = right === undefined ? [] : numbers(right);
  return [...head, ...new Array<number>(Math.max(0, 8 - head.length - tail.length)).fill(0), ...tail].slice(0, 8);
}

/** As RFC 5952 §4 writes it, which is how the system gives addresses: the longest run of zeros becomes `::`. */
function shortest(groups: readonly string[]): string {
  let start = -1;
  let length = 1;
  for (let i = 0; i < groups.length; i += 1) {
    let run = 0;
    while (groups[i + run] === '0') run += 1;
    if (run > length) [start, length] = [i, run];
  }
  if (start < 0) return groups.join(':');
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`;
}
