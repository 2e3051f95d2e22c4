/** What the simulated gateway does with each command of a call agent: checks first, then effects, so that a refused command changes nothing. */

import { type MgcpCommand, type MgcpResponse, type Parameter, parameter, respond } from '../codec/messages.ts';
import { readRequestedEvents, readSignals } from '../codec/values/events.ts';
import { option, readOptions, writeConnectionParameters } from '../codec/values/lists.ts';
import { isAllOf, isAnyOf } from '../codec/values/names.ts';
import { readAudio } from '../codec/values/sdp.ts';
import { unknownCritical } from '../path.ts';
import { auditConnectionOn, auditEndpointOn, connectionModes, countersOf, packages } from './audits.ts';
import type { CommandedGateway } from './commanded-gateway.ts';
import { defaultCodecs, fax, refusalOf } from './habits.ts';
import type { NotificationRequest } from './notification.ts';
import { offenceOf } from './parameter-rules.ts';
import type { SimLine } from './sim-line.ts';

export function executeCommand(gateway: CommandedGateway, command: MgcpCommand, local: string): MgcpResponse {
  const refuse = (code: number, comment: string, parameters: readonly Parameter[] = []) =>
    respond(command.transactionId, code, comment, parameters);
  const critical = unknownCritical(command.parameters);
  if (critical !== undefined) return refuse(511, 'Unrecognized extension');
  const unknown = command.parameters.find((each) => !isKnown(each.code, gateway));
  if (unknown !== undefined)
    return unknown.code.includes('/')
      ? refuse(518, 'Unsupported package', [{ code: 'PL', value: packages(gateway, ':1') }])
      : refuse(539, `Unsupported parameter ${unknown.code}`);
  const offence = offenceOf(command) ?? refusalOf(command, gateway.options.habits ?? {});
  if (offence !== undefined)
    return refuse(
      offence.code,
      offence.comment,
      offence.code === 518 ? [{ code: 'PL', value: packages(gateway, ':1') }] : [],
    );
  switch (command.verb) {
    case 'RQNT':
      return onEach(gateway, command, local, (line) => requestOn(line, command, true));
    case 'CRCX':
      return createOn(gateway, command, local);
    case 'MDCX':
      return onOne(gateway, command, local, (line) => modifyOn(gateway, line, command));
    case 'DLCX':
      return isAllOf(local)
        ? onEach(gateway, command, local, (line) => deleteOn(line, command))
        : onOne(gateway, command, local, (line) => deleteOn(line, command));
    case 'AUEP':
      return auditEndpointOn(gateway, command, local);
    case 'AUCX':
      return onOne(gateway, command, local, (line) => auditConnectionOn(gateway, line, command));
    case 'EPCF':
      return onEach(gateway, command, local, () => respond(command.transactionId, 200, 'OK'));
    default:
      return refuse(504, 'Unknown or unsupported command');
  }
}

