/** What the events of a Notify mean for the call of their line (RFC 3435 §2.3.4; packages L and D of RFC 3660). */
import type { Switchboard } from '../../src/internal.ts';
import type { Endpoint } from './endpoint.ts';
import { isDigitId, type Signal } from './values/events.ts';

export function reportEvents(switchboard: Switchboard, endpoint: Endpoint, events: readonly Signal[]): void {
  const { line } = endpoint;
  let digits = '';
  const dialled = () => {
    if (digits !== '') switchboard.dialled(line, digits);
    digits = '';
  };
  for (const { packageName, id, parameters } of events) {
    const code = id.toLowerCase();
    if (isDigitId(id) && (packageName ?? 'd').toLowerCase() === 'd') {
      digits += id.toUpperCase();
      continue;
    }
    dialled();
    if (code === 'hd' || code === 'hu') endpoint.disturb();
    if (code === 'hd') switchboard.offHook(line);
    else if (code === 'hu') switchboard.onHook(line);
    // Dial tone ended by itself: nobody dials (RFC 3660 §2.4).
    else if (code === 'oc' && parameters?.some((each) => /(^|\/)dl$/i.test(each)) === true)
      switchboard.incomplete(line);
    // Hook flash asks for services that are not offered; other events of a line say nothing about its call.
  }
  dialled();
}
