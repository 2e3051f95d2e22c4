import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readBulkReport } from '../../../protocols/mgcp/bulk-audit.ts';
import { decodeDatagram } from '../../../protocols/mgcp/codec/decode.ts';
import { expandNames, writeNames } from '../../../protocols/mgcp/codec/values/ranges.ts';
import { backupHost, gatewayHosts, primaryHost, World, type WorldOptions } from './world.ts';

const examples = readFileSync(new URL('../../vectors/mgcp/rfc3624.txt', import.meta.url), 'utf8').split('----\n');

const reportsOf = (text: string) => {
  const decoded = decodeDatagram(Buffer.from(text, 'latin1'));
  const [message] = decoded.ok ? decoded.value.messages : [];
  return message?.kind === 'response' ? readBulkReport(message) : undefined;
};

describe('RFC 3624 §2.1.2, §2.2: reports', () => {
  it('give each endpoint its count, however the lists are cut', () => {
    const cnf = examples.filter((text) => text.startsWith('200 1202')).map(reportsOf);
    expect(cnf.length).toBe(3);
    for (const report of cnf)
      expect(report?.map(({ local, connections }) => `${local}=${connections}`)).toEqual(
        ['1=0', '2=3', '3=5', '6=3', '7=4', '8=5', '9=0', '10=3', '11=3', '12=3'].map((each) => `cnf/${each}`),
      );
  });

  it('give states and counts of the same endpoints', () => {
    const report = reportsOf(
      '200 1151 OK\nBA/EL: ds/ds3-1/ds1-6/[4-15]\nBA/S:  FFFTFFFFFFFO\nBA/C:  011000010001\nBA/NE: ds/ds3-1/ds1-6/16\n',
    );
    expect(report?.[3]).toEqual({ local: 'ds/ds3-1/ds1-6/7', state: 'T', connections: '0' });
    expect(report?.at(-1)).toEqual({ local: 'ds/ds3-1/ds1-6/15', state: 'O', connections: '1' });
  });

  it('are refused where names and lists do not add up', () => {
    expect(reportsOf('200 1 OK\nBA/EL: a/[1-3]\nBA/C: 00\n')).toBeUndefined();
    expect(reportsOf('200 1 OK\nBA/EL: a/[1-3]\nBA/S: FFX\n')).toBeUndefined();
    expect(reportsOf('200 1 OK\nBA/C: 00\n')).toBeUndefined();
  });

  it('names written with ranges are read as the same names', () => {
    const names = ['aaln/1', 'aaln/2', 'aaln/3', 'aaln/7', 'ds/1/9', 'ds/1/10', 'cnf'];
    expect(writeNames(names)).toBe('aaln/[1-3], aaln/7, ds/1/[9-10], cnf');
    expect(expandNames(writeNames(names))).toEqual(names);
  });
});

describe('takeover of a gateway that lists package BA', () => {
  const many: WorldOptions = { linesPerGateway: 30 };

  it('asks for all lines at once, and by themselves only for those that are not idle; the call is saved', async () => {
    const { audits, bulk } = await takeover({ ...many, gateway: { bulk: true } });
    expect(bulk).toBe(2);
    // The two lines of the call and one that waits for digits.
    expect(audits).toBe(3);
  });

  it('goes on where a report ended (NextEndpointName, §2.1.1.7)', async () => {
    const { audits, bulk } = await takeover({ linesPerGateway: 1_010, gateway: { bulk: true } }, '1210');
    expect({ audits, bulk }).toEqual({ audits: 3, bulk: 4 });
  });

  it('asks so after disconnected, too, and for the names after a restart', async () => {
    const world = await World.up({ ...many, gateway: { bulk: true } });
    try {
      const before = world.packets.length;
      const [host] = gatewayHosts;
      const listener = await world.network
        .host(host)
        .bind({ transport: 'udp', host, port: 0 }, {}, { received() {}, failed() {} });
      const text = 'RSIP 905 *@rgw1 MGCP 1.0\r\nRM: disconnected\r\n';
      listener.flowTo({ host: primaryHost, port: 2727 }).send(Buffer.from(text, 'latin1'));
      await world.run(1_000);
      await listener.close();
      world.gateways[0]?.restart();
      await world.run(1_000);
      const sent = world.packets.slice(before).map(({ bytes }) => bytes.toString('latin1'));
      expect(sent.filter((each) => each.includes('BA/F: BA/S(H,N,S), BA/C'))).toHaveLength(1);
      expect(sent.filter((each) => each.includes('BA/F: BA/Z'))).toHaveLength(1);
      expect(sent.filter((each) => each.includes('BA/Z: aaln/[1-30]'))).toHaveLength(1);
      expect(sent.filter((each) => each.includes('F: I,X'))).toEqual([]);
      expect(world.line('229').notification.request.events.map(({ id }) => id)).toContain('hd');
    } finally {
      await world.stop();
    }
  });

  it('falls back to one audit for each line where the package is missing', async () => {
    const { audits, bulk } = await takeover(many);
    expect(bulk).toBe(0);
    expect(audits).toBe(60);
  });
});

/** The primary dies while 200 talks with 230 and 205 hears dial tone; what the backup then asked. */
async function takeover(options: WorldOptions, callee = '230'): Promise<{ audits: number; bulk: number }> {
  const world = await World.up(options);
  try {
    const [a, b, c] = [world.line('200'), world.line(callee), world.line('205')];
    a.offHook();
    c.offHook();
    await world.run(200);
    a.dial(callee);
    await world.run(200);
    b.offHook();
    await world.run(200);
    expect(world.talking('200', callee)).toBe(true);
    const before = world.packets.length;
    world.kill(primaryHost);
    await world.run(4_000);
    expect(world.talking('200', callee)).toBe(true);
    expect(c.hears).toBe('L/dl');
    const last = 200 + 2 * (options.linesPerGateway ?? 2);
    for (let number = 200; number < last; number += 1) expect(world.owner(String(number))).toBe(backupHost);
    expect(world.calls(backupHost).length).toBe(2);
    a.onHook();
    await world.run(500);
    expect(b.hears).not.toBe('');
    const sent = world.packets
      .slice(before)
      .filter(({ from }) => from.host === backupHost)
      .map(({ bytes }) => bytes.toString('latin1'));
    return {
      audits: sent.filter((text) => /^AUEP \d+ aaln.*\r\nF: I/m.test(text)).length,
      bulk: sent.filter((text) => text.includes('BA/F: BA/S(H,N,S), BA/C')).length,
    };
  } finally {
    await world.stop();
  }
}
