/**
 * What the operator sees of a running controller: its trace, the capture that goes to a collector, its calls with their records and
 * metrics, the stream of events, and the level of the log.
 */

import type { AdminQuery } from '../admin.ts';
import { Attachment } from '../admin-page.ts';
import type { EventKind, EventSource } from '../admin-stream.ts';
import type { CallControl } from '../calls/call-control.ts';
import type { Clock } from '../clock.ts';
import type { CoreConfig } from '../config/core-schema.ts';
import { AltpathError } from '../errors.ts';
import { CallJournal } from '../journal/call-journal.ts';
import { CallMetrics } from '../journal/call-metrics.ts';
import { CallRecords } from '../journal/call-records.ts';
import type { CallRow } from '../journal/call-row.ts';
import { FailedCallsLog } from '../journal/failed-calls-log.ts';
import type { ObservedCall } from '../journal/observed-call.ts';
import type { LocationService } from '../location-service.ts';
import type { Logger } from '../log.ts';
import { type LogControl, logChange } from '../log-control.ts';
import type { Metrics } from '../metrics.ts';
import { isWildcard } from '../network/local-address.ts';
import { ownAddresses } from '../network/own-addresses.ts';
import type { Network } from '../network.ts';
import { isIpLiteral, readAddress } from '../signaling/controller-address.ts';
import { Capture } from '../trace/capture.ts';
import type { MessageReader } from '../trace/message-reader.ts';
import { pcapOf } from '../trace/pcap.ts';
import { Trace } from '../trace/trace.ts';
import { TraceFilter, type Wanted, type WantedParty } from '../trace/trace-filter.ts';
import { traceRow } from '../trace/trace-row.ts';
import { CallLists } from './call-lists.ts';
import type { ControllerEvents } from './events.ts';
import { FiguresHistory, type FiguresParts, figuresReader } from './figures.ts';
import { Happenings } from './happenings.ts';

export interface ObservationParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly core: Pick<CoreConfig, 'trace' | 'capture' | 'callRecords'>;
  readonly readers: ReadonlyMap<string, MessageReader>;
  readonly events: ControllerEvents;
  /** Where the gateway with this name is, in any spelling of case. */
  gatewayHosts(name: string): readonly string[];
  /** Which member this is. */
  readonly member: string | undefined;
  /** How the log is turned; undefined where it is another program's. */
  readonly logControl: LogControl | undefined;
  /** The protocols of its roles. */
  readonly protocols: readonly string[];
  /** What is shown of the cluster. */
  cluster(): ClusterView;
}

export interface ClusterView {
  readonly state: string;
  /** Which member this is, since when, and where it listens. */
  readonly node: string | undefined;
  readonly version: string;
  readonly startedMs: number;
  readonly own: readonly Readonly<Record<string, unknown>>[];
  /** Names of members by address, and the admin servers of the others by name, as far as the configuration says them. */
  readonly names: Readonly<Record<string, string>>;
  readonly admins: Readonly<Record<string, string>>;
  readonly members: readonly Readonly<Record<string, unknown>>[];
  readonly takeovers: readonly Readonly<Record<string, unknown>>[];
}

export class Observation implements EventSource {
  readonly trace: Trace | undefined;
  readonly journal: CallJournal;
  readonly #records: CallRecords | undefined;
  readonly #metrics: CallMetrics;
  readonly #failedCalls: FailedCallsLog;
  readonly #parts: ObservationParts;
  readonly #capture: Capture | undefined;
  readonly #endMarks: (() => void) | undefined;
  readonly #lists: CallLists;
  readonly #happenings: Happenings;
  readonly #history: FiguresHistory;
  #cluster: { readonly atMs: number; readonly text: string; readonly view: ClusterView } | undefined;
  #callControl: CallControl | undefined;
  #locations: LocationService | undefined;

  constructor(parts: ObservationParts) {
    this.#parts = parts;
    const { core, readers, events, clock, log, metrics, member } = parts;
    const journal = new CallJournal(clock);
    this.journal = journal;
    this.#metrics = new CallMetrics(metrics, journal);
    this.#failedCalls = new FailedCallsLog(log, clock, journal);
    this.#lists = new CallLists(clock, journal);
    this.#happenings = new Happenings(clock, events);
    this.#history = new FiguresHistory(this.#figuresParts());
    const { file } = core.callRecords;
    if (file !== undefined) this.#records = new CallRecords({ clock, log, metrics, journal, to: file, member });
    const { hep, agentId, password } = core.capture;
    // Whoever sends to a collector needs the trace's place between roles and sockets, and no memory for it.
    const maxBytes = core.trace === 'off' ? (hep === undefined ? 0 : leastBytes) : core.trace.maxBytes;
    if (maxBytes === 0) return;
    const trace = new Trace({ clock, maxBytes, readers });
    this.trace = trace;
    this.#endMarks = events.onMoved((from, to, because) => trace.moved(from, to, because));
    if (hep !== undefined) this.#capture = new Capture({ ...parts, trace, to: hep, agentId, password });
  }

