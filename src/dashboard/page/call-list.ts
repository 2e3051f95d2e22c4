/** Calls, one row each; a row leads to the call's ladder. */
import { bareAddress, duration, party, shortDuration } from './format.ts';
import { callMood, reasonTitle } from './model.ts';
import type { CallRow } from './rows.ts';
import { Age, Dot, html } from './ui.ts';

export interface CallListProps {
  readonly calls: readonly CallRow[];
  readonly nowMs: number;
  readonly open: (about: string, call: CallRow) => void;
  /** Fewer columns, where there is less room. */
  readonly isShort?: boolean;
}

export function CallList({ calls, nowMs, open, isShort = false }: CallListProps) {
  return html`
    <div class=${`calls ${isShort ? 'short' : ''}`}>
      <div class="heads" aria-hidden="true">
        <span>state</span><span>caller → called</span><span>since</span><span>lasted</span>${!isShort && html`<span>route</span><span>from → to</span>`}
      </div>
      <ul>
        ${calls.map((call) => html`<li key=${call.id}><${Call} call=${call} nowMs=${nowMs} open=${open} isShort=${isShort} /></li>`)}
      </ul>
    </div>
  `;
}

/** What finds its messages. */
export const aboutOf = ({ callId, caller, callee, id }: CallRow): string =>
  callId ??
  (caller === undefined ? undefined : party(caller)) ??
  (callee === undefined ? undefined : party(callee)) ??
  id;

function Call({ call, nowMs, open, isShort }: Omit<CallListProps, 'calls'> & { readonly call: CallRow }) {
  const {
    caller,
    callee,
    state,
    begunMs,
    endedMs,
    talkedMs,
    answeredMs,
    route,
    from,
    to,
    switches,
    isAdopted,
    protocol,
    reason,
  } = call;
  const talked = state === 'talking' && answeredMs !== undefined ? nowMs - answeredMs : talkedMs;
  return html`
    <button type="button" class="call" onClick=${() => open(aboutOf(call), call)} data-call=${call.callId}>
      <span class="state"><${Dot} mood=${callMood(call)} />${state === 'ended' ? reasonTitle(reason ?? 'ended') : state}</span>
      <span class="parties">
        <b>${party(caller)}</b> → <b>${party(callee)}</b>
        <span class="tags">
          <span class="badge idle">${protocol}</span>
          ${isAdopted === true && html`<span class="badge warn">taken over</span>`}
          ${switches !== undefined && html`<span class="badge warn">moved${switches.length > 1 ? ` ${switches.length}×` : ''}</span>`}
        </span>
      </span>
      <span class="since" data-label=${state === 'ended' ? 'ended' : 'since'}><${Age} wallMs=${endedMs ?? begunMs} nowMs=${nowMs} /></span>
      <span class="lasted" data-label="talked">${talked === undefined ? '–' : state === 'ended' ? duration(talked) : shortDuration(talked)}</span>
      ${
        !isShort &&
        html`
          <span class="route" data-label="route">${route ?? '–'}</span>
          <span class="ends" data-label="way">${from === undefined ? '?' : bareAddress(from)} → ${to === undefined ? '?' : bareAddress(to)}</span>
        `
      }
    </button>
  `;
}
