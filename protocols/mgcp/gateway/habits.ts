/** What gateways do otherwise than ours: they lack something, or refuse what RFC 3435 has them ignore. Pure, for the simulated gateway. */

import { type MgcpCommand, parameter } from '../codec/messages.ts';
import { readRequestedEvents, readSignals } from '../codec/values/events.ts';
import { isPathCode } from '../path.ts';

export interface GatewayHabits {
  /** It knows step mode only: 508 to `Q: loop` (RFC 3435 §2.4). */
  readonly stepOnly?: boolean;
  /** The code with which it refuses vendor parameters, against §3.2.2; `verbs`: in these commands only. */
  readonly refusesExtensions?: { readonly code: 510 | 511 | 518 | 539; readonly verbs?: readonly string[] };
  /** Events and signals it is not equipped for, such as `L/ot`: 512, 513. */
  readonly lacks?: readonly string[];
  /** Packages beside L; absent: D and G. Others are refused with 518. */
  readonly packages?: readonly string[];
  /** What AuditEndpoint tells, such as `['X']`: everything else is left out (§2.3.10). Empty: the audit itself is refused with 504. */
  readonly audits?: readonly string[];
  /** false: AuditConnection is refused with 504. */
  readonly auditsConnections?: boolean;
  /** It gives a remote description back in its own words: what it does not know is left out (§3.4). */
  readonly rendersRemote?: boolean;
  /** Of the notified entity it keeps where that is, and nothing else. */
  readonly forgetsEntity?: boolean;
  /** Commands it refuses whatever they carry, by verb. */
  readonly refuses?: Readonly<Record<string, number>>;
  /** For codecs, 534 to others. Absent: PCMU, PCMA and telephone-event. */
  readonly codecs?: readonly string[];
  /** It has T.38, and says so. */
  readonly fax?: boolean;
  /** Packetization periods that it has, in milliseconds; 535 to others. Absent: any. */
  readonly periods?: readonly string[];
  /** It answers a CreateConnection without this, against §2.3.5. */
  readonly leavesOut?: 'I' | 'description';
  /** Connection modes it does not know: 517. */
  readonly lacksModes?: readonly string[];
  /** Codes with which the next commands are refused, whatever they are: faults that pass. */
  readonly faults?: number[];
  /** The code with which this command is refused, whatever it carries. */
  readonly fault?: (command: MgcpCommand) => number | undefined;
}

export const defaultPackages: readonly string[] = ['D', 'G'];
export const defaultCodecs: readonly string[] = ['PCMU', 'PCMA', 'telephone-event'];

/** T.38, as capabilities and LocalConnectionOptions name it (RFC 3435 §3.2.2.10). */
export const fax = 'image/t38';

/** The habits by which `altpath gateway mgcp --odd` knows them. */
export const namedHabits: Readonly<Record<string, GatewayHabits>> = {
  step: { stepOnly: true },
  'path-510': { refusesExtensions: { code: 510 } },
  'path-511': { refusesExtensions: { code: 511 } },
  'path-518': { refusesExtensions: { code: 518 } },
  'path-539': { refusesExtensions: { code: 539 } },
  'audit-x': { audits: ['X'], auditsConnections: false },
  'audit-none': { audits: [], auditsConnections: false },
  'few-tones': { lacks: ['L/ot', 'L/ro', 'G/rt'], packages: ['D'] },
  'one-codec': { codecs: ['PCMU'] },
  fax: { fax: true },
  'renders-remote': { rendersRemote: true },
  'forgets-records': { rendersRemote: true, forgetsEntity: true },
};

/** The code with which such a gateway refuses the command. */
export function refusalOf(command: MgcpCommand, habits: GatewayHabits): { code: number; comment: string } | undefined {
  const fault = habits.fault?.(command) ?? habits.faults?.shift();
  if (fault !== undefined) return { code: fault, comment: 'A fault' };
  const { refusesExtensions: extensions, audits } = habits;
  if (
    extensions !== undefined &&
    extensions.verbs?.includes(command.verb) !== false &&
    command.parameters.some(({ code }) => /^x[-+]/i.test(code) || isPathCode(code))
  )
    return { code: extensions.code, comment: 'Vendor parameter' };
  if (habits.stepOnly === true && parameter(command, 'Q')?.toLowerCase().includes('loop') === true)
    return { code: 508, comment: 'Unsupported quarantine handling' };
  const refused = habits.refuses?.[command.verb];
  if (refused !== undefined) return { code: refused, comment: 'Not by this gateway' };
  if (command.verb === 'AUEP' && audits?.length === 0) return { code: 504, comment: 'Unsupported command' };
  if (command.verb === 'AUCX' && habits.auditsConnections === false)
    return { code: 504, comment: 'Unsupported command' };
  return lackOf(command, habits);
}

function lackOf(command: MgcpCommand, { lacks = [], packages = defaultPackages }: GatewayHabits) {
  const events = readRequestedEvents(parameter(command, 'R') ?? '') ?? [];
  const signals = readSignals(parameter(command, 'S') ?? '') ?? [];
  const known = new Set(['L', '*', ...packages.map((name) => name.toUpperCase())]);
  for (const { packageName = 'L' } of [...events, ...signals])
    if (!known.has(packageName.toUpperCase())) return { code: 518, comment: 'Unknown package' };
  const isLacking = ({ packageName = 'L', id }: { packageName?: string | undefined; id: string }) =>
    lacks.includes(`${packageName.toUpperCase()}/${id.toLowerCase()}`);
  if (events.some(isLacking)) return { code: 512, comment: 'Cannot detect that' };
  return signals.some(isLacking) ? { code: 513, comment: 'Cannot generate that' } : undefined;
}
