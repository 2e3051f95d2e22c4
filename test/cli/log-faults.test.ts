/** A serving process whose log cannot be written: it serves on, and ends in order. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/real-network.ts';
import { scratch } from './harness.ts';

const files = scratch();
const started: ChildProcess[] = [];
const opened: number[] = [];
afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode === null) child.kill('SIGKILL');
    await ended(child);
  }
  for (const fd of opened.splice(0)) closeSync(fd);
});
afterAll(() => files.remove());

const host = '127.0.0.1';

/** The log says no port, so they are chosen before. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Served {
  readonly child: ChildProcess;
  readonly port: number;
  readonly admin: string;
}

async function serve(stdout: number | 'pipe', ...words: string[]): Promise<Served> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const admin = `http://${host}:${adminPort}`;
  const main = fileURLToPath(new URL('echo-main.ts', import.meta.url));
  const flags = ['echo', '--listen', `${host}:${port}`, '--admin', `${host}:${adminPort}`, ...words];
  const child = spawn(process.execPath, [main, ...flags], { stdio: ['ignore', stdout, 'ignore'] });
  started.push(child);
  const served = { child, port, admin };
  for (let tries = 0; tries < 500; tries += 1) {
    const answer = await fetch(`${admin}/healthz`).catch(() => undefined);
    if (answer?.status === 200) return served;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('it never got ready');
}

const ended = (child: ChildProcess): Promise<number | string> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode ?? child.signalCode ?? '');
    else child.once('exit', (code, signal) => resolve(code ?? signal ?? ''));
  });

/** The longest wait for an echo, over so many datagrams that each log a line. */
async function slowestEcho({ port }: Served, count: number, word: string): Promise<number> {
  const socket = createSocket('udp4');
  let slowest = 0;
  for (let index = 0; index < count; index += 1) {
    const before = performance.now();
    await new Promise<void>((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error('no echo within 2 s')), 2_000);
      socket.once('message', () => {
        clearTimeout(limit);
        resolve();
      });
      socket.send(word, port, host);
    });
    slowest = Math.max(slowest, performance.now() - before);
  }
  socket.close();
  return slowest;
}

async function droppedLines({ admin }: Served): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Number(/^altpath_log_lines_dropped_total (\d+)$/m.exec(text)?.[1]);
}

function fifo(name: string): { readonly writer: number; readonly reader: number } {
  const path = `${files.file(`${name}.txt`, '')}.fifo`;
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY);
  opened.push(writer);
  return { reader, writer };
}

const line = `log ${'x'.repeat(900)}`;

describe('log faults: signaling goes on', () => {
  it.each(['json', 'pretty'])('on a full disk, and says how many lines it dropped (%s)', async (format) => {
    const full = openSync('/dev/full', 'w');
    opened.push(full);
    const served = await serve(full, '--log-format', format);
    await slowestEcho(served, 50, line);
    expect(await droppedLines(served)).toBeGreaterThanOrEqual(50);
    served.child.kill('SIGTERM');
    expect(await ended(served.child)).toBe(0);
  });

  it('on a full disk, and a fault of its own still ends it', async () => {
    const full = openSync('/dev/full', 'w');
    opened.push(full);
    const served = await serve(full);
    const socket = createSocket('udp4');
    socket.send('throw', served.port, host, () => socket.close());
    expect(await ended(served.child)).toBe(1);
  });

  it.each(['json', 'pretty'])(
    'into a pipe whose reader stopped; when it reads again it hears of the gap (%s)',
    async (format) => {
      const { reader, writer } = fifo(`stalled-${format}`);
      const served = await serve(writer, '--log-format', format);
      expect(await slowestEcho(served, 2_000, line)).toBeLessThan(1_000);
      expect(await droppedLines(served)).toBeGreaterThan(100);
      const buffer = Buffer.alloc(65_536);
      let heard = '';
      await eventually(() => {
        try {
          heard += buffer.toString('utf8', 0, readSync(reader, buffer));
        } catch {
          // Nothing there yet.
        }
        return heard.includes('log lines were dropped');
      });
      if (format === 'json')
        for (const each of heard.split('\n').slice(0, -1)) expect(() => JSON.parse(each)).not.toThrow();
      closeSync(reader);
      served.child.kill('SIGTERM');
      expect(await ended(served.child)).toBe(0);
    },
  );

  it('into a pipe whose reader is gone', async () => {
    const { reader, writer } = fifo('closed');
    const served = await serve(writer);
    closeSync(reader);
    await slowestEcho(served, 50, line);
    expect(await droppedLines(served)).toBeGreaterThanOrEqual(50);
    served.child.kill('SIGTERM');
    expect(await ended(served.child)).toBe(0);
  });

  it('into a socket that nobody reads, as service managers and parents give one, and ends in time', async () => {
    const served = await serve('pipe');
    await slowestEcho(served, 2_000, line);
    expect(await droppedLines(served)).toBeGreaterThan(100);
    const before = performance.now();
    served.child.kill('SIGTERM');
    expect(await ended(served.child)).toBe(0);
    expect(performance.now() - before).toBeLessThan(4_000);
  });
});
