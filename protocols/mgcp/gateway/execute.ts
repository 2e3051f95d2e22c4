/** What the simulated gateway does with each command of a call agent: checks first, then effects, so that a refused command changes nothing. */
import { unknownCritical } from '../alternate-path.ts';
import { type MgcpCommand, type MgcpResponse, type Parameter, parameter, respond } from '../messages.ts';
import { readRequestedEvents, readSignals, writeRequestedEvents, writeSignals } from '../values/events.ts';
import { writeConnectionParameters } from '../values/lists.ts';
import { isAllOf, isAnyOf, writeNotifiedEntity } from '../values/names.ts';
import { readAudio } from '../values/sdp.ts';
import { bulkReport } from './bulk-report.ts';
import type { NotificationRequest } from './notification.ts';
import type { SimGateway } from './sim-gateway.ts';
import type { SimConnection, SimLine } from './sim-line.ts';

export function executeCommand(gateway: SimGateway, command: MgcpCommand, local: string): MgcpResponse {
  const refuse = (code: number, comment: string, parameters: readonly Parameter[] = []) =>
    respond(command.transactionId, code, comment, parameters);
  const critical = unknownCritical(command.parameters);
  if (critical !== undefined) return refuse(511, 'Unrecognized extension');
  const unknown = command.parameters.find((each) => !isKnown(each.code, gateway));
  if (unknown !== undefined)
    return unknown.code.includes('/')
      ? refuse(518, 'Unsupported package', [{ code: 'PL', value: packages(gateway, ':1') }])
      : refuse(539, `Unsupported parameter ${unknown.code}`);
  switch (command.verb) {
    case 'RQNT':
      return onEach(gateway, command, local, (line) => requestOn(line, command, true));
    case 'CRCX':
      return createOn(gateway, command, local);
    case 'MDCX':
      return onOne(gateway, command, local, (line) => modifyOn(line, command));
    case 'DLCX':
      return isAllOf(local)
        ? onEach(gateway, command, local, (line) => deleteOn(line, command))
        : onOne(gateway, command, local, (line) => deleteOn(line, command));
    case 'AUEP':
      return auditEndpointOn(gateway, command, local);
    case 'AUCX':
      return onOne(gateway, command, local, (line) => auditConnectionOn(line, command));
    case 'EPCF':
      return onEach(gateway, command, local, () => respond(command.transactionId, 200, 'OK'));
    default:
      return refuse(504, 'Unknown or unsupported command');
  }
}

function onEach(
  gateway: SimGateway,
  command: MgcpCommand,
  local: string,
  run: (line: SimLine) => MgcpResponse,
): MgcpResponse {
  const lines = gateway.covered(local);
  if (lines.length === 0) return respond(command.transactionId, 500, 'Endpoint unknown');
  if (command.verb === 'RQNT') {
    // All or nothing (RFC 3435 §4.4.3).
    const events = readRequestedEvents(parameter(command, 'R') ?? '') ?? [];
    for (const line of lines) {
      const conflict = line.notification.conflict(events);
      if (conflict !== undefined) return respond(command.transactionId, conflict, 'Hook state');
    }
  }
  let last = respond(command.transactionId, 200, 'OK');
  for (const line of lines) last = run(line);
  return last;
}

function onOne(
  gateway: SimGateway,
  command: MgcpCommand,
  local: string,
  run: (line: SimLine) => MgcpResponse,
): MgcpResponse {
  const [line, ...others] = gateway.covered(local);
  if (line === undefined || others.length > 0) return respond(command.transactionId, 500, 'Endpoint unknown');
  return run(line);
}

/** A NotificationRequest, alone or encapsulated; `required`: it is the command itself. */
function requestOn(line: SimLine, command: MgcpCommand, required: boolean): MgcpResponse {
  const failure = checkRequest(line, command, required);
  if (failure !== undefined) return failure;
  applyRequest(line, command);
  return respond(command.transactionId, 200, 'OK');
}

