/** Shows the token to the controller; it is kept for this tab only. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { askAccess, token } from './api.ts';
import { html, problemText } from './ui.ts';

export function LoginDialog({ close, done }: { readonly close: () => void; readonly done: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [value, setValue] = useState('');
  const [problem, setProblem] = useState<string | undefined>(undefined);
  useEffect(() => dialog.current?.showModal(), []);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      const access = await askAccess(value.trim());
      if (access.token !== 'right') {
        setProblem('That is not the token of this controller.');
        return;
      }
      token.set(value.trim());
      done();
      close();
    } catch (error) {
      setProblem(problemText(error));
    }
  };
  return html`
    <dialog ref=${dialog} onClose=${close} aria-labelledby="login-title">
      <form onSubmit=${submit}>
        <h2 id="login-title">Log in</h2>
        <label>
          Token (<code>adminToken</code> in the controller's file)
          <input type="password" autocomplete="current-password" autofocus value=${value} onInput=${(event: InputEvent) => setValue((event.currentTarget as HTMLInputElement).value)} />
        </label>
        <p class="problem" role="alert">${problem}</p>
        <p class="quiet">It is kept for this tab, and forgotten with it.</p>
        <div class="buttons">
          <button type="button" onClick=${close}>Cancel</button>
          <button type="submit" class="main" disabled=${value.trim() === ''}>Log in</button>
        </div>
      </form>
    </dialog>
  `;
}
