import { afterEach, expect, it } from 'vitest';
import { request, SipWorld, startLine, statusOf } from './world.ts';

let world: SipWorld;

afterEach(() => world.down());

const section = (routes: readonly unknown[]) => ({
  listen: ['udp:127.0.0.1:5060', 'tcp:127.0.0.1:5060'],
  routes,
});

it('a reload changes where the next request goes, and says so; the same table again changes nothing', async () => {
  world = await SipWorld.up({ config: { routes: [{ prefix: '+49', to: ['127.0.0.20:5070'] }] } });
  const caller = await world.peer('127.0.0.9:5062');
  const before = await world.peer('127.0.0.20:5070');
  const after = await world.peer('127.0.0.21:5070');

  caller.send(request('MESSAGE', { uri: 'tel:+4930', branch: 'z9hG4bKone', callId: 'one' }));
  await world.run();
  expect(startLine(before.last)).toBe('MESSAGE tel:+4930 SIP/2.0');

  const fresh = section([{ prefix: '+49', to: ['127.0.0.21:5070'] }]);
  expect(world.role.reload(fresh)).toContain('1 routes');
  caller.send(request('MESSAGE', { uri: 'tel:+4930', branch: 'z9hG4bKtwo', callId: 'two' }));
  await world.run();
  expect(startLine(after.last)).toBe('MESSAGE tel:+4930 SIP/2.0');
  expect(before.heard).toHaveLength(1);

  expect(world.role.reload(fresh)).not.toContain('1 routes');
  world.role.reload(section([]));
  caller.send(request('MESSAGE', { uri: 'tel:+4930', branch: 'z9hG4bKthree', callId: 'three' }));
  await world.run();
  expect(statusOf(caller.last)).toBe(416);
});
