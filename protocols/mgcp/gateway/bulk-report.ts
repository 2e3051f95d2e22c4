/** The simulated gateway's side of the bulk audit package (RFC 3624): names, connection counts and states of many lines at once. */
import { type MgcpCommand, type MgcpResponse, type Parameter, parameter, respond } from '../codec/messages.ts';
import { writeNames } from '../codec/values/ranges.ts';
import type { SimLine } from './sim-line.ts';

export function bulkReport(command: MgcpCommand, lines: readonly SimLine[]): MgcpResponse {
  const refuse = (code: number): MgcpResponse => ({ ...respond(command.transactionId, code, ''), packageName: 'BA' });
  const items = (parameter(command, 'BA/F') ?? '')
    .toUpperCase()
    .split(/,(?![^(]*\))/)
    .map((item) => item.trim());
  if (lines.length === 0) return respond(command.transactionId, 500, 'Endpoint unknown');
  if (items.every((item) => item === 'BA/Z' || item === 'BA/X')) {
    const names = writeNames(lines.map(({ local }) => local));
    return respond(
      command.transactionId,
      200,
      'OK',
      items.map((code) => ({ code, value: names })),
    );
  }
  const start = parameter(command, 'BA/SE')?.toLowerCase();
  const from = start === undefined ? 0 : lines.findIndex(({ local }) => local.toLowerCase() === start);
  if (from < 0) return refuse(806);
  const reported = lines.slice(from, from + Math.min(maxReported, Number(parameter(command, 'BA/NU') ?? maxReported)));
  const next = lines[from + reported.length];
  const parameters: Parameter[] = [{ code: 'BA/EL', value: writeNames(reported.map(({ local }) => local)) }];
  for (const item of items) {
    const [, types] = /^BA\/S\(([^)]*)\)$/.exec(item) ?? [];
    if (item === 'BA/C')
      parameters.push({ code: item, value: reported.map(({ connections }) => connections.size.toString(16)).join('') });
    else if (types === undefined) return refuse(802);
    else {
      const asked = types.split(',').map((type) => type.trim());
      if (asked.some((type) => !stateTypes.has(type))) return refuse(803);
      const holds = (line: SimLine) => asked.some((type) => stateTypes.get(type)?.(line) === true);
      parameters.push({ code: 'BA/S', value: reported.map((line) => (holds(line) ? 'T' : 'F')).join('') });
    }
  }
  if (next !== undefined) parameters.push({ code: 'BA/NE', value: next.local });
  return respond(command.transactionId, 200, 'OK', parameters);
}

/** Two characters for each line, within the 4,000 octets of RFC 3435 §3.5.4. */
const maxReported = 1_000;

/** §2.1.1.2; a line that is there is in service. */
const stateTypes: ReadonlyMap<string, (line: SimLine) => boolean> = new Map([
  ['I', () => true],
  ['D', () => false],
  ['N', (line: SimLine) => line.notification.state === 'notifying'],
  ['L', (line: SimLine) => line.notification.state === 'lockstep'],
  ['S', (line: SimLine) => line.hears !== ''],
  ['H', (line: SimLine) => line.hook === 'off'],
]);
