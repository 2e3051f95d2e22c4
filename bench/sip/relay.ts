/**
 * The floor: passes datagrams on between two hosts without looking at them, one receive and one send each, as a proxy on Node at the
 * very least has to. `node relay.ts HOST CALLER CALLED`, port 5060 everywhere.
 */
import { createSocket } from 'node:dgram';

const [host = '', caller = '', called = ''] = process.argv.slice(2);

const socket = createSocket({
  type: 'udp4',
  lookup: (name, _options, callback) => callback(null, name, 4),
});

socket.on('message', (bytes, from) => {
  socket.send(bytes, 5060, from.address === called ? caller : called);
});

socket.bind(5060, host, () => process.stdout.write('ready\n'));
