/** RFC 3261 §12.2.1.1: the Contact of whoever calls a line from outside does not lead the user agent's requests into this machine. */
import { afterEach, describe, expect, it } from 'vitest';
import { createFraming } from '../../../../protocols/sip/codec/framing.ts';
import type { Flow, Transport } from '../../../../src/internal.ts';
import { domain, lineNumber, lineSdp, peerSdp, Rig } from './rig.ts';

let rig: Rig;

afterEach(() => rig.stop());

async function socket(transport: Transport, host: string, port: number) {
  const heard: string[] = [];
  const listener = await rig.network
    .host(host)
    .bind({ transport, host, port }, transport === 'tcp' ? { framing: createFraming } : {}, {
      received: (bytes) => heard.push(bytes.toString('latin1')),
      failed: () => undefined,
    });
  return { heard, flow: (): Flow => listener.flowTo({ host: '192.0.2.1', port: 5_060 }) };
}

describe('a call to a line from outside', () => {
  it.each([
    ['127.0.0.1:6379', false],
    ['127.0.0.1:6379;transport=tcp', false],
    ['192.0.2.1:6379;transport=tcp', false],
    ['[::ffff:127.0.0.1]:6379', false],
    ['198.51.100.31:5060', true],
  ])('with the Contact %s: is its dialog served there? %s', async (contact, isServed) => {
    rig = new Rig(
      { listen: ['udp:192.0.2.1:5060', 'tcp:192.0.2.1:5060'] },
      'a secret of this test',
      1,
      [],
      ['192.0.2.1'],
    );
    await rig.role.start();
    const inside = [
      await socket('udp', '127.0.0.1', 6_379),
      await socket('tcp', '127.0.0.1', 6_379),
      await socket('tcp', '192.0.2.1', 6_379),
    ];
    const caller = await socket('udp', '198.51.100.31', 5_060);
    const fields = (method: string, cseq: number, to: string): string =>
      `Via: SIP/2.0/UDP 198.51.100.31:5060;branch=z9hG4bK${method}\r\nMax-Forwards: 70\r\nFrom: <sip:m@x.net>;tag=m1\r\nTo: ${to}\r\nCall-ID: c1\r\nCSeq: ${cseq} ${method}\r\nContact: <sip:m@${contact}>\r\n`;
    const uri = `sip:${lineNumber}@${domain}`;
    caller
      .flow()
      .send(
        Buffer.from(
          `INVITE ${uri} SIP/2.0\r\n${fields('INVITE', 1, `<${uri}>`)}Content-Type: application/sdp\r\nContent-Length: ${peerSdp.length}\r\n\r\n${peerSdp}`,
        ),
      );
    await rig.run(10);
    rig.leg.say({ kind: 'alerting', description: lineSdp, early: false });
    await rig.run(10);
    rig.leg.say({ kind: 'answered' });
    await rig.run(10);
    const answer = caller.heard.find((text) => text.startsWith('SIP/2.0 200')) ?? '';
    const [, to = ''] = /^To: (.*)\r$/m.exec(answer) ?? [];
    expect(to).toContain(';tag=');
    caller
      .flow()
      .send(
        Buffer.from(`ACK sip:${lineNumber}@192.0.2.1:5060 SIP/2.0\r\n${fields('ACK', 1, to)}Content-Length: 0\r\n\r\n`),
      );
    await rig.run(10);
    rig.leg.say({ kind: 'hungUp' });
    await rig.run(2_000);
    expect(inside.flatMap(({ heard }) => heard)).toEqual([]);
    expect(caller.heard.some((text) => text.startsWith('BYE '))).toBe(isServed);
  });
});
