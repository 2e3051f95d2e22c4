/**
 * Asking an endpoint what it is doing: AuditEndpoint, then AuditConnection for each of its connections (RFC 3435 §2.3.10, §2.3.11),
 * put together as the core's snapshot of a line (snapshot.ts).
 */
import { type CommandOutcome, type Gateway, isCrossingCallId } from '../../src/internal.ts';
import { isSuccess, type MgcpResponse, type Parameter, parameter, parameterValues } from './codec/messages.ts';
import type { GatewayCommands } from './gateway-commands.ts';
import { gaveBack, recordIn } from './record-place.ts';
import { type AuditedConnection, connectionOf, type EndpointAudit, snapshotOf, unauditable } from './snapshot.ts';

export interface AuditParts {
  commands(): GatewayCommands;
  after(ms: number, run: () => void): void;
}

/** `answer` gets undefined where the endpoint does not answer or is not there; `code` says why, if the gateway did. */
export function auditEndpoint(
  { commands, after }: AuditParts,
  gateway: Gateway,
  name: string,
  answer: (audit: EndpointAudit | undefined, code: number | undefined) => void,
): void {
  const ask = (verb: string, own: readonly Parameter[], ended: (outcome: CommandOutcome<MgcpResponse>) => void) =>
    commands().submit({
      peer: gateway,
      isQuestion: true,
      draft: () => ({ verb, endpoint: name, parameters: own, sdp: [] }),
      ended,
    });

  const begin = (attempt: number) =>
    ask('AUEP', [{ code: 'F', value: 'I,X,R,S,ES' }], (outcome) => {
      const response = successOf(outcome);
      const code = outcome.kind === 'answered' ? outcome.response.code : undefined;
      if (response !== undefined)
        withIds(response, (ids) =>
          auditConnections(ids, [], (found) =>
            withEntity(found, (whole) => answer(snapshotOf(name, response, whole), code)),
          ),
        );
      else if (code === undefined || code === 500 || code === 501) answer(undefined, code);
      // It may pass: transient errors by definition (§2.4), others perhaps.
      else if (code !== 504 && attempt <= maxRepetitions) after(repeatMs * attempt, () => begin(attempt + 1));
      // The endpoint is there, but tells nothing: what its handset does is learnt from what it refuses (§4.4.2).
      else answer(unauditable(name), code);
    });
  begin(1);

  /** An empty `I` is always returned (§2.3.10): where it is missing, the gateway may still answer to it alone. */
  function withIds(response: MgcpResponse, done: (ids: readonly string[] | undefined) => void): void {
    const ids = idsIn(response);
    if (ids !== undefined) {
      done(ids);
      return;
    }
    ask('AUEP', [{ code: 'F', value: 'I' }], (outcome) => {
      const second = successOf(outcome);
      done(second && idsIn(second));
    });
  }

  /** A call with a party that is no line, of which nothing lies beside the description: the notified entity may tell. */
  function withEntity(
    found: readonly AuditedConnection[] | undefined,
    done: (found: readonly AuditedConnection[] | undefined) => void,
  ): void {
    const lacks = ({ callId, sealed = [] }: AuditedConnection): boolean =>
      callId !== undefined && isCrossingCallId(callId) && sealed.length === 0;
    if (found?.some(({ sealed = [] }) => sealed.length > 0) === true) gaveBack(gateway, 'keepsRemote');
    if (found?.some(lacks) !== true) {
      done(found);
      return;
    }
    ask('AUEP', [{ code: 'F', value: 'N' }], (outcome) => {
      const response = successOf(outcome);
      const record = response === undefined ? undefined : recordIn(parameter(response, 'N') ?? '');
      if (record !== undefined) gaveBack(gateway, 'keepsEntity');
      done(record === undefined ? found : found.map((each) => (lacks(each) ? { ...each, sealed: [record] } : each)));
    });
  }

  function auditConnections(
    ids: readonly string[] | undefined,
    found: readonly AuditedConnection[],
    done: (connections: readonly AuditedConnection[] | undefined) => void,
    attempt = 1,
  ): void {
    const [id, ...others] = ids ?? [];
    if (id === undefined) {
      done(ids && found);
      return;
    }
    const question = [
      { code: 'I', value: id },
      { code: 'F', value: 'C,M,LC,RC' },
    ];
    ask('AUCX', question, (outcome) => {
      const code = outcome.kind === 'answered' ? outcome.response.code : 504;
      const response = successOf(outcome);
      // 515: it is gone by now. Whatever else is said, it is there.
      if (code === 515) auditConnections(others, found, done);
      else if (response === undefined && code !== 504 && attempt <= maxRepetitions)
        after(repeatMs * attempt, () => auditConnections(ids, found, done, attempt + 1));
      else auditConnections(others, [...found, connectionOf(id, response)], done);
    });
  }
}

/** A refused audit is tried again, later each time. */
const maxRepetitions = 3;
const repeatMs = 250;

/** A line has one connection, two while a call waits; a gateway that claims more is not followed. */
const maxConnections = 4;

function idsIn(response: MgcpResponse): readonly string[] | undefined {
  const values = parameterValues(response, 'I');
  if (values.length === 0) return undefined;
  return values
    .flatMap((value) => value.split(','))
    .map((id) => id.trim())
    .filter((id) => id !== '')
    .slice(0, maxConnections);
}

const successOf = (outcome: CommandOutcome<MgcpResponse>): MgcpResponse | undefined =>
  outcome.kind === 'answered' && isSuccess(outcome.response.code) ? outcome.response : undefined;
