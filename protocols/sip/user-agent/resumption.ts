/**
 * What a backup does for a SIP party of a call that it took over: pure, by what the gateway of the other party says (how far the call
 * is), what the record says, and whether the SIP side follows the path attribute. Every message here is harmless if the dead primary had
 * sent it already: responses and ACK are repetitions (RFC 3261 §13.2.2.4, §17.2.1), the INVITE has the same branch.
 * The refresh tells a telephone that does not follow the attribute where the call is, and tells us of one that has hung up meanwhile.
 *
 * SIP calls a line (we are UAS):
 *
 * | line                        | record            | what is done                                                    |
 * |-----------------------------|-------------------|-----------------------------------------------------------------|
 * | rings                       | ringing           | 180 by the INVITE's Via, same To tag                            |
 * | lifted, not connected       | ringing           | connected, then 200 by the INVITE's Via, repeated until ACK     |
 * | talks                       | ringing, answered | the same                                                        |
 * | talks                       | talking           | target refresh                                                  |
 * | rings or talks              | none              | an aware caller sends again what it waits for; else released    |
 *
 * A line calls SIP (we are UAC):
 *
 * | line                        | record            | what is done                                                    |
 * |-----------------------------|-------------------|-----------------------------------------------------------------|
 * | offered, hears nothing      | none or calling   | the INVITE is sent (again): same Call-ID, tag, branch           |
 * | hears ringback              | ringing           | aware: the INVITE again; else asked by OPTIONS and blind ACK    |
 * | talks                       | answered, talking | ACK, once; then target refresh                                  |
 */
import type { LinePhase, RecordPhase } from '../../../src/internal.ts';

export type Resumption =
  /** The INVITE goes out again as it was. */
  | { readonly kind: 'invite' }
  /** The callee does not follow the attribute: what it says to the INVITE goes to the dead primary. It is asked whether it has answered. */
  | { readonly kind: 'poll' }
  | { readonly kind: 'acknowledge' }
  | { readonly kind: 'respond'; readonly status: 180 | 200 }
  | { readonly kind: 'established' }
  /** Nothing is known of the party: it may still show itself. */
  | { readonly kind: 'await' };

export interface Situation {
  readonly role: 'uac' | 'uas';
  readonly line: LinePhase;
  readonly phase: RecordPhase | undefined;
  readonly isAware: boolean;
}

export function resumption({ role, line, phase, isAware }: Situation): Resumption {
  return role === 'uas' ? resumptionOfCalled(line, phase) : resumptionOfCaller(line, phase, isAware);
}

function resumptionOfCalled(line: LinePhase, phase: RecordPhase | undefined): Resumption {
  if (phase === undefined || phase === 'over') return { kind: 'await' };
  if (phase === 'talking') return { kind: 'established' };
  return { kind: 'respond', status: line === 'ringing' || line === 'offering' ? 180 : 200 };
}

function resumptionOfCaller(line: LinePhase, phase: RecordPhase | undefined, isAware: boolean): Resumption {
  // A line that talks was told the callee's description: the callee had answered, whatever else the record says.
  if (line === 'talking') {
    if (phase === undefined || phase === 'calling' || phase === 'over') return { kind: 'await' };
    return { kind: 'acknowledge' };
  }
  if (phase === 'answered' || phase === 'talking') return { kind: 'acknowledge' };
  // Whoever said 180 and is not aware answers an INVITE of ours to the dead primary; one that is, or said nothing yet, to us.
  return phase === 'ringing' && !isAware ? { kind: 'poll' } : { kind: 'invite' };
}
