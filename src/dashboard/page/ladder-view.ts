/** The messages of a call as a ladder, as they come, with the failover drawn in. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { follow, get } from './api.ts';
import type { ViewProps } from './calls-view.ts';
import { bareAddress, cut, delay, duration, hostOf, moment, party } from './format.ts';
import { type Band, type Failed, type LadderPicture, ladder, type Mark, type Message } from './ladder-layout.ts';
import { callMood, happeningText, reasonTitle, why } from './model.ts';
import { nameIn } from './overview-view.ts';
import type { CallRow, List, Subject, TraceRow } from './rows.ts';
import { saveTrace, textOf } from './save.ts';
import type { State } from './store.ts';
import { Dot, html, problemText } from './ui.ts';

type Props = ViewProps & { readonly subject: Subject; readonly back: () => void };

export function LadderView({ subject, state, nowMs, back }: Props) {
  const { about } = subject;
  const { rows, problem } = useTrace(about);
  const call = useCall(subject, state);
  const [chosen, setChosen] = useState<number | undefined>(undefined);
  const [said, setSaid] = useState('');
  const place = useRef<HTMLDivElement>(null);
  const width = useWidth(place);
  const nameOf = useMemo(() => namesFor(state, call), [state.cluster, state.gateways, call?.from, call?.to]);
  const marks = useMemo(() => marksFor(state, call, rows), [state.happenings, state.cluster, call, rows]);
  const besides = [...new Set(marks.flatMap(({ address }) => address ?? []))];
  const picture = useMemo(() => ladder({ rows, marks, width, nameOf, besides }), [rows, marks, width, nameOf]);
  const message = rows.find(({ sequence }) => sequence === chosen);
  const save = (form: 'pcap' | 'json'): void => {
    saveTrace(form, about).then(setSaid, (error) => setSaid(problemText(error)));
  };
  return html`
    <section class="panel ladder" aria-label="Ladder">
      <header>
        <button type="button" class="plain" onClick=${back}>← back</button>
        <h2>${call === undefined ? html`Messages about <b>${about}</b>` : html`${party(call.caller)} → ${party(call.callee)}`}</h2>
        <span class="buttons">
          <button type="button" onClick=${() => save('pcap')}>pcap</button>
          <button type="button" onClick=${() => save('json')}>JSON</button>
        </span>
      </header>
      ${call !== undefined && html`<${CallFacts} call=${call} nowMs=${nowMs} />`}
      <p class="quiet" role="status">${said}</p>
      ${problem !== undefined && html`<p class="problem">${problem}</p>`}
      <div class="ladder-place" ref=${place}>
        ${
          rows.length === 0
            ? html`<p class="quiet">${problem === undefined ? 'No message about it is recorded here. What comes is shown as it comes.' : ''}</p>`
            : html`<${Picture} picture=${picture} chosen=${chosen} choose=${(sequence: number) => setChosen(sequence === chosen ? undefined : sequence)} />`
        }
      </div>
      ${
        message !== undefined &&
        html`
          <div class="message" role="region" aria-label="The message">
            <p class="quiet">${message.direction === 'in' ? 'received' : 'sent'} ${moment(message.wallMs, nowMs)} by ${message.transport}, ${message.from} → ${message.to}
              <button type="button" class="link" onClick=${() => setChosen(undefined)}>close</button></p>
            <pre tabindex="0">${message.octets === undefined ? message.title : textOf(message.octets)}</pre>
          </div>
        `
      }
    </section>
  `;
}

function CallFacts({ call, nowMs }: { readonly call: CallRow; readonly nowMs: number }) {
  const {
    state,
    begunMs,
    ringingMs,
    answeredMs,
    endedMs,
    route,
    switches = [],
    isAdopted,
    protocol,
    callId,
    failed,
    reason,
  } = call;
  const after = (ms: number | undefined): string =>
    ms === undefined || begunMs === undefined ? '–' : delay(ms - begunMs);
  const facts: readonly (readonly [string, unknown])[] = [
    ['protocol', protocol],
    ['begun', begunMs === undefined ? 'at another member' : moment(begunMs, nowMs)],
    ['rang after', after(ringingMs)],
    ['answered after', after(answeredMs)],
    ['talked', answeredMs === undefined ? '–' : duration((endedMs ?? nowMs) - answeredMs)],
    ['route', route ?? '–'],
    ['call', callId === undefined ? '–' : cut(callId, 60)],
  ];
  return html`
    <p class="call-state"><${Dot} mood=${callMood(call)} /><b>${state === 'ended' ? reasonTitle(reason ?? 'ended') : state}</b>
      ${isAdopted === true && html` <span class="badge warn">taken over from another member</span>`}
      ${failed === true && html` ${why(call)}`}
    </p>
    ${switches.map(({ atMs, from, to, because }) => html`<p class="call-state"><${Dot} mood="warn" />${moment(atMs, nowMs)}: moved from ${bareAddress(from)} to ${bareAddress(to)} (${because})</p>`)}
    <dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
  `;
}

function Picture({
  picture,
  chosen,
  choose,
}: {
  readonly picture: LadderPicture;
  readonly chosen: number | undefined;
  readonly choose: (sequence: number) => void;
}) {
  const { width, height, step, columns, items } = picture;
  return html`
    <div class="ladder-scroll" tabindex="0" role="group" aria-label="Messages in their order">
      <div class="ladder-heads" style=${{ width: `${width}px` }} aria-hidden="true">
        ${columns.map(
          ({ address, name, isOwn, x, deaths, life }) => html`
            <div class=${`${isOwn ? 'own' : ''} ${deaths.length >= life.length && deaths.length > 0 ? 'dead' : ''}`} style=${{ left: `${x}px` }}>
              <b>${cut(name ?? hostOf(address), Math.floor(step / 8))}</b><small title=${address}>${address.length * 6.3 <= step ? address : tail(address, Math.floor(step / 6.6))}</small>
            </div>
          `,
        )}
      </div>
      <svg width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="list">
        ${columns.map(
          ({ address, x, life, deaths, isOwn }) => html`
            <g key=${address} class=${isOwn ? 'life own' : 'life'} aria-hidden="true">
              ${life.map(([top, bottom]) => html`<line x1=${x} x2=${x} y1=${top} y2=${bottom} />`)}
              ${deaths.map((y) => html`<path class="death" d=${`M${x - 6} ${y - 6}l12 12m0 -12l-12 12`} />`)}
            </g>
          `,
        )}
        ${items.map((item) => (item.kind === 'mark' ? html`<${BandLine} band=${item} width=${width} />` : item.kind === 'failed' ? html`<${FailedArrow} failed=${item} />` : html`<${Arrow} message=${item} isChosen=${item.row.sequence === chosen} choose=${choose} width=${width} />`))}
      </svg>
    </div>
  `;
}

const BandLine = ({ band, width }: { readonly band: Band; readonly width: number }) => html`
  <g class=${`band ${band.mood}`} role="listitem" aria-label=${`${band.time} ${band.text}`}>
    <rect x="0" y=${band.y - 13} width=${width} height="26" rx="4" />
    <text x="8" y=${band.y + 4}>${cut(band.text, Math.floor((width - 16) / 6.6))}</text>
  </g>
`;

const FailedArrow = ({ failed }: { readonly failed: Failed }) => {
  const { from, to, y, text, labelX } = failed;
  const end = to > from ? to - 12 : to + 12;
  return html`
    <g class="failed" role="listitem" aria-label=${text}>
      <line x1=${from} x2=${end} y1=${y} y2=${y} />
      <path d=${`M${end - 5} ${y - 5}l10 10m0 -10l-10 10`} />
      <text x=${labelX} y=${y - 7}>${text}</text>
    </g>
  `;
};

function Arrow({
  message,
  isChosen,
  choose,
  width,
}: {
  readonly message: Message;
  readonly isChosen: boolean;
  readonly choose: (sequence: number) => void;
  readonly width: number;
}) {
  const { y, from, to, isItself, isMoved, isRequest, isFailure, label, labelX, time, spoken, row } = message;
  const way = to > from ? 1 : -1;
  const classes = [
    'arrow',
    isRequest ? 'request' : 'answer',
    isMoved ? 'moved' : '',
    isFailure ? 'refusal' : '',
    isChosen ? 'chosen' : '',
  ];
  const pick = (): void => choose(row.sequence);
  return html`
    <g
      key=${row.sequence}
      class=${classes.join(' ')}
      role="listitem button"
      tabindex="0"
      aria-label=${spoken}
      onClick=${pick}
      onKeyDown=${(event: KeyboardEvent) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        pick();
      }}
    >
      <rect class="hit" x="0" y=${y - 23} width=${width} height="32" />
      <text class="time" x="6" y=${y - 2}>${time}</text>
      ${
        isItself
          ? html`<path class="stroke" d=${`M${from} ${y - 8}h22v10h-18`} />`
          : isMoved
            ? html`<path class="stroke" d=${`M${from} ${y - 2}H${to - way * 7}M${from} ${y + 2}H${to - way * 7}`} />`
            : html`<path class="stroke" d=${`M${from} ${y}H${to - way * 4}`} />`
      }
      <path class="head" d=${isItself ? `M${from + 2} ${y + 2}l8 -4v8z` : `M${to} ${y}l${-way * 9} -5v10z`} />
      <text class="label" x=${labelX} y=${y - 7}>${label}</text>
    </g>
  `;
}

/** Where an address has not enough width, its end tells it from others. */
const tail = (address: string, length: number): string => `…${address.slice(1 - length)}`;

