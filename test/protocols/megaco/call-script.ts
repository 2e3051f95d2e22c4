/** Two people at two telephones: every step waits for what a person would wait for. */
import type { World } from './world.ts';

export interface CallOutcome {
  /** How often the caller heard dial tone again and had to dial anew. */
  redialled: number;
  /** What did not happen in time; undefined: the call went through. */
  stuckAt: string | undefined;
}

/** Off-hook, dial, answer, talk, hang up on both sides. `during` is told each phase as it begins. */
export async function playCall(
  world: World,
  caller: string,
  callee: string,
  options: {
    readonly patienceMs?: number;
    readonly retries?: boolean;
    /** Who hears dial tone again after he has dialled waits so long before he dials again. */
    readonly redialAfterMs?: number;
    readonly during?: (phase: string) => void | Promise<void>;
  } = {},
): Promise<CallOutcome> {
  const { patienceMs = 15_000, during = () => undefined, redialAfterMs = 0 } = options;
  let heardAgainMs: number | undefined;
  const outcome: CallOutcome = { redialled: 0, stuckAt: undefined };
  const until = async (what: string, holds: () => boolean): Promise<boolean> => {
    for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += 20) {
      if (holds()) return true;
      await world.run(20);
    }
    outcome.stuckAt = what;
    return false;
  };
  const a = world.line(caller);
  const b = world.line(callee);

  await during('going off-hook');
  a.offHook();
  if (!(await until('dial tone', () => a.signal === 'cg/dt' && a.collecting))) return outcome;
  await during('dialling');
  a.dial(callee);
  const rings = await until('ringing', () => {
    // The callee's gateway has not found its new controller yet: a person tries again.
    if (options.retries === true && a.signal === 'cg/ct') {
      a.onHook();
      a.offHook();
    } else if (a.signal === 'cg/dt' && a.collecting) {
      heardAgainMs ??= world.clock.now();
      if (world.clock.now() - heardAgainMs >= redialAfterMs) {
        outcome.redialled += 1;
        a.dial(callee);
      }
    } else heardAgainMs = undefined;
    return b.signal === 'al/ri';
  });
  if (!rings) return outcome;
  await during('ringing');
  await world.run(60);
  b.offHook();
  if (!(await until('talking', () => world.talking(caller, callee)))) return outcome;
  await during('talking');
  await world.run(200);
  if (!(await until('still talking', () => world.talking(caller, callee) && a.signal === undefined))) return outcome;
  await during('hanging up');
  a.onHook();
  if (!(await until('busy tone', () => b.signal === 'cg/bt'))) return outcome;
  b.onHook();
  await until('idle', () => world.idle(caller, callee));
  return outcome;
}
