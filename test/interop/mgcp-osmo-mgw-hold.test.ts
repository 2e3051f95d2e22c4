/** A line talks through osmo-mgw to a party that holds and resumes the call: who hears whom after each. */
import { afterEach, describe, expect, it } from 'vitest';
import { SimGateway } from '../../protocols/mgcp/gateway/sim-gateway.ts';
import { isIdle } from '../../protocols/mgcp/gateway/simulation.ts';
import { createMgcpRole, mgcpConfigSchema } from '../../protocols/mgcp/index.ts';
import {
  createNetwork,
  Metrics,
  parseAddress,
  RtpMedia,
  silentLog,
  systemClock,
  systemRandom,
} from '../../src/internal.ts';
import { MemoryLocations } from '../../src/location/memory.ts';
import { joinParty } from '../support/call-party.ts';
import { withCallControl } from '../support/services.ts';
import { stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { osmoMgwAbsent, startOsmoMgw } from './support/osmo-mgw.ts';
import { scratchDirectory } from './support/scratch.ts';
import { until } from './support/until.ts';

const ends: (() => Promise<void>)[] = [];

describe.skipIf(osmoMgwAbsent)(
  `hold through osmo-mgw${osmoMgwAbsent === undefined ? '' : ` (${osmoMgwAbsent})`}`,
  () => {
    afterEach(async () => {
      for (const end of ends.splice(0).reverse()) await end();
      await stopAll();
    });

    it('ten times: nobody hears anybody while the call is held, and both hear each other again after each', async () => {
      const { line, party, partySpeaks, sdp, stream, mgw } = await talking();
      const heardByParty = () => stream.counters.packetsReceived;
      const heardByLine = () => [...line.connections.values()][0]?.stream?.counters.packetsReceived ?? 0;
      const bothHear = async (what: string) => {
        const [before, lineBefore] = [heardByParty(), heardByLine()];
        await until(what, 5_000, () => heardByParty() > before + 5 && heardByLine() > lineBefore + 5);
      };
      await bothHear('speech both ways');
      for (let time = 0; time < 10; time += 1) {
        const [direction, answer] = time % 2 === 0 ? ['a=sendonly', 'a=recvonly'] : ['a=inactive', 'a=inactive'];
        partySpeaks(false);
        party.report({ kind: 'modifyOffered', description: sdp(direction) });
        await until(`held ${time}`, 5_000, () => party.heard('modifyAnswer').length === 2 * time + 1);
        expect(String(party.heard('modifyAnswer').at(-1))).toContain(`\r\n${answer}\r\n`);
        // What was on its way arrives yet.
        await pause(100);
        const before = [heardByParty(), heardByLine()];
        await pause(200);
        expect([heardByParty(), heardByLine()], `held ${time}`).toEqual(before);
        party.report({ kind: 'modifyOffered', description: sdp() });
        await until(`resumed ${time}`, 5_000, () => party.heard('modifyAnswer').length === 2 * time + 2);
        partySpeaks(true);
        await bothHear(`speech again ${time}`);
      }
      expect(party.heard('modifyRefuse')).toEqual([]);
      line.onHook();
      await until('no connection on the media gateway', 5_000, async () => (await mgw.connections()) === 0);
    });
  },
);

const pause = (ms: number) => new Promise<void>((resolve) => systemClock.after(ms, resolve));

async function talking() {
  const [mgwHost, agentHost, lineHost, partyHost] = await Promise.all([
    freeHost(2427, 4243),
    freeHost(2727),
    freeHost(2427),
    freeHost(2427),
  ]);
  const mgw = await startOsmoMgw(mgwHost, scratchDirectory('mgcp'));
  const metrics = new Metrics();
  const bare = { clock: systemClock, log: silentLog, metrics };
  const network = createNetwork(bare);
  const parts = { ...bare, random: systemRandom, network };
  const services = withCallControl({
    ...parts,
    dns: { naptr: noAnswer, srv: noAnswer, a: noAnswer, aaaa: noAnswer },
    locations: new MemoryLocations(parts),
    cluster: { secret: 'a secret of this test', backups: [], backupFor: [] },
  });
  const config = mgcpConfigSchema.parse({
    listen: [`${agentHost}:2727`],
    relay: 'mgw',
    gateways: [
      { name: 'mgw', addresses: [`${mgwHost}:2427`], profile: 'media' },
      { name: 'rgw1', addresses: [`${lineHost}:2427`] },
    ],
    lines: [{ number: '200', endpoint: 'aaln/1@rgw1' }],
  });
  const role = createMgcpRole(services, config, { trust: [], allow: [], strip: 'none' });
  await role.start();
  ends.push(() => role.stop());
  const media = new RtpMedia({ ...parts, host: lineHost });
  const gateway = new SimGateway(parts, {
    name: 'rgw1',
    listen: parseAddress(`udp:${lineHost}:2427`, { port: 2427 }),
    callAgents: [parseAddress(`udp:${agentHost}:2727`, { port: 2727 })],
    lines: 1,
    media,
  });
  await gateway.start();
  ends.push(() => gateway.stop());
  const line = gateway.line(1);
  if (line === undefined) throw new Error('no line');
  const partyMedia = new RtpMedia({ ...parts, host: partyHost });
  await partyMedia.start();
  ends.push(() => partyMedia.stop());
  const stream = partyMedia.open(1_000);
  if (stream === undefined) throw new Error('no port');
  const sdp = (...attributes: readonly string[]): string =>
    [
      'v=0',
      `o=- 1 1 IN IP4 ${partyHost}`,
      's=-',
      `c=IN IP4 ${partyHost}`,
      't=0 0',
      `m=audio ${stream.port} RTP/AVP 0`,
      ...attributes,
      '',
    ].join('\r\n');
  const party = joinParty(services, '900');
  await until('line armed', 10_000, () => isIdle(line));
  line.offHook();
  await until('dial tone', 5_000, () => line.hears === 'L/dl');
  line.dial('900', 20);
  await until('called', 5_000, () => party.heard('alert').length === 1);
  const offer = String(party.heard('alert')[0]);
  const partySpeaks = (speaks: boolean): void => stream.set(offer, speaks ? 'both' : 'receive');
  party.report({ kind: 'answered', description: sdp() });
  partySpeaks(true);
  await until('talk path', 5_000, () => line.talksTo.length === 1);
  return { line, party, partySpeaks, sdp, stream, mgw };
}

const noAnswer = async () => ({ records: [], ttlMs: 0 });
