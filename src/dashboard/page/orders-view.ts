/** What an operator may order: the level of the log, a trace to take along, the orderly end. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { get, order } from './api.ts';
import type { ViewProps } from './calls-view.ts';
import { age } from './format.ts';
import { saveTrace } from './save.ts';
import { html, Panel, problemText } from './ui.ts';

export function OrdersView({ state, nowMs, logIn }: ViewProps & { readonly logIn: () => void }) {
  const { access, cluster } = state;
  const mayOrder = access?.order === true;
  return html`
    ${
      !mayOrder &&
      html`<p class="banner idle" role="note">
        Read-only. ${
          access?.token === 'none'
            ? 'Orders are taken from this controller’s own machine, or with a token (adminToken in its file).'
            : html`Orders need the token. <button type="button" class="link" onClick=${logIn}>Log in</button>`
        }
      </p>`
    }
    <div class="orders">
      <${LogPanel} mayOrder=${mayOrder} nowMs=${nowMs} protocols=${(cluster?.own ?? []).map(({ protocol }) => protocol)} />
      <${TracePanel} />
      <${DrainPanel} mayOrder=${mayOrder} name=${cluster?.node ?? 'this controller'} others=${(cluster?.members.length ?? 0) > 0} />
    </div>
  `;
}

interface LogStatus {
  readonly level: string;
  readonly change?: { readonly level?: string; readonly part?: string; readonly about?: string };
  readonly untilMs?: number;
}

function LogPanel({
  mayOrder,
  nowMs,
  protocols,
}: {
  readonly mayOrder: boolean;
  readonly nowMs: number;
  readonly protocols: readonly string[];
}) {
  const [status, setStatus] = useState<LogStatus | undefined>(undefined);
  const [level, setLevel] = useState('debug');
  const [part, setPart] = useState('');
  const [about, setAbout] = useState('');
  const [minutes, setMinutes] = useState('10');
  const [said, setSaid] = useState('');
  useEffect(() => {
    get<LogStatus>('log').then(setStatus, (error) => setSaid(problemText(error)));
  }, []);
  const give = async (query: Record<string, string>): Promise<void> => {
    try {
      setStatus(await order<LogStatus>('log', query));
      setSaid('Done.');
    } catch (error) {
      setSaid(problemText(error));
    }
  };
  const change = status?.change;
  return html`
    <${Panel} title="Log level">
      <p>
        The log is at <b>${status?.level ?? '…'}</b>${
          change !== undefined &&
          html`, and ${change.part === undefined ? '' : `of ${change.part} `}at <b>${change.level ?? '?'}</b>${change.about === undefined ? '' : ` about ${change.about}`}${status?.untilMs === undefined ? '' : `, ends ${age(status.untilMs, nowMs)}`}`
        }.
      </p>
      <form onSubmit=${(event: Event) => {
        event.preventDefault();
        void give({
          level,
          minutes,
          ...(part === '' ? {} : { part }),
          ...(about.trim() === '' ? {} : { about: about.trim() }),
        });
      }}>
        <fieldset disabled=${!mayOrder}>
          <label>Level <select value=${level} onChange=${read(setLevel)}>${['trace', 'debug', 'info', 'warn', 'error'].map((each) => html`<option>${each}</option>`)}</select></label>
          <label>Part <select value=${part} onChange=${read(setPart)}><option value="">all</option>${['core', ...protocols].map((each) => html`<option>${each}</option>`)}</select></label>
          <label>Only about <input value=${about} placeholder="call, number or peer" onInput=${read(setAbout)} /></label>
          <label>Minutes <input type="number" min="1" max="1440" value=${minutes} onInput=${read(setMinutes)} /></label>
          <div class="buttons">
            ${change !== undefined && html`<button type="button" onClick=${() => void give({ level: 'restore' })}>As configured</button>`}
            <button type="submit" class="main">Set</button>
          </div>
        </fieldset>
      </form>
      <p role="status">${said}</p>
    </${Panel}>
  `;
}

function TracePanel() {
  const [about, setAbout] = useState('');
  const [said, setSaid] = useState('');
  const save = (form: 'pcap' | 'json'): void => {
    saveTrace(form, about.trim()).then(setSaid, (error) => setSaid(problemText(error)));
  };
  return html`
    <${Panel} title="Trace">
      <p>The last messages with both ends, credentials overwritten: for Wireshark and sngrep, or as JSON.</p>
      <label>About <input value=${about} placeholder="everything, or a call, number, peer" onInput=${read(setAbout)} /></label>
      <div class="buttons">
        <button type="button" onClick=${() => save('json')}>JSON</button>
        <button type="button" class="main" onClick=${() => save('pcap')}>pcap</button>
      </div>
      <p role="status">${said}</p>
    </${Panel}>
  `;
}

function DrainPanel({
  mayOrder,
  name,
  others,
}: {
  readonly mayOrder: boolean;
  readonly name: string;
  readonly others: boolean;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [said, setSaid] = useState('');
  const drain = async (): Promise<void> => {
    dialog.current?.close();
    try {
      await order('drain');
      setSaid(`${name} drains: new work goes to the backup. This page hears nothing more from it.`);
    } catch (error) {
      setSaid(problemText(error));
    }
  };
  return html`
    <${Panel} title="Drain">
      <p>${name} hands new work to its backup, lets what is being set up finish, and ends its process.</p>
      <div class="buttons"><button type="button" class="danger" disabled=${!mayOrder} onClick=${() => dialog.current?.showModal()}>Drain …</button></div>
      <p role="status">${said}</p>
      <dialog ref=${dialog} aria-labelledby="drain-title">
        <h2 id="drain-title">Drain ${name}?</h2>
        <p>${others ? 'Its work goes to the other members.' : 'No other member is known here: calls are refused until it is started again.'} The process ends; a service manager may start it again.</p>
        <div class="buttons">
          <button type="button" autofocus onClick=${() => dialog.current?.close()}>Cancel</button>
          <button type="button" class="danger" id="drain-now" onClick=${() => void drain()}>Drain now</button>
        </div>
      </dialog>
    </${Panel}>
  `;
}

const read = (set: (value: string) => void) => (event: Event) =>
  set((event.currentTarget as HTMLInputElement | HTMLSelectElement).value);
