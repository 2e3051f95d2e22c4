/**
 * The bulk audit package (RFC 3624): which endpoints of a gateway are idle, by one command for many. It tells neither connections nor
 * requests, so whatever is not idle is asked by itself afterwards; idle lines are most of any gateway.
 */
import type { Gateway } from '../../src/internal.ts';
import { isSuccess, type MgcpResponse, parameter } from './codec/messages.ts';
import { expandNames } from './codec/values/ranges.ts';
import type { GatewayCommands } from './gateway-commands.ts';

export interface BulkAuditParts {
  readonly commands: GatewayCommands;
  readonly gateway: Gateway;
  /** With a wildcard. */
  readonly endpoint: string;
}

export type BulkAudit =
  /** Local names in lower case: on-hook, no signal, nothing being notified, no connection. */
  | { readonly kind: 'idle'; readonly locals: ReadonlySet<string> }
  /** The gateway does not do it after all, or not so that it can be read. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'silent' };

/** Asks until the gateway has nothing more to report (§2.1.1.7). */
export function bulkAudit(parts: BulkAuditParts, answer: (audit: BulkAudit) => void): void {
  const idle = new Set<string>();
  const asked = new Set<string>();
  const ask = (start: string | undefined) => {
    parts.commands.submit({
      peer: parts.gateway,
      draft: () => ({
        verb: 'AUEP',
        endpoint: parts.endpoint,
        parameters: [
          { code: 'BA/F', value: 'BA/S(H,N,S), BA/C' },
          ...(start === undefined ? [] : [{ code: 'BA/SE', value: start }]),
        ],
        sdp: [],
      }),
      ended(outcome) {
        if (outcome.kind !== 'answered') {
          answer({ kind: 'silent' });
          return;
        }
        const { response } = outcome;
        const report = isSuccess(response.code) ? readBulkReport(response) : undefined;
        const next = parameter(response, 'BA/NE')?.toLowerCase();
        // A gateway that goes round in circles, or on for ever, is asked the other way.
        if (report === undefined || asked.size === maxReports || (next !== undefined && asked.has(next))) {
          answer({ kind: 'refused' });
          return;
        }
        for (const { local, state, connections } of report)
          if (state === 'F' && connections === '0') idle.add(local.toLowerCase());
        if (next === undefined) {
          answer({ kind: 'idle', locals: idle });
          return;
        }
        asked.add(next);
        ask(parameter(response, 'BA/NE'));
      },
    });
  };
  ask(undefined);
}

export interface BulkEntry {
  readonly local: string;
  /** `T`, `F` or `O` (§2.1.1.6); undefined where it was not asked for. */
  readonly state: string | undefined;
  /** A hexadecimal digit or `Z` (§2.1.1.4). */
  readonly connections: string | undefined;
}

/** Lists go with the endpoints in front of them, in order (§2.1.1.8); undefined where they do not add up. */
export function readBulkReport(response: MgcpResponse): readonly BulkEntry[] | undefined {
  const locals: string[] = [];
  let states = '';
  let counts = '';
  for (const { code, value } of response.parameters) {
    switch (code.toUpperCase()) {
      case 'BA/EL': {
        // Two lists in one line repeat the code in one of the examples (§2.1.2).
        const names = expandNames(value.replace(/\bba\/el:/gi, ''));
        if (names === undefined || locals.length + names.length > maxNames) return undefined;
        for (const name of names) locals.push(name);
        break;
      }
      case 'BA/S':
        states += value.trim().toUpperCase();
        break;
      case 'BA/C':
        counts += value.trim().toUpperCase();
        break;
      default:
        break;
    }
  }
  const fits = (list: string, letters: RegExp) => list === '' || (list.length === locals.length && letters.test(list));
  if (locals.length === 0 || !fits(states, /^[TFO]+$/) || !fits(counts, /^[0-9A-FZ]+$/)) return undefined;
  return locals.map((local, index) => ({ local, state: states[index], connections: counts[index] }));
}

const maxReports = 1_000;
const maxNames = 100_000;
