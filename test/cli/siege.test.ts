/** The real program under what strangers and the surroundings can do to it, with 512 MB: it carries messages throughout. */

import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { AltpathProcess } from './harness.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const host = '127.0.0.1';

let altpath: AltpathProcess | undefined;
const datagrams: DatagramSocket[] = [];
const streams: Socket[] = [];
afterEach(async () => {
  for (const socket of datagrams.splice(0)) socket.close();
  for (const socket of streams.splice(0)) socket.destroy();
  altpath?.kill('SIGKILL');
  await altpath?.ended;
});

interface Served {
  readonly process: AltpathProcess;
  readonly udp: number;
  readonly tcp: number;
  readonly ws: number;
  readonly admin: string;
}

async function serve(): Promise<Served> {
  const listen = ['udp', 'tcp', 'ws'].flatMap((transport) => ['--listen', `${transport}:${host}:0`]);
  const process = new AltpathProcess(
    ['sip', ...listen, '--admin', `${host}:0`, '--log-format', 'json'],
    { NODE_OPTIONS: '--max-old-space-size=512' },
    main,
  );
  altpath = process;
  const { addresses, admin } = await process.logged('ready');
  const [udp = 0, tcp = 0, ws = 0] = (Array.isArray(addresses) ? addresses : []).map((address) =>
    Number(String(address).replace(/^.*:/, '')),
  );
  return { process, udp, tcp, ws, admin: `http://${String(admin)}` };
}

async function datagramSocket(): Promise<DatagramSocket> {
  const socket = createSocket('udp4');
  datagrams.push(socket);
  await new Promise<void>((resolve) => socket.bind(0, host, resolve));
  return socket;
}

async function stream(port: number): Promise<Socket> {
  const socket = connect(port, host);
  streams.push(socket);
  socket.on('error', () => undefined).resume();
  await once(socket, 'connect');
  return socket;
}

const message = (method: string, uri: string, port: number, id: string, more = ''): string =>
  `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP ${host}:${port};branch=z9hG4bK${id}\r\nMax-Forwards: 70\r\n` +
  `From: <sip:bob@${host}>;tag=${id}\r\nTo: <sip:alice@${host}>\r\nCall-ID: ${id}\r\nCSeq: 1 ${method}\r\n` +
  `${more}Content-Length: 0\r\n\r\n`;

/** Alice is registered and answers whatever comes; returns what sends her a message and waits for her answer, in milliseconds. */
async function telephones({ udp }: Served): Promise<() => Promise<number>> {
  const alice = await datagramSocket();
  const bob = await datagramSocket();
  let serial = 0;
  const waiting = new Map<string, () => void>();
  alice.on('message', (bytes, from) => {
    const text = bytes.toString('latin1');
    if (!text.startsWith('MESSAGE ')) return;
    const kept = text.split('\r\n').filter((line) => /^(via|from|to|call-id|cseq):/i.test(line));
    alice.send(['SIP/2.0 200 OK', ...kept, 'Content-Length: 0', '', ''].join('\r\n'), from.port, host);
  });
  bob.on('message', (bytes) => {
    const text = bytes.toString('latin1');
    if (text.startsWith('SIP/2.0 200 ')) waiting.get(/^Call-ID: (.*)$/im.exec(text)?.[1]?.trim() ?? '')?.();
  });
  const contact = `Contact: <sip:alice@${host}:${alice.address().port}>\r\n`;
  alice.send(message('REGISTER', `sip:${host}:${udp}`, alice.address().port, 'register', contact), udp, host);
  await once(alice, 'message');
  return () =>
    new Promise((resolve, reject) => {
      serial += 1;
      const id = `message${serial}`;
      const text = message('MESSAGE', `sip:alice@${host}:${udp}`, bob.address().port, id);
      const beganMs = performance.now();
      // As a telephone does over UDP: what is lost in the rush is repeated (RFC 3261 §17.1.2.2).
      const repeat = setInterval(() => bob.send(text, udp, host), 500);
      const limit = setTimeout(() => {
        clearInterval(repeat);
        reject(new Error(`no answer to ${id} within 8 s`));
      }, 8_000);
      waiting.set(id, () => {
        clearInterval(repeat);
        clearTimeout(limit);
        waiting.delete(id);
        resolve(performance.now() - beganMs);
      });
      bob.send(text, udp, host);
    });
}