/** What was recorded, then what comes, put together twice a second; and anew when the controller is there again. */
function useTrace(about: string): { readonly rows: readonly TraceRow[]; readonly problem: string | undefined } {
  const [rows, setRows] = useState<readonly TraceRow[]>([]);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  useEffect(() => {
    const stop = new AbortController();
    let waiting: TraceRow[] = [];
    const timer = setInterval(() => {
      if (waiting.length === 0) return;
      const fresh = waiting;
      waiting = [];
      setRows((before) => joined(before, fresh));
    }, 500);
    const run = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        try {
          const { items } = await get<List<TraceRow>>('trace', { about, limit: maxRows, octets: 1 });
          setRows(items);
          setProblem(undefined);
          await follow('events', { kinds: 'trace', about }, stop.signal, ({ kind, data }) => {
            if (kind === 'trace') waiting.push(data as TraceRow);
            if (waiting.length > 2 * maxRows) waiting.splice(0, maxRows);
          });
        } catch (error) {
          if (!stop.signal.aborted) setProblem(problemText(error));
        }
        await new Promise((resolve) => setTimeout(resolve, 2_000));
      }
    };
    void run();
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, [about]);
  return { rows, problem };
}

function joined(before: readonly TraceRow[], fresh: readonly TraceRow[]): readonly TraceRow[] {
  const last = before.at(-1)?.sequence ?? 0;
  return [...before, ...fresh.filter(({ sequence }) => sequence > last)].slice(-maxRows);
}

