/** The way around the event of each datagram: what it receives, and when it keeps to the public way. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { handleOf } from '../../src/network/datagram-handle.ts';
import { type DatagramSource, receiveFrom } from '../../src/network/datagram-receiver.ts';
import { eventually } from '../support/real-network.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
});

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

async function scene(change: (socket: Socket) => void = () => undefined) {
  const socket = await bound();
  change(socket);
  const sender = await bound();
  const texts: string[] = [];
  const sources: DatagramSource[] = [];
  let events = 0;
  receiveFrom(socket, (bytes, { address, port }) => {
    texts.push(bytes.toString());
    sources.push({ address, port });
  });
  socket.on('message', () => {
    events += 1;
  });
  const send = async (...words: string[]): Promise<void> => {
    const before = texts.length;
    for (const word of words) sender.send(word, socket.address().port, '127.0.0.1');
    await eventually(() => texts.length === before + words.length);
  };
  return { socket, sender, texts, sources, send, events: () => events };
}

describe('a receiver of datagrams', () => {
  it('takes the first one from the event and the others without it', async () => {
    const { send, texts, sources, sender, events } = await scene();
    await send('a', 'b', '', 'd');
    expect(texts).toEqual(['a', 'b', '', 'd']);
    expect(new Set(sources.map(({ port }) => port))).toEqual(new Set([sender.address().port]));
    expect(new Set(sources.map(({ address }) => address))).toEqual(new Set(['127.0.0.1']));
    expect(events()).toBe(1);
  });

  it('stays with the event where Node passes datagrams on in another form', async () => {
    const { send, texts, events } = await scene((socket) => {
      const handle = handleOf(socket);
      const theirs = handle?.onmessage;
      if (handle === undefined || theirs === undefined) throw new Error('no handle');
      handle.onmessage = (length, self, bytes, from) => theirs(length, self, Buffer.from(bytes as Buffer), from);
    });
    await send('a', 'b', 'c');
    expect(texts).toEqual(['a', 'b', 'c']);
    expect(events()).toBe(3);
  });

  it('tells of errors of the system as before, at first and later', async () => {
    const { send, socket, events } = await scene();
    const errors: unknown[] = [];
    socket.on('error', (error) => errors.push(error));
    handleOf(socket)?.onmessage?.(-105, handleOf(socket), undefined, undefined);
    await send('a', 'b');
    handleOf(socket)?.onmessage?.(-105, handleOf(socket), undefined, undefined);
    await send('c');
    expect(errors).toMatchObject([{ code: 'ENOBUFS' }, { code: 'ENOBUFS' }]);
    expect(events()).toBe(1);
  });
});
