/** What a branch towards a carrier has more than others: one of the carrier's calls, answers to its challenges, and other carriers. */
import type { ControllerAddress } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { TrunkFields } from '../trunks/rewriting.ts';
import type { Trunk } from '../trunks/trunk.ts';
import { TrunkAttempts } from '../trunks/trunk-attempts.ts';
import type { BranchHost } from './branch-host.ts';
import type { ProxyTarget } from './target.ts';

export class TrunkBranch {
  readonly #context: BranchHost;
  readonly #target: ProxyTarget;
  readonly #trunk: Trunk;
  readonly #attempts: TrunkAttempts;
  #hasBegun = false;
  #isAnswered = false;

  constructor(context: BranchHost, target: ProxyTarget, trunk: Trunk) {
    this.#context = context;
    this.#target = target;
    this.#trunk = trunk;
    this.#attempts = new TrunkAttempts(trunk);
  }

  /** How often the carrier has asked for credentials. */
  get attempts(): number {
    return this.#attempts.count;
  }

  get hasAccount(): boolean {
    return this.#trunk.account !== undefined;
  }

  /** The request is one of the carrier's calls from now on; false: it has as many as it may have. */
  begin(): boolean {
    if (!this.isNewCall) return true;
    const { request, parts } = this.#context;
    const { limit } = this.#trunk;
    if (limit?.begin(request.callId, parts.clock.now(), this.#target.isEmergency === true) === false) return false;
    this.#hasBegun = true;
    this.#trunk.began();
    return true;
  }

  answered(): void {
    this.#isAnswered = true;
    const { request, parts } = this.#context;
    const { method, callId } = request;
    if (!this.isNewCall && (method === 'INVITE' || method === 'UPDATE'))
      this.#trunk.limit?.note(callId, parts.clock.now());
  }

  end(): void {
    if (!this.#hasBegun) return;
    this.#trunk.ended(this.#isAnswered);
    if (!this.#isAnswered) this.#trunk.limit?.end(this.#context.request.callId);
  }

  /** Shall the request go to the carrier once more, with credentials (RFC 3261 §22.2)? */
  isChallenged(response: SipMessage, hop: ControllerAddress | undefined): boolean {
    return this.#attempts.challenged(response, hop);
  }

  /** Without us in the path the dialog's requests would have the wrong CSeq, and its end would not be seen. */
  staysIn(cseqOffset: number): boolean {
    const { plan } = this.#context;
    return this.isNewCall && plan.own === undefined && (cseqOffset > 0 || this.#trunk.limit !== undefined);
  }

  /** A carrier's hop that cannot take the call (RFC 3261 §21.5.4), or does not believe us, is not the last one. */
  othersFor(status: number): readonly ProxyTarget[] | undefined {
    const { spares } = this.#target;
    if (spares === undefined || !elsewhere.has(status)) return undefined;
    // The transaction has asked every hop of this carrier already.
    return status === 503 ? spares.filter((spare) => spare.trunk !== this.#trunk) : spares;
  }

  /** What this attempt has that the sender did not write. */
  fields(): Pick<TrunkFields, 'credentials' | 'fromUri'> {
    const { request } = this.#context;
    return {
      credentials: this.attempts > 0 ? this.#attempts.credentials(request.method, this.#target.requestUri) : '',
      fromUri: this.#trunk.fromUri,
    };
  }

  /** Is it a call that the carrier is to set up? */
  get isNewCall(): boolean {
    const { method, toTag } = this.#context.request;
    return method === 'INVITE' && toTag === '';
  }
}

/** Final answers of one hop of a carrier that say nothing of the next one. */
const elsewhere: ReadonlySet<number> = new Set([401, 407, 408, 500, 502, 503, 504]);
