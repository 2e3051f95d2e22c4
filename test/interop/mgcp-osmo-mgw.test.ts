/** Calls whose media runs through osmo-mgw: RTP passes both ways, and no connection is left on it, whoever dies. */
import { createSocket, type Socket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { readAudio } from '../../protocols/mgcp/codec/values/sdp.ts';
import { SimGateway } from '../../protocols/mgcp/gateway/sim-gateway.ts';
import type { SimLine } from '../../protocols/mgcp/gateway/sim-line.ts';
import { isIdle } from '../../protocols/mgcp/gateway/simulation.ts';
import { createNetwork, Metrics, parseAddress, silentLog, systemClock, systemRandom } from '../../src/internal.ts';
import { Child, stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { osmoMgwAbsent, startOsmoMgw } from './support/osmo-mgw.ts';
import { scratchDirectory } from './support/scratch.ts';
import { until } from './support/until.ts';

const gateways: SimGateway[] = [];
const sockets: Socket[] = [];

describe.skipIf(osmoMgwAbsent)(
  `calls through osmo-mgw${osmoMgwAbsent === undefined ? '' : ` (${osmoMgwAbsent})`}`,
  () => {
    afterEach(async () => {
      for (const gateway of gateways.splice(0)) await gateway.stop();
      for (const socket of sockets.splice(0)) socket.close();
      await stopAll();
    });

    it('bridges two parties and deletes every connection at the end', async () => {
      const scene = await setScene();
      await talk(scene);
      expect(await scene.mgw.connections()).toBe(2);
      expect(await rtpPasses(scene.a, scene.b)).toBe(true);
      expect(await rtpPasses(scene.b, scene.a)).toBe(true);
      scene.a.onHook();
      scene.b.onHook();
      await until('both idle', 5_000, () => isIdle(scene.a) && isIdle(scene.b));
      await until('no connection on the media gateway', 5_000, async () => (await scene.mgw.connections()) === 0);
    });

    it('deletes what it made when the caller gives up while it rings', async () => {
      const scene = await setScene();
      await ring(scene);
      scene.a.onHook();
      await until('no connection on the media gateway', 5_000, async () => (await scene.mgw.connections()) === 0);
    });

    it('the backup clears what the killed call agent left, and the call goes on', async () => {
      const scene = await setScene();
      await talk(scene);
      await scene.primary.stop('SIGKILL');
      await until('no connection on the media gateway', 10_000, async () => (await scene.mgw.connections()) === 0);
      await until('the call goes on, directly', 10_000, () => directly(scene.a, scene.b));
      scene.a.onHook();
      scene.b.onHook();
      await until('both idle', 10_000, () => isIdle(scene.a) && isIdle(scene.b));
    });
  },
);

interface Scene {
  readonly primary: Child;
  readonly mgw: { connections(): Promise<number> };
  readonly a: SimLine;
  readonly b: SimLine;
}

async function setScene(): Promise<Scene> {
  const [mgwHost, primaryHost, backupHost, oneHost, otherHost] = await Promise.all([
    freeHost(2427, 4243),
    freeHost(2727),
    freeHost(2727),
    freeHost(2427),
    freeHost(2427),
  ]);
  const scratch = scratchDirectory('mgcp');
  const mgw = await startOsmoMgw(mgwHost, scratch);
  const agent = (host: string, partner: string): Promise<Child> =>
    startAgent(scratch, host, partner, [
      `    - { name: mgw, addresses: ["${mgwHost}:2427"], profile: media }`,
      `    - { name: rgw1, addresses: ["${oneHost}:2427"] }`,
      `    - { name: rgw2, addresses: ["${otherHost}:2427"] }`,
    ]);
  await agent(backupHost, `backupFor: ["${primaryHost}:2727"]`);
  const primary = await agent(primaryHost, `backup: ["${backupHost}:2727"]`);
  const a = await startGateway('rgw1', oneHost, primaryHost);
  const b = await startGateway('rgw2', otherHost, primaryHost);
  await until('lines armed', 10_000, () => isIdle(a) && isIdle(b));
  return { primary, a, b, mgw };
}

async function startAgent(
  scratch: string,
  host: string,
  partner: string,
  gatewayList: readonly string[],
): Promise<Child> {
  const file = join(scratch, `${host}.yaml`);
  writeFileSync(
    file,
    [
      'log: { format: json }',
      'cluster: { secret: a-secret-of-this-test-only }',
      'mgcp:',
      `  listen: ["${host}:2727"]`,
      `  ${partner}`,
      '  relay: mgw',
      '  gateways:',
      ...gatewayList,
      '  lines:',
      '    - { number: "200", endpoint: aaln/1@rgw1 }',
      '    - { number: "201", endpoint: aaln/1@rgw2 }',
      '',
    ].join('\n'),
  );
  const main = new URL('../../src/main.ts', import.meta.url).pathname;
  const child = new Child(`altpath ${host}`, process.execPath, [main, 'mgcp', '-c', file]);
  await child.waitForOutput(/ready/, 15_000);
  return child;
}

async function startGateway(name: string, host: string, callAgent: string): Promise<SimLine> {
  const metrics = new Metrics();
  const gateway = new SimGateway(
    {
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      metrics,
      network: createNetwork({ clock: systemClock, log: silentLog, metrics }),
    },
    {
      name,
      listen: parseAddress(`udp:${host}:2427`, { port: 2427 }),
      callAgents: [parseAddress(`udp:${callAgent}:2727`, { port: 2727 })],
      lines: 1,
      disconnectedMs: 1_000,
    },
  );
  gateways.push(gateway);
  await gateway.start();
  const line = gateway.line(1);
  if (line === undefined) throw new Error('no line');
  return line;
}

async function ring({ a, b }: Scene): Promise<void> {
  a.offHook();
  await until('dial tone', 5_000, () => a.hears === 'L/dl');
  a.dial('201', 20);
  await until('ringing', 5_000, () => b.hears === 'L/rg' && a.hears === 'G/rt');
}

async function talk(scene: Scene): Promise<void> {
  await ring(scene);
  scene.b.offHook();
  await until('talk path', 5_000, () => scene.a.talksTo.length === 1 && scene.b.talksTo.length === 1);
}

/** A packet from one party's port to where its description says arrives at the other party's port. */
async function rtpPasses(from: SimLine, to: SimLine): Promise<boolean> {
  const source = await mediaSocket(from);
  const sink = await mediaSocket(to);
  const [connection] = [...from.connections.values()];
  const target = readAudio(connection?.remote ?? '');
  if (target === undefined) return false;
  let heard = 0;
  sink.on('message', (message) => {
    if (message.length > 100) heard += 1;
  });
  for (let sequence = 0; sequence < 50 && heard === 0; sequence += 1) {
    const packet = Buffer.alloc(172);
    packet[0] = 0x80;
    packet.writeUInt16BE(sequence, 2);
    packet.writeUInt32BE(sequence * 160, 4);
    packet.writeUInt32BE(0x1234_5678, 8);
    source.send(packet, target.port, target.address);
    await pause(20);
  }
  return heard > 0;
}

const mediaSockets = new WeakMap<SimLine, Promise<Socket>>();

function mediaSocket(line: SimLine): Promise<Socket> {
  let open = mediaSockets.get(line);
  if (open === undefined) {
    const [connection] = [...line.connections.values()];
    const local = readAudio(connection?.local ?? '');
    open = new Promise((resolve) => {
      const socket = createSocket('udp4');
      sockets.push(socket);
      socket.bind(local?.port ?? 0, local?.address, () => resolve(socket));
    });
    mediaSockets.set(line, open);
  }
  return open;
}

function directly(a: SimLine, b: SimLine): boolean {
  const ports = (line: SimLine) => [...line.connections.values()].map(({ port }) => port);
  return ports(b).some((port) => a.talksTo.includes(port)) && ports(a).some((port) => b.talksTo.includes(port));
}
