/** What the client package says on a connection: the protocol that was asked for, and nothing that some servers stumble over. */
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/internal.ts';
import { clientConnector } from '../../../src/location/redis/client.ts';
import { StoreLost, StoreRefusal } from '../../../src/location/redis/store-connection.ts';

let server: Server;
let port: number;
let heard: string[];
let answer: (words: readonly string[]) => string;
const sockets = new Set<Socket>();

beforeEach(async () => {
  heard = [];
  answer = () => '+OK\r\n';
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (;;) {
        const found = commandAt(text);
        if (found === undefined) return;
        text = text.slice(found.length);
        heard.push(found.words.join(' '));
        socket.write(answer(found.words));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await new Promise((resolve) => server.close(resolve));
});

/** One command of RESP at the beginning of the text. */
function commandAt(text: string): { readonly words: readonly string[]; readonly length: number } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (head === null) return undefined;
  let at = head[0].length;
  const words: string[] = [];
  for (let count = Number(head[1]); count > 0; count -= 1) {
    const size = /^\$(\d+)\r\n/.exec(text.slice(at));
    if (size === null) return undefined;
    const start = at + size[0].length;
    at = start + Number(size[1]) + 2;
    if (text.length < at) return undefined;
    words.push(text.slice(start, at - 2));
  }
  return { words, length: at };
}

const connect = (more = {}) => clientConnector({ clock: systemClock, secure: false, database: 0, ...more });

const at = () => ({ host: '127.0.0.1', port });

// redis/node-redis#3010: with Sentinel, the client-side cache needed RESP3 and got RESP2.
it('node-redis #3010: speaks RESP2 without a cache of its own, to stores and to Sentinels, and says what it is told to alone', async () => {
  for (const to of ['store', 'sentinel'] as const) {
    heard = [];
    const connection = await connect()(at(), to);
    expect(await connection.send(['GET', 'x'])).toBe('OK');
    connection.close();
    expect(heard).toEqual(['GET x']);
  }
});

it('shows who it is by AUTH, chooses its database, and does neither to a Sentinel that is not asked for', async () => {
  const settings = { username: 'altpath', password: 'secret', database: 3 };
  const store = await connect(settings)(at(), 'store');
  await store.send(['PING']);
  store.close();
  expect(heard.filter((each) => /AUTH|SELECT/.test(each)).sort()).toEqual(['AUTH altpath secret', 'SELECT 3']);
  heard = [];
  const sentinel = await connect(settings)(at(), 'sentinel');
  await sentinel.send(['PING']);
  sentinel.close();
  expect(heard).toEqual(['PING']);
});

it('tells a refusal from a loss, and a server that says nothing from one that is slow', async () => {
  answer = ([name]) => (name === 'GET' ? "-READONLY You can't write against a read only replica.\r\n" : '');
  const connection = await connect()(at(), 'store');
  await expect(connection.send(['GET', 'x'])).rejects.toBeInstanceOf(StoreRefusal);
  await expect(connection.send(['GET', 'x'])).rejects.toMatchObject({ kind: 'READONLY' });
  await expect(connection.send(['SET', 'x', 'y'], 50)).rejects.toBeInstanceOf(StoreLost);
  expect(connection.isOpen).toBe(false);
  await expect(connection.send(['GET', 'x'])).rejects.toBeInstanceOf(StoreLost);
});

it('what is no RESP at all ends the connection and nothing else', async () => {
  answer = () => 'HTTP/1.1 400 Bad Request\r\n\r\n';
  const connection = await connect()(at(), 'store');
  await expect(connection.send(['GET', 'x'], 300)).rejects.toBeInstanceOf(StoreLost);
});
