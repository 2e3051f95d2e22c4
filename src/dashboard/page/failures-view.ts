/** Why calls failed: grouped by reason and by who said so, then one by one. */
import { useState } from 'preact/hooks';
import { aboutOf } from './call-list.ts';
import type { ViewProps } from './calls-view.ts';
import { count, party } from './format.ts';
import { type FailureGroup, failureGroups, reasonTitle, why } from './model.ts';
import type { CallRow, List } from './rows.ts';
import { Age, Dot, html, Panel, useAsked } from './ui.ts';

export function FailuresView({ state, nowMs, open }: ViewProps) {
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  // The last ones are pushed; what is older is asked for now and again.
  const asked = useAsked<List<CallRow>>('calls', { failed: 1, limit: 500 }, 5_000);
  const rows = merged(state.board?.failed.items ?? [], asked.value?.items ?? []);
  const groups = failureGroups(rows);
  const listed = rows.filter((row) => chosen === undefined || failureGroups([row])[0]?.key === chosen).slice(0, shown);
  return html`
    <${Panel} title="Why calls failed">
      ${
        rows.length === 0
          ? html`<p class="quiet">${asked.value === undefined && asked.problem === undefined ? 'Asking …' : 'No call has failed since this controller started.'}</p>`
          : html`
              <p class="quiet">The last ${count(rows.length)} failed calls, by reason and by who said so.</p>
              <${Groups} groups=${groups} nowMs=${nowMs} chosen=${chosen} choose=${(key: string) => setChosen(key === chosen ? undefined : key)} />
            `
      }
    </${Panel}>
    ${
      rows.length > 0 &&
      html`
        <${Panel} title=${chosen === undefined ? 'One by one' : 'Those calls'}>
          <ul class="failed-calls">
            ${listed.map(
              (call) => html`
                <li key=${call.id}>
                  <button type="button" class="failed-call" onClick=${() => open(aboutOf(call), call)}>
                    <span class="parties"><b>${party(call.caller)}</b> → <b>${party(call.callee)}</b> <span class="badge idle">${call.protocol}</span></span>
                    <span class="since"><${Age} wallMs=${call.endedMs} nowMs=${nowMs} /></span>
                    <span class="why"><${Dot} mood="bad" />${why(call)}</span>
                  </button>
                </li>
              `,
            )}
          </ul>
          ${listed.length < rows.length && chosen === undefined && html`<p class="quiet">The last ${listed.length}; choose a reason above to see others.</p>`}
        </${Panel}>
      `
    }
  `;
}

export function Groups(props: {
  readonly groups: readonly FailureGroup[];
  readonly nowMs: number;
  readonly chosen?: string | undefined;
  readonly choose: (key: string) => void;
}) {
  const most = Math.max(1, ...props.groups.map((group) => group.count));
  return html`
    <ul class="groups">
      ${props.groups.slice(0, maxGroups).map(
        ({ key, reason, where, count: calls, lastMs }) => html`
          <li key=${key}>
            <button type="button" aria-pressed=${key === props.chosen} onClick=${() => props.choose(key)}>
              <span class="reason"><b>${reasonTitle(reason)}</b> <span class="quiet">${where === undefined ? 'said by this controller' : `said by ${where}`}</span></span>
              <span class="number">${count(calls)}</span>
              <meter min="0" max=${most} value=${calls} aria-label=${`${calls} calls`}></meter>
              <span class="quiet last"><${Age} wallMs=${lastMs} nowMs=${props.nowMs} /></span>
            </button>
          </li>
        `,
      )}
    </ul>
  `;
}

function merged(fresh: readonly CallRow[], older: readonly CallRow[]): readonly CallRow[] {
  const key = ({ id, reason, code }: CallRow): string => `${id} ${reason ?? ''} ${code ?? ''}`;
  const known = new Set(fresh.map(key));
  return [...fresh, ...older.filter((row) => !known.has(key(row)))];
}

const shown = 60;
const maxGroups = 20;
