/** The dashboard: begins to listen to its controller, and draws. */
import { render } from 'preact';
import { App } from './app.ts';
import { Store } from './store.ts';
import { html } from './ui.ts';

const store = new Store();
const place = document.getElementById('app');
if (place !== null) {
  place.replaceChildren();
  render(html`<${App} store=${store} />`, place);
}
void store.run();
