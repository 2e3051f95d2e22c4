/** Whatever is thrown at the proxy, it goes on serving calls. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { placeCalls } from './support/call-load.ts';
import { type Certificate, makeCertificate } from './support/certificate.ts';
import { stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { answersOptions } from './support/ping.ts';
import { missing } from './support/programs.ts';
import { type RunningProxy, startProxy } from './support/proxy.ts';

const absent = missing('sipp', 'openssl');

/** The largest payload of UDP over IPv4. */
const greatestDatagram = 65_507;

const openFilesLimit = Number(execFileSync('/bin/sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim()) || 65_536;

/** Both ends count: the proxy's, and ours in this process. */
const idleConnections = Math.min(10_000, Math.floor((openFilesLimit - 1500) / 200) * 200);

describe.skipIf(absent)(`Bad input leaves the proxy serving${absent === undefined ? '' : ` (${absent})`}`, () => {
  let proxy: RunningProxy;
  let certificate: Certificate;
  let attacker: string;

  beforeAll(async () => {
    const host = await freeHost(5060, 5061, 5080);
    attacker = await freeHost();
    certificate = makeCertificate(host);
    proxy = await startProxy({
      host,
      transports: ['tcp', 'tls', 'ws'],
      certificate,
      backups: ['127.0.0.2:5060'],
      openFiles: openFilesLimit,
    });
  });

  afterEach(async () => {
    expect(proxy.child.exited, proxy.child.output.slice(-3000)).toBeUndefined();
    const { caller, called } = await placeCalls(proxy, {
      caller: 'call.xml',
      called: 'answer.xml',
      calls: 50,
      rate: 100,
    });
    expect(caller, caller.errors).toMatchObject({ successful: 50, failed: 0, sentAgain: 0 });
    expect(called, called?.errors).toMatchObject({ successful: 50, failed: 0, sentAgain: 0 });
  });

  afterAll(stopAll);

  it('the messages of RFC 4475 and RFC 5118, over UDP and over TCP', async () => {
    const messages = ['rfc4475', 'rfc5118'].flatMap(vectors);
    expect(messages.length).toBeGreaterThan(55);
    await sendDatagrams(attacker, proxy, messages);
    for (const message of messages) await sendOnConnection(proxy.host, proxy.port, message);
  });

  it('64 kB of random octets in a datagram, 300 times', async () => {
    await sendDatagrams(
      attacker,
      proxy,
      Array.from({ length: 300 }, () => randomBytes(greatestDatagram)),
    );
  });

  it('64 kB made to be slow to read, in every field, and it still answers within a second', async () => {
    const start = 'OPTIONS sip:127.0.0.1 SIP/2.0\r\n';
    const rest = [
      'Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1',
      'From: <sip:a@127.0.0.1>;tag=1',
      'To: <sip:127.0.0.1>',
      'Call-ID: 1',
      'CSeq: 1 OPTIONS',
      '',
      '',
    ].join('\r\n');
    const fillers = [
      'a',
      ',',
      ';',
      '"',
      '<',
      '\\"',
      ' ',
      '\r\n ',
      'Via: x\r\n',
      'v:,',
      '%41',
      '[',
      ':',
      '<sip:a>,',
      '\0',
      '\xff',
    ];
    const fields = [
      'Via',
      'Route',
      'Record-Route',
      'Contact',
      'To',
      'CSeq',
      'Content-Length',
      'Authorization',
      'X',
      'Path',
    ];
    const messages = fields.flatMap((field) =>
      fillers.flatMap((filler) => {
        const room = greatestDatagram - start.length - rest.length - field.length - 4;
        const fill = filler.repeat(Math.floor(room / filler.length));
        return [`${start}${field}: ${fill}\r\n${rest}`, `${start}${rest.slice(0, -2)}${field}: ${fill}\r\n\r\n`];
      }),
    );
    for (const message of messages) {
      await sendDatagrams(attacker, proxy, [Buffer.from(message, 'latin1')]);
    }
    expect(await answersOptions(proxy.host, proxy.port, 1000)).toBe(true);
  });

  it('garbage on the TLS port: before the handshake, instead of its end, and inside it', async () => {
    for (let i = 0; i < 100; i++) {
      await sendOnConnection(proxy.host, proxy.tlsPort, randomBytes(1 + ((i * 97) % 20_000)));
    }
    // The first half of a ClientHello, and then nothing.
    const halves = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const socket = quiet(connect(proxy.tlsPort, proxy.host));
        await once(socket, 'connect');
        socket.write(Buffer.from('160301020001', 'hex'));
        return socket;
      }),
    );
    for (let i = 0; i < 30; i++) {
      const socket = connectTls({ host: proxy.host, port: proxy.tlsPort, ca: certificate.cert, servername: '' });
      quiet(socket);
      await once(socket, 'secureConnect');
      socket.end(randomBytes(30_000));
      await Promise.race([once(socket, 'close'), pause(2000)]);
      socket.destroy();
    }
    for (const socket of halves) socket.destroy();
  });

  it('garbage on the WebSocket port', async () => {
    for (let i = 0; i < 50; i++)
      await sendOnConnection(proxy.host, proxy.wsPort, randomBytes(1 + ((i * 197) % 20_000)));
    const request = `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n`;
    for (let i = 0; i < 50; i++) {
      await sendOnConnection(proxy.host, proxy.wsPort, Buffer.concat([Buffer.from(request), randomBytes(500)]));
    }
  });

  it(`${idleConnections} idle TCP connections, while calls go on`, async () => {
    const sockets: Socket[] = [];
    try {
      // The proxy takes 256 connections of one address, so they come from many.
      for (let batch = 0; batch * 200 < idleConnections; batch++) {
        const localAddress = `127.0.9.${1 + batch}`;
        const opened = Array.from({ length: 200 }, () =>
          quiet(connect({ port: proxy.port, host: proxy.host, localAddress })),
        );
        sockets.push(...opened);
        await Promise.all(opened.map((socket) => once(socket, 'connect')));
      }
      expect(sockets.filter((socket) => socket.readyState === 'open')).toHaveLength(sockets.length);
      expect(sockets.length).toBeGreaterThanOrEqual(idleConnections);
      const { caller } = await placeCalls(proxy, {
        caller: 'call.xml',
        called: 'answer.xml',
        calls: 200,
        rate: 100,
        callerTransport: 'tcp',
        calledTransport: 'tcp',
      });
      expect(caller, caller.errors).toMatchObject({ successful: 200, failed: 0, sentAgain: 0 });
      expect(sockets.filter((socket) => socket.readyState === 'open')).toHaveLength(sockets.length);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});

function vectors(set: string): Buffer[] {
  const directory = fileURLToPath(new URL(`../vectors/sip/${set}/`, import.meta.url));
  return readdirSync(directory)
    .filter((name) => name.endsWith('.dat'))
    .map((name) => readFileSync(directory + name));
}

async function sendDatagrams(from: string, to: RunningProxy, messages: readonly Buffer[]): Promise<void> {
  const socket = createSocket('udp4').on('error', () => {});
  await new Promise<void>((resolve) => socket.bind(5060, from, resolve));
  for (const message of messages) {
    await new Promise<void>((resolve) => socket.send(message, to.port, to.host, () => resolve()));
    // The kernel drops what the proxy has not yet read: let it read every one.
    await pause(2);
  }
  socket.close();
}

/** Writes, waits a moment for an answer or the end, and goes. */
async function sendOnConnection(host: string, port: number, bytes: Buffer): Promise<void> {
  const socket = quiet(connect(port, host));
  await once(socket, 'connect');
  socket.write(bytes);
  await Promise.race([once(socket, 'data'), once(socket, 'close'), pause(20)]);
  socket.destroy();
}

const quiet = <S extends Socket>(socket: S): S => {
  socket.on('error', () => {});
  return socket;
};
