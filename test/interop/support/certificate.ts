/** A certificate of one day for the hosts of a test; it is its own authority. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { program } from './programs.ts';
import { scratchDirectory } from './scratch.ts';

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** Certificate and key in one file, as baresip wants them. */
  /** Certificate and key in one file, as baresip wants them. */
  readonly bothFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
}

export function makeCertificate(...hosts: readonly string[]): Certificate {
  const directory = scratchDirectory('certificate');
  const certFile = join(directory, 'cert.pem');
  const keyFile = join(directory, 'key.pem');
  const names = hosts.map((host) => `${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`).join(',');
  execFileSync(
    program('openssl'),
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'],
      ...['-keyout', keyFile, '-out', certFile, '-subj', `/CN=${hosts[0]}`, '-addext', `subjectAltName=${names}`],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], timeout: 20_000 },
  );
  const [cert, key] = [readFileSync(certFile), readFileSync(keyFile)];
  const bothFile = join(directory, 'both.pem');
  writeFileSync(bothFile, Buffer.concat([cert, key]));
  return { certFile, keyFile, bothFile, cert, key };
}
