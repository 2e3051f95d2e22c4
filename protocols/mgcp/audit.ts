/**
 * Asking an endpoint what it is doing: AuditEndpoint, then AuditConnection for each of its connections (RFC 3435 §2.3.10, §2.3.11),
 * put together as the core's snapshot of a line.
 */
import type { CommandOutcome, Flow, LineSnapshot, MediaSnapshot, Tone } from '../../src/index.ts';
import type { Connection, Endpoint } from './endpoint.ts';
import { isSuccess, type MgcpResponse, type Parameter, parameter, parameterValues } from './messages.ts';
import { markOf, toneOf } from './requests.ts';
import type { MgcpTransactions } from './transaction.ts';
import { readRequestedEvents, readSignals } from './values/events.ts';
import { isAbsent } from './values/sdp.ts';

/** A line's snapshot, and its connections as commands will name them. */
export interface EndpointAudit extends LineSnapshot {
  readonly connections: readonly Connection[];
}

export interface AuditParts {
  transactions(): MgcpTransactions;
  /** The path attribute, where audits may carry it. */
  path(endpoint: Endpoint, flow: Flow): readonly Parameter[];
}

/** `answer` gets undefined where the endpoint cannot be audited; `code` says why, if the gateway did. */
export function auditEndpoint(
  { transactions, path }: AuditParts,
  endpoint: Endpoint,
  answer: (audit: EndpointAudit | undefined, code: number | undefined) => void,
): void {
  const name = endpoint.line.endpoint;
  transactions().submit({
    peer: endpoint.gateway,
    draft: (flow) => ({
      verb: 'AUEP',
      endpoint: name,
      parameters: [{ code: 'F', value: 'I,X,R,S,ES' }, ...path(endpoint, flow)],
      sdp: [],
    }),
    ended(outcome) {
      const response = successOf(outcome);
      if (response === undefined) {
        answer(undefined, outcome.kind === 'answered' ? outcome.response.code : undefined);
        return;
      }
      const ids = parameterValues(response, 'I')
        .flatMap((value) => value.split(','))
        .map((id) => id.trim())
        .filter((id) => id !== '')
        .slice(0, maxConnections);
      auditConnections(ids, [], (connections) => answer(snapshotOf(name, response, connections), response.code));
    },
  });

  function auditConnections(
    ids: readonly string[],
    found: readonly Connection[],
    done: (connections: readonly Connection[]) => void,
  ): void {
    const [id, ...others] = ids;
    if (id === undefined) {
      done(found);
      return;
    }
    transactions().submit({
      peer: endpoint.gateway,
      draft: (flow) => ({
        verb: 'AUCX',
        endpoint: name,
        parameters: [{ code: 'I', value: id }, { code: 'F', value: 'C,M,LC,RC' }, ...path(endpoint, flow)],
        sdp: [],
      }),
      ended(outcome) {
        const response = successOf(outcome);
        // A connection that is gone by now (515) is none.
        auditConnections(others, response === undefined ? found : [...found, connectionOf(id, response)], done);
      },
    });
  }
}

/** A line has one connection, two while a call waits; a gateway that claims more is not followed. */
const maxConnections = 4;

const successOf = (outcome: CommandOutcome<MgcpResponse>): MgcpResponse | undefined =>
  outcome.kind === 'answered' && isSuccess(outcome.response.code) ? outcome.response : undefined;

function connectionOf(id: string, response: MgcpResponse): Connection {
  const mode = (parameter(response, 'M') ?? '').toLowerCase();
  const [local, remote] = response.sdp;
  const known = (sdp: string | undefined) => (sdp === undefined || isAbsent(sdp) ? undefined : sdp);
  return {
    callId: (parameter(response, 'C') ?? '').toUpperCase(),
    id,
    mode: mode === 'sendrecv' || mode === 'confrnce' || mode === 'sendonly' ? 'both' : 'receive',
    local: known(local),
    remote: known(remote),
  };
}

function snapshotOf(name: string, response: MgcpResponse, connections: readonly Connection[]): EndpointAudit {
  const requested = readRequestedEvents(parameter(response, 'R') ?? '') ?? [];
  const signals = readSignals(parameter(response, 'S') ?? '') ?? [];
  const states = readSignals(parameter(response, 'ES') ?? '') ?? [];
  const mark = markOf(parameter(response, 'X') ?? '');
  const has = (id: string) => requested.some((event) => event.id.toLowerCase() === id);
  const state = states.find(({ id }) => /^h[ud]$/i.test(id));
  // Without an event state, what it waits for tells: who waits for off-hook is on-hook.
  const hook =
    state === undefined ? (has('hd') ? 'on' : has('hu') ? 'off' : 'on') : /^hd$/i.test(state.id) ? 'off' : 'on';
  let tone: Tone | undefined;
  for (const { packageName, id } of signals) tone ??= toneOf(packageName ?? 'L', id);
  return {
    endpoint: name,
    hook,
    tone,
    mark,
    collecting: requested.some(({ actions }) => actions.some(({ kind }) => kind === 'D')),
    media: connections.map(({ callId, mode, local, remote }): MediaSnapshot => ({ callId, mode, local, remote })),
    connections,
  };
}
