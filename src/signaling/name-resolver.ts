/** The contract of a procedure that makes addresses of names; each protocol may bring its own. */
import type { Result } from '../result.ts';
import type { ControllerAddress } from './controller-address.ts';

/** A hop as a message or an operator names it: host may be a name, transport and port may be left to DNS. */
export interface NamedHop {
  readonly host: string;
  readonly port?: number | undefined;
  readonly transport?: ControllerAddress['transport'] | undefined;
  /** Only a transport that keeps the promise of a secure scheme will do. */
  readonly secure?: boolean | undefined;
}

export interface NameFailure {
  readonly name: string;
  readonly reason: 'notFound' | 'temporary' | 'unsupported';
  readonly detail: string;
}

export type Resolution = Result<readonly ControllerAddress[], NameFailure>;

/** The protocol's procedure from a name to addresses in order of preference (SIP: RFC 3263; gateways: A and AAAA with TTL). */
export interface NameResolver {
  /** The addresses if no question must be asked (literals, cache), else undefined. */
  now(hop: NamedHop): Resolution | undefined;
  resolve(hop: NamedHop): Promise<Resolution>;
}
