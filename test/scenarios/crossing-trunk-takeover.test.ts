/** A line calls out over a trunk that asks for digest, and its controller dies: while it asks, challenged, ringing, talking. One call is placed. */
import { afterEach, describe, expect, it } from 'vitest';
import { reached } from '../support/reached.ts';
import { SimCarrier } from '../support/sip-carrier.ts';
import { lines } from './crossing-scene.ts';
import { backupHost, CrossingWorld, primaryHost } from './crossing-world.ts';

const carrierHost = '127.0.5.1:5060';
const sdp =
  'v=0\r\no=- 1 1 IN IP4 127.0.5.1\r\ns=-\r\nc=IN IP4 127.0.5.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n';
const answer = 'Content-Type: application/sdp\r\n';

let open: CrossingWorld | undefined;

afterEach(async () => {
  await open?.stop();
  open = undefined;
});

const cseqOf = (text: string | undefined): number => Number(/^CSeq: (\d+)/im.exec(text ?? '')?.[1] ?? 0);

async function up(status = 180) {
  const world = await CrossingWorld.up({
    numbers: { country: '49', area: '30' },
    sip: {
      trunks: [
        { name: 'carrier', to: [carrierHost], pingSeconds: 0, prefixes: ['+'], user: 'trunk1', password: 'secret' },
      ],
    },
  });
  open = world;
  const carrier = await SimCarrier.at(world.network, world.clock, carrierHost, {
    algorithms: ['SHA-256'],
    answer: () => status,
  });
  return { world, carrier };
}

/** Kills the primary once a packet like this is on its way. */
function killAt(world: CrossingWorld, matches: (text: string) => boolean): () => boolean {
  let isKilled = false;
  world.network.onPacket(({ bytes, from, to }) => {
    if (isKilled || ![from.host, to.host].includes('127.0.5.1') || !matches(bytes.toString('latin1'))) return;
    isKilled = true;
    world.kill(primaryHost);
  });
  return () => isKilled;
}

const moments: readonly (readonly [string, (text: string) => boolean])[] = [
  ['the first INVITE leaves', (text) => text.startsWith('INVITE ')],
  ['the carrier asks for credentials', (text) => text.startsWith('SIP/2.0 407')],
  ['that is acknowledged', (text) => text.startsWith('ACK ')],
  ['the INVITE with credentials leaves', (text) => text.startsWith('INVITE ') && cseqOf(text) === 2],
  ['it rings', (text) => text.startsWith('SIP/2.0 180')],
];

describe.each(lines)('%s', (_, number) => {
  it.each(moments)('dials out, and its controller dies as %s', async (_, matches) => {
    const { world, carrier } = await up();
    const isKilled = killAt(world, matches);
    const line = world.telephone(number);
    const until = (holds: () => boolean, ms = 60_000): Promise<boolean> => reached(world, holds, ms, 50);
    line.offHook();
    await until(() => line.hears() === 'dial');
    line.dial('0301234567');
    expect(await until(isKilled)).toBe(true);
    expect(await until(() => carrier.placed.length > 0 && line.hears() === 'ringback')).toBe(true);
    await world.run(3_000);
    carrier.say(200, answer, backupHost, sdp);
    expect(await until(() => line.media().sendsTo === '127.0.5.1:40000')).toBe(true);
    await world.run(1_000);
    expect(new Set(carrier.placed).size).toBe(1);
    expect(carrier.placed).toHaveLength(1);
    line.onHook();
    expect(await until(() => carrier.of('BYE').length > 0 && line.isIdle())).toBe(true);
    expect(carrier.problems).toEqual([]);
    await world.run(40_000);
    expect(world.calls(backupHost)).toBe(0);
  });

  it.each(['line', 'carrier'])('talks over the trunk as its controller dies, the %s hangs up', async (who) => {
    const { world, carrier } = await up();
    const line = world.telephone(number);
    const until = (holds: () => boolean, ms = 60_000): Promise<boolean> => reached(world, holds, ms, 50);
    line.offHook();
    await until(() => line.hears() === 'dial');
    line.dial('0301234567');
    await until(() => line.hears() === 'ringback');
    carrier.say(200, answer, undefined, sdp);
    expect(await until(() => line.media().sendsTo === '127.0.5.1:40000')).toBe(true);
    await world.run(1_000);
    world.kill(primaryHost);
    await world.run(20_000);
    expect(line.media().sendsTo).toBe('127.0.5.1:40000');
    expect(carrier.placed).toHaveLength(1);
    expect(carrier.problems).toEqual([]);
    if (who === 'line') {
      line.onHook();
      expect(await until(() => carrier.of('BYE').length > 0 && line.isIdle())).toBe(true);
      expect(cseqOf(carrier.of('BYE').at(-1))).toBeGreaterThan(2);
    } else {
      const invite = carrier.of('INVITE').at(-1) ?? '';
      const field = (name: string): string => new RegExp(`^${name}: ([^\\r]*)`, 'im').exec(invite)?.[1] ?? '';
      const to = field('From');
      const from = field('To').includes(';tag=') ? field('To') : `${field('To')};tag=carrier`;
      carrier.send(
        backupHost,
        `BYE ${/<([^>]*)>/.exec(field('Contact'))?.[1]} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.5.1:5060;branch=z9hG4bKbye\r\nMax-Forwards: 70\r\nFrom: ${from}\r\nTo: ${to}\r\nCall-ID: ${field('Call-ID')}\r\nCSeq: 7 BYE\r\nContent-Length: 0\r\n\r\n`,
      );
      expect(await until(() => line.hears() === 'busy')).toBe(true);
      line.onHook();
      expect(await until(() => line.isIdle())).toBe(true);
    }
    expect(carrier.problems).toEqual([]);
  });
});
