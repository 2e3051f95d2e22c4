/** SIGHUP of the real program: certificates that were renewed are shown, those that do not fit change nothing. */
import { once } from 'node:events';
import { copyFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, expect, it, vi } from 'vitest';
import { AltpathProcess, scratch } from './harness.ts';

const files = scratch();
let altpath: AltpathProcess | undefined;
afterEach(() => altpath?.kill('SIGKILL'));
afterAll(() => files.remove());

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const pem = (name: string): string => fileURLToPath(new URL(`../support/certs/${name}.pem`, import.meta.url));

it('takes over certificate and key, and refuses a key that does not fit', async () => {
  const cert = files.file('cert.pem', '');
  const key = files.file('key.pem', '');
  const renew = (certificate: string, secret: string): void => {
    copyFileSync(pem(certificate), cert);
    copyFileSync(pem(secret), key);
    altpath?.kill('SIGHUP');
  };
  renew('server-cert', 'server-key');
  const file = files.file(
    'tls.yaml',
    `sip:\n  listen: ["tls:127.0.0.1:0"]\n  tls: { certFile: ${cert}, keyFile: ${key} }\n`,
  );
  altpath = new AltpathProcess(['sip', '-c', file], {}, main);
  const { addresses } = await altpath.logged('ready');
  const port = Number(String(Array.isArray(addresses) ? addresses[0] : '').replace(/^.*:/, ''));
  const shown = async (): Promise<string> => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  const before = await shown();

  renew('stranger-cert', 'stranger-key');
  expect(await altpath.logged(/^reloaded/)).toMatchObject({ changed: ['sip: TLS certificates'], needsRestart: [] });
  const renewed = await shown();
  expect(renewed).not.toBe(before);

  renew('server-cert', 'stranger-key');
  expect((await altpath.logged(/^not reloaded/)).msg).toContain('TLS certificate or key');
  expect(await shown()).toBe(renewed);

  writeFileSync(cert, '');
  altpath.kill('SIGHUP');
  await vi.waitFor(
    () => expect(altpath?.log.filter(({ msg }) => msg.startsWith('not reloaded'))).toHaveLength(2),
    5_000,
  );
  expect(await shown()).toBe(renewed);
});
