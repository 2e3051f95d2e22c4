/** A controller on a floating address: what it does while another host has the address, and when it is back. */
import { afterEach, describe, expect, it } from 'vitest';
import type { CoreServices } from '../../../src/internal.ts';
import { FloatingAddresses } from '../../../src/network/floating.ts';
import { type LogLine, logLines } from '../../support/log-lines.ts';
import { reached } from '../../support/reached.ts';
import { primaryHost, World } from './world.ts';

class FloatingWorld extends World {
  readonly here = new Set<string>([primaryHost]);

  override services(host: string, cluster: Omit<CoreServices['cluster'], 'secret'>): CoreServices {
    const services = super.services(host, cluster);
    if (host !== primaryHost) return services;
    const floating = new FloatingAddresses({
      ...services,
      addresses: [primaryHost],
      hostAddresses: () => this.here,
    });
    return { ...services, network: floating.over(services.network) };
  }

  /** The address goes to another host: nobody hears the controller, nor does it hear anybody. */
  leave(): void {
    this.here.delete(primaryHost);
    this.network.silence(primaryHost);
  }

  comeBack(): void {
    this.network.revive(primaryHost);
    this.here.add(primaryHost);
  }
}

let world: FloatingWorld;
let lines: LogLine[];

async function start(isHere = true): Promise<void> {
  const logged = logLines('info');
  lines = logged.lines;
  world = new FloatingWorld({ backup: false, log: logged.log, gateway: { aware: false } });
  if (!isHere) world.leave();
  await world.startAgent(primaryHost);
  await world.run(2_500);
  for (const index of [0, 1]) await world.startGateway(index);
  await world.run(2_000);
}

afterEach(async () => {
  for (const role of world.roles.values()) await role.stop();
  for (const gateway of world.gateways) await gateway.stop();
});

const fromUs = (): number => world.packets.filter(({ from }) => from.host === primaryHost).length;

const events = (name: string): readonly LogLine[] => lines.filter(({ event }) => event === name);

async function talk(from: string, to: string): Promise<void> {
  const [a, b] = [world.line(from), world.line(to)];
  a.offHook();
  expect(await reached(world, () => a.hears === 'L/dl', 10_000), 'dial tone').toBe(true);
  a.dial(to, 60);
  expect(await reached(world, () => b.hears === 'L/rg', 10_000), 'ringing').toBe(true);
  b.offHook();
  expect(await reached(world, () => world.talking(from, to), 10_000), 'talking').toBe(true);
}

async function hangUp(from: string, to: string): Promise<void> {
  world.line(from).onHook();
  expect(await reached(world, () => world.line(to).hears !== '', 10_000), 'a tone after the end').toBe(true);
  world.line(to).onHook();
  expect(await reached(world, () => world.calls(primaryHost).length === 0, 10_000)).toBe(true);
}

describe('the address by which gateways reach their controller goes to another host', () => {
  it('the host that loses it forgets what it knew and says nothing, however long; back, it asks, and the call goes on', async () => {
    await start();
    await talk('200', '202');
    expect(world.calls(primaryHost)).toHaveLength(1);
    world.leave();
    await world.run(1_500);
    expect(world.calls(primaryHost)).toEqual([]);
    const before = fromUs();
    lines.length = 0;
    await world.run(300_000);
    expect(fromUs() - before, 'messages while it is away').toBe(0);
    expect([events('gatewayDown'), events('callFailed')]).toEqual([[], []]);
    expect(world.talking('200', '202')).toBe(true);
    world.comeBack();
    expect(await reached(world, () => world.calls(primaryHost).length === 1, 30_000)).toBe(true);
    expect(world.talking('200', '202')).toBe(true);
    await hangUp('200', '202');
    await talk('203', '201');
  });

  it('a host that begins without it waits, and serves as soon as it comes', async () => {
    await start(false);
    await world.run(60_000);
    expect(fromUs()).toBe(0);
    expect(events('gatewayDown')).toEqual([]);
    world.comeBack();
    await world.run(40_000);
    await talk('200', '202');
    await hangUp('200', '202');
  });
});