/** Messages one after the other while `attack` runs; how many were carried. */
async function carriedDuring(served: Served, attack: () => Promise<unknown>): Promise<number> {
  const send = await telephones(served);
  await send();
  let isOver = false;
  const attacking = attack().finally(() => {
    isOver = true;
  });
  let carried = 0;
  while (!isOver) {
    await send();
    carried += 1;
  }
  await attacking;
  await send();
  return carried;
}

async function memoryBytes({ admin }: Served): Promise<number> {
  const status: { memoryBytes: number } = JSON.parse(await (await fetch(`${admin}/status`)).text());
  return status.memoryBytes;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const mega = 1_048_576;

describe('a serving process carries messages', () => {
  it('through a flood of datagrams of one octet, and of none at all like a message; its log stays small', async () => {
    const served = await serve();
    const flood = async (): Promise<void> => {
      const strangers = await Promise.all(Array.from({ length: 20 }, () => datagramSocket()));
      const garbage = ['x', '\r', 'INVITE', `INVITE sip:a@b SIP/2.0\r\n${'X: y\r\n'.repeat(50)}`, '\u0000'.repeat(500)];
      for (let round = 0; round < 100; round += 1) {
        for (const stranger of strangers)
          for (let index = 0; index < 10; index += 1)
            stranger.send(garbage[index % garbage.length] ?? '', served.udp, host);
        await pause(5);
      }
    };
    expect(await carriedDuring(served, flood)).toBeGreaterThan(0);
    // 20,000 datagrams from one host: its line, and what the start said.
    expect(served.process.text.length).toBeLessThan(8_000);
    expect(await memoryBytes(served)).toBeLessThan(400 * mega);
  });

  it('while half-sent requests besiege the admin server, which answers as well', async () => {
    const served = await serve();
    const siege = async (): Promise<void> => {
      const { port } = new URL(served.admin);
      for (let round = 0; round < 5; round += 1) {
        const halves = await Promise.all(Array.from({ length: 64 }, () => stream(Number(port))));
        for (const half of halves) half.write('GET /healthz HTTP/1.1\r\nX-Half: ');
        expect((await fetch(`${served.admin}/healthz`)).status).toBe(200);
      }
    };
    expect(await carriedDuring(served, siege)).toBeGreaterThan(0);
  });

  it('beside streams that come octet by octet and messages that never end', async () => {
    const served = await serve();
    const siege = async (): Promise<void> => {
      const slow = await Promise.all(Array.from({ length: 40 }, () => stream(served.tcp)));
      const start = `MESSAGE sip:alice@${host} SIP/2.0\r\nContent-Length: 60000\r\n\r\n${'x'.repeat(50_000)}`;
      for (const each of slow) each.write(start);
      for (let round = 0; round < 200; round += 1) {
        for (const each of slow) each.write('x');
        await pause(5);
      }
    };
    expect(await carriedDuring(served, siege)).toBeGreaterThan(0);
    expect(await memoryBytes(served)).toBeLessThan(400 * mega);
  });

  it('beside WebSocket messages in fragments of one octet', async () => {
    const served = await serve();
    const before = await memoryBytes(served);
    const siege = async (): Promise<void> => {
      const upgrade =
        'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: sip\r\n\r\n';
      const peers = await Promise.all(Array.from({ length: 50 }, () => stream(served.ws)));
      for (const peer of peers) peer.write(upgrade);
      await Promise.all(peers.map((peer) => once(peer, 'data')));
      const fragment = (opcode: number): Buffer => Buffer.from([opcode, 0x81, 0, 0, 0, 0, 120]);
      for (const peer of peers) peer.write(fragment(0x01));
      const many = Buffer.concat(Array.from({ length: 600 }, () => fragment(0x00)));
      for (let round = 0; round < 100; round += 1) {
        for (const peer of peers) if (!peer.destroyed) peer.write(many);
        await pause(10);
      }
    };
    expect(await carriedDuring(served, siege)).toBeGreaterThan(0);
    // 50 connections with 60,000 fragments each were 270 MB.
    expect((await memoryBytes(served)) - before).toBeLessThan(150 * mega);
  });
});
