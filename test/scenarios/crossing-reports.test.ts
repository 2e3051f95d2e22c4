/**
 * What was reported of other products about calls whose controller died: an URI of the dead one in CANCEL and BYE, an ACK that comes back to
 * its sender, the first request after a switch, a call that is held at that moment. Each is tried here.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { SimPhone } from '../support/sip-ua.ts';
import {
  answered,
  asks,
  confirmed,
  dialled,
  holding,
  isTalking,
  lines,
  phoneHost,
  type Scene,
  until,
} from './crossing-scene.ts';
import { backupHost, type CrossingOptions, CrossingWorld, primaryHost } from './crossing-world.ts';

let world: CrossingWorld;

afterEach(async () => {
  await world.stop();
});

async function scene(
  line: string,
  options: CrossingOptions = {},
  answering: SimPhone['answering'] = 'answer',
): Promise<Scene> {
  world = await CrossingWorld.up({ sip: {}, ...options });
  const phone = await world.phone('7001', phoneHost, { answering, ringMs: 1_000, model: 'linphone' });
  return { world, phone, line, talkMs: 700 };
}

async function failOver(): Promise<void> {
  world.kill(primaryHost);
  await world.run(20_000);
  expect(world.calls(backupHost)).toBeGreaterThan(0);
}

const requests = (method: string, from = '', to = ''): readonly string[] =>
  world.packets
    .filter((packet) => (from === '' || packet.from.host === from) && (to === '' || packet.to.host === to))
    .map(({ bytes }) => bytes.toString('latin1'))
    .filter((text) => text.startsWith(`${method} `));

const uriOf = (text: string | undefined): string | undefined => text?.split(' ')[1];
const branchOf = (text: string | undefined): string | undefined => /;branch=([^;\s]+)/.exec(text ?? '')?.[1];

for (const [kind, line] of lines)
  describe(kind, () => {
    for (const edge of [true, false]) {
      const where = edge ? 'behind an edge' : 'alone';

      // RestComm/load-balancer#16
      it(`gives up a call whose controller died while it rang: CANCEL and BYE name the telephone, ${where}`, async () => {
        const s = await scene(line, { edge }, 'ring');
        const { phone } = s;
        await dialled(s, () => phone.ringing.size > 0 && world.telephone(line).hears() === 'ringback');
        await world.run(300);
        world.kill(primaryHost);
        await world.run(8_000);
        world.telephone(line).onHook();
        expect(await until(world, () => phone.ringing.size === 0)).toBe(true);
        const [invite] = requests('INVITE', '', phoneHost);
        const cancels = requests('CANCEL', '', phoneHost);
        expect(cancels.length).toBeGreaterThan(0);
        for (const cancel of cancels)
          expect([uriOf(cancel), branchOf(cancel)]).toEqual([uriOf(invite), branchOf(invite)]);
        for (const bye of requests('BYE', '', phoneHost)) expect(uriOf(bye)).toBe(phone.contact);
      });

      // OpenSIPS/opensips#2275, #3902, dOpensource/dsiprouter#426
      it(`is held and resumed after its controller died, and no ACK comes back to its sender, ${where}`, async () => {
        const s = await scene(line, { edge });
        expect(await answered(s)).toBeUndefined();
        await failOver();
        for (let turn = 0; turn < 3; turn += 1) {
          expect(await asks(s, 'INVITE', '', holding)).toBe(200);
          await world.run(500);
          expect(world.telephone(line).media().sendsTo).toBeUndefined();
          expect(await asks(s, 'INVITE')).toBe(200);
          await world.run(500);
          expect(isTalking(s)).toBe(true);
        }
        expect(requests('ACK', backupHost, backupHost)).toEqual([]);
        expect(requests('ACK', backupHost, primaryHost)).toEqual([]);
        expect(s.phone.complaints).toEqual([]);
      });

      // signalwire/freeswitch#755
      it(`is held as its controller dies: it stays held, and comes back, ${where}`, async () => {
        const s = await scene(line, { edge });
        expect(await answered(s)).toBeUndefined();
        expect(await asks(s, 'INVITE', '', holding)).toBe(200);
        await world.run(500);
        await failOver();
        expect(world.telephone(line).media().sendsTo).toBeUndefined();
        expect(confirmed(s.phone)).toBeDefined();
        expect(await asks(s, 'INVITE')).toBe(200);
        await world.run(500);
        expect(isTalking(s)).toBe(true);
      });

      // OpenSIPS/opensips#1189
      it(`answers the first request in the dialog after the switch, and after the way back, ${where}`, async () => {
        const s = await scene(line, { edge });
        expect(await answered(s)).toBeUndefined();
        await failOver();
        expect(await asks(s, 'OPTIONS')).toBe(200);
        world.network.revive(primaryHost);
        await world.startController(primaryHost);
        expect(await until(world, () => world.calls(primaryHost) > 0 && world.calls(backupHost) === 0, 60_000)).toBe(
          true,
        );
        await world.run(2_000);
        expect(await asks(s, 'OPTIONS')).toBe(200);
        expect(await asks(s, 'INVITE')).toBe(200);
        expect(isTalking(s)).toBe(true);
        world.telephone(line).onHook();
        expect(await until(world, () => confirmed(s.phone) === undefined)).toBe(true);
      });
    }

    it('talks with a party of which nobody has kept anything: reorder, not at once', async () => {
      const s = await scene(line, { edge: true, records: 'forgets', hasLink: false });
      expect(await answered(s)).toBeUndefined();
      world.kill(primaryHost);
      // MGCP's call id tells that the other party is no line, and nobody will report it.
      await world.run(line === '200' ? 4_000 : 0);
      if (line === '200') expect(world.telephone(line).media().sendsTo).toBeDefined();
      expect(await until(world, () => world.telephone(line).hears() !== 'nothing')).toBe(true);
      // MEGACO's audit does not tell that the other party is none: its line is one whose other end has left.
      expect(world.telephone(line).hears()).toBe(line === '200' ? 'reorder' : 'busy');
    });
  });
