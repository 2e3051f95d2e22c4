/** What an operator ought to know of a configuration that is valid: said by `altpath check` and at every start. */
import { type ControllerAddress, formatAddress } from '../../src/internal.ts';
import type { SipConfig } from './config.ts';

export function sipWarnings({ listen, auth, routes, defaultRoute, recordRoute, trunks }: SipConfig): readonly string[] {
  const warnings: string[] = [];
  const open = listen.filter((address) => !isLoopback(address)).map(formatAddress);
  if (!auth.invite && open.length > 0 && (routes.length > 0 || defaultRoute !== undefined))
    warnings.push(`auth.invite is off and there are routes: whoever reaches ${open.join(', ')} may use them`);
  if (!auth.invite && trunks.length > 0)
    warnings.push('auth.invite is off and there are trunks: only lines and sources in trust may call through them');
  if (auth.invite && !auth.register)
    warnings.push('auth.register is off: whoever registers a contact decides where calls to that user go');
  if (auth.invite && !recordRoute)
    warnings.push(
      'recordRoute is off: requests within a dialog bring no proof that they belong to one, and are asked for credentials',
    );
  return warnings;
}

const isLoopback = ({ host }: ControllerAddress): boolean =>
  host === 'localhost' || host === '::1' || /^(?:::ffff:)?127\./i.test(host);
