/** Plain telephones behind two edges: what happens to a call while everybody lives. */
import { describe, expect, it } from 'vitest';
import { usualWorld } from '../support/sip-world.ts';

describe('a call between plain telephones behind two edges', () => {
  for (const copiesParams of [true, false])
    it(`is set up and hung up, ${copiesParams ? 'whole routes' : 'only URIs'} kept`, async () => {
      const { world, caller, callees } = await usualWorld({ copiesParams });
      const [callee] = callees;
      expect(caller.finals).toEqual(['REGISTER 200']);
      if (process.env['TRACE'] !== undefined)
        world.network.onPacket(({ from, to, bytes }) => {
          console.log(`${from.host} > ${to.host} ${bytes.toString('latin1').split('\r\n')[0]}`);
        });
      caller.onConfirmed = (dialog) => world.clock.after(1_000, () => caller.bye(dialog));
      const callId = caller.call('sip:bob@example.com');
      world.clock.advance(400_000);
      expect([caller.finals, caller.complaints]).toEqual([['REGISTER 200', 'INVITE 200', 'BYE 200'], []]);
      expect([callee?.rung.get(callId), callee?.served, callee?.complaints]).toEqual([1, ['BYE'], []]);
      expect(world.transactions('127.0.1.1', '127.0.1.2', '127.0.2.1', '127.0.2.2')).toBe(0);
    });
});
