/** What is counted of each gateway: whether it answers, and what becomes of the calls of its lines. */
import { afterEach, describe, expect, it } from 'vitest';
import { CallMetrics } from '../../../src/journal/call-metrics.ts';
import { journalOf } from '../../support/services.ts';
import { gatewayHosts, primaryHost, World } from './world.ts';

let world: World;
afterEach(() => world.stop());

async function start(): Promise<(name: string) => Promise<readonly string[]>> {
  world = await World.up({ backup: false });
  const services = world.servicesOf.get(primaryHost);
  if (services === undefined) throw new Error('no call agent');
  new CallMetrics(services.metrics, journalOf(services.clock));
  return async (name) =>
    ((await services.metrics.text()).match(new RegExp(`^altpath_${name}\\{.*$`, 'gm')) ?? []).map((line) =>
      line.replace(/^altpath_[a-z_]+\{protocol="mgcp",/, '').replaceAll('"', ''),
    );
}

async function call(from: string, to: string, isAnswered: boolean): Promise<void> {
  const [a, b] = [world.line(from), world.line(to)];
  a.offHook();
  await world.run(100);
  a.dial(to);
  await world.run(200);
  if (isAnswered) b.offHook();
  await world.run(200);
  a.onHook();
  await world.run(200);
  b.onHook();
  await world.run(200);
}

const deaths = async (series: (name: string) => Promise<readonly string[]>): Promise<readonly number[]> =>
  (await series('gateway_deaths_total')).map((line) => Number(line.split(' ').at(-1)));

describe('metrics of gateways', () => {
  it('say from the start which gateways there are, and which of them answer', async () => {
    const series = await start();
    expect(await series('gateway_up')).toEqual(['gateway=rgw1} 1', 'gateway=rgw2} 1']);
    // Before they were started nobody answered.
    const [first, second] = await deaths(series);
    world.network.silence(gatewayHosts[1]);
    await world.run(120_000);
    expect(await series('gateway_up')).toEqual(['gateway=rgw1} 1', 'gateway=rgw2} 0']);
    expect(await deaths(series)).toEqual([first, (second ?? 0) + 1]);
  });

  it('count calls at the gateway of the caller and at that of the called party', async () => {
    const series = await start();
    await call('200', '202', true);
    await call('200', '202', false);
    await call('203', '200', true);
    world.line('200').offHook();
    await world.run(100);
    world.line('200').dial('999');
    await world.run(200);
    world.line('200').onHook();
    await world.run(200);
    const attempts = await series('gateway_call_attempts_total');
    expect(attempts).toEqual(
      expect.arrayContaining([
        'gateway=rgw1,side=caller} 3',
        'gateway=rgw1,side=callee} 1',
        'gateway=rgw2,side=caller} 1',
        'gateway=rgw2,side=callee} 2',
      ]),
    );
    expect(await series('gateway_call_answers_total')).toEqual(
      expect.arrayContaining([
        'gateway=rgw1,side=caller} 1',
        'gateway=rgw1,side=callee} 1',
        'gateway=rgw2,side=caller} 1',
        'gateway=rgw2,side=callee} 1',
      ]),
    );
    // Who gives up, or dials a number that is nobody's, is served as well as can be.
    expect(await series('gateway_call_effective_total')).toEqual(
      expect.arrayContaining(['gateway=rgw1,side=caller} 3']),
    );
  });
});
