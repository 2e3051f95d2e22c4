/**
 * Taking over lines whose state another call agent had, or that we had before a restart: audit them all, pair the ends of calls, restore
 * (design §5.3). What a call's other end says may be needed from gateways that are not ours to take: those are audited for pairing only.
 */
import {
  type AuditRound,
  AuditTakeover,
  dialledNumber,
  type LineSnapshot,
  type Logger,
  rebuild,
  type Switchboard,
} from '../../src/index.ts';
import { type AuditParts, auditEndpoint, type EndpointAudit } from './audit.ts';
import type { Endpoint } from './endpoint.ts';
import type { MgcpLineDriver } from './line-driver.ts';

export interface TakeoverParts extends AuditParts {
  readonly log: Logger;
  readonly driver: MgcpLineDriver;
  switchboard(): Switchboard;
  endpointByName(name: string): Endpoint | undefined;
  /** Every endpoint, for pairing. */
  endpoints(): Iterable<Endpoint>;
  /** The audit failed; `code` if the gateway said one. */
  unreachable(endpoint: Endpoint, code: number | undefined): void;
}

export class MgcpTakeover {
  readonly #parts: TakeoverParts;
  readonly #audits: AuditTakeover<EndpointAudit>;
  readonly #codes = new Map<string, number | undefined>();
  /** Endpoints that are to be ours after the round. */
  #scope = new Set<Endpoint>();
  #paired = false;

  constructor(parts: TakeoverParts) {
    this.#parts = parts;
    this.#audits = new AuditTakeover<EndpointAudit>({
      audit: (name, answer) => this.#audit(name, answer),
      completed: (round) => this.#completed(round),
    });
  }

  get isRunning(): boolean {
    return this.#audits.isRunning;
  }

  begin(endpoints: Iterable<Endpoint>): void {
    const fresh = [...endpoints];
    for (const endpoint of fresh) this.#scope.add(endpoint);
    if (fresh.length > 0) this.#audits.begin(fresh.map(({ line }) => line.endpoint));
  }

  /** Runs now, or once the endpoint is known. */
  whenKnown(endpoint: Endpoint, run: () => void): void {
    this.#audits.hold(endpoint.line.endpoint, run);
  }

  /** The gateway has just told us that it is as new: what is being asked does not matter. */
  drop(endpoint: Endpoint): void {
    this.#scope.delete(endpoint);
    this.#audits.drop(endpoint.line.endpoint);
  }

  #audit(name: string, answer: (audit: EndpointAudit | undefined) => void): void {
    const endpoint = this.#parts.endpointByName(name);
    if (endpoint === undefined) {
      answer(undefined);
      return;
    }
    auditEndpoint(this.#parts, endpoint, (audit, code) => {
      this.#codes.set(name, code);
      answer(audit);
    });
  }

  #completed({ snapshots }: AuditRound<EndpointAudit>): void {
    const known = [...snapshots.values()].filter((audit) => audit !== undefined);
    const others = this.#unknownEndpoints(snapshots);
    if (!this.#paired && others.length > 0 && hasLooseEnd(known)) {
      this.#paired = true;
      this.#audits.begin([...snapshots.keys(), ...others]);
      return;
    }
    this.#paired = false;
    const scope = this.#scope;
    this.#scope = new Set();
    for (const [name, audit] of snapshots) {
      const endpoint = this.#parts.endpointByName(name);
      if (endpoint !== undefined && audit === undefined && scope.has(endpoint))
        this.#parts.unreachable(endpoint, this.#codes.get(name));
    }
    this.#codes.clear();
    this.#restore(known, scope);
  }

  #restore(audits: readonly EndpointAudit[], scope: ReadonlySet<Endpoint>): void {
    const { driver, log } = this.#parts;
    const switchboard = this.#parts.switchboard();
    const strangers: EndpointAudit[] = [];
    for (const audit of audits) {
      const endpoint = this.#parts.endpointByName(audit.endpoint);
      if (endpoint === undefined) continue;
      // A line of ours that was merely out of reach for a while: what it does is compared with its order.
      if (endpoint.owned && endpoint.line.inService) this.#refresh(endpoint, audit);
      else strangers.push(audit);
    }
    const { calls, lines } = rebuild(strangers, {
      dialled: dialledNumber,
      endpointOf: (number) => switchboard.lines.byNumber(number)?.endpoint,
    });
    const wanted = calls.filter((call) =>
      [call.caller, call.callee].some((party) => {
        const endpoint = party && this.#parts.endpointByName(party.endpoint);
        return endpoint !== undefined && scope.has(endpoint);
      }),
    );
    const inCall = new Map<string, string>();
    for (const { callId = '', caller, callee } of wanted)
      for (const party of [caller, callee]) if (party !== undefined) inCall.set(party.endpoint, callId);
    for (const audit of strangers) {
      const endpoint = this.#parts.endpointByName(audit.endpoint);
      if (endpoint === undefined || !(scope.has(endpoint) || inCall.has(audit.endpoint))) continue;
      endpoint.reset();
      const callId = inCall.get(audit.endpoint);
      endpoint.connection = audit.connections.find((each) => each.callId === callId);
      endpoint.strays = audit.connections.filter((each) => each !== endpoint.connection).map(({ id }) => id);
      endpoint.owned = true;
      endpoint.line.hook = audit.hook;
      switchboard.lines.setInService(endpoint.line, true);
    }
    for (const call of wanted) switchboard.restore(call);
    for (const [name, disposition] of lines) {
      const endpoint = this.#parts.endpointByName(name);
      if (endpoint === undefined || !scope.has(endpoint)) continue;
      switchboard.restoreLine(endpoint.line, disposition);
      driver.reconcile(endpoint);
    }
    if (audits.length > 0) log.info({ lines: scope.size, calls: wanted.length }, 'lines taken over by audit');
  }

  #refresh(endpoint: Endpoint, audit: EndpointAudit): void {
    const { line } = endpoint;
    const switchboard = this.#parts.switchboard();
    const callId = line.order.media?.callId;
    if (endpoint.pending === undefined) {
      endpoint.connection = audit.connections.find((each) => each.callId === callId);
      endpoint.strays = audit.connections.filter((each) => each !== endpoint.connection).map(({ id }) => id);
    }
    endpoint.requested = undefined;
    if (line.leg !== undefined && endpoint.connection === undefined && line.order.mark === 'talking')
      line.leg.report({ kind: 'failed', reason: 'gatewayLost' });
    if (audit.hook !== line.hook) {
      if (audit.hook === 'off') switchboard.offHook(line);
      else switchboard.onHook(line);
    }
    this.#parts.driver.reconcile(endpoint);
  }

  #unknownEndpoints(round: ReadonlyMap<string, unknown>): readonly string[] {
    const names: string[] = [];
    for (const endpoint of this.#parts.endpoints())
      if (!endpoint.owned && endpoint.gateway.state !== 'down' && !round.has(endpoint.line.endpoint))
        names.push(endpoint.line.endpoint);
    return names;
  }
}

/** Is there a call of which one end only is known? */
function hasLooseEnd(audits: readonly LineSnapshot[]): boolean {
  const ends = new Map<string, number>();
  for (const { media } of audits) for (const { callId } of media) ends.set(callId, (ends.get(callId) ?? 0) + 1);
  return [...ends.values()].includes(1);
}
