/** TLS on both sides of a connection: 1.2 at least, the server's name checked, the peer's proven name kept. */
import { isIP } from 'node:net';
import {
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';
import { BindError, ConfigError } from '../errors.ts';
import type { TlsOptions } from '../network.ts';
import { type ControllerAddress, formatAddress } from '../signaling/controller-address.ts';

/** RFC 8996 §1 retires TLS 1.0 and 1.1. */
const minVersion = 'TLSv1.2';

export type TlsServerOptions = SecureContextOptions & {
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
  readonly handshakeTimeout: number;
};

/** @throws BindError without certificate and key. */
export function tlsServerOptions(
  address: ControllerAddress,
  options: TlsOptions | undefined,
  handshakeMs: number,
): TlsServerOptions {
  const { cert, key, ca, requireClientCert = false } = options ?? {};
  if (cert === undefined || key === undefined)
    throw new BindError(`${formatAddress(address)} needs a certificate and a key (tls.cert, tls.key)`);
  return {
    minVersion,
    cert,
    key,
    ...(ca === undefined ? {} : { ca }),
    // With a CA of ours, a partner may prove its name on the same listener that serves peers without a certificate.
    requestCert: requireClientCert || ca !== undefined,
    rejectUnauthorized: requireClientCert,
    handshakeTimeout: handshakeMs,
  };
}

/** @throws ConfigError where certificate and key cannot be used together. */
export function checkTls({ cert, key, ca }: TlsOptions): void {
  try {
    createSecureContext({
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(ca === undefined ? {} : { ca }),
    });
  } catch (error) {
    throw new ConfigError(`TLS certificate or key: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** The sentence for a certificate or key that the TLS library refuses. */
export const tlsBindError = (address: ControllerAddress, error: unknown): BindError =>
  new BindError(
    `${formatAddress(address)} cannot use this certificate or key: ${error instanceof Error ? error.message : error}`,
    { cause: error },
  );

export interface TlsClientOptions {
  readonly minVersion: typeof minVersion;
  readonly servername: string;
  readonly rejectUnauthorized: boolean;
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined;
}

/** What makes a TLS connection prove `serverName`, whatever address it goes to. */
export function tlsClientOptions(serverName: string, options: TlsOptions | undefined): TlsClientOptions {
  const { cert, key, ca, verify = true } = options ?? {};
  return {
    minVersion,
    // RFC 6066 §3: no literal address in the server name indication.
    servername: isIP(serverName) === 0 ? serverName : '',
    checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
    rejectUnauthorized: verify,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

/** The name a client proved: the first DNS name of its certificate, else its common name; undefined where none was verified. */
export function clientName(socket: TLSSocket): string | undefined {
  if (!socket.authorized) return undefined;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  // Node quotes an alternative name that holds a separator: such a name matches no pattern here, and is not believed.
  const dnsName = /(?:^|, )DNS:([A-Za-z0-9_.*-]+)(?:$|, )/.exec(certificate.subjectAltName ?? '')?.[1];
  const commonName = /(?:^|\n)CN=([A-Za-z0-9_.-]+)(?:$|\n)/.exec(certificate.subject)?.[1];
  return (dnsName ?? commonName)?.toLowerCase();
}