function onEach(
  gateway: CommandedGateway,
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
  gateway: CommandedGateway,
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

function createOn(gateway: CommandedGateway, command: MgcpCommand, local: string): MgcpResponse {
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
  if (!hasMode(gateway, mode)) return refuse(517, 'Unsupported mode');
  if (remote !== undefined && readAudio(remote) === undefined) return refuse(509, 'Error in remote description');
  if (remote === undefined && sendingModes.has(mode)) return refuse(527, 'Missing remote description');
  if (line.connections.size >= 2) return refuse(540, 'Connection limit');
  const failure = checkRequest(line, command, false);
  if (failure !== undefined) return failure;
  const codecs = codecsFor(gateway, command);
  if (codecs.length === 0) return refuse(534, 'Codec negotiation failure');
  if (!hasPeriod(gateway, command)) return refuse(535, 'Packetization period not supported');
  const connection = line.create(callId.toUpperCase(), mode, remote, codecs);
  applyRequest(line, command);
  const { leavesOut } = gateway.options.habits ?? {};
  const parameters: Parameter[] = leavesOut === 'I' ? [] : [{ code: 'I', value: connection.id }];
  if (isAnyOf(local)) parameters.push({ code: 'Z', value: `${line.local}@${gateway.options.name}` });
  return respond(command.transactionId, 200, 'OK', parameters, leavesOut === 'description' ? [] : [connection.local]);
}

function modifyOn(gateway: CommandedGateway, line: SimLine, command: MgcpCommand): MgcpResponse {
  const refuse = (code: number, comment: string) => respond(command.transactionId, code, comment);
  const connection = line.connections.get((parameter(command, 'I') ?? '').toUpperCase());
  if (connection === undefined) return refuse(515, 'Incorrect connection id');
  if (parameter(command, 'C')?.toUpperCase() !== connection.callId) return refuse(516, 'Incorrect call id');
  const mode = parameter(command, 'M')?.toLowerCase() ?? connection.mode;
  const [remote] = command.sdp;
  if (!hasMode(gateway, mode)) return refuse(517, 'Unsupported mode');
  const isFax = gateway.options.habits?.fax === true && wantsFax(command);
  if (remote !== undefined && !isFax && readAudio(remote) === undefined)
    return refuse(509, 'Error in remote description');
  if ((remote ?? connection.remote) === undefined && sendingModes.has(mode))
    return refuse(527, 'Missing remote description');
  const failure = checkRequest(line, command, false);
  if (failure !== undefined) return failure;
  const codecs = isFax ? [fax] : codecsFor(gateway, command);
  if (codecs.length === 0) return refuse(534, 'Codec negotiation failure');
  if (!hasPeriod(gateway, command)) return refuse(535, 'Packetization period not supported');
  const isChanged = parameter(command, 'L') !== undefined;
  if (isChanged) line.redescribe(connection, codecs);
  connection.mode = mode;
  connection.remote = remote ?? connection.remote;
  line.changed();
  applyRequest(line, command);
  // RFC 3435 §2.3.6: the description, where it has changed.
  return respond(command.transactionId, 200, 'OK', [], isChanged ? [connection.local] : []);
}

function deleteOn(line: SimLine, command: MgcpCommand): MgcpResponse {
  const id = parameter(command, 'I')?.toUpperCase();
  const callId = parameter(command, 'C')?.toUpperCase();
  const failure = checkRequest(line, command, false);
  if (failure !== undefined) return failure;
  const doomed = [...line.connections.values()].filter(
    (each) => (id === undefined || each.id === id) && (callId === undefined || each.callId === callId),
  );
  if (id !== undefined && doomed.length === 0)
    return line.connections.has(id)
      ? respond(command.transactionId, 516, 'Incorrect call id')
      : respond(command.transactionId, 515, 'Incorrect connection id');
  const [last] = doomed;
  const report = writeConnectionParameters(countersOf(last?.stream?.counters));
  for (const each of doomed) line.delete(each);
  line.changed();
  applyRequest(line, command);
  return respond(command.transactionId, 250, 'OK', id === undefined ? [] : [{ code: 'P', value: report }]);
}

const isKnown = (code: string, gateway: CommandedGateway): boolean =>
  code.length <= 2 ||
  (/^x[-+]/i.test(code) && gateway.options.refusesExtensions !== true) ||
  (gateway.options.bulk === true && /^BA\/(F|SE|NU)$/i.test(code)) ||
  (gateway.options.red === true && /^RED\/NL?$/i.test(code));

const hasMode = (gateway: CommandedGateway, mode: string): boolean =>
  connectionModes.has(mode) && gateway.options.habits?.lacksModes?.includes(mode) !== true;

function hasPeriod(gateway: CommandedGateway, command: MgcpCommand): boolean {
  const wanted = option(readOptions(parameter(command, 'L') ?? '') ?? [], 'p');
  return wanted === undefined || gateway.options.habits?.periods?.includes(wanted) !== false;
}

const wantsFax = (command: MgcpCommand): boolean =>
  option(readOptions(parameter(command, 'L') ?? '') ?? [], 'a')?.toLowerCase() === fax;

const sendingModes: ReadonlySet<string> = new Set(['sendonly', 'sendrecv']);

/** Those of the command that the gateway has, in the command's order (RFC 3435 §2.6); all where it names none. */
function codecsFor(gateway: CommandedGateway, command: MgcpCommand): readonly string[] {
  const own = gateway.options.habits?.codecs ?? defaultCodecs;
  const wanted = option(readOptions(parameter(command, 'L') ?? '') ?? [], 'a');
  if (wanted === undefined) return own;
  return wanted.split(';').filter((name) => own.some((each) => each.toLowerCase() === name.trim().toLowerCase()));
}
