/** One call as this controller sees it, from its first message to its end. */
import type { Flow } from '../network.ts';
import { formatSocketAddress, type SocketAddress, type Transport } from '../signaling/controller-address.ts';
import type { GatewayName } from './gateway-calls.ts';

export type CallStage = 'trying' | 'ringing' | 'talking' | 'ended';

/** Why a call ended, in one vocabulary for all protocols; whoever reports it may know more words. */
export interface CallOutcome {
  readonly reason: string;
  /** The answer that said so: `486`. */
  readonly code?: string | undefined;
  /** Q.850. */
  readonly cause?: number | undefined;
  /** The address that said so; undefined: this controller. */
  readonly where?: string | undefined;
  readonly detail?: string | undefined;
}

export interface CallBeginning {
  readonly protocol: string;
  readonly callId?: string | undefined;
  readonly caller?: string | undefined;
  readonly callee?: string | undefined;
  /** Where it came from. */
  readonly from?: Pick<Flow, 'transport' | 'remote'> | undefined;
  /** It was begun at another member, or before this process. */
  readonly isAdopted?: boolean | undefined;
}

export interface CallSwitch {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly because: string;
}

export type CallChange = 'begun' | 'ringing' | 'answered' | 'moved' | 'ended';

/** Whoever hears of a change. */
export interface CallSink {
  now(): number;
  changed(call: ObservedCall, change: CallChange): void;
  withdrawn(call: ObservedCall): void;
}

/** Times are those of the controller's clock. */
export class ObservedCall {
  readonly protocol: string;
  readonly isAdopted: boolean;
  readonly begunMs: number;
  callId: string | undefined;
  caller: string | undefined;
  callee: string | undefined;
  stage: CallStage = 'trying';
  ringingMs: number | undefined;
  answeredMs: number | undefined;
  endedMs: number | undefined;
  outcome: CallOutcome | undefined;
  /** What decided where it goes: `registered`, `route 00`, `default` … */
  route: string | undefined;
  /** The address it went to last. */
  to: string | undefined;
  switches: CallSwitch[] | undefined;
  /** Ids that messages of its parties carry besides. */
  otherIds: readonly string[] | undefined;
  /** The gateways of parties that are lines. */
  callerGateway: GatewayName | undefined;
  calleeGateway: GatewayName | undefined;
  /** @internal Its neighbours among the calls under way. */
  before: ObservedCall | undefined;
  /** @internal */
  behind: ObservedCall | undefined;
  readonly #transport: Transport | undefined;
  readonly #remote: SocketAddress | undefined;
  readonly #sink: CallSink;

  constructor({ protocol, callId, caller, callee, from, isAdopted }: CallBeginning, sink: CallSink) {
    this.protocol = protocol;
    this.callId = callId;
    this.caller = caller;
    this.callee = callee;
    this.#transport = from?.transport;
    this.#remote = from?.remote;
    this.isAdopted = isAdopted === true;
    this.#sink = sink;
    this.begunMs = sink.now();
    if (this.isAdopted) this.stage = 'talking';
  }

  /** The address it came from. */
  get from(): string | undefined {
    return this.#remote === undefined ? undefined : `${this.#transport}:${formatSocketAddress(this.#remote)}`;
  }

  /** It is on its way there. */
  sent(to: string | undefined, route: string | undefined): void {
    this.to = to ?? this.to;
    this.route ??= route;
  }

  ringing(): void {
    if (this.stage !== 'trying') return;
    this.stage = 'ringing';
    this.ringingMs = this.#sink.now();
    this.#sink.changed(this, 'ringing');
  }

  answered(): void {
    if (this.stage !== 'trying' && this.stage !== 'ringing') return;
    this.stage = 'talking';
    this.answeredMs = this.#sink.now();
    this.#sink.changed(this, 'answered');
  }

  moved(from: string, to: string, because: string): void {
    this.switches ??= [];
    if (this.switches.length < maxSwitches) this.switches.push({ atMs: this.#sink.now(), from, to, because });
    this.to = to;
    this.#sink.changed(this, 'moved');
  }

  /** It is told of by another part of the controller. */
  withdraw(): void {
    if (this.stage === 'ended') return;
    this.stage = 'ended';
    this.#sink.withdrawn(this);
  }

  /** Once; what comes later is not heard. */
  end(outcome: CallOutcome): void {
    if (this.stage === 'ended') return;
    this.stage = 'ended';
    this.outcome = outcome;
    this.endedMs = this.#sink.now();
    this.#sink.changed(this, 'ended');
  }

  /** It came to nothing, or ended otherwise than by hanging up. Who gave up by himself did not fail. */
  get hasFailed(): boolean {
    const { outcome } = this;
    if (outcome === undefined || unfailed.has(outcome.reason)) return false;
    return this.answeredMs === undefined
      ? !this.isAdopted || !endedByParties.has(outcome.reason)
      : !endedByParties.has(outcome.reason);
  }
}

/** The caller gave up; or the call goes on where this controller cannot see it. */
const unfailed: ReadonlySet<string> = new Set(['cancelled', 'unobserved', 'redirected', 'normal']);

const endedByParties: ReadonlySet<string> = new Set(['hungUp', 'normal']);

const maxSwitches = 8;
