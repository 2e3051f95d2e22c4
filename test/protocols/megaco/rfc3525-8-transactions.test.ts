import { describe, expect, it } from 'vitest';
import { sign } from '../../../protocols/megaco/authentication.ts';
import { decode, plainNaming } from '../../../protocols/megaco/codec/codec.ts';
import { createTpktFraming, withTpkt } from '../../../protocols/megaco/codec/framing.ts';
import { encodeText } from '../../../protocols/megaco/codec/text/encode.ts';
import { megacoConfigSchema } from '../../../protocols/megaco/config.ts';
import { digest, meaningOf, requestIdFor } from '../../../protocols/megaco/request-ids.ts';
import { primaryHost, World } from './world.ts';

/** A gateway that is only a socket: what it is told is for the test to read. */
async function rawGateway(world: World, host: string) {
  const heard: string[] = [];
  const listener = await world.network.host(host).bind(
    { transport: 'udp', host, port: 2944 },
    {},
    {
      received: (bytes) => {
        const decoded = decode(bytes, () => plainNaming);
        heard.push(
          decoded.ok
            ? encodeText({ ...decoded.value, alternatePath: undefined, authentication: undefined }, 'compact')
                .toString()
                .replaceAll('\n', ' ')
            : '?',
        );
      },
      failed: () => undefined,
    },
  );
  const flow = listener.flowTo({ host: primaryHost, port: 2944 });
  return {
    heard,
    says: async (text: string | Buffer, ms = 20) => {
      flow.send(typeof text === 'string' ? Buffer.from(text) : text);
      await world.run(ms);
    },
  };
}

async function controllerAlone(gatewayConfig: Record<string, unknown> = {}): Promise<World> {
  const world = new World({ backup: false, gatewayConfig });
  await world.startController(primaryHost);
  return world;
}

const restart = '!/1 gw1 T=1{C=-{SC=ROOT{SV{MT=RS,V=1,RE="901 Cold Boot"}}}}';

describe('RFC 3525 Annex D.1.1: at most once', () => {
  it('a repeated request is not executed again; the same reply comes again', async () => {
    const world = await controllerAlone();
    const gateway = await rawGateway(world, '127.0.0.11');
    await gateway.says(restart);
    const replies = () => gateway.heard.filter((text) => text.includes(' P=1{'));
    const commands = () => new Set(gateway.heard.filter((text) => text.includes(' T='))).size;
    expect(replies()).toHaveLength(1);
    const before = commands();
    await gateway.says(restart);
    expect(replies()).toHaveLength(2);
    expect(replies()[0]).toBe(replies()[1]);
    expect(commands()).toBe(before);
  });

  it('the registration reply names version and time, and goes before any command', async () => {
    const world = await controllerAlone();
    const gateway = await rawGateway(world, '127.0.0.11');
    await gateway.says(restart);
    expect(gateway.heard[0]).toMatch(/^!\/1 \[127\.0\.0\.1\]:2944 P=1\{C=-\{SC=ROOT\{SV\{V=1,\d{8}T\d{8}\}\}\}\}$/);
    expect(gateway.heard.slice(1).every((text) => text.includes(' T='))).toBe(true);
  });
});

