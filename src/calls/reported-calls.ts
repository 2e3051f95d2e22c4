/** Calls of the one call control, as the journal has them. */
import type { CallWatch } from '../journal/call-journal.ts';
import type { ObservedCall } from '../journal/observed-call.ts';
import type { Call } from './call.ts';
import type { FailureTold, ReleaseReason } from './leg.ts';
import { causeOf } from './release-cause.ts';

export class ReportedCalls {
  readonly #journal: CallWatch;
  readonly #observed = new WeakMap<Call, ObservedCall>();
  readonly #details = new WeakMap<Call, string>();

  constructor(journal: CallWatch) {
    this.#journal = journal;
  }

  begun(protocol: string, call: Call): void {
    this.#observed.set(call, this.#journal.begin({ protocol, caller: call.caller?.name }));
  }

  /** It was a dead member's. */
  restored(protocol: string, call: Call): void {
    this.#observed.set(call, this.#journal.begin({ protocol, callId: call.callId, isAdopted: true }));
  }

  ringing(call: Call): void {
    this.#named(call)?.ringing();
  }

  answered(call: Call): void {
    this.#named(call)?.answered();
  }

  /** The caller gave this number. */
  dialled(call: Call, number: string): void {
    const observed = this.#named(call);
    if (observed !== undefined) observed.callee ??= number;
  }

  /** Why it is not to be: for its end. */
  explain(call: Call, detail: string): void {
    this.#details.set(call, detail);
  }

  /** Another member goes on with it. */
  left(call: Call): void {
    this.#named(call)?.end({ reason: 'unobserved', detail: 'another member goes on with it' });
  }

  ended(call: Call, reason: ReleaseReason, told: FailureTold | undefined): void {
    this.#named(call)?.end({
      reason: told?.reason ?? reason,
      code: told?.code,
      cause: told?.cause ?? causeOf(reason),
      where: told?.where,
      detail: told?.detail ?? this.#details.get(call),
    });
  }

  /** The parties and the id become known on the way. */
  #named(call: Call): ObservedCall | undefined {
    const observed = this.#observed.get(call);
    if (observed === undefined) return undefined;
    const { callId, caller, callee } = call;
    observed.callerGateway ??= caller?.gateway;
    observed.calleeGateway = callee?.gateway ?? observed.calleeGateway;
    if (callId !== '') observed.callId ??= callId;
    observed.caller ??= caller?.name;
    observed.callee = callee?.name ?? observed.callee;
    if (callee !== undefined) observed.sent(callee.name, 'party');
    const others = [caller?.callId, callee?.callId].filter(
      (id) => id !== undefined && id !== '' && id !== observed.callId,
    );
    if (others.length > 0) observed.otherIds = others.filter((id) => id !== undefined);
    return observed;
  }
}
