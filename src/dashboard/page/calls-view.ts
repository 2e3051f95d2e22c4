/** Every call: under way, failed, ended; searched at the controller, for a page cannot hold them all. */
import { useState } from 'preact/hooks';
import { CallList } from './call-list.ts';
import { count } from './format.ts';
import type { CallRow, List } from './rows.ts';
import type { State } from './store.ts';
import { Choice, html, Panel, useAsked, useKept, useSettled } from './ui.ts';

export interface ViewProps {
  readonly state: State;
  readonly nowMs: number;
  readonly open: (about: string, call?: CallRow) => void;
}

type Which = 'open' | 'failed' | 'ended';

export function CallsView({ state, nowMs, open }: ViewProps) {
  const [which, setWhich] = useKept<Which>('calls', 'open');
  const [search, setSearch] = useState('');
  const wanted = useSettled(search.trim());
  const side = html`
    <${Choice}
      label="Which calls"
      value=${which}
      choose=${setWhich}
      options=${[['open', 'Under way'], ['failed', 'Failed'], ['ended', 'Ended']]}
    />
  `;
  return html`
    <${Panel} title="Calls" side=${side}>
      <form class="search" role="search" onSubmit=${(event: Event) => event.preventDefault()}>
        <input
          type="search"
          placeholder="number, user, call id or address"
          aria-label="Search calls by number, user, call id or address"
          value=${search}
          onInput=${(event: InputEvent) => setSearch((event.currentTarget as HTMLInputElement).value)}
        />
        <button type="button" disabled=${wanted === ''} onClick=${() => open(wanted)}>Messages about it</button>
      </form>
      <${Found} key=${which} which=${which} wanted=${wanted} state=${state} nowMs=${nowMs} open=${open} />
    </${Panel}>
  `;
}

function Found({ which, wanted, state, nowMs, open }: ViewProps & { readonly which: Which; readonly wanted: string }) {
  const isPushed = wanted === '' && which !== 'ended';
  const asked = useAsked<List<CallRow>>(
    isPushed ? undefined : 'calls',
    {
      limit: shown,
      newest: 1,
      search: wanted === '' ? undefined : wanted,
      ...(which === 'open' ? {} : { [which]: 1 }),
    },
    2_000,
  );
  const pushed = which === 'failed' ? state.board?.failed : state.board?.open;
  const list = isPushed ? pushed : asked.value;
  return html`
    <p class="quiet" role="status">${asked.problem ?? (list === undefined ? 'Asking …' : summary(list, which, wanted))}</p>
    ${list !== undefined && list.items.length > 0 && html`<${CallList} calls=${list.items} nowMs=${nowMs} open=${open} />`}
  `;
}

function summary({ total, items }: List<CallRow>, which: Which, wanted: string): string {
  const noun = which === 'open' ? 'under way' : which === 'failed' ? 'that failed' : 'that ended';
  const about = wanted === '' ? '' : ` with “${wanted}”`;
  if (total === 0) return `No call ${noun}${about}.`;
  const kept = which === 'open' ? '' : ' of those that are kept';
  return items.length < total
    ? `The last ${items.length} of ${count(total)} calls ${noun}${about}: search for the others.`
    : `${count(total)} ${total === 1 ? 'call' : 'calls'} ${noun}${about}${kept}.`;
}

const shown = 100;
