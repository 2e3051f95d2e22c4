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

const answers: readonly (readonly [string, string])[] = [
  ['a response that asks for an acknowledgement (RFC 3435 §3.5.6)', '200 5 OK\r\nK:\r\n'],
  ['a response that cannot be read', '200 5 OK\r\nnonsense\r\n'],
  ['an acknowledgement', '000 5\r\n'],
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

  it.each(answers)('%s', async (_name, text) => {
    const world = await World.up({ backup: false });
    const stranger = await sender(world, '127.0.0.66');
    stranger.send(text);
    await world.run(1_000);
    expect(stranger.answers).toEqual([]);
    await world.stop();
  });

  it('an acknowledgement of a stranger keeps no gateway from its answer (§3.5.6)', async () => {
    const world = await World.up({ backup: false, conditions: { latencyMs: 20 } });
    const gateway = await sender(world, gatewayHosts[0]);
    const stranger = await sender(world, '127.0.0.66');
    // What its lines do has to be asked first, so the answer comes late, and wants to be acknowledged.
    world.kill(primaryHost);
    world.network.revive(primaryHost);
    await world.startAgent(primaryHost);
    const notify = 'NTFY 77 aaln/1@rgw1 MGCP 1.0\r\nX: 1\r\nO: L/hf\r\n';
    gateway.send(notify);
    await world.run(120);
    expect(gateway.answers.map((text) => text.slice(0, 7))).toEqual(['100 77 ', '200 77 ']);
    stranger.send('000 77\r\n');
    await world.run(50);
    gateway.send(notify);
    await world.run(50);
    expect(gateway.answers).toHaveLength(3);
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
