/** A program of its own, so that Node can be given flags: sends 2,000 datagrams to itself, one that cannot go, and says what became of them. */
import { createSocket, type Socket } from 'node:dgram';
import { DatagramSender } from '../../src/network/datagram-sender.ts';

const count = 2_000;

const bound = (): Promise<Socket> =>
  new Promise((resolve) => {
    const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
    socket.bind(0, '127.0.0.1', () => resolve(socket));
  });

const [from, to] = [await bound(), await bound()];
to.setRecvBufferSize(4_194_304);
let inOrder = 0;
to.on('message', (bytes) => {
  if (bytes.readUInt32BE(0) === inOrder && bytes.readUInt32BE(bytes.length - 4) === inOrder) inOrder += 1;
});
let publicly = 0;
const { send } = from;
Object.assign(from, {
  send: (...given: unknown[]) => {
    publicly += 1;
    return Reflect.apply(send, from, given);
  },
});
const errors: unknown[] = [];
const sender = new DatagramSender(from, (error) =>
  errors.push(error instanceof Error && 'code' in error ? error.code : error),
);
const { port } = to.address();
for (let n = 0; n < count; n += 1) {
  const bytes = Buffer.alloc(8 + (n % 1_000));
  bytes.writeUInt32BE(n);
  bytes.writeUInt32BE(n, bytes.length - 4);
  sender.send(bytes, { host: '127.0.0.1', port });
  if (n % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
}
sender.send(Buffer.from('x'), { host: '255.255.255.255', port: 9 });
for (let turn = 0; turn < 1_000 && (inOrder < count || errors.length === 0); turn += 1)
  await new Promise((resolve) => setTimeout(resolve, 5));
process.stdout.write(JSON.stringify({ sent: count, inOrder, publicly, errors }));
from.close();
to.close();
