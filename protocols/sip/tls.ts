/** Certificate files of the configuration, read at the start and at every reload. */
import { readFileSync } from 'node:fs';
import { checkTls, FileError, type TlsOptions } from '../../src/internal.ts';
import type { SipConfig } from './config.ts';

/** @throws FileError that names the file. */
export function readTls({ tls }: SipConfig): TlsOptions | undefined {
  const { certFile, keyFile, caFile, requireClientCert, verify } = tls;
  return {
    requireClientCert,
    verify,
    ...(certFile === undefined ? {} : { cert: read(certFile) }),
    ...(keyFile === undefined ? {} : { key: read(keyFile) }),
    ...(caFile === undefined ? {} : { ca: read(caFile) }),
  };
}

/** As readTls, and the key must fit. @throws FileError, ConfigError. */
export function checkedTls(config: SipConfig): TlsOptions | undefined {
  const tls = readTls(config);
  if (tls !== undefined) checkTls(tls);
  return tls;
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new FileError(`cannot read "${path}": ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
