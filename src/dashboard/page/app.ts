/** The frame: who this is, the cluster, the figures, and one view at a time. */
import { useEffect, useState } from 'preact/hooks';
import { token } from './api.ts';
import { CallsView } from './calls-view.ts';
import { ClusterStrip } from './cluster-strip.ts';
import { FailuresView } from './failures-view.ts';
import { clockTime, count, delay, megabytes, shortDuration } from './format.ts';
import { LadderView } from './ladder-view.ts';
import { LoginDialog } from './login.ts';
import { memberCards } from './model.ts';
import { NetworkView } from './network-view.ts';
import { OrdersView } from './orders-view.ts';
import { OverviewView } from './overview-view.ts';
import type { CallRow, Subject } from './rows.ts';
import type { State, Store } from './store.ts';
import { html, useKept } from './ui.ts';

type View = 'overview' | 'calls' | 'failures' | 'network' | 'orders';

const views: readonly (readonly [View, string])[] = [
  ['overview', 'Overview'],
  ['calls', 'Calls'],
  ['failures', 'Failures'],
  ['network', 'Network'],
  ['orders', 'Orders'],
];

export function App({ store }: { readonly store: Store }) {
  const [state, setState] = useState<State>(store.state);
  const [nowMs, setNow] = useState(Date.now());
  const [view, setView] = useKept<View>('view', 'overview');
  const [subject, setSubject] = useState<Subject | undefined>(undefined);
  const [isLoggingIn, setLoggingIn] = useState(false);
  useEffect(() => store.listen(() => setState(store.state)), [store]);
  useEffect(() => {
    // Ages go on, whatever comes or does not come.
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  const open = (about: string, call?: CallRow): void => {
    setSubject({ about, call });
    window.scrollTo({ top: 0 });
  };
  const logOut = (): void => {
    token.forget();
    void store.run();
  };
  const { access, cluster, connection } = state;
  useEffect(() => {
    document.title = `${connection === 'gone' ? '✗ ' : ''}${cluster?.node ?? 'altpath'} · altpath`;
  }, [connection, cluster?.node]);
  const shared = { state, nowMs, open };
  const isClosed = connection === 'closed';
  return html`
    <${Header} state=${state} logIn=${() => setLoggingIn(true)} logOut=${logOut} />
    <main class=${`${connection === 'gone' ? 'stale' : ''} ${subject === undefined ? '' : 'deep'}`}>
      ${connection === 'gone' && html`<${GoneBanner} state=${state} nowMs=${nowMs} />`}
      ${isClosed && html`<${ClosedNote} hasToken=${access?.token !== 'none'} logIn=${() => setLoggingIn(true)} />`}
      ${
        !isClosed &&
        html`
          <${ClusterStrip} state=${state} nowMs=${nowMs} />
          <${FigureRow} state=${state} />
          <nav aria-label="Views">
            ${views.map(
              ([name, text]) => html`
                <button
                  type="button"
                  aria-current=${view === name && subject === undefined ? 'page' : undefined}
                  onClick=${() => {
                    setSubject(undefined);
                    setView(name);
                  }}
                >
                  ${text}
                  ${name === 'failures' && (state.board?.failed.total ?? 0) > 0 && html`<span class="badge bad">${count(state.board?.failed.total ?? 0)}</span>`}
                </button>
              `,
            )}
          </nav>
          ${
            subject !== undefined
              ? html`<${LadderView} key=${subject.about} subject=${subject} ...${shared} back=${() => setSubject(undefined)} />`
              : view === 'calls'
                ? html`<${CallsView} ...${shared} />`
                : view === 'failures'
                  ? html`<${FailuresView} ...${shared} />`
                  : view === 'network'
                    ? html`<${NetworkView} ...${shared} />`
                    : view === 'orders'
                      ? html`<${OrdersView} ...${shared} logIn=${() => setLoggingIn(true)} />`
                      : html`<${OverviewView} ...${shared} show=${setView} />`
          }
        `
      }
    </main>
    ${isLoggingIn && html`<${LoginDialog} close=${() => setLoggingIn(false)} done=${() => void store.run()} />`}
  `;
}

function Header({
  state,
  logIn,
  logOut,
}: {
  readonly state: State;
  readonly logIn: () => void;
  readonly logOut: () => void;
}) {
  const [theme, setTheme] = useKept<'auto' | 'dark' | 'light'>('theme', 'auto');
  useEffect(() => {
    if (theme === 'auto') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
    window.dispatchEvent(new Event('altpath-theme'));
  }, [theme]);
  const { access, cluster, connection } = state;
  const isDark = theme === 'auto' ? matchMedia('(prefers-color-scheme: dark)').matches : theme === 'dark';
  return html`
    <header class="top">
      <h1><img src="icon.svg" alt="" width="22" height="22" />altpath</h1>
      <p class="who">
        ${cluster?.node !== undefined && html`<b>${cluster.node}</b>`}
        <span class="quiet">${location.host}</span>
        <span class=${`live ${connection}`} role="status">
          ${connection === 'open' ? 'live' : connection === 'gone' ? 'no answer' : connection === 'closed' ? 'locked' : 'connecting'}
        </span>
      </p>
      <div class="tools">
        <button type="button" class="plain" onClick=${() => setTheme(isDark ? 'light' : 'dark')} aria-label=${isDark ? 'light colours' : 'dark colours'} title=${isDark ? 'light colours' : 'dark colours'}>
          ${isDark ? '☀' : '☾'}
        </button>
        ${
          access?.token === 'right'
            ? html`<button type="button" class="plain" onClick=${logOut}>Log out</button>`
            : access !== undefined &&
              access.token !== 'none' &&
              html`<button type="button" class="plain" id="log-in" onClick=${logIn}>Log in</button>`
        }
        ${access?.read === true && !access.order && html`<span class="badge idle">read-only</span>`}
      </div>
    </header>
  `;
}

function GoneBanner({ state, nowMs }: { readonly state: State; readonly nowMs: number }) {
  const { cluster, sinceMs } = state;
  const cards = cluster === undefined ? [] : memberCards(cluster, [], location);
  const others = cards.filter(({ isSelf, mood }) => !isSelf && mood !== 'bad');
  const name = cluster?.node ?? location.host;
  return html`
    <div class="banner bad" role="alert">
      <p>
        <b>The controller ${name} does not answer</b> since ${clockTime(sinceMs)} (${shortDuration(nowMs - sinceMs)}).
        What stands below is what it said last. The page asks again every two seconds.
      </p>
      ${
        others.length > 0 &&
        html`<p>
          Look at the survivors:
          ${others.map(({ name: other, link, addresses }) =>
            link === undefined
              ? html` <span>${other} (${addresses[0] ?? ''})</span>`
              : html` <a href=${link}>dashboard of ${other}</a>`,
          )}
        </p>`
      }
    </div>
  `;
}

const ClosedNote = ({ hasToken, logIn }: { readonly hasToken: boolean; readonly logIn: () => void }) => html`
  <div class="closed panel">
    <h2>Locked</h2>
    ${
      hasToken
        ? html`<p>From another machine this controller is shown to those who have its token (<code>adminToken</code> in its file).</p>
            <button type="button" class="main" id="log-in-here" onClick=${logIn}>Log in</button>`
        : html`<p>
            This controller is shown to its own machine only. Set <code>adminToken</code> in its file to log in from here, or use a
            tunnel: <code>ssh -L 9060:127.0.0.1:9060 HOST</code>.
          </p>`
    }
  </div>
`;

function FigureRow({ state }: { readonly state: State }) {
  const { figures, samples } = state;
  const per = (value: number | undefined): string => (value === undefined ? '–' : count(value));
  const post = figures?.postDialMs ?? samples.findLast(({ postDialMs }) => postDialMs !== undefined)?.postDialMs;
  const tiles: readonly (readonly [string, string, string, string?])[] = [
    ['calls', figures === undefined ? '–' : count(figures.callsOpen), 'under way'],
    ['begun', per(figures?.begunPerSecond), 'a second'],
    ['answered', per(figures?.answeredPerSecond), 'a second'],
    ['failed', per(figures?.failedPerSecond), 'a second', (figures?.failedPerSecond ?? 0) > 0 ? 'bad' : ''],
    [
      'post-dial delay',
      post === undefined ? '–' : delay(post[0]),
      post === undefined ? 'no call yet' : `95 %: ${delay(post[1])}`,
    ],
    ['messages', per(figures?.messagesPerSecond), 'a second'],
    ['memory', figures === undefined ? '–' : megabytes(figures.memoryBytes), 'resident'],
  ];
  return html`
    <dl class="figures">
      ${tiles.map(
        ([name, value, unit, mood = '']) => html`
          <div class=${mood}><dt>${name}</dt><dd><b>${value}</b> <span>${unit}</span></dd></div>
        `,
      )}
    </dl>
  `;
}
