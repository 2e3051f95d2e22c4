import { describe, expect, it } from 'vitest';
import { SimGateway } from '../../../protocols/mgcp/gateway/sim-gateway.ts';
import { Metrics, parseAddress, readAllowRule } from '../../../src/internal.ts';
import { address, backupHost, primaryHost, World } from './world.ts';

const gatewayHost = '127.0.0.31';

/** What a gateway makes of an audit with this attribute from `from`: its alternates, and its counters. */
async function told(value: string, allow: readonly string[] = [], from = primaryHost) {
  const world = new World({ backup: false });
  const metrics = new Metrics();
  const gateway = new SimGateway(
    { ...world.services(gatewayHost, { backups: [], backupFor: [] }), metrics },
    {
      name: 'rgw9',
      listen: parseAddress(`udp:${gatewayHost}:2427`, { port: 2427 }),
      callAgents: [address(primaryHost)],
      lines: 1,
      allow: allow.map(readAllowRule).filter((rule) => rule !== undefined),
    },
  );
  await gateway.start();
  const listener = await world.network
    .host(from)
    .bind({ transport: 'udp', host: from, port: 2727 }, {}, { received() {}, failed() {} });
  listener
    .flowTo({ host: gatewayHost, port: 2427 })
    .send(Buffer.from(`AUEP 5 aaln/1@rgw9 MGCP 1.0\r\nX-ALTPTH: ${value}\r\n`, 'latin1'));
  await world.run(20);
  const [line] = gateway.lines;
  const hosts = line === undefined ? [] : gateway.destination(line).alternates.map(({ host }) => host);
  const text = await metrics.text();
  const count = (name: string) => Number(new RegExp(`^\\S*${name}\\S* (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  await gateway.stop();
  await listener.close();
  return {
    hosts,
    malformed: count('mgcp_alternates_malformed_total'),
    refused: count('mgcp_alternates_refused_total'),
  };
}

describe('the path attribute is obeyed within limits', () => {
  it('of a call agent that was provisioned, and of no stranger', async () => {
    expect((await told(`ca@[${backupHost}]`)).hosts).toEqual([backupHost]);
    expect((await told(`ca@[${backupHost}]`, [], '127.0.0.77')).hosts).toEqual([]);
  });

  it('where an alternate may lie: others of the list are left out and counted', async () => {
    const outcome = await told(`ca@[${backupHost}], ca@[10.9.9.9]`, ['127.0.0.0/8:2727']);
    expect(outcome).toEqual({ hosts: [backupHost], malformed: 0, refused: 1 });
  });

  it('a malformed attribute is passed over whole, and counted', async () => {
    expect(await told(`ca@[${backupHost}], ca@[:::`)).toEqual({ hosts: [], malformed: 1, refused: 0 });
  });
});
