/**
 * How lines change hands where gateways answer whoever asks and follow the controller that a command names: the new one audits and
 * commands them, the old one forgets what it knew of them and says nothing.
 */
import type { HandOver, Unit } from '../cluster/hand-over.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import type { GatewayTakeover } from './gateway-takeover.ts';
import { isUnknown, type LineControl } from './line-control.ts';

export interface AuditHandOverParts {
  readonly log: Logger;
  readonly takeover: Pick<GatewayTakeover, 'begin' | 'drop' | 'whenIdle'>;
  readonly control: LineControl;
  /** What else the protocol does then. */
  taking(unit: Unit): void;
}

export class AuditHandOver implements HandOver {
  readonly tellsGateways = false;
  readonly #parts: AuditHandOverParts;

  constructor(parts: AuditHandOverParts) {
    this.#parts = parts;
  }

  take(unit: Unit, done: () => void): void {
    const { control, log, takeover, taking } = this.#parts;
    const wanted = control.in(unit).filter((line) => isUnknown(line) && control.gatewayOf(line)?.state !== 'down');
    if (wanted.length > 0) logEvent(log, 'linesWanted', { ...unit, lines: wanted.length });
    takeover.begin(wanted);
    taking(unit);
    takeover.whenIdle(done);
  }

  dropAudits(unit: Unit): void {
    for (const line of this.#parts.control.in(unit)) if (!line.controlled) this.#parts.takeover.drop(line);
  }

  letGo(unit: Unit): void {
    const { control } = this.#parts;
    control.release(control.in(unit).filter(({ controlled }) => controlled));
  }

  handOver(unit: Unit): void {
    this.letGo(unit);
  }

  /** A guest whose party is another home's would have its call torn between two controllers for as long as it lasts. */
  isBusy(unit: Unit, isPatient: boolean): boolean {
    const { control } = this.#parts;
    return (isPatient && control.isCalling(unit)) || (unit.gateway !== undefined && control.spansHomes(unit));
  }
}
