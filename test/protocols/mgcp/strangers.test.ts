import { describe, expect, it } from 'vitest';
import { gatewayHosts, primaryHost, World } from './world.ts';

/** Sends what it is told to, from this host, and keeps what comes back. */
async function sender(world: World, host: string, port = 2499) {
  const answers: string[] = [];
  const listener = await world.network
    .host(host)
    .bind(
      { transport: 'udp', host, port },
      {},
      { received: (bytes) => answers.push(bytes.toString('latin1')), failed: () => undefined },
    );
  const flow = listener.flowTo({ host: primaryHost, port: 2727 });
  return { answers, send: (text: string) => flow.send(Buffer.from(text, 'latin1')) };
}

const shapes: readonly (readonly [string, (id: number) => string])[] = [
  ['a command whose lines cannot be read', (id) => `NTFY ${id} aaln/1@rgw1 MGCP 1.0\r\nnonsense\r\n`],
  ['a command of another version', (id) => `NTFY ${id} aaln/1@rgw1 MGCP 7.0\r\n`],
  [
    'one that cannot be read behind one that can (piggy-backing, RFC 3435 §3.5.5)',
    (id) => `NTFY ${id} aaln/1@rgw9 MGCP 1.0\r\nX: 1\r\nO: L/hd\r\n.\r\nNTFY ${id + 1_000} aaln/1@rgw1 MGCP 7.0\r\n`,
  ],
  ['a command of a gateway that is not provisioned', (id) => `NTFY ${id} aaln/1@rgw9 MGCP 1.0\r\nX: 1\r\nO: L/hd\r\n`],
];

describe('RFC 3435 §2.4, §5: whoever is no gateway of ours gets no answer, and is counted', () => {
  it.each(shapes)('%s', async (_name, text) => {
    const world = await World.up({ backup: false });
    const stranger = await sender(world, '127.0.0.66');
    for (let id = 1; id <= 20; id += 1) stranger.send(text(id));
    await world.run(1_000);
    expect(stranger.answers).toEqual([]);
    await world.stop();
  });

  it('a provisioned gateway is told what it said wrong, from whatever port it speaks', async () => {
    const world = await World.up({ backup: false });
    const gateway = await sender(world, gatewayHosts[0]);
    gateway.send('NTFY 5 aaln/1@rgw1 MGCP 7.0\r\n');
    await world.run(100);
    expect(gateway.answers).toHaveLength(1);
    expect(gateway.answers[0]).toMatch(/^5\d\d 5 /);
    await world.stop();
  });
});