function checkRequest(line: SimLine, command: MgcpCommand, required: boolean): MgcpResponse | undefined {
  const id = parameter(command, 'X');
  const events = readRequestedEvents(parameter(command, 'R') ?? '');
  const signals = readSignals(parameter(command, 'S') ?? '');
  if (events === undefined || signals === undefined || (id === undefined && required))
    return respond(command.transactionId, 510, 'Malformed request');
  if (id === undefined) return undefined;
  for (const { packageName } of [...events, ...signals])
    if (packageName !== undefined && !knownPackages.has(packageName.toUpperCase()))
      return respond(command.transactionId, 518, 'Unknown package');
  const conflict = line.notification.conflict(events);
  return conflict === undefined ? undefined : respond(command.transactionId, conflict, 'Hook state');
}

function applyRequest(line: SimLine, command: MgcpCommand): void {
  const id = parameter(command, 'X');
  if (id === undefined) return;
  const handling = (parameter(command, 'Q') ?? '').toLowerCase();
  const request: NotificationRequest = {
    id,
    events: readRequestedEvents(parameter(command, 'R') ?? '') ?? [],
    signals: readSignals(parameter(command, 'S') ?? '') ?? [],
    digitMap: parameter(command, 'D'),
    loop: handling.includes('loop'),
    discard: handling.includes('discard'),
  };
  line.notification.apply(request);
}

function createOn(gateway: SimGateway, command: MgcpCommand, local: string): MgcpResponse {
  const refuse = (code: number, comment: string) => respond(command.transactionId, code, comment);
  const line = isAnyOf(local)
    ? gateway.lines.find(({ connections }) => connections.size === 0)
    : gateway.covered(local).find((_, __, all) => all.length === 1);
  if (line === undefined)
    return isAnyOf(local) ? refuse(410, 'No endpoint available') : refuse(500, 'Endpoint unknown');
  const callId = parameter(command, 'C');
  const mode = parameter(command, 'M')?.toLowerCase();
  const [remote] = command.sdp;
  if (callId === undefined || !/^[0-9A-F]{1,32}$/i.test(callId) || mode === undefined)
    return refuse(510, 'C or M missing');
  if (!modes.has(mode)) return refuse(517, 'Unsupported mode');
  if (remote !== undefined && readAudio(remote) === undefined) return refuse(509, 'Error in remote description');
  if (remote === undefined && sendingModes.has(mode)) return refuse(527, 'Missing remote description');
  if (line.connections.size >= 2) return refuse(540, 'Connection limit');
  const failure = checkRequest(line, command, false);
  if (failure !== undefined) return failure;
  const connection = line.create(callId.toUpperCase(), mode, remote);
  applyRequest(line, command);
  const parameters: Parameter[] = [{ code: 'I', value: connection.id }];
  if (isAnyOf(local)) parameters.push({ code: 'Z', value: `${line.local}@${gateway.options.name}` });
  return respond(command.transactionId, 200, 'OK', parameters, [connection.local]);
}

function modifyOn(line: SimLine, command: MgcpCommand): MgcpResponse {
  const refuse = (code: number, comment: string) => respond(command.transactionId, code, comment);
  const connection = line.connections.get((parameter(command, 'I') ?? '').toUpperCase());
  if (connection === undefined) return refuse(515, 'Incorrect connection id');
  if (parameter(command, 'C')?.toUpperCase() !== connection.callId) return refuse(516, 'Incorrect call id');
  const mode = parameter(command, 'M')?.toLowerCase() ?? connection.mode;
  const [remote] = command.sdp;
  if (!modes.has(mode)) return refuse(517, 'Unsupported mode');
  if (remote !== undefined && readAudio(remote) === undefined) return refuse(509, 'Error in remote description');
  if ((remote ?? connection.remote) === undefined && sendingModes.has(mode))
    return refuse(527, 'Missing remote description');
  const failure = checkRequest(line, command, false);
  if (failure !== undefined) return failure;
  connection.mode = mode;
  connection.remote = remote ?? connection.remote;
  line.changed();
  applyRequest(line, command);
  return respond(command.transactionId, 200, 'OK');
}

