/** tshark reads every packet that the proxy sends: none is malformed, and the path attribute stands where it belongs. */
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type LoadTransport, placeCalls } from './support/call-load.ts';
import { captureMissing, type Packet, startCapture } from './support/capture.ts';
import { makeCertificate } from './support/certificate.ts';
import { stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { missing } from './support/programs.ts';
import { startProxy } from './support/proxy.ts';
import { scratchDirectory } from './support/scratch.ts';

const absent = missing('sipp', 'tshark', 'dumpcap', 'openssl') ?? (await captureMissing());

/** The tag on what leaves over a transport. A backup on a weaker one than TLS is never named over TLS. */
const tagOver = (transport: LoadTransport): string =>
  transport === 'tls'
    ? ';AlternatePath="sip:127.0.0.2:5061;transport=tls"'
    : ';AlternatePath="sip:127.0.0.2:5060;transport=udp"';

describe.skipIf(absent)(`tshark judges what the proxy sends${absent === undefined ? '' : ` (${absent})`}`, () => {
  afterEach(stopAll);

  it('sees that a broken message is broken, or this file proves nothing', async () => {
    const host = await freeHost();
    const capture = await startCapture({ host, sipPorts: [5060] });
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(5060, host, resolve));
    const whole = [
      'OPTIONS sip:127.0.0.1 SIP/2.0',
      'Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1',
      'From: <sip:a@127.0.0.1>;tag=1',
      'To: <sip:b@127.0.0.1>',
      'Call-ID: 1',
      'CSeq: 1 OPTIONS',
      '',
      '',
    ].join('\r\n');
    for (const text of [whole, whole.replace('Call-ID: 1', 'Call-ID 1'), whole.replace(';tag=1', '')]) {
      socket.send(text, 5060, host);
    }
    const [good, colonMissing, tagMissing] = await capture.finish();
    socket.close();
    expect(faultOf(good)).toBe('');
    expect(faultOf(colonMissing)).toMatch(/malformed/i);
    expect(faultOf(tagMissing)).toMatch(/essentials/);
  });

  const ways: readonly [LoadTransport, LoadTransport][] = [
    ['udp', 'udp'],
    ['tcp', 'udp'],
    ['udp', 'tcp'],
    ['tls', 'tls'],
  ];
  it.each(ways)('every message of calls from %s to %s is well-formed and names the backup', async (from, to) => {
    const host = await freeHost(5060, 5061);
    const callerHost = await freeHost(5060, 5061, 5070, 5090);
    const calledHost = await freeHost(5060, 5061, 5070, 5090);
    const certificate = makeCertificate(host, callerHost, calledHost);
    const keyLogFile = join(scratchDirectory('keys'), 'tls.log');
    writeFileSync(keyLogFile, '');
    const proxy = await startProxy({
      host,
      transports: ['tcp', 'tls'],
      certificate,
      backups: [to === 'tls' ? 'tls:127.0.0.2:5061' : '127.0.0.2:5060'],
      nodeFlags: [`--tls-keylog=${keyLogFile}`],
    });
    const capture = await startCapture({ host, sipPorts: [5060, 5070], tls: { port: 5061, keyLogFile } });
    const flows: readonly [string, string | undefined][] = [
      ['call.xml', 'answer.xml'],
      ['call-reinvite.xml', 'answer-reinvite.xml'],
      ['cancel.xml', 'cancelled.xml'],
      ['call-busy.xml', 'busy.xml'],
      ['call-unknown.xml', undefined],
      ['message.xml', 'message-answer.xml'],
      ['options.xml', undefined],
    ];
    const calls = 20;
    for (const [caller, called] of flows) {
      const { caller: result } = await placeCalls(proxy, {
        caller,
        ...(called === undefined ? {} : { called }),
        calls,
        rate: 50,
        callerTransport: from,
        calledTransport: to,
        certificate,
        callerHost,
        calledHost,
      });
      expect(result, `${caller} ${result.errors}`).toMatchObject({ successful: calls, failed: 0 });
    }
    const packets = await capture.finish();
    const ours = packets.filter(({ from, protocols }) => from.startsWith(`${host}:`) && hasPayload(protocols));
    // REGISTER, INVITE and the rest of 7 flows: far more than this, or the capture missed them.
    expect(ours.length).toBeGreaterThan(20 * calls);
    expect(ours.map(faultOf).filter((fault) => fault !== '')).toEqual([]);

    // One TLS record may carry more than one message; those of a single one show which value is whose.
    const first = ours.flatMap(({ firstLines }) => firstLines.split('|'));
    expect(first.filter((line) => line.startsWith('INVITE ')).length).toBeGreaterThanOrEqual(5 * calls);
    const invites = ours.filter(({ firstLines }) => /^INVITE [^|]*$/.test(firstLines));
    expect(invites.length).toBeGreaterThan(calls);
    const tag = tagOver(to);
    for (const { vias, recordRoutes } of invites) {
      expect(vias[0]).toContain(tag);
      expect(recordRoutes[0]).toContain(`>${tag}`);
      // Between transports (and over connections) both sides of us are in the route (RFC 5658 §6), both with the tag.
      expect(recordRoutes.every((entry) => entry.includes(`>${tag}`))).toBe(true);
      // On our own Via alone: the caller's is passed on as it came.
      expect(vias.slice(1).join()).not.toContain('AlternatePath');
    }
  });
});

const hasPayload = (protocols: string): boolean => /:(sip|data|_ws\.malformed)/.test(protocols);

/** What is wrong with a packet, in words; empty is good. */
function faultOf(packet: Packet | undefined): string {
  if (packet === undefined) return 'no packet';
  const where = `frame ${packet.frame} ${packet.firstLines}: `;
  if (packet.complaints !== '') return where + packet.complaints;
  if (!packet.protocols.includes('sip')) return `${where}not read as SIP but as ${packet.protocols}`;
  if (packet.essentials.length < 3) return `${where}essentials missing, only ${packet.essentials}`;
  return packet.vias.length === 0 ? `${where}no Via` : '';
}
