/**
 * Telephones in one process, for a host of its own: they register with either of two registrars, turn to the other where one does not answer,
 * and call one another. What happens goes to standard output, one JSON object a line; what to do comes in on standard input.
 *
 *     call-at-once N     N telephones register in turn with one and are called through the other in the moment of their 200
 *     load RATE          ever new telephones register, RATE a second
 *     check              no more of them; each that got a 200 is called through both
 */
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';
import { header, kindOf, readSip, respond, type SipText } from './sip-text.ts';

const [own = '', ...registrars] = process.argv.slice(2);
const port = 5_060;
const socket = createSocket('udp4');
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

/** Transactions of ours, by branch. */
const waiting = new Map<string, (answer: SipText) => void>();
/** Calls that are to arrive, by Call-ID. */
const arriving = new Map<string, () => void>();
const registered: string[] = [];
let isLoading = false;
let begun = 0;
let lastMs = performance.now();
let longestMs = 0;

socket.on('message', (octets, from) => {
  const message = readSip(octets.toString('latin1'));
  if (message.startLine.startsWith('SIP/2.0')) {
    if (kindOf(message).startsWith('1')) return;
    const branch = /branch=([^;,\s]+)/.exec(header(message, 'Via'))?.[1] ?? '';
    const heard = waiting.get(branch);
    waiting.delete(branch);
    if (/INVITE/.test(header(message, 'CSeq'))) acknowledge(message, from.address, branch);
    heard?.(message);
    return;
  }
  if (kindOf(message) !== 'INVITE') return;
  socket.send(respond(message, '486 Busy Here', { toTag: 'x' }), from.port, from.address);
  arriving.get(header(message, 'Call-ID'))?.();
});

/** RFC 3261 §17.1.1.3. */
function acknowledge(answer: SipText, to: string, branch: string): void {
  const uri = /<([^>]+)>/.exec(header(answer, 'To'))?.[1] ?? '';
  const lines = [`ACK ${uri} SIP/2.0`, `Via: SIP/2.0/UDP ${own}:${port};branch=${branch}`, 'Max-Forwards: 70'];
  for (const name of ['From', 'To', 'Call-ID']) lines.push(`${name}: ${header(answer, name)}`);
  lines.push('CSeq: 1 ACK', 'Content-Length: 0', '', '');
  socket.send(lines.join('\r\n'), port, to);
}

/** Sends it again until it is answered or `limitMs` are over: undefined then. */
function ask(
  registrar: string,
  method: string,
  user: string,
  callId: string,
  limitMs: number,
): Promise<SipText | undefined> {
  const branch = `z9hG4bK${callId}${method}${Math.random().toString(36).slice(2)}`;
  const uri = method === 'REGISTER' ? 'sip:example.com' : `sip:${user}@example.com`;
  const text = [
    `${method} ${uri} SIP/2.0`,
    `Via: SIP/2.0/UDP ${own}:${port};branch=${branch}`,
    'Max-Forwards: 70',
    `From: <sip:${method === 'REGISTER' ? user : 'caller'}@example.com>;tag=${callId}`,
    `To: <sip:${user}@example.com>`,
    `Call-ID: ${callId}`,
    `CSeq: 1 ${method}`,
    `Contact: <sip:${user}@${own}:${port}>`,
    ...(method === 'REGISTER' ? ['Expires: 3600'] : []),
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');
  return new Promise((resolve) => {
    const send = (): void => socket.send(text, port, registrar);
    const again = setInterval(send, 500);
    const end = (answer: SipText | undefined): void => {
      clearInterval(again);
      clearTimeout(limit);
      waiting.delete(branch);
      resolve(answer);
    };
    const limit = setTimeout(() => end(undefined), limitMs);
    waiting.set(branch, end);
    send();
  });
}

/** Through which registrar it got its 200. */
async function register(user: string, first: number): Promise<string | undefined> {
  for (let turn = 0; turn < 20; turn += 1) {
    const registrar = registrars[(first + turn) % registrars.length] ?? '';
    const answer = await ask(registrar, 'REGISTER', user, `r${user}`, 1_200);
    if (answer === undefined) continue;
    if (kindOf(answer) !== '200') {
      say({ event: 'refused', user, status: kindOf(answer), registrar });
      continue;
    }
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
    return registrar;
  }
  return undefined;
}

/** How long until its INVITE was there; a status: it was refused. */
async function call(registrar: string, user: string): Promise<number | string> {
  const callId = `i${user}${registrar}${Math.random().toString(36).slice(2)}`;
  const startedMs = performance.now();
  let tookMs: number | undefined;
  arriving.set(callId, () => {
    tookMs ??= performance.now() - startedMs;
  });
  const answer = await ask(registrar, 'INVITE', user, callId, 10_000);
  arriving.delete(callId);
  return tookMs ?? (answer === undefined ? 'silence' : kindOf(answer));
}

const otherThan = (registrar: string): string => registrars.find((each) => each !== registrar) ?? registrar;

async function callAtOnce(count: number): Promise<void> {
  const took: (number | string)[] = [];
  for (let number = 0; number < count; number += 1) {
    const user = `once${number}`;
    const registrar = await register(user, number);
    if (registrar !== undefined) took.push(await call(otherThan(registrar), user));
  }
  say({ event: 'called', took });
}

async function load(rate: number): Promise<void> {
  isLoading = true;
  lastMs = performance.now();
  longestMs = 0;
  const running: Promise<void>[] = [];
  while (isLoading) {
    const number = begun;
    begun += 1;
    const user = `load${number}`;
    running.push(
      register(user, number).then((registrar) => {
        if (registrar === undefined) say({ event: 'unregistered', user });
        else registered.push(user);
        if (registered.length % 100 === 0) say({ event: 'registered', count: registered.length });
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 1_000 / rate));
  }
  await Promise.all(running);
}

async function check(loading: Promise<void>): Promise<void> {
  isLoading = false;
  await loading;
  const lost: string[] = [];
  const left = registered.flatMap((user) => registrars.map((registrar) => ({ user, registrar })));
  const work = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const took = await call(next.registrar, next.user);
      if (typeof took === 'string') lost.push(`${next.user} through ${next.registrar}: ${took}`);
    }
  };
  await Promise.all(Array.from({ length: 20 }, work));
  say({ event: 'checked', registered: registered.length, begun, lost, longestMs: Math.round(longestMs) });
}

let loading: Promise<void> = Promise.resolve();
socket.bind(port, own, () => {
  say({ event: 'up' });
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [word, figure] = line.split(' ');
    if (word === 'call-at-once') void callAtOnce(Number(figure));
    if (word === 'load') loading = load(Number(figure));
    if (word === 'check') void check(loading);
  });
});
