/**
 * A SIP telephone and a line talk, and the controller dies: the backup makes the dialog again from the record that the line's gateway keeps,
 * and goes on with it (docs/crossing-failover-cases.md).
 */
import { describe, expect, it } from 'vitest';
import { reached } from '../support/reached.ts';
import type { SimPhone } from '../support/sip-ua.ts';
import { backupHost, type CrossingOptions, CrossingWorld, primaryHost, sipDomain } from './crossing-world.ts';

const phoneHost = '127.0.0.31';

interface Scene {
  readonly world: CrossingWorld;
  readonly phone: SimPhone;
  readonly line: string;
}

async function scene(
  line: string,
  options: CrossingOptions = {},
  phoneDoes: SimPhone['answering'] = 'answer',
): Promise<Scene> {
  const world = await CrossingWorld.up({ sip: {}, ...options });
  const phone = await world.phone('7001', phoneHost, { answering: phoneDoes, ringMs: 1_000 });
  return { world, phone, line };
}

/** The telephone calls the line. */
function phoneCalls({ phone, line }: Scene): string {
  return phone.call(`sip:${line}@${sipDomain}`);
}

async function lineCalls({ world, line }: Scene): Promise<void> {
  world.telephone(line).offHook();
  await until(world, () => world.telephone(line).hears() === 'dial');
  world.telephone(line).dial('7001');
}

const until = (world: CrossingWorld, holds: () => boolean, limitMs = 40_000): Promise<boolean> =>
  reached(world, holds, limitMs, 50);

const talks = ({ world, line }: Scene): boolean => world.telephone(line).media().sendsTo === '127.0.0.1:40000';

const confirmed = ({ phone }: Scene) => [...phone.dialogs.values()].find(({ state }) => state === 'confirmed');

async function hangUp(s: Scene, who: 'phone' | 'line'): Promise<string | undefined> {
  const { world, phone, line } = s;
  const dialog = confirmed(s);
  if (dialog === undefined) return 'the telephone has no dialog';
  if (who === 'phone') {
    let status = -1;
    phone.bye(dialog, (final) => {
      status = final;
    });
    if (!(await until(world, () => status >= 0))) return 'BYE has no answer';
    if (status !== 200) return `BYE ${status}`;
    if (!(await until(world, () => world.telephone(line).hears() === 'busy')))
      return 'the line does not hear that the call is over';
    world.telephone(line).onHook();
  } else {
    world.telephone(line).onHook();
    if (!(await until(world, () => dialog.state === 'ended')))
      return 'the telephone does not hear that the call is over';
  }
  return (await until(world, () => world.telephone(line).isIdle())) ? undefined : 'the line is not idle';
}

describe('a talking call between a SIP telephone and a line goes home with its line', () => {
  for (const [kind, line] of [
    ['MGCP', '200'],
    ['MEGACO', '300'],
  ] as const)
    for (const who of ['phone', 'line'] as const)
      it(`the ${kind} line's controller returns, then the ${who} hangs up`, async () => {
        const s = await scene(line);
        const { world } = s;
        await lineCalls(s);
        expect(await until(world, () => talks(s) && confirmed(s) !== undefined)).toBe(true);
        await world.run(500);
        world.kill(primaryHost);
        await world.run(20_000);
        expect(world.calls(backupHost)).toBeGreaterThan(0);
        world.network.revive(primaryHost);
        await world.startController(primaryHost);
        expect(await until(world, () => world.calls(primaryHost) > 0 && world.calls(backupHost) === 0, 60_000)).toBe(
          true,
        );
        await world.run(2_000);
        expect(talks(s)).toBe(true);
        expect(await hangUp(s, who)).toBeUndefined();
        await world.run(40_000);
        expect(s.phone.complaints).toEqual([]);
        expect([world.calls(primaryHost), world.calls(backupHost)]).toEqual([0, 0]);
        await world.stop();
      });
});

describe('a talking call between a SIP telephone and a line outlives its controller', () => {
  for (const [kind, line] of [
    ['MGCP', '200'],
    ['MEGACO', '300'],
  ] as const)
    for (const edge of [true, false])
      for (const records of ['keepsRemote', 'keepsEntity', 'forgets'] as const)
        for (const caller of ['phone', 'line'] as const)
          for (const who of ['phone', 'line'] as const) {
            const peer = edge ? 'behind an edge' : 'directly on the pair';
            it(`${caller} called, ${who} hangs up: ${kind} line, telephone ${peer}, gateway ${records}`, async () => {
              const s = await scene(line, { edge, records });
              const { world } = s;
              if (caller === 'phone') {
                phoneCalls(s);
                await until(world, () => world.telephone(line).hears() === 'ring');
                world.telephone(line).offHook();
              } else await lineCalls(s);
              expect(await until(world, () => talks(s) && confirmed(s) !== undefined)).toBe(true);
              await world.run(500);
              world.kill(primaryHost);
              await world.run(20_000);
              expect(world.calls(backupHost)).toBeGreaterThan(0);
              expect(talks(s)).toBe(true);
              expect(await hangUp(s, who)).toBeUndefined();
              await world.run(40_000);
              expect(s.phone.complaints).toEqual([]);
              expect(world.calls(backupHost)).toBe(0);
              await world.stop();
            });
          }
});
