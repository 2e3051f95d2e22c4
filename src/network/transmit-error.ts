/** The system's error codes as reasons that the failover machine understands. */
import type { TransmitError, TransmitErrorReason } from '../network.ts';

/** `otherwise`: what an unknown code means here (while connecting: unreachable; on an open connection: reset). */
export function transmitError(error: unknown, otherwise: TransmitErrorReason): TransmitError {
  const code = errorCode(error);
  const detail = code ?? (error instanceof Error ? error.message : String(error));
  return { reason: (code === undefined ? undefined : reasonOf(code)) ?? otherwise, detail };
}

export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

function reasonOf(code: string): TransmitErrorReason | undefined {
  const known = reasons.get(code);
  if (known !== undefined) return known;
  return /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/.test(code) ? 'tls' : undefined;
}

const reasons: ReadonlyMap<string, TransmitErrorReason> = new Map([
  ['ECONNREFUSED', 'refused'],
  ['EHOSTUNREACH', 'unreachable'],
  ['ENETUNREACH', 'unreachable'],
  ['EHOSTDOWN', 'unreachable'],
  ['ENETDOWN', 'unreachable'],
  ['EADDRNOTAVAIL', 'unreachable'],
  ['EAFNOSUPPORT', 'unreachable'],
  ['EINVAL', 'unreachable'],
  ['EACCES', 'unreachable'],
  ['EPERM', 'unreachable'],
  ['ETIMEDOUT', 'timeout'],
  ['ECONNRESET', 'reset'],
  ['ECONNABORTED', 'reset'],
  ['EPIPE', 'reset'],
  ['EMSGSIZE', 'overflow'],
  ['ENOBUFS', 'overflow'],
  ['EPROTO', 'tls'],
  ['HOSTNAME_MISMATCH', 'tls'],
  ['INVALID_CA', 'tls'],
  ['ERROR_IN_CERT_NOT_BEFORE_FIELD', 'tls'],
  ['ERROR_IN_CERT_NOT_AFTER_FIELD', 'tls'],
]);
