/** What the simulated gateway tells when it is audited (RFC 3435 §2.3.10, §2.3.11). */
import { type MediaCounters, silentCounters } from '../../../src/internal.ts';
import { type MgcpCommand, type MgcpResponse, type Parameter, parameter, respond } from '../codec/messages.ts';
import { writeRequestedEvents, writeSignals } from '../codec/values/events.ts';
import { writeConnectionParameters } from '../codec/values/lists.ts';
import { isAllOf, writeNotifiedEntity } from '../codec/values/names.ts';
import { bulkReport } from './bulk-report.ts';
import type { CommandedGateway } from './commanded-gateway.ts';
import { defaultCodecs, defaultPackages, fax } from './habits.ts';
import type { SimConnection, SimLine } from './sim-line.ts';

export function auditEndpointOn(gateway: CommandedGateway, command: MgcpCommand, local: string): MgcpResponse {
  const lines = gateway.covered(local);
  if (parameter(command, 'BA/F') !== undefined) return bulkReport(command, lines);
  const info = (parameter(command, 'F') ?? '')
    .split(',')
    .map((code) => code.trim().toUpperCase())
    .filter((code) => code !== '');
  const [line] = lines;
  if (line === undefined) return respond(command.transactionId, 500, 'Endpoint unknown');
  if (isAllOf(local)) {
    // RFC 3435 §3.5.4: more than 4,000 octets need not be understood.
    if (lines.length > 100) return respond(command.transactionId, 533, 'Response too large');
    return respond(
      command.transactionId,
      200,
      'OK',
      lines.map((each) => ({ code: 'Z', value: `${each.local}@${gateway.options.name}` })),
    );
  }
  return respond(
    command.transactionId,
    200,
    'OK',
    info
      .filter((code) => gateway.options.habits?.audits?.includes(code) !== false)
      .map((code) => ({ code, value: auditValue(gateway, line, code) })),
  );
}

function auditValue(gateway: CommandedGateway, line: SimLine, code: string): string {
  const { notification } = line;
  const { entity, alternates } = gateway.destination(line);
  const { codecs = defaultCodecs, fax: hasFax = false } = gateway.options.habits ?? {};
  switch (code) {
    case 'I':
      return [...line.connections.keys()].join(', ');
    case 'X':
      return notification.request.id;
    case 'R':
      return writeRequestedEvents(notification.request.events);
    case 'S':
      return writeSignals(notification.signals);
    case 'D':
      return notification.digitMap;
    case 'O':
      return writeSignals(notification.observed);
    case 'ES':
      return line.hook === 'off' ? 'L/hd' : 'L/hu';
    case 'N':
      if (entity === undefined) return '';
      return writeNotifiedEntity(gateway.options.habits?.forgetsEntity === true ? { ...entity, user: 'ca' } : entity);
    case 'A':
      return `a:${[...codecs, ...(hasFax ? [fax] : [])].join(';')}, p:10-40, e:on, s:off, v:${packages(gateway, '')}, m:${[...connectionModes].join(';')}`;
    case 'PL':
      return packages(gateway, ':1');
    case 'X-ALTPTH':
      return alternates.map((each) => writeNotifiedEntity(each)).join(', ');
    case 'B/NS':
      return notification.state === 'notifying' ? 'ns' : notification.state === 'lockstep' ? 'ls' : 'o';
    case 'Q':
      return notification.request.loop ? 'loop' : 'step';
    default:
      return '';
  }
}

export function auditConnectionOn(gateway: CommandedGateway, line: SimLine, command: MgcpCommand): MgcpResponse {
  const connection = line.connections.get((parameter(command, 'I') ?? '').toUpperCase());
  if (connection === undefined) return respond(command.transactionId, 515, 'Incorrect connection id');
  const parameters: Parameter[] = [];
  const sdp: string[] = [];
  for (const item of (parameter(command, 'F') ?? '').split(',')) {
    const code = item.trim().toUpperCase();
    if (code === 'LC') sdp.unshift(connection.local);
    else if (code === 'RC') sdp.push(remoteOf(gateway, connection) ?? 'v=0\r\n');
    else if (code !== '') parameters.push({ code, value: connectionValue(connection, code) });
  }
  return respond(command.transactionId, 200, 'OK', parameters, sdp);
}

/** A gateway that has read a description may write it anew, with what it understood. */
function remoteOf({ options }: CommandedGateway, { remote }: SimConnection): string | undefined {
  if (remote === undefined || options.habits?.rendersRemote !== true) return remote;
  const lines = remote.split(/\r\n|\n/).filter((line) => /^[vosctm]=/.test(line));
  return `${lines.join('\r\n')}\r\n`;
}

function connectionValue({ callId, mode, stream }: SimConnection, code: string): string {
  if (code === 'C') return callId;
  if (code === 'M') return mode;
  return code === 'P' ? writeConnectionParameters(countersOf(stream?.counters)) : '';
}

export const packages = (gateway: CommandedGateway, version: string): string => {
  const names = [
    'L',
    ...(gateway.options.habits?.packages ?? defaultPackages),
    ...(gateway.options.red === true ? ['RED'] : []),
    ...(gateway.options.bulk === true ? ['BA'] : []),
  ];
  return version === '' ? names.join(';') : names.map((name) => `${name}${version}`).join(',');
};

export const connectionModes: ReadonlySet<string> = new Set(['sendonly', 'recvonly', 'sendrecv', 'inactive']);

/** Connection parameters (RFC 3435 §3.2.2.7); where speech is not simulated, nothing is sent and nothing lost. */
export const countersOf = ({
  packetsSent,
  octetsSent,
  packetsReceived,
  octetsReceived,
  packetsLost,
}: MediaCounters = silentCounters): ReadonlyMap<string, number> =>
  new Map([
    ['PS', packetsSent],
    ['OS', octetsSent],
    ['PR', packetsReceived],
    ['OR', octetsReceived],
    ['PL', packetsLost],
    ['JI', 0],
    ['LA', 0],
  ]);
