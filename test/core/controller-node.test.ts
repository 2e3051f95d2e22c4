import { describe, expect, it } from 'vitest';
import { megacoConfigSchema } from '../../protocols/megaco/config.ts';
import { mgcpConfigSchema } from '../../protocols/mgcp/config.ts';
import { type ControllerAddress, ControllerNode, parseAddress } from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';

const at = (host: string): ControllerAddress => parseAddress(`udp:${host}:2944`, { port: 2944 });

function nodeOf(host: string, own: { readonly advertise?: string | undefined; readonly member?: number } = {}) {
  return new ControllerNode<string>({
    services: {
      clock: new FakeClock(),
      random: seededRandom(1),
      cluster: { backups: [at('127.0.0.2')], backupFor: [], secret: '' },
    },
    adapter: {
      protocol: 'test',
      decode: () => ({ ok: true, value: '' }),
      encode: (message, path) => Buffer.from(`${message} ${path?.alternates.map((each) => each.host).join(',') ?? ''}`),
      paths: () => [],
      probe: (_to, _from, id) => id,
    },
    config: { listen: [at(host)], timers: { holdMs: 1_000 }, ...own },
    idSpace: { min: 1, max: 1_600 },
    isDead: () => false,
  });
}

describe('what a controller of gateways is on the network', () => {
  it('is known by the address that it listens on; behind a wildcard by what the operator says', () => {
    expect(nodeOf('127.0.0.1').self()).toEqual(at('127.0.0.1'));
    expect(nodeOf('0.0.0.0', { advertise: 'mgc.example' }).self()).toEqual(at('mgc.example'));
    expect(nodeOf('0.0.0.0').self().host).not.toBe('0.0.0.0');
    for (const schema of [mgcpConfigSchema, megacoConfigSchema])
      expect(schema.parse({ advertise: 'mgc.example' }).advertise).toBe('mgc.example');
  });

  it('uses ids that no other member uses', () => {
    const slices = [0, 1, 15].map((member) => nodeOf('127.0.0.1', { member }).ids.slice);
    expect(slices).toEqual([
      { min: 1, max: 100 },
      { min: 101, max: 200 },
      { min: 1_501, max: 1_600 },
    ]);
  });
});
