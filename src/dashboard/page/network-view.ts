/** Peers, gateways, lines and registrations, as this controller knows them. Each list is a page of what there is. */
import { useState } from 'preact/hooks';
import type { ViewProps } from './calls-view.ts';
import { age, count, party } from './format.ts';
import type { Mood } from './model.ts';
import type { LineRow, List, PeerRow, RegistrationRow } from './rows.ts';
import { Age, Choice, Dot, html, Panel, useAsked, useKept, useSettled } from './ui.ts';

type Which = 'peers' | 'gateways' | 'lines' | 'registrations';

export function NetworkView({ nowMs, open }: ViewProps) {
  const [which, setWhich] = useKept<Which>('network', 'peers');
  const [search, setSearch] = useState('');
  const wanted = useSettled(search.trim());
  const side = html`
    <${Choice} label="What of the network" value=${which} choose=${(next: Which) => {
      setSearch('');
      setWhich(next);
    }} options=${[
      ['peers', 'Peers'],
      ['gateways', 'Gateways'],
      ['lines', 'Lines'],
      ['registrations', 'Registrations'],
    ]} />
  `;
  const hasSearch = which === 'lines' || which === 'registrations';
  const view = { wanted, nowMs, open };
  return html`
    <${Panel} title="Network" side=${side}>
      ${
        hasSearch &&
        html`<form class="search" role="search" onSubmit=${(event: Event) => event.preventDefault()}>
          <input type="search" aria-label=${`Search ${which}`} placeholder=${which === 'lines' ? 'number, endpoint or gateway' : 'part of a user or domain'} value=${search}
            onInput=${(event: InputEvent) => setSearch((event.currentTarget as HTMLInputElement).value)} />
        </form>`
      }
      ${which === 'peers' && html`<${Peers} ...${view} />`}
      ${which === 'gateways' && html`<${Gateways} ...${view} />`}
      ${which === 'lines' && html`<${Lines} ...${view} />`}
      ${which === 'registrations' && html`<${Registrations} ...${view} />`}
    </${Panel}>
  `;
}

interface TableProps {
  readonly wanted: string;
  readonly nowMs: number;
  readonly open: ViewProps['open'];
}

function Peers({ nowMs, open }: TableProps) {
  const { value, problem } = useAsked<List<PeerRow>>('peers', { limit: 1_000 }, 3_000);
  const rows = value?.items.filter(({ kind }) => kind !== 'gateway');
  return html`<${Table} problem=${problem} rows=${rows} none="No peer is known." heads=${['peer', 'protocol', 'state', 'heard', 'version']} row=${(
    row: PeerRow,
  ) => {
    const state = row.state ?? row.health ?? 'unknown';
    const address = `${row.host.includes(':') ? `[${row.host}]` : row.host}:${row.port}`;
    return [
      html`<button type="button" class="link" onClick=${() => open(address)} title="Its messages">${row.name !== undefined && html`<b>${row.name}</b> `}${row.transport}:${address}</button>`,
      `${row.protocol}${row.kind === 'member' ? ', member' : row.provenance === 'configured' ? ', configured' : ''}`,
      html`<${Dot} mood=${peerMood(state)} />${state}${row.failure === undefined ? '' : `: ${row.failure}`}`,
      row.lastHeardMs === undefined || row.lastHeardMs === 0
        ? 'never'
        : html`<${Age} wallMs=${row.lastHeardMs} nowMs=${nowMs} />`,
      row.version ?? '',
    ];
  }} />`;
}

function Gateways({ nowMs, open }: TableProps) {
  const { value, problem } = useAsked<List<PeerRow>>('peers', { limit: 1_000 }, 3_000);
  const rows = value?.items.filter(({ kind }) => kind === 'gateway');
  return html`<${Table} problem=${problem} rows=${rows} none="No gateway is provisioned." heads=${['gateway', 'protocol', 'state', 'heard', 'addresses']} row=${(
    row: PeerRow,
  ) => [
    html`<b>${row.name ?? '?'}</b>`,
    row.protocol,
    html`<${Dot} mood=${peerMood(row.state ?? '')} />${row.state ?? 'unknown'}`,
    row.lastHeardMs === undefined || row.lastHeardMs === 0
      ? 'never'
      : html`<${Age} wallMs=${row.lastHeardMs} nowMs=${nowMs} />`,
    (row.addresses ?? []).map((each) => {
      const address = typeof each === 'string' ? each.replace(/^[a-z]+:/, '') : `${each.host}:${each.port}`;
      return html`<button type="button" class="link" title="Its messages" onClick=${() => open(address)}>${address}</button> `;
    }),
  ]} />`;
}

