/**
 * A line calls a SIP telephone that is alone with the pair, and the controller dies while it rings. The telephone answers to the address of
 * the dead one (RFC 3261 §18.2.2), so the backup asks it within the early dialog, in the way that both telephones which were measured bear.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { RtpMedia } from '../../src/internal.ts';
import { reached } from '../support/reached.ts';
import { seededRandom } from '../support/seeded-random.ts';
import type { Dialog, PhoneOptions, SimPhone } from '../support/sip-ua.ts';
import { backupHost, type CrossingOptions, CrossingWorld, primaryHost } from './crossing-world.ts';

const phoneHost = '127.0.0.31';

let world: CrossingWorld;

afterEach(async () => {
  await world.stop();
});

const until = (holds: () => boolean, limitMs = 40_000): Promise<boolean> => reached(world, holds, limitMs, 50);

const lines = [
  ['an MGCP line', '200'],
  ['a MEGACO line', '300'],
] as const;

/** It rings, the line hears that, and the primary is gone. */
async function ringing(
  line: string,
  model: PhoneOptions['model'],
  options: CrossingOptions = {},
): Promise<{ readonly phone: SimPhone; readonly dialog: Dialog; speak(): Promise<void> }> {
  world = await CrossingWorld.up({ sip: {}, speech: true, ...options });
  const phone = await world.phone('7001', phoneHost, { answering: 'ring', ...(model === undefined ? {} : { model }) });
  let offer = '';
  phone.onRequest = ({ method, body }) => {
    if (method === 'INVITE' && offer === '') offer = body;
  };
  // The first call of a gateway teaches what it keeps.
  world.telephone(line).offHook();
  await until(() => world.telephone(line).hears() === 'dial');
  world.telephone(line).dial('7001');
  await until(() => world.telephone(line).hears() === 'ringback' && phone.ringing.size > 0);
  await world.run(300);
  world.kill(primaryHost);
  await world.run(6_000);
  const [dialog] = phone.dialogs.values();
  if (dialog === undefined) throw new Error('it does not ring');
  const speak = async (): Promise<void> => {
    const network = world.network.host(phoneHost);
    const media = new RtpMedia({ clock: network.clock, random: seededRandom(5), network, host: phoneHost });
    await media.start();
    media.open(1_000)?.set(offer, 'both');
  };
  return { phone, dialog, speak };
}

const talks = (line: string, { state }: Dialog): boolean =>
  state === 'confirmed' && world.telephone(line).media().sendsTo === '127.0.0.1:40000';

/** Requests of this method within a dialog, from the backup. */
const sent = (method: string): number =>
  world.packets.filter(
    ({ from, bytes }) =>
      from.host === backupHost &&
      new RegExp(`^${method} [\\s\\S]*^To: [^\\r]*;tag=`, 'm').test(bytes.toString('latin1')),
  ).length;

for (const [name, line] of lines)
  describe(`${name} calls a telephone that rings as its controller dies`, () => {
    for (const model of ['linphone', 'baresip'] as const)
      for (const who of ['phone', 'line'] as const)
        it(`like ${model}: it answers, they talk, the ${who} hangs up`, async () => {
          const { phone, dialog, speak } = await ringing(line, model);
          expect(world.telephone(line).hears()).toBe('ringback');
          expect([sent('INVITE'), sent('UPDATE')]).toEqual([0, 0]);
          phone.lift(dialog.callId);
          // Whose OPTIONS tells nothing is heard.
          if (model === 'baresip') await speak();
          expect(await until(() => talks(line, dialog))).toBe(true);
          await world.run(2_000);
          expect(phone.rung).toEqual(new Map([[dialog.callId, 1]]));
          if (who === 'phone') {
            let status = 0;
            phone.bye(dialog, (final) => {
              status = final;
            });
            expect(await until(() => status === 200)).toBe(true);
            expect(await until(() => world.telephone(line).hears() === 'busy')).toBe(true);
          }
          world.telephone(line).onHook();
          expect(await until(() => dialog.state === 'ended')).toBe(true);
          await world.run(40_000);
          expect(phone.complaints).toEqual([]);
          expect(world.calls(backupHost)).toBe(0);
          expect(world.telephone(line).isIdle()).toBe(true);
        });

    for (const model of ['linphone', 'baresip'] as const)
      it(`like ${model}: the line gives up, and it rings no more`, async () => {
        const { phone, dialog } = await ringing(line, model);
        world.telephone(line).onHook();
        expect(await until(() => phone.ringing.size === 0, 5_000)).toBe(true);
        await world.run(40_000);
        expect([...phone.dialogs.values()].map(({ state }) => state)).toEqual(['ended']);
        expect(phone.rung.get(dialog.callId)).toBe(1);
        expect(phone.complaints).toEqual([]);
        expect(world.calls(backupHost)).toBe(0);
        expect(world.telephone(line).isIdle()).toBe(true);
      });

    it('which declines: the line hears busy', async () => {
      const { phone, dialog } = await ringing(line, 'linphone');
      phone.decline(dialog.callId);
      expect(await until(() => world.telephone(line).hears() === 'busy', 5_000)).toBe(true);
    });

    it('and leaves the network: the line hears reorder, not ringback for ever', async () => {
      await ringing(line, 'linphone');
      world.network.silence(phoneHost);
      expect(await until(() => world.telephone(line).hears() === 'reorder', 60_000)).toBe(true);
    });

    it('which nobody lifts: the line hears busy when the call has waited long enough, and it rings no more', async () => {
      const { phone } = await ringing(line, 'baresip');
      expect(await until(() => world.telephone(line).hears() === 'busy', 130_000)).toBe(true);
      await world.run(1_000);
      expect(phone.ringing.size).toBe(0);
    });

    it('while the gateway keeps no record: another member was told', async () => {
      const { phone, dialog } = await ringing(line, 'linphone', { records: 'forgets' });
      phone.lift(dialog.callId);
      expect(await until(() => talks(line, dialog))).toBe(true);
    });

    it('and the primary comes back: it goes on asking, and they talk', async () => {
      const { phone, dialog } = await ringing(line, 'linphone');
      world.network.revive(primaryHost);
      await world.startController(primaryHost);
      expect(await until(() => world.calls(primaryHost) > 0 && world.calls(backupHost) === 0, 30_000)).toBe(true);
      phone.lift(dialog.callId);
      expect(await until(() => talks(line, dialog))).toBe(true);
      world.telephone(line).onHook();
      expect(await until(() => dialog.state === 'ended')).toBe(true);
      await world.run(40_000);
      expect(phone.complaints).toEqual([]);
    });
  });
