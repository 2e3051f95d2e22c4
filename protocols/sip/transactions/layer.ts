/** All transactions of the process: begins them, and matches messages to them (RFC 3261 §17.1.3, §17.2.3). */
import type { Clock, Flow, OctetBudget, SocketAddress, Target, Transmitter } from '../../../src/internal.ts';
import { flat } from '../codec/kept-text.ts';
import type { SipMessage } from '../codec/messages.ts';
import { AbsorbTimers } from './absorb-timers.ts';
import { ClientTransaction, type ClientUser, type Compose } from './client.ts';
import type {
  AlternatesOf,
  Feedback,
  Keyed,
  Octets,
  ServerObserver,
  TransactionHost,
  TransactionTimers,
} from './host.ts';
import { clientKey, requestKey, serverKey } from './keys.ts';
import { transactionBudget } from './memory.ts';
import { ServerTransaction } from './server.ts';
import { none } from './way-back.ts';

export class TransactionLayer implements TransactionHost {
  readonly #clients = new Map<string, ClientTransaction>();
  readonly #servers = new Map<string, ServerTransaction>();
  readonly clock: Clock;
  readonly transmitter: Transmitter;
  readonly timers: TransactionTimers;
  readonly octets: Octets;
  /** The alternates of the hop that a request came from, as far as we obey them. */
  readonly alternatesOf: AlternatesOf;
  /** @internal */
  readonly absorbTimers: AbsorbTimers;
  /** What all transactions keep. */
  readonly memory: OctetBudget;
  /** Is told of the requests that are accepted, and of their final responses. */
  observer: ServerObserver | undefined;
  feedback: Feedback | undefined;

  constructor(
    clock: Clock,
    transmitter: Transmitter,
    timers: TransactionTimers,
    octets: Octets,
    alternatesOf: AlternatesOf = () => none,
    memory: OctetBudget = transactionBudget(),
  ) {
    this.clock = clock;
    this.transmitter = transmitter;
    this.timers = timers;
    this.octets = octets;
    this.alternatesOf = alternatesOf;
    this.absorbTimers = new AbsorbTimers(clock);
    this.memory = memory;
  }

  /** Transactions that may still do something. */
  get size(): number {
    return this.#clients.size + this.#servers.size;
  }

  /** Does any of them need us still, though its request has its answer? A drain waits for those as for open requests. */
  get hasUnsettled(): boolean {
    const now = this.clock.now();
    for (const client of this.#clients.values()) if (client.isUnsettled) return true;
    for (const server of this.#servers.values()) if (server.isUnsettled(now)) return true;
    return false;
  }

  /** Starts a client transaction; the request leaves at once. */
  request(method: string, branch: string, target: Target, compose: Compose, user: ClientUser): ClientTransaction {
    const transaction = new ClientTransaction(this, method, branch, compose, user);
    this.#clients.set(transaction.key, transaction);
    transaction.start(target);
    return transaction;
  }

  /** The transaction that a response belongs to. */
  client(response: SipMessage): ClientTransaction | undefined {
    return this.#clients.get(clientKey(response.via.branch ?? '', response.method));
  }

  /** The server transaction that a request repeats or, as ACK, completes; `key` is its `requestKey`. */
  server(request: SipMessage, key = requestKey(request)): ServerTransaction | undefined {
    return this.#servers.get(key);
  }

  /** Is the request with this `requestKey` under way? */
  knows(key: string): boolean {
    return this.#servers.has(key);
  }

  /** The INVITE that a CANCEL is meant for (RFC 3261 §9.2). */
  cancelled(cancel: SipMessage): ServerTransaction | undefined {
    return this.#servers.get(serverKey(cancel, 'INVITE'));
  }

  /** For other workers of this host: `c` and a client's key, or `s` and a server's. */
  has(key: string): boolean {
    return (key.startsWith('c') ? this.#clients : this.#servers).has(key.slice(2));
  }

  accept(request: SipMessage, flow: Flow, key = requestKey(request)): ServerTransaction {
    const transaction = new ServerTransaction(this, flat(key), request, flow);
    this.#servers.set(transaction.key, transaction);
    this.observer?.accepted(request, flow);
    return transaction;
  }

  /**
   * The address that these requests came to is on another host now, and so are their answers: whatever we said of them once it is
   * back would be news of calls that have gone on without us.
   */
  left({ host, port }: SocketAddress): void {
    for (const transaction of [...this.#servers.values()])
      if (transaction.flow.local.host === host && transaction.flow.local.port === port) transaction.forsake();
  }

  stop(): void {
    for (const transaction of [...this.#clients.values()]) transaction.abandon();
    for (const transaction of [...this.#servers.values()]) transaction.abandon();
  }

  /** @internal */
  forgetClient(transaction: Keyed): void {
    if (this.#clients.get(transaction.key) === transaction) this.#clients.delete(transaction.key);
  }

  /** @internal */
  forgetServer(transaction: Keyed): void {
    if (this.#servers.get(transaction.key) === transaction) this.#servers.delete(transaction.key);
  }
}
