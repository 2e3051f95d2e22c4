import { describe, expect, it } from 'vitest';
import { playCall } from './call-script.ts';
import { backupHost, primaryHost, World, type WorldOptions } from './world.ts';

type End = 'killed' | 'drained' | 'drained and started again';

/** The primary ends at the n-th message of the call: as it leaves (it was sent), or as it arrives (it was never read). */
async function dieAt(options: WorldOptions, sequence: number, when: 'sent' | 'arriving', how: End = 'killed') {
  const world = await World.up(options);
  let count = 0;
  let killed: string | undefined;
  const tap = ({ from, to }: { from: { host: string }; to: { host: string } }): void => {
    if (![from.host, to.host].includes(primaryHost) || [from.host, to.host].includes(backupHost)) return;
    count += 1;
    if (count !== sequence || killed !== undefined) return;
    killed = world.summary(world.packets.length - 1)[0] ?? '';
    // As a datagram leaves it is on its way already; what arrives at the dead is not read.
    if (how !== 'killed')
      world
        .drain(primaryHost, how === 'drained' ? undefined : () => world.startController(primaryHost))
        .catch((error: unknown) => {
          throw error;
        });
    else if (when === 'sent') world.clock.after(0, () => world.kill(primaryHost));
    else world.kill(primaryHost);
  };
  const stop = when === 'sent' ? world.network.onPacket(tap) : world.network.onArrival(tap);
  const outcome = await playCall(world, '200', '202', {
    retries: options.gateway?.controllers !== undefined,
    patienceMs: 30_000,
    // While gateways change hands the tone may come again for a moment, until the digits have been told to the one who has them now.
    ...(how === 'killed' ? {} : { redialAfterMs: 3_000 }),
  });
  stop();
  return { world, outcome, killed };
}

const worlds: readonly (readonly [string, WorldOptions])[] = [
  ['aware gateways, each controller with its own mId', {}],
  ['aware gateways, controllers without a common secret', { link: false }],
  ['aware gateways in BER', { gateway: { encoding: 'binary' } }],
  ['aware gateways over TCP', { transport: 'tcp', gateway: { encoding: 'pretty' } }],
  ['plain gateways, one mId for both controllers', { gateway: { aware: false }, config: { mid: '<mgc.example>' } }],
  [
    'plain gateways with a provisioned list, separate mIds',
    {
      config: { timers: { inactivityMs: 1_000 } },
      gateway: {
        aware: false,
        tMaxMs: 2_000,
        controllers: [
          { transport: 'udp', host: primaryHost, port: 2944 },
          { transport: 'udp', host: backupHost, port: 2944 },
        ],
      },
    },
  ],
];

/** Of drains a few worlds (`ALTPATH_FULL=1`: all): what is handed over is told by the same words in each. */
const isFull = process.env['ALTPATH_FULL'] !== undefined;
const ends = (['killed', 'drained', 'drained and started again'] as const).flatMap((how) =>
  worlds
    .filter((_, index) => isFull || how === 'killed' || (how === 'drained' && (index === 0 || index === 4)))
    .map(([name, options]) => [how, name, options] as const),
);

describe.each(ends)('RFC 3525 §11.5: the primary is %s after every single message: %s', (how, _name, options) => {
  // Plain gateways with a list move one by one, as each finds out: a callee may be out of reach for a while.
  const isLate = options.gateway?.controllers !== undefined;

  it.each(['sent', 'arriving'] as const)(
    'as it is %s: no lost call, no stuck line, no context left',
    async (when) => {
      const problems: string[] = [];
      let messages = 0;
      for (let sequence = 1; sequence < 200; sequence += 1) {
        const { world, outcome, killed } = await dieAt(options, sequence, when, how);
        if (killed === undefined) break;
        messages = sequence;
        const at = `after ${when} ${sequence} (${killed.slice(0, 110)})`;
        if (outcome.stuckAt !== undefined) problems.push(`${at}: no ${outcome.stuckAt}`);
        if (outcome.redialled > 0 && !isLate) problems.push(`${at}: dialled again`);
        await world.run(10_000);
        if (!world.idle('200', '201', '202', '203')) problems.push(`${at}: lines are not idle`);
        if (world.ephemerals > 0) problems.push(`${at}: ${world.ephemerals} ephemerals are left`);
        if (world.calls(backupHost).length > 0) problems.push(`${at}: the backup still has a call`);
        const again = await playCall(world, '203', '201', { retries: isLate });
        if (again.stuckAt !== undefined) problems.push(`${at}: afterwards no ${again.stuckAt}`);
        for (const { controller, options: gateway } of world.gateways)
          if (controller?.host !== backupHost && how !== 'drained and started again')
            problems.push(`${at}: ${gateway.name} obeys ${controller?.host}`);
      }
      expect(problems).toEqual([]);
      expect(messages).toBeGreaterThan(20);
    },
    120_000,
  );
});
