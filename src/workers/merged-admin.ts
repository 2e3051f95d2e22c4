/** The one admin server of several workers: it asks each at its own, and puts the answers together. Rows carry the worker that they are of. */
import type { AdminList, AdminQuery, AdminView } from '../admin.ts';
import { Attachment, pageOf } from '../admin-page.ts';
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { pcapOf } from '../trace/pcap.ts';
import { isTraceRow, type TraceRow } from '../trace/trace-row.ts';
import { MergedEvents } from './merged-events.ts';
import { MergedMetrics } from './merged-metrics.ts';
import { agreed, byTime, itemsOf, summedSamples, totalOf, withoutTwins } from './merged-rows.ts';
import { mergedStatus } from './merged-status.ts';
import type { Supervisor } from './supervisor.ts';
import { isRow, type Row, WorkerAdmins } from './worker-admins.ts';

export interface MergedAdminParts {
  readonly supervisor: Pick<Supervisor, 'workers' | 'lead'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly version: string;
  readonly token: string | undefined;
  readonly startedMs: number;
  state(): 'starting' | 'ready' | 'draining' | 'stopped';
  drain(): void;
}

export class MergedAdmin {
  readonly #parts: MergedAdminParts;
  readonly #admins: WorkerAdmins;
  readonly #texts = new MergedMetrics();

  constructor(parts: MergedAdminParts) {
    this.#parts = parts;
    this.#admins = new WorkerAdmins(parts);
  }

