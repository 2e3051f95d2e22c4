/** A SIP telephone holds and resumes calls with lines of both protocols by re-INVITE (RFC 3261 §14, RFC 3264 §8.4): who hears whom. */
import { afterEach, describe, expect, it } from 'vitest';
import { mediaOf } from '../../protocols/megaco/gateway/simulation.ts';
import { toneOfLine } from '../../src/gateways/simulated-media.ts';
import { RtpMedia } from '../../src/internal.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { CrossingWorld, sipDomain } from './crossing-world.ts';

const phoneHost = '127.0.0.31';

let world: CrossingWorld;

afterEach(async () => {
  await world.stop();
});

for (const line of ['200', '300'])
  describe(`a SIP telephone and line ${line}`, () => {
    it('hold and resume ten times: nobody is heard while it lasts, both are heard after each', async () => {
      const { heardByLine, reinvite, stream } = await talking(line);
      expect(await reinvite()).toMatchObject({ status: 200, direction: undefined });
      await world.run(500);
      expect([heardByLine()?.toneHz, stream.heard?.toneHz]).toEqual([1_000, toneOf(line)]);
      for (let time = 0; time < 10; time += 1) {
        const [direction, answer] = holds[time % holds.length] ?? holds[0];
        stream.set(undefined, 'receive');
        expect(await reinvite(direction)).toMatchObject({ status: 200, direction: answer });
        await world.run(100);
        const before = stream.counters.packetsReceived;
        await world.run(300);
        expect(stream.counters.packetsReceived, `${direction}, time ${time}`).toBe(before);
        expect(await reinvite()).toMatchObject({ status: 200, direction: undefined });
        const [phoneHeard, lineHeard] = [stream.counters.packetsReceived, heardByLine()?.packets ?? 0];
        await world.run(300);
        expect(stream.counters.packetsReceived, `time ${time}`).toBeGreaterThan(phoneHeard + 10);
        expect(heardByLine()?.packets, `time ${time}`).toBeGreaterThan(lineHeard + 10);
      }
    });

    it('an offer of which the line can serve nothing is refused with 488, and they go on talking', async () => {
      const { heardByLine, reinvite, stream } = await talking(line);
      await reinvite();
      await world.run(500);
      for (const change of [
        (sdp: string) => sdp.replace('RTP/AVP', 'RTP/SAVP'),
        (sdp: string) => sdp.replace('m=audio', 'm=video'),
        (sdp: string) => sdp.replace(/m=audio \d+/, 'm=audio 0'),
      ]) {
        expect((await reinvite(undefined, change)).status).toBe(488);
        const [phoneHeard, lineHeard] = [stream.counters.packetsReceived, heardByLine()?.packets ?? 0];
        await world.run(300);
        expect(stream.counters.packetsReceived).toBeGreaterThan(phoneHeard + 10);
        expect(heardByLine()?.packets).toBeGreaterThan(lineHeard + 10);
      }
    });

    it('video beside the audio is refused in its place, and both are heard', async () => {
      const { heardByLine, reinvite, stream } = await talking(line);
      const video = (sdp: string) => sdp.replace('m=audio', 'm=video 7000 RTP/AVP 96\r\nm=audio');
      const { status, answer } = await reinvite(undefined, video);
      expect(status).toBe(200);
      expect([...answer.matchAll(/^m=(\w+) (\d+)/gm)].map(([, media, port]) => [media, port !== '0'])).toEqual([
        ['video', false],
        ['audio', true],
      ]);
      await world.run(500);
      expect([heardByLine()?.toneHz, stream.heard?.toneHz]).toEqual([1_000, toneOf(line)]);
    });
  });

const holds = [
  ['a=sendonly', 'recvonly'],
  ['a=inactive', 'inactive'],
] as const;

/** The line's own, as its gateway speaks. */
const toneOf = (line: string): number | undefined =>
  line === '200' ? toneOfLine('aaln/1@rgw1') : toneOfLine('aaln/1@gw1');

/** The telephone called the line, which answered; its media are at the port of `stream`. */
async function talking(line: string) {
  world = await CrossingWorld.up({ sip: {}, speech: true });
  const phone = await world.phone('7001', phoneHost, { answering: 'answer', ringMs: 1_000 });
  const callId = phone.call(`sip:${line}@${sipDomain}`);
  await world.run(500);
  world.telephone(line).offHook();
  await world.run(500);
  const dialog = phone.dialog(callId);
  const network = world.network.host(phoneHost);
  const media = new RtpMedia({ clock: network.clock, random: seededRandom(5), network, host: phoneHost });
  await media.start();
  const stream = media.open(1_000);
  if (dialog === undefined || stream === undefined) throw new Error('no dialog');
  const heardByLine = () => {
    const { mgcp, megaco } = world;
    const [connection] = mgcp?.line(1)?.connections.values() ?? [];
    const termination = megaco?.lines[0];
    if (line === '200') return connection?.stream?.heard;
    return megaco === undefined || termination === undefined ? undefined : mediaOf(megaco, termination)?.stream?.heard;
  };
  const reinvite = async (direction?: string, change = (sdp: string) => sdp) => {
    const attributes = direction === undefined ? '' : `${direction}\r\n`;
    const sdp = `v=0\r\no=- 1 1 IN IP4 ${phoneHost}\r\ns=-\r\nc=IN IP4 ${phoneHost}\r\nt=0 0\r\nm=audio ${stream.port} RTP/AVP 0\r\n${attributes}`;
    let status = 0;
    let answer = '';
    phone.inDialog(
      dialog,
      'INVITE',
      (code, response) => {
        status = code;
        answer = response?.body?.toString() ?? '';
      },
      '',
      change(sdp),
    );
    await world.run(300);
    if (status === 200 && direction === undefined) stream.set(answer.replace(/m=video.*\r\n/, ''), 'both');
    return { status, answer, direction: /^a=(sendonly|recvonly|inactive)/m.exec(answer)?.[1] };
  };
  return { phone, heardByLine, reinvite, stream };
}
