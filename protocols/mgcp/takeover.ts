/**
 * What a takeover needs of this protocol: lines are asked one by one, or many at once where their gateway has the bulk audit package
 * (RFC 3624); what an audit shows is where the line driver goes on.
 */
import type { Audited, Gateway, KeptMedia, Line } from '../../src/internal.ts';
import { type AuditParts, auditEndpoint } from './audit.ts';
import { bulkAudit } from './bulk-audit.ts';
import { readEndpointName } from './codec/values/names.ts';
import type { Connection, ObservedEndpoint, Stray } from './line-commands.ts';
import { type EndpointAudit, idle } from './snapshot.ts';

export interface LineAuditParts extends AuditParts {
  /** Asks the gateway for its packages unless that was done; false: it does not answer. */
  learn(gateway: Gateway, endpoint: string, learned: (answered: boolean) => void): void;
}

export function auditLines(
  parts: LineAuditParts,
  gateway: Gateway,
  lines: readonly Line[],
  audited: Audited<EndpointAudit>,
): void {
  const each = (some: readonly Line[]) => {
    for (const line of some) auditEndpoint(parts, gateway, line.endpoint, (audit, code) => audited(line, audit, code));
  };
  const none = () => {
    for (const line of lines) audited(line, undefined);
  };
  const [first] = lines;
  if (first === undefined || lines.length < minBulk) {
    each(lines);
    return;
  }
  parts.learn(gateway, first.endpoint, (answered) => {
    if (!answered) none();
    else if (!gateway.dialect.has('BA')) each(lines);
    else
      bulkAudit({ commands: parts.commands(), gateway, endpoint: `*@${gateway.name}` }, (audit) => {
        if (audit.kind === 'silent') none();
        else if (audit.kind === 'refused') {
          gateway.dialect.delete('BA');
          each(lines);
        } else {
          const isIdle = ({ endpoint }: Line) =>
            audit.locals.has(readEndpointName(endpoint)?.local.toLowerCase() ?? '');
          each(lines.filter((line) => !isIdle(line)));
          for (const line of lines.filter(isIdle)) audited(line, idle(line.endpoint));
        }
      });
  });
}

/** For fewer endpoints it is not worth a question about packages. */
const minBulk = 4;

/** What the gateway has of a line that was taken over, with the connection of its call. */
export function observedOf(audit: EndpointAudit, kept: KeptMedia | undefined): ObservedEndpoint {
  const connection = audit.connections.find((each) => each.callId === kept?.media.callId);
  return {
    connection: connection && { ...connection, remote: kept?.media.remote, record: kept?.media.record },
    strays: straysOf(audit, connection),
    requested: undefined,
  };
}

/** The same of a line that was ours all along. A gateway that does not tell its connections leaves us with what we know. */
export function refreshed(
  before: ObservedEndpoint,
  audit: EndpointAudit,
  callId: string | undefined,
): ObservedEndpoint {
  if (audit.isPartial === true) return before;
  const connection = audit.connections.find((each) => each.callId === callId);
  return { ...before, connection, strays: straysOf(audit, connection) };
}

/** Whatever an audit shows beside the connection of the call. */
const straysOf = ({ connections, unnamed }: EndpointAudit, connection: Connection | undefined): readonly Stray[] => [
  ...connections
    .filter((each) => each !== connection)
    .map(({ id, callId, isNamed }) => ({ id, callId: isNamed ? callId : undefined })),
  ...unnamed,
];