  view(): AdminView {
    const { metrics, log, clock, state, drain } = this.#parts;
    const none = (): readonly Row[] => [];
    return {
      metrics: {
        text: () => this.#metrics(),
        contentType: metrics.contentType,
        counter: (...words) => metrics.counter(...words),
      },
      log,
      state,
      // What these would show is in `lists`, which may wait for the workers.
      status: () => ({}),
      calls: none,
      peers: none,
      registrations: () => [],
      explain: () => undefined,
      drain,
      events: new MergedEvents(clock, this.#admins),
      lists: this.#lists,
      orders: { '/log': (query) => this.#order('/log', query), '/bans': (query) => this.#order('/bans', query) },
      removals: { '/bans': (query) => this.#lift(query) },
      pages: async (request) => (await import('../dashboard/pages.ts')).dashboardPage(request),
    };
  }

  readonly #lists: Readonly<Record<string, AdminQuery>> = {
    '/status': () => this.#status(),
    '/calls': (query) => this.#calls(query),
    '/peers': async (query) => paged(query, agreed(itemsOf(await this.#admins.all(`/peers?limit=${mostRows}`)))),
    '/bans': async (query) =>
      paged(query, oneForEachSource(itemsOf(await this.#admins.all(`/bans?limit=${mostRows}`)))),
    '/figures': async () => ({ items: summedSamples((await this.#admins.all('/figures')).map(rowsOf)) }),
    '/happenings': async () => ({ items: byTime(itemsOf(await this.#admins.all('/happenings')), 'lastMs', 'wallMs') }),
    '/trace': (query) => this.#trace(query),
    // The same at all, or known to the one that has the gateways.
    '/registrations': (query) => this.#admins.ofLead(`/registrations?${query}`),
    '/lines': (query) => this.#admins.ofLead(`/lines?${query}`),
    '/explain': (query) => this.#admins.ofLead(`/explain?${query}`),
    '/log': (query) => this.#admins.ofLead(`/log?${query}`),
  };

  async #order(path: string, query: URLSearchParams): Promise<unknown> {
    const [first] = await this.#admins.all(`${path}?${query}`, 'POST');
    return first?.row;
  }

  /** A source is banned where it sent too much: at one of them, or at all by order. */
  async #lift(query: URLSearchParams): Promise<unknown> {
    const [first] = await this.#admins.all(`/bans?${query}`, 'DELETE');
    return first?.row;
  }

  async #status(): Promise<Row> {
    const { supervisor, clock, version, state, startedMs } = this.#parts;
    return mergedStatus({
      workers: supervisor.workers(),
      lead: supervisor.lead,
      all: await this.#admins.all('/status'),
      nowMs: clock.now(),
      own: {
        version,
        state: state(),
        pid: process.pid,
        uptimeSeconds: Math.round((clock.now() - startedMs) / 1_000),
      },
      ownBytes: process.memoryUsage.rss(),
    });
  }

  async #calls(query: URLSearchParams): Promise<AdminList> {
    const { from, size } = pageOf(query);
    const asked = new URLSearchParams(query);
    asked.set('offset', '0');
    asked.set('limit', String(Math.min(from + size, mostRows)));
    const all = await this.#admins.all(`/calls?${asked}`);
    const rows = itemsOf(all);
    const ones = withoutTwins(rows);
    const isOver = query.get('failed') === '1' || query.get('ended') === '1';
    const newest = isOver ? byTime(ones, 'endedMs', 'begunMs') : byTime(ones, 'begunMs');
    const isNewestFirst = isOver || query.get('newest') === '1';
    return {
      total: totalOf(all) - (rows.length - ones.length),
      items: (isNewestFirst ? newest : newest.toReversed()).slice(from, from + size),
    };
  }

  /** Messages of all workers, in the order of time. A call's may be at several, of which one knows what ids it has. */
  async #trace(query: URLSearchParams): Promise<unknown> {
    const about = query.get('about');
    const isPcap = query.get('format') === 'pcap';
    const found = new Map<number, TraceRow>();
    for (const each of about === null ? [undefined] : [about, ...(await this.#idsOf(about))]) {
      const asked = new URLSearchParams(query);
      asked.delete('format');
      if (isPcap) asked.set('octets', '1');
      if (each !== undefined) asked.set('about', each);
      for (const row of itemsOf(await this.#admins.all(`/trace?${asked}`)))
        if (isTraceRow(row)) found.set(row.sequence, row);
    }
    const limit = Math.max(1, Number(query.get('limit')) || mostRows);
    const items = [...found.values()].toSorted((a, b) => a.wallMs - b.wallMs).slice(-limit);
    if (isPcap) return new Attachment('application/vnd.tcpdump.pcap', 'altpath-trace.pcap', pcapOf(items));
    return { last: items.length, total: items.length, items };
  }

  async #idsOf(about: string): Promise<readonly string[]> {
    const words = new URLSearchParams({ about, limit: String(mostIds) });
    const lists = await Promise.all(
      ['', '&ended=1', '&failed=1'].map((more) => this.#admins.all(`/calls?${words}${more}`)),
    );
    const ids = lists
      .flatMap(itemsOf)
      .flatMap(({ callId, otherIds }): readonly unknown[] => [callId, ...(Array.isArray(otherIds) ? otherIds : [])]);
    const texts = ids.filter((id) => typeof id === 'string');
    return [...new Set(texts)].filter((id) => id !== about).slice(0, mostIds);
  }

  async #metrics(): Promise<string> {
    const [own, workers] = await Promise.all([
      this.#parts.metrics.text(),
      Promise.all(
        this.#admins.serving().map(async (worker) => ({
          worker: worker.index,
          life: worker.life,
          text: await this.#admins.text(worker, '/metrics'),
        })),
      ),
    ]);
    return this.#texts.text(own, workers);
  }
}

const rowsOf = ({ row: { items } }: { readonly row: Row }): readonly Row[] =>
  Array.isArray(items) ? items.filter(isRow) : [];

function paged(query: URLSearchParams, rows: readonly Row[]): AdminList {
  const { from, size } = pageOf(query);
  return { total: rows.length, items: rows.slice(from, from + size) };
}

/** What was dropped is added; the longest ban counts. */
function oneForEachSource(rows: readonly Row[]): readonly Row[] {
  const bySource = new Map<unknown, Row>();
  for (const { worker: _worker, ...row } of rows) {
    const { source, dropped, leftSeconds } = row;
    const known = bySource.get(source);
    if (known === undefined) bySource.set(source, row);
    else {
      const longer = Number(leftSeconds) > Number(known['leftSeconds']) ? row : known;
      bySource.set(source, { ...longer, dropped: Number(known['dropped']) + Number(dropped) });
    }
  }
  return [...bySource.values()];
}

/** As many as an admin server shows at once. */
const mostRows = 5_000;
const mostIds = 16;
