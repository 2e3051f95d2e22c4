/** RFC 3261 §10.2.2: `altpath phone` takes its registration back when it is told to end. */
import { createSocket } from 'node:dgram';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { eventually } from '../support/real-network.ts';
import { AltpathProcess } from './harness.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
let phone: AltpathProcess | undefined;
afterEach(() => phone?.kill('SIGKILL'));

it.each(['SIGINT', 'SIGTERM'] as const)('with expires=0 on %s', async (signal) => {
  const contacts: string[] = [];
  const socket = createSocket('udp4', (bytes, from) => {
    const text = bytes.toString('latin1');
    if (!text.startsWith('REGISTER ')) return;
    const lines = text.split('\r\n');
    const kept = lines.filter((line) => /^(via|from|to|call-id|cseq|contact):/i.test(line));
    contacts.push(lines.find((line) => /^contact:/i.test(line)) ?? '');
    socket.send(['SIP/2.0 200 OK', ...kept, 'Content-Length: 0', '', ''].join('\r\n'), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const server = `127.0.0.1:${socket.address().port}`;
  phone = new AltpathProcess(
    ['phone', 'register', '--user', 'alice@127.0.0.1', '--server', server, '--json'],
    {},
    main,
  );
  await eventually(() => contacts.length === 1, 'it registers', 10_000);
  expect(contacts[0]).toMatch(/;expires=600$/);
  await eventually(() => phone?.text.includes('"registered"') === true, 'it is registered');
  phone.kill(signal);
  const { code, stdout } = await phone.ended;
  socket.close();
  expect(contacts.slice(1)).toEqual([expect.stringMatching(/;expires=0$/)]);
  expect(stdout).toContain('"event":"unregistered"');
  expect(code).toBe(0);
});
