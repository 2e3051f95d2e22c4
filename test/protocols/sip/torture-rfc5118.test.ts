/** RFC 5118 through a whole SIP role: IPv6 addresses wherever SIP may have them. */
import { describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { H } from '../../../protocols/sip/codec/header-names.ts';
import { parseVia } from '../../../protocols/sip/codec/values.ts';
import { lossesOf, type Outcome, octetsOf, sinkHost, torture, tortureMessages } from './torture.ts';
import { fieldsOf, SipWorld, startLine } from './world.ts';

const messages = tortureMessages(5_118);

describe('RFC 5118: what a proxy makes of every message', () => {
  it.each(messages.map((message) => [message.section, message.title, message] as const))(
    '§%s %s',
    async (_section, _title, message) => {
      const outcome = await torture(message);
      expect(message.proxy.allowed).toContain(outcome.word);
      if (outcome.word === 'forward') expect(lossesOf(outcome)).toEqual([]);
    },
  );
});

describe('RFC 5118: what the registrar of these addresses makes of every message for it', () => {
  it.each(
    messages.flatMap((message) =>
      message.registrar === undefined ? [] : [[message.section, message.title, message, message.registrar] as const],
    ),
  )('§%s %s', async (_section, _title, message, registrar) => {
    const outcome = await torture(message, ['2001:db8::10', '2001:db8::10:5070', 'example.com']);
    expect(registrar.allowed.map((status) => `reject:${status}`)).toContain(outcome.word);
  });
});

describe('RFC 5118: what is said of the message that leaves', () => {
  const outcomeOf = async (name: string): Promise<Outcome> => {
    const message = messages.find(({ file }) => file === `rfc5118/${name}.dat`);
    if (message === undefined) throw new Error(`no vector ${name}`);
    return torture(message);
  };

  it.each([
    ['4.1', 'ipv6-good', '2001:db8::10 5060'],
    ['4.3', 'port-ambiguous', '2001:db8::10:5070 5060'],
    ['4.4', 'port-unambiguous', '2001:db8::10 5070'],
    ['4.10', 'ipv6-correct-abnf-2-colons', '2001:db8::192.0.2.1 5060'],
  ])('§%s %s is sent to %s', async (_section, name, address) => {
    expect((await outcomeOf(name)).forwardedTo).toBe(address);
  });

  it('§4.5 received is read with brackets and without', async () => {
    for (const name of ['via-received-param-with-delim', 'via-received-param-no-delim']) {
      const read = decode(octetsOf(`rfc5118/${name}.dat`));
      expect(read.ok && read.value.via).toMatchObject({ host: '2001:db8::9:1', received: '2001:db8::9:255' });
    }
  });

  it('§4.5 our own received is written without brackets', async () => {
    const world = await SipWorld.up({ addresses: ['::1'], config: { listen: ['udp:[::1]:5060'] } });
    const sender = await world.peer('[2001:db8::9:255]:5060');
    const next = await world.peer('[2001:db8::20]:5060');
    sender.send(
      octetsOf('rfc5118/ipv6-in-sdp.dat')
        .toString('latin1')
        .replace(/sip:[^ ]*/, 'sip:x@[2001:db8::20]'),
      {
        host: '::1',
        port: 5_060,
      },
    );
    await world.run();
    const [, second] = fieldsOf(next.last, 'via');
    expect(second).toMatch(/^SIP\/2\.0\/UDP \[2001:db8::20\];branch=z9hG4bKas3-111;received=2001:db8::9:255$/);
    await world.down();
  });

  it('§4.7 keeps Vias of both families in order', async () => {
    const { forwarded, forwardedTo } = await outcomeOf('mult-ip-in-header');
    expect(forwardedTo).toBe(`${sinkHost} 5060`);
    const message = decode(Buffer.from(forwarded, 'latin1'));
    if (!message.ok) throw new Error(message.error.reason);
    expect(message.value.list(H.via).map((value) => parseVia(value)?.host)).toEqual([
      '127.0.0.1',
      '2001:db8::9:1',
      '192.0.2.1',
      '2001:db8::9:255',
    ]);
  });

  it('§4.9 keeps addresses that are IPv4 within IPv6', async () => {
    const { forwarded, original } = await outcomeOf('ipv4-mapped-ipv6');
    expect(fieldsOf(original, 'via').length).toBeGreaterThan(0);
    for (const via of fieldsOf(original, 'via').slice(1)) expect(fieldsOf(forwarded, 'via')).toContain(via);
    expect(fieldsOf(forwarded, 'contact')).toEqual(fieldsOf(original, 'contact'));
  });

  it('§4.10 three colons in a row lead where two would', async () => {
    const [wrong, right] = [await outcomeOf('ipv6-bug-abnf-3-colons'), await outcomeOf('ipv6-correct-abnf-2-colons')];
    expect(wrong.forwardedTo).toBe(right.forwardedTo);
    expect(startLine(wrong.forwarded)).toBe(startLine(wrong.original));
  });
});
