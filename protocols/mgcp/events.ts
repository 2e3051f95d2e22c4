/** What the events of a Notify, and a deletion by the gateway, mean for the call of their line (RFC 3435 §2.3.4; packages L and D of RFC 3660). */
import type { Line, LineProvider } from '../../src/internal.ts';
import { type MgcpCommand, parameter, type Reply } from './codec/messages.ts';
import { isDigitId, type Signal } from './codec/values/events.ts';
import type { MgcpLineDriver } from './line-gateway.ts';
import { deletedByGateway } from './line-results.ts';

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

/** The gateway deleted a connection by itself, and names it (RFC 3435 §2.3.8). */
export function reportDeletion(
  driver: MgcpLineDriver,
  line: Line | undefined,
  command: MgcpCommand,
  reply: Reply,
): void {
  if (line?.controlled !== true) {
    reply(line === undefined ? 500 : 200, line === undefined ? 'Endpoint unknown' : 'OK');
    return;
  }
  const before = driver.observed(line);
  const { found, observed } = deletedByGateway(before, parameter(command, 'I'), parameter(command, 'C'));
  driver.observe(line, observed);
  if (found === 'other') reply(515, 'Incorrect connection id');
  else if (found === 'otherCall') reply(516, 'Incorrect call id');
  else reply(200, 'OK');
  if (found !== 'connection') return;
  line.leg?.report({ kind: 'failed', reason: 'gatewayLost' });
  driver.apply(line);
}
