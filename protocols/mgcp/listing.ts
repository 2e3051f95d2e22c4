/**
 * Asking a gateway which endpoints it has: a wildcarded AuditEndpoint without RequestedInfo (RFC 3435 §2.3.10), or the compact list of the
 * bulk audit package where the gateway has it (RFC 3624 §2.1.1.3). One command per gateway, however many lines.
 */
import type { Gateway } from '../../src/internal.ts';
import { isSuccess, parameterValues } from './codec/messages.ts';
import { covers, readEndpointName } from './codec/values/names.ts';
import { expandNames } from './codec/values/ranges.ts';
import type { GatewayCommands } from './gateway-commands.ts';

/** Does the gateway have an endpoint of this local name? */
export type EndpointList = (local: string) => boolean;

export interface ListingParts {
  readonly commands: GatewayCommands;
}

/** `answer` gets undefined where the gateway cannot tell, or what it tells cannot be read. */
export function listEndpoints(
  { commands }: ListingParts,
  gateway: Gateway,
  endpoint: string,
  answer: (list: EndpointList | undefined) => void,
): void {
  const bulk = gateway.dialect.has('BA');
  commands.submit({
    peer: gateway,
    urgent: true,
    draft: () => ({ verb: 'AUEP', endpoint, parameters: bulk ? [{ code: 'BA/F', value: 'BA/Z' }] : [], sdp: [] }),
    ended(outcome) {
      if (outcome.kind !== 'answered' || !isSuccess(outcome.response.code)) answer(undefined);
      else answer(readEndpointList(parameterValues(outcome.response, bulk ? 'BA/Z' : 'Z')));
    },
  });
}

/** The values of `Z` or `BA/Z`; undefined where there are none, or one is malformed. */
export function readEndpointList(values: readonly string[]): EndpointList | undefined {
  const names = new Set<string>();
  const patterns: string[] = [];
  for (const value of values) {
    // `Z` has whole endpoint names, `BA/Z` local ones.
    const locals = expandNames(value);
    if (locals === undefined) return undefined;
    for (const each of locals) {
      const local = (readEndpointName(each)?.local ?? each).toLowerCase();
      if (local.includes('*')) patterns.push(local);
      else names.add(local);
    }
  }
  if (names.size === 0 && patterns.length === 0) return undefined;
  return (local) => names.has(local.toLowerCase()) || patterns.some((pattern) => covers(pattern, local));
}
