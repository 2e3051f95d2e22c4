/** The members: who lives, and who stands in for whom since when. */
import { moment, shortDuration } from './format.ts';
import { type MemberCard, memberCards, type StandIn } from './model.ts';
import type { State } from './store.ts';
import { Dot, html } from './ui.ts';

export function ClusterStrip({ state, nowMs }: { readonly state: State; readonly nowMs: number }) {
  const { cluster, takeovers, connection } = state;
  if (cluster === undefined)
    return html`<div class="strip"><div class="member"><p class="quiet">waiting for the first word …</p></div></div>`;
  const cards = memberCards(cluster, takeovers, location);
  return html`
    <ul class="strip" aria-label="Cluster">
      ${cards.map((card) => html`<${Card} key=${card.name} card=${card.isSelf && connection === 'gone' ? silent(card) : card} nowMs=${nowMs} />`)}
      ${cards.every(({ isSelf, isHop }) => isSelf || isHop) && html`<li class="member alone"><p class="quiet">No other member: if this controller dies, nobody stands in for it.</p></li>`}
    </ul>
  `;
}

/** Nobody is there to say how it is. */
const silent = (card: MemberCard): MemberCard => ({
  ...card,
  mood: 'bad',
  word: 'does not answer',
  sinceMs: undefined,
});

function Card({ card, nowMs }: { readonly card: MemberCard; readonly nowMs: number }) {
  const { name, isSelf, isHop, mood, word, sinceMs, version, addresses, standsInFor, link } = card;
  return html`
    <li class=${`member ${mood}`} data-member=${name}>
      <p class="name">
        <${Dot} mood=${mood} /><b>${name}</b>
        <span class="word">${word}${sinceMs !== undefined && mood === 'bad' && ` since ${moment(sinceMs, nowMs)}, ${shortDuration(nowMs - sinceMs)}`}</span>
        ${isSelf && html`<span class="badge idle">this page</span>`}${isHop && html`<span class="badge idle">next hop</span>`}
      </p>
      <p class="quiet facts">
        ${mood !== 'bad' && sinceMs !== undefined && html`<span>up ${shortDuration(nowMs - sinceMs)}</span>`}
        ${version !== undefined && html`<span>version ${version}</span>`}
        ${link !== undefined && mood !== 'bad' && html`<a href=${link}>its dashboard</a>`}
      </p>
      <details class="quiet"><summary>${addresses[0] ?? 'no address'}${addresses.length > 1 ? ` and ${addresses.length - 1} more` : ''}</summary>
        ${addresses.slice(1).map((address) => html`<div>${address}</div>`)}
      </details>
      ${standsInFor.map((each) => html`<${StandInLine} key=${each.name} standIn=${each} nowMs=${nowMs} />`)}
    </li>
  `;
}

const StandInLine = ({ standIn, nowMs }: { readonly standIn: StandIn; readonly nowMs: number }) => {
  const { name, sinceMs, messages, calls, gatewaysOf } = standIn;
  const work = [
    calls > 0 ? `${calls} ${calls === 1 ? 'call' : 'calls'}` : undefined,
    messages > 0 ? `${messages} ${messages === 1 ? 'message' : 'messages'}` : undefined,
    gatewaysOf.length > 0 ? `its ${gatewaysOf.join(' and ')} gateways` : undefined,
  ].filter((each) => each !== undefined);
  return html`
    <p class="stands-in">
      <span aria-hidden="true">⇄</span> stands in for <b>${name}</b>${sinceMs !== undefined && html` since ${moment(sinceMs, nowMs)}`}: ${work.join(', ')}
    </p>
  `;
};