function Lines({ wanted, open }: TableProps) {
  const { value, problem } = useAsked<List<LineRow>>(
    'lines',
    { limit: shown, search: wanted === '' ? undefined : wanted },
    3_000,
  );
  return html`
    <${Total} list=${value} noun="line" />
    <${Table} problem=${problem} rows=${value?.items} none="No such line." heads=${['number', 'endpoint', 'gateway', 'state', 'protocol']} row=${(
      row: LineRow,
    ) => [
      html`<button type="button" class="link" title="Its messages" onClick=${() => open(row.number)}><b>${row.number}</b></button>`,
      row.endpoint,
      row.gateway,
      html`<${Dot} mood=${lineMood(row)} />${lineText(row)}`,
      row.protocol,
    ]} />
  `;
}

function Registrations({ wanted, nowMs, open }: TableProps) {
  const { value, problem } = useAsked<List<RegistrationRow>>(
    'registrations',
    { limit: shown, record: wanted === '' ? undefined : wanted },
    10_000,
  );
  return html`
    <${Total} list=${value} noun="contact" />
    <${Table} problem=${problem} rows=${value?.items} none="Nobody is registered." heads=${['user', 'contact', 'expires', 'since', 'protocol']} row=${(
      row: RegistrationRow,
    ) => [
      html`<button type="button" class="link" title="Messages about it" onClick=${() => open(row.record)}><b>${row.record}</b></button>`,
      party(row.target),
      row.expiresMs === null ? 'never' : age(row.expiresMs, nowMs),
      html`<${Age} wallMs=${row.updatedMs} nowMs=${nowMs} />`,
      row.protocol,
    ]} />
  `;
}

const Total = ({ list, noun }: { readonly list: List<unknown> | undefined; readonly noun: string }) =>
  list === undefined || list.total === 0
    ? null
    : html`<p class="quiet" role="status">${
        list.items.length < list.total
          ? `${list.items.length} of ${count(list.total)} ${noun}s: search for the others.`
          : `${count(list.total)} ${list.total === 1 ? noun : `${noun}s`}.`
      }</p>`;

function Table<T>(props: {
  readonly rows: readonly T[] | undefined;
  readonly problem: string | undefined;
  readonly none: string;
  readonly heads: readonly string[];
  readonly row: (row: T) => readonly unknown[];
}) {
  const { rows, problem, none, heads, row } = props;
  if (rows === undefined) return html`<p class="quiet">${problem ?? 'Asking …'}</p>`;
  if (rows.length === 0) return html`<p class="quiet">${none}</p>`;
  return html`
    ${problem !== undefined && html`<p class="problem">${problem}</p>`}
    <table>
      <thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
      <tbody>
        ${rows.slice(0, shown).map((each) => html`<tr>${row(each).map((cell, index) => html`<td data-label=${heads[index]}>${cell}</td>`)}</tr>`)}
      </tbody>
    </table>
    ${rows.length > shown && html`<p class="quiet">The first ${shown} of ${count(rows.length)}.</p>`}
  `;
}

function peerMood(state: string): Mood {
  if (['alive', 'up'].includes(state)) return 'good';
  if (['dead', 'down'].includes(state)) return 'bad';
  return ['suspect', 'returning', 'leaving', 'probing'].includes(state) ? 'warn' : 'idle';
}

function lineMood({ inService, isOurs, isMissing, state }: LineRow): Mood {
  if (isMissing === true) return 'bad';
  if (!isOurs) return 'idle';
  if (!inService) return 'warn';
  return state === 'idle' ? 'good' : 'warn';
}

function lineText({ inService, isOurs, isMissing, isLeaving, state, hook }: LineRow): string {
  if (isMissing === true) return 'its gateway does not have it';
  if (!isOurs) return inService ? 'in service, at another member' : 'at another member, or its gateway is not here';
  const words = [state ?? '?', hook === 'off' ? 'off-hook' : 'on-hook'];
  if (!inService) words.push('out of service');
  if (isLeaving === true) words.push('its gateway leaves');
  return words.join(', ');
}

const shown = 200;
