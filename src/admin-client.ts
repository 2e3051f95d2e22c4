/** What the commands `status`, `calls`, `peers`, `reg`, `trace`, `log`, `top` and `drain` ask of a running altpath. */
import { type IncomingMessage, request } from 'node:http';
import { AltpathError } from './errors.ts';
import { formatSocketAddress, type SocketAddress } from './signaling/controller-address.ts';

export interface AskOptions {
  readonly method?: 'GET' | 'POST' | 'DELETE' | undefined;
  readonly token?: string | undefined;
  /** How long an answer is waited for. */
  readonly limitMs?: number | undefined;
}

/** The parsed answer. @throws AltpathError (rejects) with a sentence for the operator. */
export const askAdmin = (address: SocketAddress, path: string, options: AskOptions = {}): Promise<unknown> =>
  ask(address, path, options, readAnswer);

/** An answer that is no JSON, such as the metrics. @throws as `askAdmin`. */
export const askAdminText = (address: SocketAddress, path: string, options: AskOptions = {}): Promise<string> =>
  ask(address, path, options, (response, body, at) => {
    if (response.statusCode !== 200) throw noAltpath(at);
    return body.toString('utf8');
  });

function ask<T>(
  address: SocketAddress,
  path: string,
  options: AskOptions,
  read: (response: IncomingMessage, body: Buffer, at: string) => T,
): Promise<T> {
  const at = formatSocketAddress(address);
  const { limitMs = answerMs } = options;
  return new Promise((resolve, reject) => {
    const asking = request({ ...asked(address, path, options), timeout: limitMs }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxAnswerBytes) asking.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        try {
          resolve(read(response, Buffer.concat(chunks), at));
        } catch (error) {
          reject(error);
        }
      });
    });
    asking.on('timeout', () => asking.destroy(new Error(`no answer within ${limitMs / 1_000} s`)));
    asking.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(at, error)));
    asking.end();
  });
}

/** An event of the stream: what it is, and its data. */
export interface StreamEvent {
  readonly kind: string;
  readonly data: unknown;
}

/** Server-sent events, until the other end is gone. @throws AltpathError (rejects) as `askAdmin`. */
export async function* followAdmin(
  address: SocketAddress,
  path: string,
  options: AskOptions = {},
): AsyncGenerator<StreamEvent, void, undefined> {
  const at = formatSocketAddress(address);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asking = request(asked(address, path, options), resolve);
    asking.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(at, error)));
    asking.end();
  });
  response.setEncoding('utf8');
  if (response.headers['content-type']?.startsWith('text/event-stream') !== true) {
    let text = '';
    for await (const chunk of response) text += String(chunk);
    readAnswer(response, Buffer.from(text), at);
    throw noAltpath(at);
  }
  let rest = '';
  try {
    for await (const chunk of response) {
      rest += String(chunk);
      if (rest.length > maxAnswerBytes) throw new AltpathError('ERR_ADMIN', `${at} sends an event without end`);
      const events = rest.split('\n\n');
      rest = events.pop() ?? '';
      for (const event of events) {
        const read = readEvent(event);
        if (read !== undefined) yield read;
      }
    }
  } catch (error) {
    if (error instanceof AltpathError) throw error;
    throw new AltpathError('ERR_ADMIN', `altpath on ${at} has gone`, { cause: error });
  }
}

const asked = (address: SocketAddress, path: string, { method = 'GET', token }: AskOptions) => ({
  ...address,
  path,
  method,
  headers: {
    ...(method === 'GET' ? {} : { 'x-altpath': 'order' }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  },
  agent: false,
});

function readAnswer(response: IncomingMessage, body: Buffer, at: string): unknown {
  const value = readJson(body.toString('utf8'));
  if (value === undefined) throw noAltpath(at);
  if ((response.statusCode ?? 500) >= 400) throw new AltpathError('ERR_ADMIN', `${at} says: ${errorText(value)}`);
  return value;
}

function readEvent(text: string): StreamEvent | undefined {
  let kind = 'message';
  const data: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('event: ')) kind = line.slice(7);
    else if (line.startsWith('data: ')) data.push(line.slice(6));
  }
  return data.length === 0 ? undefined : { kind, data: readJson(data.join('\n')) };
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

const noAltpath = (at: string): AltpathError =>
  new AltpathError('ERR_ADMIN', `what answers on ${at} is no altpath (wrong --admin?)`);

const unreachable = (at: string, error: NodeJS.ErrnoException): AltpathError =>
  new AltpathError(
    'ERR_ADMIN',
    error.code === 'ECONNREFUSED'
      ? `no altpath answers on ${at}: is one running with the admin server there, and not draining? (--admin, or admin: in its file)`
      : `cannot ask altpath on ${at}: ${error.message}`,
    { cause: error },
  );

const answerMs = 5_000;

const maxAnswerBytes = 67_108_864;