function deleteOn(line: SimLine, command: MgcpCommand): MgcpResponse {
  const id = parameter(command, 'I')?.toUpperCase();
  const callId = parameter(command, 'C')?.toUpperCase();
  const failure = checkRequest(line, command, false);
  if (failure !== undefined) return failure;
  const doomed = [...line.connections.values()].filter(
    (each) => (id === undefined || each.id === id) && (callId === undefined || each.callId === callId),
  );
  if (id !== undefined && doomed.length === 0) return respond(command.transactionId, 515, 'Incorrect connection id');
  for (const each of doomed) line.connections.delete(each.id);
  line.changed();
  applyRequest(line, command);
  return respond(
    command.transactionId,
    250,
    'OK',
    id === undefined ? [] : [{ code: 'P', value: writeConnectionParameters(counters) }],
  );
}

function auditEndpointOn(gateway: SimGateway, command: MgcpCommand, local: string): MgcpResponse {
  const lines = gateway.covered(local);
  if (parameter(command, 'BA/F') !== undefined) return bulkReport(command, lines);
  const info = (parameter(command, 'F') ?? '')
    .split(',')
    .map((code) => code.trim().toUpperCase())
    .filter((code) => code !== '');
  const [line] = lines;
  if (line === undefined) return respond(command.transactionId, 500, 'Endpoint unknown');
  if (isAllOf(local)) {
    if (info.length > 0 && lines.length > 1) return respond(command.transactionId, 503, 'Wildcard too complicated');
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
    info.map((code) => ({ code, value: auditValue(gateway, line, code) })),
  );
}

function auditValue(gateway: SimGateway, line: SimLine, code: string): string {
  const { notification } = line;
  const { entity, alternates } = gateway.destination(line);
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
      return entity === undefined ? '' : writeNotifiedEntity(entity);
    case 'A':
      return `a:PCMU;PCMA, p:10-40, e:on, s:off, v:${packages(gateway, '')}, m:${[...modes].join(';')}`;
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

function auditConnectionOn(line: SimLine, command: MgcpCommand): MgcpResponse {
  const connection = line.connections.get((parameter(command, 'I') ?? '').toUpperCase());
  if (connection === undefined) return respond(command.transactionId, 515, 'Incorrect connection id');
  const parameters: Parameter[] = [];
  const sdp: string[] = [];
  for (const item of (parameter(command, 'F') ?? '').split(',')) {
    const code = item.trim().toUpperCase();
    if (code === 'LC') sdp.unshift(connection.local);
    else if (code === 'RC') sdp.push(connection.remote ?? 'v=0\r\n');
    else if (code !== '') parameters.push({ code, value: connectionValue(connection, code) });
  }
  return respond(command.transactionId, 200, 'OK', parameters, sdp);
}

function connectionValue({ callId, mode }: SimConnection, code: string): string {
  if (code === 'C') return callId;
  if (code === 'M') return mode;
  return code === 'P' ? writeConnectionParameters(counters) : '';
}

const isKnown = (code: string, gateway: SimGateway): boolean =>
  code.length <= 2 ||
  (/^x[-+]/i.test(code) && gateway.options.refusesExtensions !== true) ||
  (gateway.options.bulk === true && /^BA\/(F|SE|NU)$/i.test(code)) ||
  (gateway.options.red === true && /^RED\/NL?$/i.test(code));

const packages = (gateway: SimGateway, version: string): string => {
  const names = [
    'L',
    'D',
    'G',
    ...(gateway.options.red === true ? ['RED'] : []),
    ...(gateway.options.bulk === true ? ['BA'] : []),
  ];
  return version === '' ? names.join(';') : names.map((name) => `${name}${version}`).join(',');
};

const knownPackages: ReadonlySet<string> = new Set(['L', 'D', 'G', 'B', '*']);

const modes: ReadonlySet<string> = new Set(['sendonly', 'recvonly', 'sendrecv', 'inactive']);

const sendingModes: ReadonlySet<string> = new Set(['sendonly', 'sendrecv']);

/** Nothing is sent and nothing lost in a simulation. */
const counters: ReadonlyMap<string, number> = new Map([
  ['PS', 0],
  ['OS', 0],
  ['PR', 0],
  ['OR', 0],
  ['PL', 0],
  ['JI', 0],
  ['LA', 0],
]);
