/**
 * Which parameters a command must have, may have and must not have: the table of RFC 3435 §3.2.2, and what §2.3.7 and §2.3.9 say of the
 * three forms of DeleteConnection. Pure.
 */
import { type MgcpCommand, parameter } from '../codec/messages.ts';
import { isAllOf, isAnyOf, readEndpointName } from '../codec/values/names.ts';

/** The return code owed for a command that breaks the rules (§2.4), and why; undefined where it keeps them. */
export function offenceOf(command: MgcpCommand): { readonly code: number; readonly comment: string } | undefined {
  const rule = rules.get(command.verb);
  if (rule === undefined) return undefined;
  const seen = new Set<string>();
  for (const { code } of command.parameters) {
    const upper = code.toUpperCase();
    if (upper.length > 2) continue;
    // "a parameter MUST NOT be present more than once"
    if (seen.has(upper)) return { code: 510, comment: `Parameter ${upper} twice` };
    seen.add(upper);
    if (upper !== 'K' && !rule.mandatory.includes(upper) && !rule.optional.includes(upper))
      return { code: 539, comment: `${upper} not allowed in ${command.verb}` };
  }
  const missing = rule.mandatory.find((code) => parameter(command, code) === undefined);
  if (missing !== undefined) return { code: 510, comment: `${missing} missing` };
  // An encapsulated request is one by its RequestIdentifier.
  if (!seen.has('X') && requestParameters.some((code) => seen.has(code))) return { code: 510, comment: 'X missing' };
  if (command.verb === 'DLCX') return deletionOffence(command, seen);
  return undefined;
}

function deletionOffence(
  command: MgcpCommand,
  seen: ReadonlySet<string>,
): { code: number; comment: string } | undefined {
  const local = readEndpointName(command.endpoint)?.local ?? '';
  if (seen.has('I')) {
    if (!seen.has('C')) return { code: 510, comment: 'CallId missing' };
    return isAllOf(local) || isAnyOf(local) ? { code: 510, comment: 'Wildcard with ConnectionId' } : undefined;
  }
  if (isAnyOf(local)) return { code: 510, comment: 'Any-of wildcard' };
  // §2.3.9: "encapsulating other commands with this variation of the DeleteConnection command is not permitted"
  return ['X', ...requestParameters, 'N'].some((code) => seen.has(code))
    ? { code: 510, comment: 'Nothing can be encapsulated here' }
    : undefined;
}

interface Rule {
  readonly mandatory: readonly string[];
  readonly optional: readonly string[];
}

const requestParameters = ['R', 'S', 'D', 'Q', 'T'] as const;

const request = ['N', 'X', ...requestParameters];

const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['EPCF', { mandatory: [], optional: ['B'] }],
  ['CRCX', { mandatory: ['C', 'M'], optional: ['B', 'L', 'Z2', ...request] }],
  ['MDCX', { mandatory: ['C', 'I'], optional: ['B', 'L', 'M', ...request] }],
  ['DLCX', { mandatory: [], optional: ['B', 'C', 'I', 'E', ...request] }],
  ['RQNT', { mandatory: ['X'], optional: ['B', 'N', ...requestParameters] }],
  ['AUEP', { mandatory: [], optional: ['F'] }],
  ['AUCX', { mandatory: ['I', 'F'], optional: [] }],
]);
