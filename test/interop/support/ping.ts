/** OPTIONS over UDP: does the proxy serve? */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { setTimeout as pause } from 'node:timers/promises';

/** Sends OPTIONS until any answer comes. False after limitMs, or as soon as `given` says that there is no use in waiting. */
export async function answersOptions(
  host: string,
  port: number,
  limitMs: number,
  isHopeless: () => boolean = () => false,
): Promise<boolean> {
  const socket = createSocket('udp4');
  let answered = false;
  socket.on('message', () => {
    answered = true;
  });
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const deadline = performance.now() + limitMs;
  try {
    for (let sent = 0; !answered && performance.now() < deadline && !isHopeless(); sent++) {
      if (sent % 5 === 0) socket.send(optionsRequest(host, port, socket.address().port), port, host);
      await pause(20);
    }
    return answered;
  } finally {
    socket.close();
  }
}

const optionsRequest = (host: string, port: number, ownPort: number): string =>
  [
    `OPTIONS sip:${host}:${port} SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.1:${ownPort};branch=z9hG4bK${randomBytes(8).toString('hex')}`,
    'Max-Forwards: 70',
    `From: <sip:ping@127.0.0.1>;tag=${randomBytes(4).toString('hex')}`,
    `To: <sip:${host}:${port}>`,
    `Call-ID: ${randomBytes(8).toString('hex')}`,
    'CSeq: 1 OPTIONS',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
