import { describe, expect, it } from 'vitest';
import { payloadTypes } from '../../src/internal.ts';
import { type CrossingOptions, CrossingWorld, primaryHost } from './crossing-world.ts';

/** RFC 3264 §6.1: an answer has codecs of the offer only; where there is none in common, there is no call. */
describe('codecs of a call between MGCP and MEGACO lines', () => {
  const common: readonly (readonly [string, CrossingOptions, number])[] = [
    ['PCMA alone on the MEGACO side', { payloadTypes: [8] }, 8],
    ['PCMU alone on the MGCP side', { codecs: ['PCMU'], payloadTypes: [8, 0] }, 0],
    ['PCMA alone on the MGCP side', { codecs: ['PCMA', 'telephone-event'], payloadTypes: [18, 0, 8] }, 8],
  ];
  for (const [name, options, codec] of common) {
    for (const [from, to] of [
      ['200', '300'],
      ['300', '200'],
    ] as const) {
      it(`${name}, ${from} calls ${to}: both speak what both have`, async () => {
        const world = await CrossingWorld.up(options);
        await calls(world, from, to);
        expect(world.telephone(to).hears()).toBe('ring');
        world.telephone(to).offHook();
        await world.run(500);
        expect(world.talking(from, to)).toBe(true);
        const speech = (sdp: string) => payloadTypes(sdp).filter((type) => type !== 101);
        const [answer = ''] = descriptionsFrom(world, to);
        expect(speech(answer)).toEqual([codec]);
        await world.stop();
      });
    }
  }

  for (const [from, to] of [
    ['200', '300'],
    ['300', '200'],
  ] as const) {
    it(`nothing in common, ${from} calls ${to}: the bell does not ring, the caller hears it at once`, async () => {
      const world = await CrossingWorld.up({ codecs: ['PCMU'], payloadTypes: [8] });
      await calls(world, from, to);
      expect([world.telephone(from).hears(), world.telephone(to).hears()]).toEqual(['reorder', 'nothing']);
      expect(world.calls(primaryHost)).toBe(0);
      expect(descriptionsFrom(world, to)).toEqual([]);
      world.telephone(from).onHook();
      await world.run(500);
      expect([world.telephone(from).isIdle(), world.telephone(to).isIdle()]).toEqual([true, true]);
      await world.stop();
    });
  }
});

async function calls(world: CrossingWorld, from: string, to: string): Promise<void> {
  world.telephone(from).offHook();
  await world.run(200);
  world.telephone(from).dial(to);
  await world.run(500);
}

/** Session descriptions that the gateway of this telephone has sent, newest first. */
function descriptionsFrom(world: CrossingWorld, number: string): readonly string[] {
  const host = number.startsWith('2') ? '127.0.0.11' : '127.0.0.21';
  return world.packets
    .filter(({ from }) => from.host === host)
    .map(({ bytes }) => bytes.toString('latin1'))
    .filter((text) => text.includes('m=audio'))
    .reverse();
}
