/** What the commands `status`, `calls`, `peers`, `reg` and `drain` ask of a running altpath. */
import { request } from 'node:http';
import { AltpathError } from './errors.ts';
import { formatSocketAddress, type SocketAddress } from './signaling/controller-address.ts';

/** The parsed answer. @throws AltpathError (rejects) with a sentence for the operator. */
export function askAdmin(address: SocketAddress, path: string, method: 'GET' | 'POST' = 'GET'): Promise<unknown> {
  const at = formatSocketAddress(address);
  return new Promise((resolve, reject) => {
    const refuse = (message: string, cause?: unknown): void =>
      reject(new AltpathError('ERR_ADMIN', message, { cause }));
    const asking = request(
      {
        ...address,
        path,
        method,
        headers: method === 'POST' ? { 'x-altpath': 'drain' } : {},
        agent: false,
        timeout: answerMs,
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > maxAnswerBytes) asking.destroy(new Error('the answer is too long'));
          else chunks.push(chunk);
        });
        response.on('end', () => {
          const value = readJson(Buffer.concat(chunks).toString('utf8'));
          if (value === undefined) refuse(`what answers on ${at} is no altpath (wrong --admin?)`);
          else if ((response.statusCode ?? 500) >= 400) refuse(`${at} says: ${errorText(value)}`);
          else resolve(value);
        });
      },
    );
    asking.on('timeout', () => asking.destroy(new Error(`no answer within ${answerMs / 1_000} s`)));
    asking.on('error', (error: NodeJS.ErrnoException) => {
      const refused = error.code === 'ECONNREFUSED';
      refuse(
        refused
          ? `no altpath answers on ${at}: is one running with the admin server there, and not draining? (--admin, or admin: in its file)`
          : `cannot ask altpath on ${at}: ${error.message}`,
        error,
      );
    });
    asking.end();
  });
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const errorText = (value: unknown): string =>
  typeof value === 'object' && value !== null && 'error' in value ? String(value.error) : 'an error without a word';

const answerMs = 5_000;

const maxAnswerBytes = 67_108_864;
