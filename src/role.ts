/** What the composition root runs: one role of this node (SIP proxy, call agent, gateway controller, …). */
import type { CallControl } from './calls/call-control.ts';
import type { Clock } from './clock.ts';
import type { MemberLink } from './cluster/member-link.ts';
import type { Cluster } from './cluster.ts';
import type { EventSink } from './controller/events.ts';
import type { DnsClient } from './dns.ts';
import type { CallWatch } from './journal/call-journal.ts';
import type { LocationService } from './location-service.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Listener, Network } from './network.ts';
import type { OverloadControl } from './overload/overload-control.ts';
import type { Screen } from './overload/source-limits.ts';
import type { Random } from './random.ts';
import type { AddressResolver } from './signaling/address-resolver.ts';
import type { WorkerGroup } from './workers/worker-group.ts';

/** What every role is given: the core's parts and the effects it may have. */
export interface CoreServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly network: Network;
  readonly dns: DnsClient;
  readonly locations: LocationService;
  /** One for all roles of the process: where names lead, and who is where. */
  readonly resolver: AddressResolver;
  readonly cluster: Cluster;
  /** What members tell each other; undefined where they share no secret. */
  readonly link?: MemberLink | undefined;
  /** The other processes of this host that share its addresses; undefined where we are alone. */
  readonly workers?: WorkerGroup | undefined;
  /** One for all roles of the process: parties of every protocol call each other through it. */
  readonly callControl: CallControl;
  /** Where a program that runs the controller hears of calls, switches and peers. */
  readonly events?: EventSink | undefined;
  /** Where roles tell of their calls, for lists, records, metrics and the log. */
  readonly journal?: CallWatch | undefined;
  /** How much new work the process takes; absent: all of it. */
  readonly overload?: OverloadControl | undefined;
  /** Are configured next hops told that we obey their overload control? */
  readonly announcesOverloadControl?: boolean | undefined;
}

export interface Role {
  /** `sip`, `mgcp`, `megaco`. */
  readonly name: string;
  /** Binds every socket. @throws BindError (rejects). */
  start(): Promise<readonly Listener[]>;
  /** Announces the end, hands new work to the backup, waits for what is open (at most `limitMs`). */
  drain(limitMs: number): Promise<void>;
  /** Settles what is pending and closes every socket; safe to call twice. */
  stop(): Promise<void>;
  /** Takes over what can change while running (users, routes, lines …) from freshly read configuration; returns what it changed. */
  reload(config: unknown): readonly string[];
  /** Plain data for `altpath status`, `calls`, `peers` and their --json. */
  status(): Readonly<Record<string, unknown>>;
  /** What it knows of messages that nobody has read yet, where sources are limited. */
  readonly screen?: Screen | undefined;
  calls(): readonly Readonly<Record<string, unknown>>[];
  peers(): readonly Readonly<Record<string, unknown>>[];
  /** Telephone lines on gateways: absent where the role has none. */
  lines?(): Iterable<Readonly<Record<string, unknown>>>;
}
