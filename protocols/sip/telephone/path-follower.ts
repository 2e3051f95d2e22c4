/**
 * What makes a user agent follow AlternatePath, below its transaction layer: it sees every datagram that goes out and comes in,
 * sends through the core's Transmitter, and repeats what is pending to the next address with the same transaction identity
 * (RFC 3261 §17.1.3), so that whoever has it already knows it again. The user agent notices nothing.
 */
import {
  type Clock,
  type ControllerAddress,
  type Delivery,
  type Flow,
  type HopFailure,
  type Listener,
  type Logger,
  type Metrics,
  type Network,
  type Random,
  Receiver,
  type SocketAddress,
  sameAddress,
  Transmitter,
  type TransmitterOptions,
  type TrustSettings,
} from '../../../src/internal.ts';
import { createSipAdapter, probeIdOf } from '../adapter.ts';
import { decode } from '../codec/decode.ts';
import { Edit, toBytes, topViaEnd } from '../codec/encode.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { retryAfterMs } from '../codec/retry-after.ts';
import { viaAlternates } from '../path.ts';
import { ackFor } from '../transactions/hop-requests.ts';
import { nextWaitMs } from '../transactions/host.ts';
import { serverKey } from '../transactions/keys.ts';
import { viaAddress } from '../transactions/way-back.ts';
import { BoundedMap } from './bounded-map.ts';
import {
  type Acknowledgement,
  maxFailures,
  type OpenRequest,
  type ServedRequest,
  transportError,
} from './follower-state.ts';
import { HopKnowledge, hopOf, isDatagram, unique } from './hop-knowledge.ts';

export interface FollowerParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly network: Network;
  readonly listen: ControllerAddress;
  /** Sets of controllers that stand in for each other, best first, known before anything was heard. */
  readonly controllers: readonly (readonly ControllerAddress[])[];
  readonly trust: TrustSettings;
  readonly timers?: Partial<TransmitterOptions & { readonly holdMs: number }> | undefined;
  /** Write our bound address into the Via of each request, whatever the user agent put there. */
  readonly ownsVia: boolean;
  /** For the user agent. */
  deliver(bytes: Buffer, from: SocketAddress): void;
  /** A message moved to another controller. */
  switched?(message: SipMessage, from: ControllerAddress, to: ControllerAddress, because: HopFailure): void;
  /** Every message on the wire, repetitions included, probes not. */
  tap?(direction: 'in' | 'out', message: SipMessage, remote: SocketAddress): void;
}

/** RFC 3261 §17.1.1.1, §17.1.2.2. */
const t1Ms = 500;
const t2Ms = 4_000;
const timeoutMs = 64 * t1Ms;
/** How long the hop of an ACK is watched: two probes. An ACK that is lost later than that makes the 2xx come again, after T1 at first. */
const ackWatchMs = 600;
/** As long as an ICMP error may take. A response that is lost without one is asked for again: the request comes by the other way. */
const responseWatchMs = 100;
const maxTransactions = 100_000;

