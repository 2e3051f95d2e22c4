/** The certificates of test/support/certs as TLS options. */
import { readFileSync } from 'node:fs';
import type { TlsOptions } from '../../src/internal.ts';

const read = (name: string): string => readFileSync(new URL(`certs/${name}.pem`, import.meta.url), 'utf8');

export const testCa = read('ca-cert');

/** example.com, localhost, 127.0.0.1, 127.0.0.2, ::1. */
export const serverTls: TlsOptions = { cert: read('server-cert'), key: read('server-key'), ca: testCa };

/** partner.example. */
export const partnerTls: TlsOptions = { cert: read('client-cert'), key: read('client-key'), ca: testCa };

/** The server's names, by an authority that nobody trusts. */
export const strangerTls: TlsOptions = { cert: read('stranger-cert'), key: read('stranger-key'), ca: testCa };
