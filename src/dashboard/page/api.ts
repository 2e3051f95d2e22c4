/** What the page asks of the admin server. The token is kept for this tab alone, and travels in a header, never in an address. */
import { EventReader, type StreamEvent } from './event-reader.ts';
import type { Access } from './rows.ts';

export class RefusedError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const token = {
  get: (): string | undefined => sessionStorage.getItem(tokenKey) ?? undefined,
  set: (value: string): void => sessionStorage.setItem(tokenKey, value),
  forget: (): void => sessionStorage.removeItem(tokenKey),
};

const tokenKey = 'altpath.token';

const headers = (given = token.get()): Record<string, string> =>
  given === undefined ? {} : { authorization: `Bearer ${given}` };

/** What may be done with this token, or with the one that was given before. */
export const askAccess = (given = token.get()): Promise<Access> => get('access', {}, given);

/** @throws RefusedError (rejects) with what the server says; TypeError where it does not answer. */
export async function get<T>(path: string, query: Query = {}, given = token.get()): Promise<T> {
  const response = await fetch(address(path, query), { headers: headers(given), signal: AbortSignal.timeout(limitMs) });
  return read(response);
}

export async function order<T>(path: string, query: Query = {}): Promise<T> {
  const response = await fetch(address(path, query), {
    method: 'POST',
    headers: { ...headers(), 'x-altpath': 'dashboard' },
    signal: AbortSignal.timeout(limitMs),
  });
  return read(response);
}

export async function fetchFile(path: string, query: Query): Promise<Blob> {
  const response = await fetch(address(path, query), { headers: headers() });
  if (!response.ok) await read(response);
  return response.blob();
}

/** Events until the stream ends or `signal` says so. @throws RefusedError, TypeError (rejects). */
export async function follow(
  path: string,
  query: Query,
  signal: AbortSignal,
  tell: (event: StreamEvent) => void,
): Promise<void> {
  const response = await fetch(address(path, query), { headers: headers(), signal });
  if (!response.ok || response.body === null) {
    await read(response);
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const events = new EventReader();
  for (;;) {
    // A living server says something every second.
    const piece = await Promise.race([reader.read(), silence()]);
    if (piece === 'silent') {
      await reader.cancel();
      throw new TypeError('the stream fell silent');
    }
    if (piece.done) return;
    for (const event of events.push(piece.value)) tell(event);
  }
}

const silence = (): Promise<'silent'> => new Promise((resolve) => setTimeout(() => resolve('silent'), silentMs));

export type Query = Readonly<Record<string, string | number | undefined>>;

/** Beside the folder of the page, wherever that is. */
function address(path: string, query: Query): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) words.set(name, String(value));
  const text = words.toString();
  return `../${path}${text === '' ? '' : `?${text}`}`;
}

async function read<T>(response: Response): Promise<T> {
  const value: unknown = await response.json().catch(() => undefined);
  if (response.ok && value !== undefined) return value as T;
  const said =
    typeof value === 'object' && value !== null && 'error' in value ? String(value.error) : response.statusText;
  throw new RefusedError(response.status, said);
}

const limitMs = 10_000;
const silentMs = 6_000;
