/** Waiting for something to become true, never longer than said. */
import { setTimeout as pause } from 'node:timers/promises';

/** Calls `check` until it gives something else than undefined or false. @throws Error that says what was waited for. */
export async function until<T>(
  what: string,
  limitMs: number,
  check: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${limitMs} ms`);
    await pause(20);
  }
}
