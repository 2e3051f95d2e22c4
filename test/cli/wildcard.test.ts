/** A socket bound to a wildcard, without `advertise`: the machine's own addresses are ours. */
import { createSocket, type Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { ownAddresses, shownHost } from '../../src/internal.ts';
import { AltpathProcess } from './harness.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const sockets: Socket[] = [];
let altpath: AltpathProcess | undefined;
afterEach(() => {
  altpath?.kill('SIGKILL');
  for (const socket of sockets.splice(0)) socket.close();
});

interface Telephone {
  readonly port: number;
  ask(text: string): void;
  next(): Promise<string>;
}

async function telephone(host: string, to: number): Promise<Telephone> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  await new Promise<void>((resolve) => socket.bind(0, host, resolve));
  return {
    port: socket.address().port,
    ask: (text) => socket.send(text, to, host),
    next: () =>
      new Promise((resolve, reject) => {
        const limit = setTimeout(() => reject(new Error('nothing came')), 5_000);
        socket.once('message', (bytes) => {
          clearTimeout(limit);
          resolve(bytes.toString('latin1'));
        });
      }),
  };
}

const outside = Object.values(networkInterfaces())
  .flat()
  .find((each) => each !== undefined && !each.internal && each.family === 'IPv4')?.address;

describe('listen 0.0.0.0', () => {
  it.each(outside === undefined ? ['127.0.0.1'] : ['127.0.0.1', outside])(
    'registers and calls by %s, and says what it is',
    async (host) => {
      altpath = new AltpathProcess(['sip', '--listen', '0.0.0.0:0'], {}, main);
      const { addresses } = await altpath.logged('ready');
      const port = Number(String(Array.isArray(addresses) ? addresses[0] : '').replace(/^.*:/, ''));
      expect((await altpath.logged(/^ready: SIP/)).msg).toMatch(/ on udp:0\.0\.0\.0:\d+, which is .*127\.0\.0\.1/);
      const alice = await telephone(host, port);
      const bob = await telephone(host, port);
      const request = (method: string, from: Telephone, uri: string, more = '') =>
        `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP ${host}:${from.port};branch=z9hG4bK${method};rport\r\n` +
        `From: <sip:x@${host}:${port}>;tag=1\r\nTo: <sip:alice@${host}:${port}>\r\nCall-ID: ${method}\r\n` +
        `CSeq: 1 ${method}\r\nMax-Forwards: 70\r\n${more}Content-Length: 0\r\n\r\n`;
      alice.ask(request('REGISTER', alice, `sip:${host}:${port}`, `Contact: <sip:alice@${host}:${alice.port}>\r\n`));
      expect(await alice.next()).toMatch(/^SIP\/2\.0 200 /);
      bob.ask(request('MESSAGE', bob, `sip:alice@${host}:${port}`));
      const message = await alice.next();
      expect(message).toMatch(/^MESSAGE sip:alice@/);
      expect(message).not.toContain('0.0.0.0');
      const vias = message.match(/^Via:.*$/gm)?.join('\r\n') ?? '';
      alice.ask(
        `SIP/2.0 200 OK\r\n${vias}\r\nFrom: <sip:x@${host}:${port}>;tag=1\r\nTo: <sip:alice@${host}:${port}>;tag=2\r\n` +
          `Call-ID: MESSAGE\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n`,
      );
      expect(await bob.next()).toMatch(/^SIP\/2\.0 200 /);
    },
  );
});

describe('own addresses', () => {
  const at = (address: string, family: 'IPv4' | 'IPv6', internal = false) => ({ address, family, internal });
  const interfaces = {
    lo: [at('127.0.0.1', 'IPv4', true), at('::1', 'IPv6', true)],
    eth0: [at('169.254.3.4', 'IPv4'), at('fe80::1', 'IPv6'), at('192.0.2.7', 'IPv4'), at('2001:DB8:0::7', 'IPv6')],
    eth1: [at('198.51.100.7', 'IPv4')],
  } as unknown as Parameters<typeof ownAddresses>[1];

  it('are those of the family, best first; of a literal, itself', () => {
    expect(ownAddresses('0.0.0.0', interfaces)).toEqual(['192.0.2.7', '198.51.100.7', '169.254.3.4', '127.0.0.1']);
    expect(ownAddresses('::', interfaces)).toEqual(['2001:db8::7', 'fe80::1', '::1']);
    expect(ownAddresses('::', {})).toEqual(['::1']);
    expect(ownAddresses('192.0.2.9', interfaces)).toEqual(['192.0.2.9']);
  });

  it('show the operator’s word first', () => {
    expect(shownHost('0.0.0.0', 'ca.example.net', interfaces)).toBe('ca.example.net');
    expect(shownHost('0.0.0.0', undefined, interfaces)).toBe('192.0.2.7');
    expect(shownHost('192.0.2.9', 'ca.example.net', interfaces)).toBe('192.0.2.9');
  });
});
