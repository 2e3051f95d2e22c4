/** A process with little memory under a flood of large requests: it lives, and places calls meanwhile. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import { answerTo, fieldsOf, request } from '../protocols/sip/world.ts';
import { eventually } from '../support/real-network.ts';
import { scratch } from './harness.ts';

const host = '127.0.57.1';
const port = 5_060;
const files = scratch();
let child: ChildProcess | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
  for (const socket of sockets.splice(0)) socket.close();
  files.remove();
});

async function socketAt(
  address: string,
  at: number,
  received: (text: string, socket: Socket) => void,
): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1_048_576, sendBufferSize: 4_194_304 });
  sockets.push(socket);
  socket.on('message', (bytes) => received(bytes.toString('latin1'), socket));
  socket.bind(at, address);
  await once(socket, 'listening');
  return socket;
}

const tell = (socket: Socket, text: string): void => socket.send(Buffer.from(text, 'latin1'), port, host);

it('lives on 512 MB under INVITEs of 60 kB to a callee that says nothing, and places calls meanwhile', async () => {
  const config = files.file(
    'sip.yaml',
    `log: { level: error, format: json }\nadmin: off\nlocation: memory\nsip: { listen: ["udp:${host}:${port}"], domains: [b.example] }\n`,
  );
  child = spawn(process.execPath, ['--max-old-space-size=512', 'src/main.ts', 'run', '-c', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaints = '';
  child.stderr?.on('data', (bytes: Buffer) => {
    complaints += bytes.toString();
  });

  const answered = new Set<string>();
  let refused = 0;
  const caller = await socketAt('127.0.57.2', 5_062, (text) => {
    if (text.startsWith('SIP/2.0 200')) answered.add(`${fieldsOf(text, 'call-id')[0]} ${fieldsOf(text, 'cseq')[0]}`);
  });
  const bob = await socketAt('127.0.57.3', 5_070, (text, socket) => {
    if (/^(?:INVITE|BYE) /.test(text))
      tell(socket, answerTo(text, 200, { fields: 'Contact: <sip:bob@127.0.57.3:5070>\r\n' }));
  });
  const dead = await socketAt('127.0.57.4', 5_070, () => undefined);
  const flood = await socketAt('127.0.57.5', 5_062, (text) => {
    if (text.startsWith('SIP/2.0 503')) refused += 1;
  });

  /** As a telephone repeats it (RFC 3261 §17.1): the flood fills the receive buffer at times. */
  const ask = async (socket: Socket, text: string, isAnswered: () => boolean): Promise<boolean> => {
    for (let waitMs = 250; waitMs <= 4_000 && !isAnswered(); waitMs *= 2) {
      tell(socket, text);
      await eventually(isAnswered, 'an answer', waitMs).catch(() => undefined);
    }
    return isAnswered();
  };
  const register = (user: string, socket: Socket, via: string): Promise<boolean> => {
    let isDone = false;
    socket.on('message', (bytes) => {
      isDone ||= bytes.toString('latin1').startsWith('SIP/2.0 200');
    });
    const to = `<sip:${user}@b.example>`;
    return ask(
      socket,
      request('REGISTER', {
        uri: 'sip:b.example',
        via,
        to,
        from: `${to};tag=r`,
        callId: `r-${user}`,
        branch: `z9hG4bKr${user}`,
        fields: `Contact: <sip:${user}@${via}>\r\n`,
      }),
      () => isDone,
    );
  };
  // Until it has started.
  for (let n = 0; n < 4 && !(await register('bob', bob, '127.0.57.3:5070')); n += 1);
  expect(await register('bob', bob, '127.0.57.3:5070')).toBe(true);
  expect(await register('dead', dead, '127.0.57.4:5070')).toBe(true);

  let isOver = false;
  const body = 'x'.repeat(60_000);
  const flooding = (async () => {
    for (let n = 0; n < 6_000; n += 1) {
      tell(
        flood,
        request('INVITE', {
          uri: 'sip:dead@b.example',
          via: '127.0.57.5:5062',
          branch: `z9hG4bKf${n}`,
          callId: `f${n}`,
          body,
        }),
      );
      if (n % 8 === 7) await new Promise((resolve) => setTimeout(resolve, 12));
    }
    isOver = true;
  })();
  const calls = { placed: 0, answered: 0 };
  let peakKb = 0;
  while (!isOver) {
    calls.placed += 1;
    const callId = `call-${calls.placed}`;
    const common = { uri: 'sip:bob@b.example', via: '127.0.57.2:5062', callId };
    const invited = await ask(caller, request('INVITE', { ...common, branch: `z9hG4bKi${callId}` }), () =>
      answered.has(`${callId} 1 INVITE`),
    );
    if (invited) calls.answered += 1;
    const dialog = { ...common, uri: 'sip:bob@127.0.57.3:5070', to: '<sip:bob@biloxi.example>;tag=b1' };
    const route = { fields: `Route: <sip:${host}:${port};lr>\r\n` };
    tell(caller, request('ACK', { ...dialog, ...route, branch: `z9hG4bKa${callId}` }));
    peakKb = Math.max(
      peakKb,
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'latin1'))?.[1] ?? 0),
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await flooding;
  expect(complaints).toBe('');
  expect([child.exitCode, child.signalCode]).toEqual([null, null]);
  expect(refused).toBeGreaterThan(500);
  expect(calls.placed).toBeGreaterThan(10);
  expect(calls.answered).toBe(calls.placed);
  expect(peakKb).toBeLessThan(900_000);
}, 90_000);