  /** From now on calls and numbers can be looked up. */
  know(callControl: CallControl, locations: LocationService): void {
    this.#callControl = callControl;
    this.#locations = locations;
  }

  /** The sockets that a role of this protocol gets. */
  networkFor(network: Network, protocol: string): Network {
    return this.trace?.over(network, protocol) ?? network;
  }

  start(): Promise<void> {
    return this.#capture?.start() ?? Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#capture?.stop();
    this.#endMarks?.();
    this.#metrics.stop();
    this.#failedCalls.stop();
    this.#happenings.stop();
    this.#history.stop();
    await this.#records?.stop();
  }

  /** Its file was renamed. */
  reopenRecords(): void {
    this.#records?.reopen();
  }

  /** Calls under way, oldest first. */
  calls(): readonly CallRow[] {
    return this.#lists.rows([...this.journal.open]);
  }

  /** What the admin server shows of it. */
  get lists(): Readonly<Record<string, AdminQuery>> {
    return {
      '/calls': (query) => this.#lists.list(query),
      '/figures': () => ({ items: this.#history.list() }),
      '/happenings': () => ({ items: this.#happenings.list() }),
      '/trace': (query) => this.#traced(query),
      '/log': () => this.#logControl().status(),
    };
  }

  get orders(): Readonly<Record<string, AdminQuery>> {
    return {
      '/log': (query) => {
        const control = this.#logControl();
        if (query.get('level') === 'restore') control.restore();
        else control.change(logChange(query, ['core', ...this.#parts.protocols]));
        this.#happenings.ordered(`log ${query.get('level') ?? ''}`);
        return control.status();
      },
    };
  }

  #logControl(): LogControl {
    const { logControl } = this.#parts;
    if (logControl === undefined) throw new AltpathError('ERR_LOG', 'its log belongs to another program');
    return logControl;
  }

  listen(kinds: ReadonlySet<EventKind>, about: string | undefined, tell: Tell): () => void {
    const ends: (() => void)[] = [];
    const { events } = this.#parts;
    if (kinds.has('peer'))
      ends.push(
        events.onNews((event) => {
          if (event.kind === 'peer') tell('peer', event);
        }),
      );
    if (kinds.has('switch')) ends.push(events.on('switch', (event) => tell('switch', event)));
    if (kinds.has('call')) ends.push(this.journal.listen((call) => tell('call', this.#lists.rows([call])[0])));
    if (kinds.has('calls')) ends.push(this.#lists.watch(), this.#everySecond(this.#boardChanges(tell)));
    if (kinds.has('happenings')) ends.push(this.#everySecond(this.#newHappenings(tell)));
    if (kinds.has('sample')) ends.push(this.#history.listen((sample) => tell('sample', sample)));
    if (kinds.has('log')) ends.push(this.#logLines(tell));
    if (kinds.has('cluster')) ends.push(this.#everySecond(this.#clusterChanges(tell)));
    if (kinds.has('figures')) ends.push(this.#everySecond(this.#figures(tell)));
    if (kinds.has('trace') && this.trace !== undefined) ends.push(this.#follow(this.trace, about, tell));
    return () => {
      for (const end of ends) end();
    };
  }

  #logLines(tell: Tell): () => void {
    return this.#parts.logControl?.tap((line) => tell('log', JSON.parse(line))) ?? (() => undefined);
  }

  #everySecond(run: () => void): () => void {
    let cancel = (): void => undefined;
    const next = (): void => {
      run();
      cancel = this.#parts.clock.after(1_000, next);
    };
    next();
    return () => cancel();
  }

  /** Members and takeovers, as often as something but a time changes. One look serves all who watch. */
  #clusterChanges(tell: Tell): () => void {
    let told = '';
    return () => {
      const now = this.#parts.clock.now();
      if (this.#cluster === undefined || now - this.#cluster.atMs > sharedMs) {
        const view = this.#parts.cluster();
        const text = JSON.stringify(view, (key, value) => (/(?:Ms|Seconds)$/.test(key) ? undefined : value));
        this.#cluster = { atMs: now, text, view };
      }
      const { text, view } = this.#cluster;
      if (text !== told) tell('cluster', view);
      told = text;
    };
  }

  #boardChanges(tell: Tell): () => void {
    let told = -1;
    return () => {
      if (told === this.#lists.version) return;
      told = this.#lists.version;
      tell('calls', this.#lists.board());
    };
  }

  #newHappenings(tell: Tell): () => void {
    let told = -1;
    return () => {
      if (told === this.#happenings.version) return;
      told = this.#happenings.version;
      tell('happenings', { items: this.#happenings.list().slice(0, happeningsTold) });
    };
  }

  /** What happened in the last second. */
  #figures(tell: Tell): () => void {
    const read = figuresReader(this.#figuresParts());
    return () => tell('figures', read());
  }

  #figuresParts(): FiguresParts {
    return {
      clock: this.#parts.clock,
      journal: this.journal,
      metrics: this.#metrics,
      messages: () => this.trace?.last ?? 0,
    };
  }

  /** Each message a moment after it passed, when all is known of it. */
  #follow(trace: Trace, about: string | undefined, tell: Tell): () => void {
    const filter = new TraceFilter(about === undefined ? {} : this.wanted(about));
    let next = trace.last + 1;
    let timer: NodeJS.Timeout | undefined;
    const look = (): void => {
      timer = undefined;
      // A flood is not read to its end: what is left out is told by its numbers.
      const until = Math.min(trace.last, next + maxFollowed);
      for (; next <= until; next += 1) {
        const message = trace.at(next);
        if (message !== undefined && filter.takes(message))
          tell('trace', traceRow(message, trace.masked(message.protocol, message.bytes)));
      }
      if (trace.last - next > maxBehind) next = trace.last - maxFollowed;
    };
    const stopTap = trace.tap(() => {
      timer ??= setTimeout(look, followMs);
    });
    return () => {
      stopTap();
      clearTimeout(timer);
    };
  }

  async #traced(query: URLSearchParams): Promise<unknown> {
    const { trace } = this;
    if (trace === undefined || this.#parts.core.trace === 'off')
      throw new AltpathError('ERR_TRACE', 'no trace is kept here: trace is off in the configuration');
    const about = query.get('about') ?? undefined;
    const limit = Math.min(Math.max(1, Number(query.get('limit') ?? defaultLimit) || defaultLimit), maxLimit);
    const after = Number(query.get('after') ?? 0) || 0;
    const found = await trace.find(about === undefined ? {} : this.wanted(about), { after, limit });
    const isPcap = query.get('format') === 'pcap';
    const withOctets = query.get('octets') === '1' || isPcap;
    const items = found.map((message) =>
      traceRow(message, withOctets ? trace.masked(message.protocol, message.bytes) : undefined),
    );
    return isPcap
      ? new Attachment('application/vnd.tcpdump.pcap', 'altpath-trace.pcap', pcapOf(items))
      : { last: trace.last, total: items.length, items };
  }

  /** A peer's address, or else a call's id, a number, an address of record or an endpoint. */
  wanted(about: string): Wanted {
    // A Call-ID often ends in the address of whoever made it.
    const address = about.includes('@') ? undefined : readAddress(about, { port: 0 });
    if (address !== undefined && isIpLiteral(address.host))
      return { peer: { host: address.host, port: address.port === 0 ? undefined : address.port } };
    const endpoints = this.#endpointsOf(about);
    const known = this.journal.find(about);
    return {
      calls: [about, ...known.flatMap(({ callId, otherIds = [] }) => [callId ?? about, ...otherIds])],
      parties: [
        { name: about },
        ...endpoints.map((name) => ({ name, hosts: this.#hostsOf(name) })),
        ...known.flatMap((call) => this.#partiesOf(call)),
      ],
    };
  }

  /** Endpoints of a call whose messages do not name it, for as long as it lasted. */
  #partiesOf({ caller, callee, begunMs, endedMs }: ObservedCall): readonly WantedParty[] {
    const numbers = [caller, callee].filter((party) => party !== undefined);
    return numbers.flatMap((number) =>
      (this.#callControl?.endpointsOf(number) ?? []).map((name) => ({
        name,
        hosts: this.#hostsOf(name),
        fromMs: begunMs - aroundMs,
        toMs: endedMs === undefined ? undefined : endedMs + aroundMs,
      })),
    );
  }

  /** What the number is on the wire of its protocol. */
  #endpointsOf(number: string): readonly string[] {
    const provisioned = this.#callControl?.endpointsOf(number) ?? [];
    const registered = (this.#locations?.lookup(number) ?? []).map(({ target }) => target);
    return [...new Set([...provisioned, ...registered])];
  }

  /** An endpoint's own name may be used at several gateways: its gateway's addresses tell it from others. */
  #hostsOf(endpoint: string): readonly string[] | undefined {
    const gateway = endpoint.split('@').at(1);
    const hosts = gateway === undefined ? [] : this.#parts.gatewayHosts(gateway);
    return hosts.length === 0 ? undefined : hosts.flatMap((host) => (isWildcard(host) ? ownAddresses(host) : host));
  }
}

type Tell = (kind: EventKind, data: unknown) => void;

/** What was looked at for one who watches is good for the others, too. */
const sharedMs = 500;

const happeningsTold = 60;

/** What begins and ends a call is said just before and after. */
const aroundMs = 1_000;

const followMs = 100;

/** Read at one look: some ms of work. */
const maxFollowed = 500;
const maxBehind = 5_000;

const defaultLimit = 500;
const maxLimit = 5_000;

/** Memory for what is on its way to a collector. */
const leastBytes = 1_048_576;