describe('RFC 3525 Annex D.1.4: provisional responses', () => {
  it('Pending while the answer takes long, then a reply that asks for its acknowledgement', async () => {
    const world = await controllerAlone();
    const gateway = await rawGateway(world, '127.0.0.11');
    await gateway.says(restart);
    const arm = /T=(\d+)\{C=-\{MF=aaln\/1/.exec(gateway.heard.find((text) => text.includes('MF=aaln/1')) ?? '')?.[1];
    await gateway.says(`!/1 gw1 P=${arm}{C=-{MF=aaln/1}}`);
    // The Modify that follows from this event stays unanswered for a while.
    await gateway.says('!/1 gw1 T=2{C=-{N=aaln/1{OE=1{al/of}}}}', 400);
    expect(gateway.heard).toContain('!/1 [127.0.0.1]:2944 PN=2{}');
    const dial = /T=(\d+)\{C=-\{MF=aaln\/1\{E=\d+\{al\/on/.exec(gateway.heard.join('\n'))?.[1];
    await gateway.says(`!/1 gw1 P=${dial}{C=-{MF=aaln/1}}`);
    expect(gateway.heard.at(-1)).toBe('!/1 [127.0.0.1]:2944 P=2{IA,C=-{N=aaln/1}}');
    await gateway.says('!/1 gw1 K{2}');
    const count = gateway.heard.filter((text) => text.includes('P=2{')).length;
    await gateway.says('!/1 gw1 T=2{C=-{N=aaln/1{OE=1{al/of}}}}');
    expect(gateway.heard.filter((text) => text.includes('P=2{'))).toHaveLength(count);
  });

  it('a reply that asks for it is acknowledged, each time it comes', async () => {
    const world = await controllerAlone();
    const gateway = await rawGateway(world, '127.0.0.11');
    await gateway.says(restart);
    const id = /T=(\d+)\{/.exec(gateway.heard[1] ?? '')?.[1];
    for (let time = 0; time < 2; time += 1) await gateway.says(`!/1 gw1 P=${id}{IA,C=-{MF=aaln/1}}`);
    expect(gateway.heard.filter((text) => text.endsWith(` K{${id}}`))).toHaveLength(2);
  });
});

describe('RFC 3525 §8.2.2: what cannot be read or must not be obeyed', () => {
  it.each([
    ['!/1 gw1 T=7{C=-{XX=aaln/1}}', 'P=7{C=-{ER=443{'],
    ['!/1 gw1 T=7{Z=-{N=aaln/1}}', 'P=7{ER=421{'],
    ['!/1 gw1 T=7{C=?{N=aaln/1}}', 'P=7{ER=422{'],
    ['!/1 gw1 T=7{C=-{N=aaln/1{OE=1{al/of', 'P=7{ER=403{'],
    ['!/1 gw1 T=7{C=-{A=aaln/1}}', 'P=7{C=-{A=aaln/1{ER=443{'],
    ['!/1 gw1 T=7{C=-{SC=ROOT{SV{MT=x-abc,RE="900"}}}}', 'SC=ROOT{ER=501{'],
    ['!/9 gw1 T=7{C=-{N=aaln/1{OE=1{al/of}}}}', 'ER=406{'],
    ['!/1 gw1 nonsense', 'P=0{ER=403{'],
    ['!/1 [1.2.3.4 T=7{}', 'ER=400{'],
  ])('%s is answered %s', async (text, answer) => {
    const world = await controllerAlone();
    const gateway = await rawGateway(world, '127.0.0.11');
    await gateway.says(text);
    expect(gateway.heard).toHaveLength(1);
    expect(gateway.heard[0]).toContain(answer);
  });

  it('errors, replies and noise are not answered: no loop of answers', async () => {
    const world = await controllerAlone();
    const gateway = await rawGateway(world, '127.0.0.11');
    for (const text of [
      '!/1 gw1 ER=400{"x"}',
      '!/1 gw1 P=7{',
      '!/1 gw1 P=7{C=-{N=a}}',
      '!/1 gw1 K{1-4294967295}',
      'hello',
      '',
      '\x03',
    ])
      await gateway.says(text);
    expect(gateway.heard).toEqual([]);
  });

  it('a sender that is not provisioned, or a provisioned name from another host, changes nothing: 402', async () => {
    const world = await World.up({ backup: false });
    const stranger = await rawGateway(world, '127.0.0.66');
    await stranger.says('!/1 gw1 T=7{C=-{N=aaln/1{OE=1{al/of}}}}');
    await stranger.says('!/1 evil T=8{C=-{SC=ROOT{SV{MT=RS,RE="901 Cold Boot"}}}}');
    expect(stranger.heard).toEqual([
      // One answer a minute: whoever makes up senders gets no more out of us than was put in.
      '!/1 [127.0.0.1]:2944 P=7{ER=402{"Unauthorized"}}',
    ]);
    expect(world.calls(primaryHost)).toEqual([]);
    expect(world.idle('200', '201', '202', '203')).toBe(true);
  });

  it('a reply from a host that was not asked settles nothing', async () => {
    const world = await controllerAlone();
    const gateway = await rawGateway(world, '127.0.0.11');
    const stranger = await rawGateway(world, '127.0.0.66');
    await gateway.says(restart);
    const ids = gateway.heard.flatMap((text) => /T=(\d+)\{/.exec(text)?.[1] ?? []);
    for (const id of ids) await stranger.says(`!/1 gw1 P=${id}{C=-{MF=aaln/1}}`);
    const before = gateway.heard.length;
    await world.run(1_000);
    // They are repeated, so they are still open.
    expect(gateway.heard.length).toBeGreaterThan(before);
  });
});

describe('RFC 3525 §10.2: interim AH', () => {
  const security = { spi: '0000abcd', key: 'a shared key of both' };
  const association = { securityParmIndex: security.spi, key: security.key };
  const from = { host: '127.0.0.11', port: 2944 };
  const to = { host: primaryHost, port: 2944 };

  it('a signed message is obeyed, an unsigned or altered one is refused, and ours are signed', async () => {
    const world = await controllerAlone({ security });
    const gateway = await rawGateway(world, '127.0.0.11');
    await gateway.says(restart);
    expect(gateway.heard).toEqual(['!/1 [127.0.0.1]:2944 ER=402{"unauthorized"}']);
    await gateway.says(
      sign(Buffer.from(restart.replace('Cold', 'Warm')), association, 1, from, { host: primaryHost, port: 1 }),
    );
    expect(gateway.heard).toHaveLength(2);
    await gateway.says(sign(Buffer.from(restart), association, 2, from, to));
    expect(gateway.heard[2]).toContain('P=1{C=-{SC=ROOT');
    const packets = world.packets.filter((packet) => packet.from.host === primaryHost);
    for (const { bytes } of packets)
      expect(bytes.toString('latin1')).toMatch(/^Authentication = 0x0000ABCD:0x[0-9A-F]{8}:0x[0-9A-F]{24}\n/);
  });
});

describe('RFC 3525 Annex D.2: TPKT', () => {
  it('cuts messages out of any split of the stream', () => {
    const messages = ['one', 'a longer message', 'x'.repeat(5_000)].map((text) => Buffer.from(text));
    const stream = Buffer.concat(messages.map(withTpkt));
    for (const size of [1, 3, 7, 1_000, stream.length]) {
      const framing = createTpktFraming();
      const got: Buffer[] = [];
      for (let at = 0; at < stream.length; at += size) {
        const { messages: whole, error } = framing.push(stream.subarray(at, at + size));
        expect(error).toBeUndefined();
        got.push(...whole);
      }
      expect(got.map((bytes) => bytes.subarray(4))).toEqual(messages);
    }
  });

  it('gives up a stream that is none', () => {
    expect(createTpktFraming().push(Buffer.from('MEGACO/1')).error).toBe('no TPKT');
  });
});

describe('RequestIDs that tell what a line was doing', () => {
  it('bring back state and number, and are never a reserved value', () => {
    for (const state of ['idle', 'dialling', 'offering', 'talking', 'lockout'] as const)
      for (const number of [undefined, '200', '0049301234567', '*#1']) {
        const id = requestIdFor(state, number);
        expect(id).toBeGreaterThan(0);
        expect(id).toBeLessThan(0xffffffff);
        expect(meaningOf(id)).toEqual({ state, digest: number === undefined ? 0 : digest(number) });
      }
  });
});

describe('the megaco section of the configuration', () => {
  it('reads flags and files, and says what is wrong', () => {
    const config = megacoConfigSchema.parse({
      gateways: ['gw1=tcp:127.0.0.9:2944,127.0.0.10'],
      lines: ['200=aaln/1@gw1'],
    });
    expect(config.gateways[0]).toMatchObject({
      name: 'gw1',
      addresses: [
        { transport: 'tcp', host: '127.0.0.9', port: 2944 },
        { transport: 'udp', host: '127.0.0.10', port: 2944 },
      ],
    });
    expect(config.lines[0]).toEqual({ number: '200', termination: 'aaln/1@gw1' });
    for (const wrong of [{ gateways: ['gw1'] }, { lines: ['200'] }, { mid: '<<' }, { listen: [] }, { version: 4 }])
      expect(megacoConfigSchema.safeParse(wrong).success).toBe(false);
  });
});
