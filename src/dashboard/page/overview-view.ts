/** What an operator looks at first: traffic, errors, what happened, what failed, what is under way. */
import { useMemo } from 'preact/hooks';
import { CallList } from './call-list.ts';
import type { ViewProps } from './calls-view.ts';
import { Chart } from './chart.ts';
import { Groups } from './failures-view.ts';
import { bareAddress, count, delay, hostOf, moment } from './format.ts';
import { failureGroups, happeningText, joinedHappenings } from './model.ts';
import { failureMix, lastMinutes, postDialDelay, traffic } from './series.ts';
import type { State } from './store.ts';
import { Choice, Dot, html, Panel, useKept } from './ui.ts';

export function OverviewView({
  state,
  nowMs,
  open,
  show,
}: ViewProps & { readonly show: (view: 'calls' | 'failures') => void }) {
  const [minutes, setMinutes] = useKept<'15' | '60'>('minutes', '15');
  const { samples, board } = state;
  const shown = useMemo(() => lastMinutes(samples, Number(minutes), samples.at(-1)?.wallMs ?? 0), [samples, minutes]);
  const [calls, mix, delays] = useMemo(() => [traffic(shown), failureMix(shown), postDialDelay(shown)], [shown]);
  const groups = useMemo(() => failureGroups(board?.failed.items ?? []), [board]);
  const side = html`
    <${Choice} label="How far back" value=${minutes} choose=${setMinutes} options=${[
      ['15', '15 min'],
      ['60', '60 min'],
    ]} />
  `;
  return html`
    <div class="overview">
      <div class="wide">
        <${Panel} title="Calls a second" side=${side}>
          ${shown.length < 2 ? html`<p class="quiet">The first figures come within ten seconds.</p>` : html`<${Chart} label="Calls a second" chart=${calls} colours=${['blue', 'green', 'red']} text=${count} />`}
        </${Panel}>
        <div class="pair">
          <${Panel} title="Failed calls by reason">
            ${mix.labels.length === 0 ? html`<p class="quiet">No call failed in the last ${minutes} minutes.</p>` : html`<${Chart} label="Failed calls by reason" chart=${mix} colours=${mixColours} text=${count} isStacked height=${150} />`}
          </${Panel}>
          <${Panel} title="Post-dial delay">
            ${delays.columns[1]?.some((value) => value !== null) === true ? html`<${Chart} label="Post-dial delay" chart=${delays} colours=${['blue', 'amber']} text=${delay} height=${150} />` : html`<p class="quiet">No call rang in the last ${minutes} minutes.</p>`}
          </${Panel}>
        </div>
        <${Panel} title="Newest calls" side=${html`<button type="button" class="plain" onClick=${() => show('calls')}>All calls</button>`}>
          ${(board?.open.items.length ?? 0) === 0 ? html`<p class="quiet">No call is under way.</p>` : html`<${CallList} calls=${board?.open.items.slice(0, newest) ?? []} nowMs=${nowMs} open=${open} isShort />`}
        </${Panel}>
      </div>
      <div class="narrow">
        <${Panel} title="What happened"><${HappeningList} state=${state} nowMs=${nowMs} /></${Panel}>
        <${Panel} title="Why calls failed" side=${html`<button type="button" class="plain" onClick=${() => show('failures')}>Each one</button>`}>
          ${groups.length === 0 ? html`<p class="quiet">No call has failed.</p>` : html`<${Groups} groups=${groups.slice(0, 6)} nowMs=${nowMs} choose=${() => show('failures')} />`}
        </${Panel}>
      </div>
    </div>
  `;
}

function HappeningList({ state, nowMs }: { readonly state: State; readonly nowMs: number }) {
  const name = nameIn(state);
  if (state.happenings.length === 0)
    return html`<p class="quiet">Nobody died, nobody returned, and no message had to go another way.</p>`;
  return html`
    <ol class="happenings" aria-live="polite">
      ${joinedHappenings(state.happenings, name)
        .slice(0, happeningsShown)
        .map((each) => {
          const { mood, text } = happeningText(each, name);
          return html`<li key=${each.sequence}><time datetime=${new Date(each.wallMs).toISOString()}>${moment(each.lastMs, nowMs)}</time><${Dot} mood=${mood} /><span>${text}</span></li>`;
        })}
    </ol>
  `;
}

/** Names of members and gateways for their addresses. */
export function nameIn({ cluster, gateways }: State): (address: string) => string {
  const names = new Map(Object.entries(cluster?.names ?? {}).map(([address, name]) => [bareAddress(address), name]));
  const hosts = new Map([...names].map(([address, name]) => [hostOf(address), name]));
  return (address) => {
    const bare = bareAddress(address);
    return names.get(bare) ?? gateways.get(bare) ?? hosts.get(hostOf(bare)) ?? bare;
  };
}

const mixColours = ['red', 'amber', 'blue', 'violet', 'green', 'quiet'] as const;
const newest = 8;
const happeningsShown = 14;
