/** What every leg of the user agent does in mid-call: it passes on to the established dialog, and refuses what comes before there is one. */
import type { LegEvent, ModifyRefusal } from '../../../src/internal.ts';
import type { Session } from './session.ts';

export abstract class SessionLeg {
  protected session: Session | undefined;

  protected abstract report(event: LegEvent): void;

  modify(offer: string | undefined): void {
    if (this.session === undefined) this.report({ kind: 'modifyRefused', reason: 'temporary' });
    else this.session.modify(offer);
  }

  modifyAnswer(description: string): void {
    this.session?.modifyAnswer(description);
  }

  modifyRefuse(reason: ModifyRefusal): void {
    this.session?.modifyRefuse(reason);
  }

  digit(signal: string, durationMs: number): void {
    this.session?.digit(signal, durationMs);
  }
}
