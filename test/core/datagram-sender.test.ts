/** The way around socket.send: what it sends, what it reports, and when it keeps to the public way. */
import { execFile } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { DatagramSender } from '../../src/network/datagram-sender.ts';
import { eventually } from '../support/real-network.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

async function bound(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
  sockets.push(socket);
  // Without a name to look up it listens before bind returns.
  const listening = once(socket, 'listening');
  socket.bind(0, '127.0.0.1');
  await listening;
  return socket;
}

async function receiver(): Promise<{ texts: string[]; port: number }> {
  const socket = await bound();
  const texts: string[] = [];
  socket.on('message', (bytes) => texts.push(bytes.toString()));
  return { texts, port: socket.address().port };
}

/** How often socket.send is called from now on. */
function publicSends(socket: Socket): () => number {
  const { send } = socket;
  let count = 0;
  Object.assign(socket, {
    send: (...given: unknown[]) => {
      count += 1;
      return Reflect.apply(send, socket, given);
    },
  });
  return () => count;
}

const never = (error: unknown): never => {
  throw error;
};

describe('a sender of datagrams', () => {
  it('sends the first one the public way and the others without it', async () => {
    const socket = await bound();
    const { texts, port } = await receiver();
    const sends = publicSends(socket);
    const sender = new DatagramSender(socket, never);
    for (const text of ['a', 'b', 'c', 'd']) sender.send(Buffer.from(text), { host: '127.0.0.1', port });
    await eventually(() => texts.length === 4);
    expect(texts).toEqual(['a', 'b', 'c', 'd']);
    expect(sends()).toBe(1);
  });

  it('does so on a connected socket as well, and reports what the system says of the peer', async () => {
    const peer = await bound();
    const texts: string[] = [];
    peer.on('message', (bytes) => texts.push(bytes.toString()));
    const socket = await bound();
    socket.on('error', () => undefined);
    const connected = once(socket, 'connect');
    socket.connect(peer.address().port, '127.0.0.1');
    await connected;
    const sends = publicSends(socket);
    const errors: unknown[] = [];
    const sender = new DatagramSender(socket, (error) => errors.push(error));
    for (const text of ['a', 'b', 'c']) sender.send(Buffer.from(text));
    await eventually(() => texts.length === 3);
    expect(texts).toEqual(['a', 'b', 'c']);
    sockets.splice(sockets.indexOf(peer), 1);
    peer.close();
    // The refusal of one is told to the next; the socket's own event may take it first, so that it takes a few.
    for (let n = 0; n < 200 && errors.length === 0; n += 1) {
      sender.send(Buffer.from('x'));
      sender.send(Buffer.from('y'));
      if (n % 10 === 9) await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => errors.length > 0);
    expect(errors[0]).toMatchObject({ code: 'ECONNREFUSED', syscall: 'send' });
    expect(sends()).toBe(1);
  });

  it('reports a datagram that cannot go later than send returns, with its destination', async () => {
    const socket = await bound();
    const { texts, port } = await receiver();
    const failures: unknown[] = [];
    const sender = new DatagramSender(socket, (error, remote) => failures.push([error, remote]));
    sender.send(Buffer.from('a'), { host: '127.0.0.1', port });
    const nowhere = { host: '255.255.255.255', port: 9 };
    const noAddress = { host: 'name.example', port: 9 };
    sender.send(Buffer.from('b'), nowhere);
    sender.send(Buffer.from('c'), noAddress);
    sender.send(Buffer.alloc(65_508), { host: '127.0.0.1', port });
    sender.send(Buffer.from('d'), { host: '127.0.0.1', port });
    expect(failures).toEqual([]);
    await eventually(() => failures.length === 3 && texts.length === 2);
    expect(failures).toMatchObject([
      [{ code: 'EACCES' }, nowhere],
      [{ code: 'EINVAL' }, noAddress],
      [{ code: 'EMSGSIZE' }, { port }],
    ]);
    expect(texts).toEqual(['a', 'd']);
  });

  it('finds its way although the first ones fail', async () => {
    const socket = await bound();
    const { texts, port } = await receiver();
    const sends = publicSends(socket);
    const failures: unknown[] = [];
    const sender = new DatagramSender(socket, (error) => failures.push(error));
    for (let n = 0; n < 2; n += 1) sender.send(Buffer.from('x'), { host: '255.255.255.255', port: 9 });
    for (const text of ['a', 'b', 'c']) sender.send(Buffer.from(text), { host: '127.0.0.1', port });
    await eventually(() => failures.length === 2 && texts.length === 3);
    expect(sends()).toBe(3);
  });

  it.each([
    ['at once', []],
    // Node's own way to test what happens where the kernel has no room: every datagram waits for the next turn.
    ['later', ['--test-udp-no-try-send']],
  ])('keeps octets and order where the kernel takes them %s', async (_, flags) => {
    const burst = fileURLToPath(new URL('../support/datagram-burst.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, burst], { timeout: 20_000 });
    expect(JSON.parse(stdout)).toEqual({ sent: 2_000, inOrder: 2_000, publicly: 1, errors: ['EACCES'] });
  });

  it.each([
    ['hides its handle', (socket: Socket) => Object.create(socket)],
    ['sends otherwise', (socket: Socket) => otherwise(socket)],
  ])('keeps to the public way on a Node that %s', async (_, change) => {
    const plain = await bound();
    const socket: Socket = change(plain);
    const { texts, port } = await receiver();
    const sends = publicSends(socket);
    const sender = new DatagramSender(socket, never);
    for (const text of ['a', 'b', 'c']) sender.send(Buffer.from(text), { host: '127.0.0.1', port });
    await eventually(() => texts.length === 3);
    expect(sends()).toBe(3);
  });
});

/** The handle is given a copy of the octets, as if Node had joined several. */
function otherwise(socket: Socket): Socket {
  const { send } = socket;
  return Object.assign(socket, {
    send: (bytes: Uint8Array, ...rest: unknown[]) => Reflect.apply(send, socket, [Buffer.from(bytes), ...rest]),
  });
}