/** The call as it is now, where the lists that come hold it; else asked for. */
function useCall({ about, call }: Subject, state: State): CallRow | undefined {
  const [asked, setAsked] = useState<CallRow | undefined>(call);
  const { board } = state;
  const pushed =
    call === undefined
      ? undefined
      : [...(board?.open.items ?? []), ...(board?.failed.items ?? [])].find(({ id }) => id === call.id);
  useEffect(() => {
    if (call === undefined || asked?.state === 'ended') return;
    let isOver = false;
    const ask = async (): Promise<void> => {
      for (const which of [{}, { ended: 1 }]) {
        const { items } = await get<List<CallRow>>('calls', { about, limit: 10, ...which });
        const found = items.find(({ id }) => id === call.id);
        if (found === undefined) continue;
        if (!isOver) setAsked(found);
        return;
      }
    };
    const timer = setInterval(() => void ask().catch(() => undefined), 2_000);
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  }, [about, call, asked?.state]);
  if (call === undefined) return undefined;
  return asked?.state === 'ended' ? asked : (pushed ?? asked ?? call);
}

function namesFor(state: State, call: CallRow | undefined): (address: string) => string | undefined {
  const known = nameIn(state);
  const protocols = new Map(
    (state.cluster?.own ?? []).flatMap(({ protocol, addresses }) =>
      addresses.map((address) => [bareAddress(address), protocol] as const),
    ),
  );
  const own = state.cluster?.own ?? [];
  return (address) => {
    const name = known(address);
    const protocol = protocols.get(address);
    if (protocol !== undefined && own.length > 1) return `${name === address ? 'here' : name} ${protocol}`;
    if (name !== address) return name;
    if (call?.from !== undefined && bareAddress(call.from) === address) return party(call.caller);
    if (call?.to !== undefined && bareAddress(call.to) === address) return party(call.callee);
    return undefined;
  };
}

/** Deaths and returns of members, and of whoever stands in the ladder, as far as they fall into its time. */
function marksFor(state: State, call: CallRow | undefined, rows: readonly TraceRow[]): readonly Mark[] {
  const first = rows[0]?.wallMs;
  if (first === undefined) return [];
  const name = nameIn(state);
  const members = new Set(
    (state.cluster?.members ?? []).filter(({ kind }) => kind === 'member').map(({ host, port }) => `${host}:${port}`),
  );
  const there = new Set(rows.flatMap(({ from, to }) => [from, to]));
  const ofCall = rows[0]?.protocol;
  const concerned = state.happenings.filter(({ what, address, protocol }) => {
    if ((what !== 'died' && what !== 'returned') || address === undefined) return false;
    const bare = bareAddress(address);
    return there.has(bare) || (members.has(bare) && (protocol === undefined || protocol === ofCall));
  });
  const within = concerned.filter(({ wallMs }) => wallMs >= first);
  // A call that was taken over begins here with the death of whom it was taken over from, or just after it.
  const before = concerned.find(
    ({ what, wallMs }) =>
      what === 'died' && wallMs < first && (call?.isAdopted === true || first - wallMs < justBeforeMs),
  );
  return [...(before === undefined ? [] : [before]), ...within].map((each) => {
    const isMember = members.has(bareAddress(each.address ?? ''));
    const { text } = happeningText(each, name);
    return {
      atMs: each.wallMs,
      mood: each.what === 'died' ? 'bad' : 'good',
      address: bareAddress(each.address ?? ''),
      text:
        each.what === 'died' && isMember
          ? `${name(each.address ?? '')} died: ${state.cluster?.node ?? 'this controller'} goes on in its place`
          : text,
    };
  });
}

function useWidth(place: { readonly current: HTMLElement | null }): number {
  const [width, setWidth] = useState(800);
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    setWidth(element.clientWidth);
    const watcher = new ResizeObserver(() => setWidth(element.clientWidth));
    watcher.observe(element);
    return () => watcher.disconnect();
  }, [place]);
  return width;
}

const maxRows = 300;

/** A telephone that notices a death repeats its request within this time. */
const justBeforeMs = 3_000;
