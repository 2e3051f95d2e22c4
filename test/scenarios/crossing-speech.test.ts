/** What is heard on a call between an MGCP line and a MEGACO line while its controller dies, and what the gateways report of it. */
import { describe, expect, it } from 'vitest';
import { mediaOf } from '../../protocols/megaco/gateway/simulation.ts';
import { decodeDatagram } from '../../protocols/mgcp/codec/decode.ts';
import { readConnectionParameters } from '../../protocols/mgcp/codec/values/lists.ts';
import { toneOfLine } from '../../src/gateways/simulated-media.ts';
import { backupHost, CrossingWorld, primaryHost } from './crossing-world.ts';

describe('speech between two protocols', () => {
  it('goes both ways, goes on without a gap when the primary is killed, and is counted by both gateways', async () => {
    const world = await CrossingWorld.up({ speech: true });
    const { mgcp, megaco } = world;
    const mgcpLine = mgcp?.line(1);
    const megacoLine = megaco?.lines[0];
    if (megaco === undefined || mgcpLine === undefined || megacoLine === undefined) throw new Error('no gateways');
    const heardByMgcp = () => [...mgcpLine.connections.values()][0]?.stream?.heard;
    const heardByMegaco = () => mediaOf(megaco, megacoLine)?.stream?.heard;
    const [a, b] = [world.telephone('200'), world.telephone('300')];
    a.offHook();
    await world.run(300);
    a.dial('300');
    await world.run(500);
    expect(b.hears()).toBe('ring');
    // Nobody is heard before the call is answered.
    expect([heardByMgcp(), heardByMegaco()]).toEqual([undefined, undefined]);
    b.offHook();
    await world.run(1_000);
    expect(heardByMgcp()).toMatchObject({ toneHz: toneOfLine('aaln/1@gw1'), from: b.media().receivesAt });
    expect(heardByMegaco()).toMatchObject({ toneHz: toneOfLine('aaln/1@rgw1'), from: a.media().receivesAt });
    world.kill(primaryHost);
    await world.run(8_000);
    expect(world.calls(backupHost)).toBeGreaterThan(0);
    for (const heard of [heardByMgcp(), heardByMegaco()]) {
      expect(heard?.packets).toBeGreaterThan(400);
      expect(heard?.longestGapMs).toBeLessThan(100);
    }
    // RFC 3525 Annex E.12: what an audit of the ephemeral termination says.
    const { contextId } = megacoLine;
    const audit = { kind: 'Audit', items: ['Statistics'] } as const;
    const [reply] = megaco.contexts.execute([
      { contextId, commands: [{ verb: 'AuditValue', terminationId: 'rtp/*', descriptors: [audit] }] },
    ]);
    const [statistics] = reply?.commands[0]?.descriptors ?? [];
    const counted = statistics?.kind === 'Statistics' ? statistics.statistics : [];
    expect(Number(counted.find(({ name }) => name === 'rtp/pr')?.value)).toBeGreaterThan(400);
    const from = world.packets.length;
    a.onHook();
    b.onHook();
    await world.run(500);
    // RFC 3435 §2.3.7: the response to DeleteConnection tells the connection parameters.
    const [told] = world.packets.slice(from).flatMap(({ bytes }) => {
      const decoded = decodeDatagram(bytes);
      const messages = decoded.ok ? decoded.value.messages : [];
      return messages.flatMap((message) =>
        message.kind === 'response' && message.code === 250
          ? message.parameters.filter(({ code, value }) => code === 'P' && !value.includes('PR=0'))
          : [],
      );
    });
    const parameters = readConnectionParameters(told?.value ?? '');
    expect(parameters?.get('PR')).toBeGreaterThan(400);
    expect(parameters?.get('OS')).toBe(160 * (parameters?.get('PS') ?? 0));
    expect([a.isIdle(), b.isIdle()]).toEqual([true, true]);
    await world.stop();
  });
});