export class PathFollower {
  readonly #parts: FollowerParts;
  readonly #adapter = createSipAdapter();
  readonly #receiver: Receiver<SipMessage>;
  readonly #transmitter: Transmitter;
  readonly #hops: HopKnowledge;
  readonly #requests = new BoundedMap<string, OpenRequest>(maxTransactions);
  readonly #served = new BoundedMap<string, ServedRequest>(maxTransactions);
  readonly #acks = new BoundedMap<string, Acknowledgement>(maxTransactions);
  /** 2xx of ours that wait for their ACK, by dialog and CSeq. */
  readonly #accepted = new BoundedMap<string, () => void>(maxTransactions);
  #listener: Listener | undefined;
  #stopped = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    const { clock, random, log, metrics, network, timers } = parts;
    this.#hops = new HopKnowledge({
      clock,
      random,
      log,
      metrics,
      trust: parts.trust,
      adapter: this.#adapter,
      holdMs: timers?.holdMs,
      self: () => this.#listener?.local,
    });
    this.#transmitter = new Transmitter({
      clock,
      pool: this.#hops.pool,
      log,
      metrics,
      protocol: 'sip',
      listeners: () => (this.#listener === undefined ? [] : [this.#listener]),
      probe: (to, flow) => {
        const id = random.hex(16);
        const probe = this.#adapter.probe(to, { ...flow.local, transport: flow.transport }, id);
        return { id, bytes: this.#adapter.encode(probe, undefined) };
      },
      ...(timers === undefined ? {} : { options: timers }),
    });
    this.#receiver = new Receiver<SipMessage>({
      adapter: this.#adapter,
      clock,
      network,
      log,
      metrics,
      listen: [parts.listen],
      maxMessageBytes: 65_535,
      onMessage: (message, flow) => this.#receive(message, flow),
      onFailed: (flow, error) => this.#transmitter.flowFailed(flow, error),
    });
  }

  /** Binds the socket. @throws BindError (rejects). */
  async start(): Promise<ControllerAddress> {
    const [listener] = await this.#receiver.start();
    if (listener === undefined) throw new Error('nothing was bound');
    this.#listener = listener;
    for (const group of this.#parts.controllers) this.#hops.know(group);
    return listener.local;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const cancel of this.#accepted.values()) cancel();
    this.#transmitter.stop();
    await this.#receiver.stop();
  }

  /** What is known of controllers, for people. */
  peers(): readonly { readonly address: string; readonly health: string }[] {
    return this.#hops.pool.peers().map(({ key, health }) => ({ address: key, health }));
  }

  /** A datagram of the user agent's. */
  send(bytes: Buffer, to: SocketAddress): void {
    const hop: ControllerAddress = { transport: 'udp', host: to.host, port: to.port };
    const decoded = decode(bytes);
    if (!decoded.ok) this.#transmitter.sendOnce(hop, () => bytes);
    else if (!decoded.value.isRequest) this.#respond(decoded.value, hop);
    else if (decoded.value.method === 'ACK') this.#acknowledge(decoded.value, hop);
    else this.#request(decoded.value, hop);
  }

  // --- requests of ours -----------------------------------------------------------------------------------------------------

  #request(message: SipMessage, to: ControllerAddress): void {
    const key = requestKey(message);
    const known = this.#requests.get(key);
    if (known !== undefined) {
      if (known.answeredBy !== undefined || known.failures >= maxFailures) return;
      // Every address failed once: the user agent's own timers decide how long it is tried all over again.
      if (known.delivery === undefined) this.#begin(known);
      else {
        this.#tapOut(message, known.delivery.current);
        known.delivery.repeat();
      }
      return;
    }
    // Outside of a dialog the hop is the user agent's own choice: its word on backups counts (docs/alternate-path.md §8).
    if (message.toTag === '') this.#hops.choose(to);
    const open: OpenRequest = {
      message,
      bytes: this.#octets(message),
      to,
      delivery: undefined,
      answeredBy: undefined,
      failures: 0,
    };
    this.#requests.set(key, open);
    this.#begin(open);
    this.#forgetLater(() => this.#requests.delete(key), open);
  }

  #begin(open: OpenRequest): void {
    const { message, bytes } = open;
    open.delivery = this.#transmitter.deliver(
      { addresses: this.#addresses(open) },
      {
        encode: (_flow, to) => {
          this.#tapOut(message, to);
          return bytes;
        },
        switched: (from, to, because) => this.#parts.switched?.(message, from, to, because),
        exhausted: () => this.#exhausted(open),
      },
    );
  }

  #exhausted(open: OpenRequest): void {
    open.delivery = undefined;
    open.failures += 1;
    // A controller may be being started anew; what is nobody's backup was asked twice already.
    if (this.#hops.pool.find(open.to) === undefined) open.failures = maxFailures;
    if (open.failures >= maxFailures) this.#parts.deliver(toBytes(transportError(open.message)), open.to);
  }

  /** A CANCEL goes where its INVITE is (RFC 3261 §9.1); anything else to the hop it names, then to that hop's alternates. */
  #addresses({ message, to }: OpenRequest): readonly ControllerAddress[] {
    const addresses = this.#hops.withAlternates(to);
    if (message.method !== 'CANCEL') return addresses;
    const at = this.#requests.get(`${message.via.branch} INVITE`)?.delivery?.current;
    return at === undefined ? addresses : unique([at, ...addresses]);
  }

  #onResponse(response: SipMessage, flow: Flow): void {
    const probe = probeIdOf(response);
    if (probe !== undefined) {
      this.#transmitter.probeAnswered(probe, flow, retryAfterMs(response));
      return;
    }
    this.#parts.tap?.('in', response, flow.remote);
    const open = this.#requests.get(requestKey(response));
    if (open !== undefined) {
      open.delivery?.heard(flow);
      this.#hops.learn(response, flow);
      if (response.status < 200) open.delivery?.provisional();
      else {
        if (response.status === 503 && this.#refused(open, response, flow)) return;
        open.answeredBy = hopOf(flow);
        open.delivery?.answered();
      }
    }
    if (
      response.method === 'INVITE' &&
      response.status >= 200 &&
      response.status < 300 &&
      this.#ackAgain(response, flow)
    )
      return;
    this.#pass(response, flow);
  }

  /** A trusted hop that takes no work is as good as a dead one, and may be the only one that knows it (RFC 3263 §4.3). */
  #refused(open: OpenRequest, response: SipMessage, flow: Flow): boolean {
    const { delivery, message, bytes } = open;
    if (open.answeredBy !== undefined || delivery === undefined || !this.#hops.trust.isTrusted(flow)) return false;
    const at = delivery.current;
    if (at === undefined || !sameAddress(at, hopOf(flow)) || !delivery.refused(retryAfterMs(response))) return false;
    if (message.method === 'INVITE') flow.send(toBytes(ackFor(bytes.toString('latin1'), response)));
    return true;
  }

  // --- ACK ------------------------------------------------------------------------------------------------------------------

  #acknowledge(ack: SipMessage, to: ControllerAddress): void {
    const invite = this.#requests.get(`${ack.via.branch} INVITE`);
    const bytes = this.#octets(ack);
    if (invite !== undefined) {
      // Of a refusal: part of the INVITE's transaction, to whoever refused (RFC 3261 §17.1.1.3).
      if (invite.failures >= maxFailures && invite.answeredBy === undefined) return;
      const hop = invite.answeredBy ?? to;
      this.#tapOut(ack, hop);
      this.#transmitter.sendOnce(hop, () => bytes);
      return;
    }
    const key = dialogKey(ack);
    this.#acks.get(key)?.delivery?.end();
    const acknowledgement: Acknowledgement = { bytes, message: ack, to, lastHop: to, delivery: undefined };
    this.#acks.set(key, acknowledgement);
    this.#sendAck(acknowledgement, this.#hops.withAlternates(to));
    this.#parts.clock.after(timeoutMs, () => {
      if (this.#acks.get(key) === acknowledgement) this.#acks.delete(key);
    });
  }

  /** Nothing answers an ACK: ICMP and probes tell whether it arrived, and the 2xx comes again if it did not. */
  #sendAck(ack: Acknowledgement, addresses: readonly ControllerAddress[]): void {
    ack.delivery?.end();
    ack.delivery = this.#watched(
      ack.message,
      addresses,
      () => ack.bytes,
      (to) => {
        ack.lastHop = to;
      },
    );
  }

  /** The 2xx again, after our ACK: that ACK got lost, so it goes to another controller. True: the user agent need not know. */
  #ackAgain(response: SipMessage, flow: Flow): boolean {
    const ack = this.#acks.get(dialogKey(response));
    if (ack === undefined) return false;
    const addresses = this.#hops.usable(this.#hops.withAlternates(ack.to));
    const source = addresses.find((address) => sameAddress(address, hopOf(flow)));
    const other =
      source !== undefined && !sameAddress(source, ack.lastHop)
        ? source
        : addresses[(addresses.findIndex((address) => sameAddress(address, ack.lastHop)) + 1) % addresses.length];
    if (other !== undefined) this.#sendAck(ack, unique([other, ...addresses]));
    return true;
  }

  // --- requests of others, and our responses --------------------------------------------------------------------------------

  #onRequest(request: SipMessage, flow: Flow): void {
    this.#parts.tap?.('in', request, flow.remote);
    this.#hops.learn(request, flow);
    if (request.method === 'ACK') {
      this.#accepted.get(dialogKey(request))?.();
      this.#pass(request, flow);
      return;
    }
    const key = serverKey(request, request.method);
    const known = this.#served.get(key);
    if (known !== undefined) {
      known.from = hopOf(flow);
      // What is said next answers this very copy: it is no repetition of ours that would have to try the other way.
      known.last = '';
      // RFC 6026 §7.1: the transaction is silent on a repeated INVITE, but a backup that asks has nothing to pass on yet.
      if (known.unacknowledged !== undefined) this.#say(known.unacknowledged, known.from);
    } else {
      const named = viaAddress({ ...request.via, received: undefined });
      const served: ServedRequest = {
        from: hopOf(flow),
        alternates: this.#hops.trust.alternates(viaAlternates(request.via), flow).filter(isDatagram),
        named: named !== undefined && this.#hops.has(named) ? named : undefined,
        delivery: undefined,
        last: '',
        sent: 0,
        unacknowledged: undefined,
      };
      this.#served.set(key, served);
      this.#forgetLater(() => this.#served.delete(key), served);
    }
    this.#pass(request, flow);
  }

  /** Back to where the request came from last, else along Via's tag (before what RFC 3263 §5 would try). */
  #respond(response: SipMessage, to: ControllerAddress): void {
    const served = this.#served.get(serverKey(response, response.method));
    const bytes = toBytes(response.text);
    if (served === undefined) {
      this.#tapOut(response, to);
      this.#transmitter.sendOnce(to, () => bytes);
      return;
    }
    const { text } = response;
    const answersCopy = served.last === '';
    served.sent = served.last === text ? served.sent + 1 : 0;
    served.last = text;
    const success = response.method === 'INVITE' && response.status >= 200 && response.status < 300;
    const key = dialogKey(response);
    if (success && this.#accepted.has(key)) {
      // Under way already, by our own timer; whoever asked again hears it now.
      if (answersCopy) this.#say({ message: response, bytes }, served.from);
      return;
    }
    // A repetition says that the last one may not have arrived: the next one takes the other way.
    const addresses = rotated(this.#hops.usable(ways(served)), served.sent);
    served.delivery?.end();
    if (!success) served.delivery = this.#watched(response, addresses, () => bytes, undefined, responseWatchMs);
    else this.#untilAcknowledged(response, served, bytes, key);
  }

  /** RFC 3261 §13.3.1.4: a 2xx is repeated until its ACK comes, here by turns along every way there is. */
  #untilAcknowledged(response: SipMessage, served: ServedRequest, bytes: Buffer, key: string): void {
    const { clock } = this.#parts;
    const delivery = this.#watched(response, this.#hops.usable(ways(served)), () => bytes, undefined, timeoutMs);
    let waitMs = t1Ms;
    let spentMs = 0;
    let turn = 0;
    let cancel = clock.after(waitMs, repeat.bind(this));
    const end = (): void => {
      cancel();
      delivery.end();
      served.unacknowledged = undefined;
      if (this.#accepted.get(key) === end) this.#accepted.delete(key);
    };
    this.#accepted.set(key, end);
    served.unacknowledged = { message: response, bytes };

    function repeat(this: PathFollower): void {
      turn += 1;
      spentMs += waitMs;
      if (spentMs >= timeoutMs) {
        end();
        return;
      }
      const [to] = rotated(this.#hops.usable(ways(served)), turn);
      if (to !== undefined) this.#say({ message: response, bytes }, to);
      waitMs = nextWaitMs(waitMs, t2Ms);
      cancel = clock.after(waitMs, repeat.bind(this));
    }
  }

  #say({ message, bytes }: { readonly message: SipMessage; readonly bytes: Buffer }, to: ControllerAddress): void {
    this.#tapOut(message, to);
    this.#transmitter.sendOnce(to, () => bytes);
  }

  // --- common ---------------------------------------------------------------------------------------------------------------

  #receive(message: SipMessage, flow: Flow): void {
    if (message.isRequest) this.#onRequest(message, flow);
    else this.#onResponse(message, flow);
  }

  #pass(message: SipMessage, flow: Flow): void {
    this.#parts.deliver(toBytes(message.text), flow.remote);
  }

  /** Sends what nobody answers, and moves it on while an ICMP error or a silent probe says that the hop is gone. */
  #watched(
    message: SipMessage,
    addresses: readonly ControllerAddress[],
    bytes: () => Buffer,
    sentTo?: (to: ControllerAddress) => void,
    forMs = ackWatchMs,
  ): Delivery {
    const delivery = this.#transmitter.deliver(
      { addresses },
      {
        encode: (_flow, to) => {
          this.#tapOut(message, to);
          sentTo?.(to);
          return bytes();
        },
        switched: (from, to, because) => {
          this.#parts.switched?.(message, from, to, because);
          // The next hop is no more going to answer than the first.
          delivery.provisional();
        },
        exhausted: () => undefined,
      },
    );
    delivery.provisional();
    delivery.unanswerable();
    this.#parts.clock.after(forMs, () => delivery.end());
    return delivery;
  }

  #octets(message: SipMessage): Buffer {
    const local = this.#listener?.local;
    if (!this.#parts.ownsVia || local === undefined) return toBytes(message.text);
    const first = message.fieldIndex(H.via);
    const via = message.via.text.replace(/^([^\s]+\s+)[^;]+/, `$1${local.host}:${local.port}`);
    return new Edit(message).replace(message.valueStart(first), topViaEnd(message, first), via).bytes();
  }

  #tapOut(message: SipMessage, to: SocketAddress | undefined): void {
    if (to !== undefined) this.#parts.tap?.('out', message, to);
  }

  /** Past the life of the longest transaction (RFC 3261 §17.1.2.2); one that waits for a person to answer lives on. */
  #forgetLater(forget: () => void, entry: OpenRequest | ServedRequest): void {
    this.#parts.clock.after(2 * timeoutMs, () => {
      const { delivery } = entry;
      if (!this.#stopped && 'answeredBy' in entry && entry.answeredBy === undefined && delivery?.keepsWatch === true)
        this.#forgetLater(forget, entry);
      else {
        delivery?.end();
        forget();
      }
    });
  }
}

/** A response has its request's branch and CSeq method (RFC 3261 §17.1.3). */
const requestKey = (message: SipMessage): string => `${message.via.branch} ${message.method}`;

const dialogKey = (message: SipMessage): string =>
  `${message.callId}\n${message.fromTag}\n${message.toTag}\n${message.cseq}`;

const ways = ({ from, alternates, named }: ServedRequest): readonly ControllerAddress[] =>
  unique(named === undefined ? [from, ...alternates] : [from, named, ...alternates]);

function rotated<T>(list: readonly T[], by: number): readonly T[] {
  const at = list.length === 0 ? 0 : by % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}
