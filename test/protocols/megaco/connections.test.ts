import { describe, expect, it } from 'vitest';
import { playCall } from './call-script.ts';
import { gatewayHosts, primaryHost, World } from './world.ts';

describe('RFC 3525 Annex D.2: over TCP requests go back along the connection that the gateway has made', () => {
  it('once that is gone, they go to the address where the gateway is provisioned, and to no ephemeral port', async () => {
    const world = await World.up({ transport: 'tcp', config: { timers: { inactivityMs: 0 } } });
    for (const { listeners } of world.gateways) {
      expect(listeners[0]?.connections).toBe(1);
      listeners[0]?.flowTo({ host: primaryHost, port: 2944 }).close();
    }
    await world.run(1_000);
    const from = world.packets.length;
    // Callers reach the controller over a new connection; for the called line the controller has to make one.
    expect((await playCall(world, '200', '202')).stuckAt).toBeUndefined();
    const sent = world.packets.slice(from).filter(({ to }) => to.host === gatewayHosts[1]);
    expect(sent[0]?.to.port).toBe(2944);
  });

  it('what is under way goes on over the new connection, with the same transaction id', async () => {
    const world = await World.up({ transport: 'tcp', config: { timers: { inactivityMs: 0 } } });
    const [, called] = world.gateways;
    let lost: string | undefined;
    world.network.onArrival(({ from, to, bytes }) => {
      const text = bytes.toString('latin1');
      const transaction = /T=(\d+)\{/.exec(text)?.[1];
      if (lost !== undefined || from.host !== primaryHost || to.host !== gatewayHosts[1] || transaction === undefined)
        return;
      lost = transaction;
      called?.listeners[0]?.flowTo({ host: primaryHost, port: 2944 }).close();
      return 'drop';
    });
    expect((await playCall(world, '200', '202')).stuckAt).toBeUndefined();
    expect(lost).toBeDefined();
    const again = world.summary().filter((line) => line.includes(`T=${lost}{`));
    expect(again.length).toBeGreaterThan(1);
  });
});
