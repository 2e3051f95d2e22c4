/** What the events of a Notify mean for the call of their line (RFC 3435 §2.3.4; packages L and D of RFC 3660). */
import type { Line, LineProvider } from '../../src/internal.ts';
import type { MgcpLineDriver } from './line-gateway.ts';
import { isDigitId, type Signal } from './values/events.ts';

export function reportEvents(
  lineProvider: LineProvider,
  driver: MgcpLineDriver,
  line: Line,
  events: readonly Signal[],
): void {
  let digits = '';
  const dialled = () => {
    if (digits !== '') lineProvider.dialled(line, digits);
    digits = '';
  };
  for (const { packageName, id, parameters } of events) {
    const code = id.toLowerCase();
    if (isDigitId(id) && (packageName ?? 'd').toLowerCase() === 'd') {
      digits += id.toUpperCase();
      continue;
    }
    dialled();
    if (code === 'hd' || code === 'hu') driver.eventSeen(line);
    if (code === 'hd') lineProvider.offHook(line);
    else if (code === 'hu') lineProvider.onHook(line);
    // Dial tone ended by itself: nobody dials (RFC 3660 §2.4).
    else if (code === 'oc' && parameters?.some((each) => /(^|\/)dl$/i.test(each)) === true)
      lineProvider.incomplete(line);
    // Hook flash asks for services that are not offered; other events of a line say nothing about its call.
  }
  dialled();
}
