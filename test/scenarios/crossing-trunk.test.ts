/** Lines of MGCP and MEGACO gateways dial out over a SIP trunk, and a trunk calls them; emergency calls from a line while its controller drains. */
import { afterEach, describe, expect, it } from 'vitest';
import { type CarrierOptions, SimCarrier } from '../support/sip-carrier.ts';
import { CrossingWorld, primaryHost } from './crossing-world.ts';

const carrierHost = '127.0.5.1:5060';
const account = { user: 'trunk1', password: 'secret' };
const sdp =
  'v=0\r\no=- 1 1 IN IP4 127.0.5.1\r\ns=-\r\nc=IN IP4 127.0.5.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n';

let open: CrossingWorld | undefined;

afterEach(async () => {
  await open?.stop();
  open = undefined;
});

async function up(carrierOptions: CarrierOptions = { algorithms: ['SHA-256'] }, trunk: object = {}) {
  const world = await CrossingWorld.up({
    numbers: { country: '49', area: '30', emergency: ['112'] },
    sip: { trunks: [{ name: 'carrier', to: [carrierHost], pingSeconds: 0, prefixes: ['+'], ...account, ...trunk }] },
  });
  open = world;
  const carrier = await SimCarrier.at(world.network, world.clock, carrierHost, carrierOptions);
  return { world, carrier };
}

const cseqs = (texts: readonly string[]): readonly string[] =>
  texts.map((text) => /^CSeq: ([^\r]*)/im.exec(text)?.[1] ?? '');

describe.each(['200', '300'])('line %s', (number) => {
  it('dials out over a trunk that asks for digest, talks and hangs up', async () => {
    const { world, carrier } = await up();
    const line = world.telephone(number);
    line.offHook();
    await world.run(500);
    line.dial('0301234567');
    await world.run(6_000);
    expect(carrier.of('INVITE').at(-1)).toMatch(/^INVITE sip:\+49301234567@127\.0\.5\.1:5060;user=phone SIP/);
    expect(cseqs(carrier.of('INVITE'))).toEqual(['1 INVITE', '2 INVITE']);
    expect(carrier.placed).toHaveLength(1);
    expect(line.hears()).toBe('ringback');
    carrier.say(200, 'Content-Type: application/sdp\r\n', undefined, sdp);
    await world.run(500);
    expect(cseqs(carrier.of('ACK')).at(-1)).toBe('2 ACK');
    expect(line.media().sendsTo).toBe('127.0.5.1:40000');
    line.onHook();
    await world.run(500);
    expect(carrier.of('BYE').length).toBeGreaterThan(0);
    expect(carrier.problems).toEqual([]);
    expect(line.isIdle()).toBe(true);
  });

  it('reaches an emergency number with its last digit, whatever its controller is about to do', async () => {
    const { world, carrier } = await up();
    const line = world.telephone(number);
    for (const role of world.roles.get(primaryHost) ?? []) void role.drain(60_000);
    // A MEGACO gateway is handed over to the backup, an MGCP gateway stays while its lines are used.
    await world.run(2_000);
    line.offHook();
    await world.run(500);
    line.dial('112');
    await world.run(500);
    expect(carrier.placed).toHaveLength(1);
    expect(carrier.of('INVITE').at(-1)).toMatch(/^INVITE sip:112@/);
  });

  it('is called by a carrier, in whatever form it writes the number', async () => {
    const { world, carrier } = await up();
    const line = world.telephone(number);
    carrier.send(
      primaryHost,
      `INVITE sip:4930${number}@${primaryHost} SIP/2.0\r\nVia: SIP/2.0/UDP ${carrierHost};branch=z9hG4bKin1\r\nMax-Forwards: 70\r\nFrom: <sip:0171@carrier.example>;tag=c1\r\nTo: <sip:x@carrier.example>\r\nCall-ID: in1\r\nCSeq: 1 INVITE\r\nContact: <sip:gw@${carrierHost}>\r\nContent-Type: application/sdp\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`,
    );
    await world.run(500);
    expect(line.hears()).toBe('ring');
    line.offHook();
    await world.run(500);
    expect(carrier.heard.some((text) => text.startsWith('SIP/2.0 200'))).toBe(true);
  });
});

it('a line that is out of service is no carrier’s number', async () => {
  const { world, carrier } = await up({}, { prefixes: [''] });
  const line = world.telephone('300');
  world.network.crash('127.0.0.11');
  await world.run(40_000);
  line.offHook();
  await world.run(500);
  line.dial('201');
  await world.run(8_000);
  expect(carrier.placed).toEqual([]);
});
