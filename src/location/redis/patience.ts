import type { Cancel, Clock } from '../../clock.ts';

/**
 * Runs `run` after `ms` unless it is cancelled before. In two steps, for this process may be busy itself: what has come meanwhile is read
 * between them.
 */
export function afterPatience(clock: Clock, ms: number, run: () => void): Cancel {
  let cancel = clock.after(ms / 2, () => {
    cancel = clock.after(ms / 2, run);
  });
  return () => cancel();
}
