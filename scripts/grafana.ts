/** Writes ops/grafana/altpath.json: one dashboard, made of the panels below. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Panel {
  readonly title: string;
  readonly description?: string;
  readonly kind: 'timeseries' | 'stat' | 'table';
  readonly unit?: string;
  readonly width: number;
  readonly queries: readonly (readonly [expression: string, legend: string])[];
}

const by = '{instance=~"$instance"}';
const rate = (metric: string, labels = ''): string =>
  `rate(altpath_${metric}{instance=~"$instance"${labels === '' ? '' : `,${labels}`}}[$__rate_interval])`;
const quantile = (q: number, metric: string): string =>
  `histogram_quantile(${q}, sum by (le) (${rate(`${metric}_bucket`)}))`;

const rows: readonly (readonly [title: string, panels: readonly Panel[]])[] = [
  [
    'Calls',
    [
      {
        title: 'Calls under way',
        kind: 'timeseries',
        width: 8,
        queries: [[`altpath_calls_open${by}`, '{{instance}}']],
      },
      {
        title: 'Attempts and answers a second',
        kind: 'timeseries',
        width: 8,
        queries: [
          [`sum(${rate('call_attempts_total')})`, 'attempts'],
          [`sum(${rate('call_answers_total')})`, 'answers'],
        ],
      },
      {
        title: 'Why calls fail',
        kind: 'timeseries',
        width: 8,
        queries: [[`sum by (reason) (${rate('call_failures_total')})`, '{{reason}}']],
      },
      {
        title: 'Answer seizure ratio by route',
        description: 'Answered of all attempts that ended (ITU-T E.425)',
        kind: 'timeseries',
        unit: 'percentunit',
        width: 8,
        queries: [
          [
            `sum by (route) (${rate('call_answers_total')}) / sum by (route) (${rate('call_attempts_total')})`,
            '{{route}}',
          ],
        ],
      },
      {
        title: 'Network effectiveness ratio by route',
        description: 'Answered, or ended by one of the parties, of all attempts that ended (ITU-T E.425)',
        kind: 'timeseries',
        unit: 'percentunit',
        width: 8,
        queries: [
          [
            `sum by (route) (${rate('call_effective_total')}) / sum by (route) (${rate('call_attempts_total')})`,
            '{{route}}',
          ],
        ],
      },
      {
        title: 'Post-dial delay, set-up and talk time',
        kind: 'timeseries',
        unit: 's',
        width: 8,
        queries: [
          [quantile(0.5, 'call_post_dial_delay_seconds'), 'post-dial, half'],
          [quantile(0.95, 'call_post_dial_delay_seconds'), 'post-dial, 95 %'],
          [quantile(0.5, 'call_setup_seconds'), 'to the answer, half'],
          [`sum(${rate('call_talk_seconds_sum')}) / sum(${rate('call_talk_seconds_count')})`, 'talk, mean'],
        ],
      },
    ],
  ],
  [
    'Failover',
    [
      {
        title: 'Messages that moved to an alternate',
        kind: 'timeseries',
        width: 8,
        queries: [[`sum by (protocol, reason) (${rate('switches_total')})`, '{{protocol}} {{reason}}']],
      },
      {
        title: 'Peers declared down',
        kind: 'timeseries',
        width: 8,
        queries: [
          [
            `sum by (instance, reason) (increase(altpath_peers_failed_total${by}[$__rate_interval]))`,
            '{{instance}} {{reason}}',
          ],
        ],
      },
      {
        title: 'Work in the place of another member',
        kind: 'timeseries',
        width: 8,
        queries: [
          [`sum by (instance) (${rate('sip_takeovers_total')})`, 'SIP messages at {{instance}}'],
          [`sum by (instance) (${rate('calls_restored_total')})`, 'calls of lines at {{instance}}'],
        ],
      },
      {
        title: 'Gap at takeovers',
        description: 'From the last word of a member to the first message handled in its place',
        kind: 'timeseries',
        unit: 's',
        width: 8,
        queries: [
          [quantile(0.5, 'takeover_gap_seconds'), 'half'],
          [quantile(0.95, 'takeover_gap_seconds'), '95 %'],
        ],
      },
      {
        title: 'Gateways that live',
        kind: 'timeseries',
        width: 8,
        queries: [[`altpath_gateways_up${by}`, '{{protocol}} at {{instance}}']],
      },
      {
        title: 'Gateways that do not answer',
        kind: 'timeseries',
        width: 8,
        queries: [[`altpath_gateway_up${by} == 0`, '{{gateway}}']],
      },
      {
        title: 'Answer seizure ratio by gateway',
        description: 'Of the calls to its lines, and of those from them (ITU-T E.425)',
        kind: 'timeseries',
        unit: 'percentunit',
        width: 8,
        queries: [
          [
            `sum by (gateway, side) (${rate('gateway_call_answers_total')}) / sum by (gateway, side) (${rate('gateway_call_attempts_total')})`,
            '{{gateway}} ({{side}})',
          ],
        ],
      },
      {
        title: 'Answer seizure ratio by trunk',
        kind: 'timeseries',
        unit: 'percentunit',
        width: 8,
        queries: [
          [
            `sum by (trunk) (${rate('sip_trunk_calls_answered_total')}) / sum by (trunk) (${rate('sip_trunk_calls_total')})`,
            '{{trunk}}',
          ],
        ],
      },
      {
        title: 'Trunks',
        description: '1: a hop of the carrier answers',
        kind: 'timeseries',
        width: 8,
        queries: [[`altpath_sip_trunk_up${by}`, '{{trunk}} at {{instance}}']],
      },
      {
        title: 'Location store',
        kind: 'timeseries',
        width: 8,
        queries: [
          [`altpath_location_records${by}`, 'records at {{instance}}'],
          [`altpath_sip_registrations${by}`, 'registered at {{instance}}'],
        ],
      },
    ],
  ],
  [
    'Traffic and process',
    [
      {
        title: 'SIP requests by method',
        kind: 'timeseries',
        width: 8,
        queries: [[`sum by (method) (${rate('sip_requests_total')})`, '{{method}}']],
      },
      {
        title: 'SIP responses by class',
        kind: 'timeseries',
        width: 8,
        queries: [[`sum by (class) (${rate('sip_responses_total')})`, '{{class}}']],
      },
      {
        title: 'Messages by protocol',
        kind: 'timeseries',
        width: 8,
        queries: [
          [`sum by (protocol) (${rate('messages_received_total')})`, '{{protocol}}'],
          [`sum by (protocol) (${rate('messages_malformed_total')})`, '{{protocol}} malformed'],
        ],
      },
      {
        title: 'CPU',
        kind: 'timeseries',
        unit: 'percentunit',
        width: 8,
        queries: [
          [`sum by (instance) (${rate('process_cpu_seconds')})`, '{{instance}}'],
          [`altpath_event_loop_utilization${by}`, 'loop at {{instance}}'],
        ],
      },
      {
        title: 'Lateness of the event loop',
        kind: 'timeseries',
        unit: 's',
        width: 8,
        queries: [[`altpath_event_loop_delay_seconds{instance=~"$instance",quantile="0.99"}`, '{{instance}} 99 %']],
      },
      {
        title: 'Memory',
        kind: 'timeseries',
        unit: 'bytes',
        width: 8,
        queries: [[`altpath_process_resident_memory_bytes${by}`, '{{instance}}']],
      },
    ],
  ],
];

const datasource = { type: 'prometheus', uid: '$' + '{datasource}' };

function panels(): readonly object[] {
  const made: object[] = [];
  let [id, y] = [1, 0];
  for (const [title, row] of rows) {
    made.push({ id: id++, type: 'row', title, collapsed: false, gridPos: { h: 1, w: 24, x: 0, y }, panels: [] });
    y += 1;
    let x = 0;
    for (const { title: name, description, kind, unit = 'short', width, queries } of row) {
      if (x + width > 24) [x, y] = [0, y + 8];
      made.push({
        id: id++,
        type: kind,
        title: name,
        ...(description === undefined ? {} : { description }),
        datasource,
        gridPos: { h: 8, w: width, x, y },
        fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
        options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
        targets: queries.map(([expr, legendFormat], index) => ({
          refId: String.fromCharCode(65 + index),
          datasource,
          expr,
          legendFormat,
        })),
      });
      x += width;
    }
    y += 8;
  }
  return made;
}

const dashboard = {
  title: 'altpath',
  uid: 'altpath',
  tags: ['altpath', 'sip', 'telephony'],
  schemaVersion: 39,
  version: 1,
  editable: true,
  refresh: '10s',
  time: { from: 'now-1h', to: 'now' },
  templating: {
    list: [
      { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Data source' },
      {
        name: 'instance',
        type: 'query',
        label: 'Controller',
        datasource,
        query: 'label_values(altpath_build_info, instance)',
        refresh: 2,
        multi: true,
        includeAll: true,
        allValue: '.*',
        current: { text: 'All', value: '$__all' },
      },
    ],
  },
  panels: panels(),
};

const folder = join(import.meta.dirname, '../ops/grafana');
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'altpath.json'), `${JSON.stringify(dashboard, undefined, 2)}\n`);
