/** What observed events mean for the call of their line (packages al and dd of RFC 3525 Annex E). */
import type { Line, LineProvider, Logger } from '../../src/internal.ts';
import type { ObservedEvent } from './codec/messages.ts';
import { fromH248Digits } from './line-commands.ts';

export function reportEvent(
  lineProvider: LineProvider,
  log: Logger,
  line: Line,
  { name, parameters }: ObservedEvent,
): void {
  switch (name) {
    case 'al/of':
      lineProvider.offHook(line);
      return;
    case 'al/on':
      lineProvider.onHook(line);
      return;
    case 'dd/ce': {
      const value = (wanted: string): string =>
        (parameters.find((parameter) => parameter.name === wanted)?.values[0] ?? '').replaceAll('"', '');
      const digits = fromH248Digits(value('ds'));
      // Annex E.6.2: a partial match is what remains when nothing more came, or nothing that fits.
      if (value('meth').toUpperCase() === 'PM' && digits === '') lineProvider.incomplete(line);
      else lineProvider.dialled(line, digits);
      return;
    }
    default:
      // Inactivity (it/ito), completed signals (g/sc), a cause: that it speaks is all we need to know.
      log.debug({ line: line.endpoint, event: name }, 'event');
  }
}
