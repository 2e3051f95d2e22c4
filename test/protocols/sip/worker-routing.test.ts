/** Which worker handles a SIP message: by our Via, by its transaction, by the lines that one of them has. */
import { describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { toBytes } from '../../../protocols/sip/codec/encode.ts';
import type { SipMessage } from '../../../protocols/sip/codec/messages.ts';
import { probeIdFor, WorkerRouting, workerMark } from '../../../protocols/sip/proxy/worker-routing.ts';
import type { Flow, WorkerGroup } from '../../../src/internal.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const flow = { remote: { host: '198.51.100.1', port: 5_060 }, transport: 'udp' } as unknown as Flow;

interface World {
  index?: number;
  lead?: number;
  living?: readonly number[];
  /** Those among them that were started anew a moment ago. */
  anew?: readonly number[];
  unsettled?: boolean;
  /** Keys that are here. */
  here?: readonly string[];
  /** Which sibling has the key that is asked for. */
  owner?: number;
}

/** What becomes of the message: `here`, or the worker that is given it; then the keys that were asked for. */
function route(messages: SipMessage | readonly SipMessage[], world: World = {}): readonly string[] {
  const { index = 1, lead = 1, living = [2, 3], anew = [], unsettled = false, here = [], owner } = world;
  const said: string[] = [];
  const workers = {
    index,
    lead,
    isLead: index === lead,
    isSettled: (each: number) => living.includes(each) && !anew.includes(each),
    isUnsettled: () => unsettled,
    handOver: (to: number) => living.includes(to) && said.push(`to ${to}`) > 0,
    offer: (_role: string, key: string) => said.push(`offered ${key}`),
    ask(_role: string, key: string, done: (found: number | undefined) => void) {
      said.push(`asked ${key}`);
      done(owner);
    },
  } as unknown as WorkerGroup;
  const clock = new FakeClock();
  const routing = new WorkerRouting({
    clock,
    workers,
    layer: { has: (key) => here.includes(key) },
    isOurs: ({ host }) => host === '192.0.2.1',
    isForLine: ({ user }) => user === '200',
    isForUserAgent: ({ text }) => text.includes('user-agent.invalid'),
    serve: () => said.push('here'),
  });
  for (const each of [messages].flat()) routing.route(each, flow);
  if (clock.pending > 0) said.push('held');
  clock.advance(600);
  return said;
}

function message(text: string): SipMessage {
  const decoded = decode(toBytes(text));
  if (!decoded.ok) throw new Error(decoded.error.reason);
  return decoded.value;
}

const rest = 'From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\n';

const response = (via: string, method = 'INVITE', status = 200) =>
  message(`SIP/2.0 ${status} OK\r\nVia: ${via}\r\n${rest}CSeq: 1 ${method}\r\nContent-Length: 0\r\n\r\n`);

const request = (method: string, uri = 'sip:b@192.0.2.1') =>
  message(
    `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bKq\r\nMax-Forwards: 70\r\n${rest}CSeq: 1 ${method}\r\nContent-Length: 0\r\n\r\n`,
  );

const via = (worker: number) => `SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK+abc;rport${workerMark(worker)}`;

describe('a response', () => {
  it('goes to the worker that our Via names, however a peer writes its parameters', () => {
    expect(route(response(via(2)))).toEqual(['to 2']);
    expect(route(response('SIP/2.0/UDP 192.0.2.1:5060;w=2;received=192.0.2.1;rport=5060;branch=z9hG4bK+abc'))).toEqual([
      'to 2',
    ]);
    expect(route(response(via(1)))).toEqual(['here']);
  });

  it('stays where that worker is dead, where the Via is not ours, and where it names nobody', () => {
    expect(route(response(via(2)), { living: [3] })).toEqual(['here']);
    expect(route(response('SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bKother;w=2'))).toEqual(['here']);
    for (const odd of ['', ';w', ';w=', ';w=x', ';w=-1', ';w=1e9', ';w=2.5'])
      expect(route(response(`SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK+abc${odd}`))).toEqual(['here']);
  });

  it('whose worker was started anew is a sibling’s that has its transaction since, or anybody’s', () => {
    const two = response(via(2));
    expect(route(two, { unsettled: true, anew: [2], here: ['c z9hG4bK+abc'] })).toEqual(['here']);
    expect(route(two, { unsettled: true, anew: [2], owner: 3 })).toEqual(['asked c z9hG4bK+abc', 'to 3']);
    expect(route(two, { unsettled: true, anew: [2], owner: 2 })).toEqual(['asked c z9hG4bK+abc', 'to 2']);
    expect(route(two, { unsettled: true, anew: [2] })).toEqual(['asked c z9hG4bK+abc', 'here']);
    expect(route(two, { unsettled: true })).toEqual(['to 2']);
  });

  it('of a transaction that is not here is asked for while workers come and go', () => {
    const one = response(via(1));
    expect(route(one, { unsettled: true, owner: 3 })).toEqual(['asked c z9hG4bK+abc', 'to 3']);
    expect(route(one, { unsettled: true })).toEqual(['asked c z9hG4bK+abc', 'here']);
    expect(route(one, { unsettled: true, here: ['c z9hG4bK+abc'] })).toEqual(['here']);
    expect(route(response(via(2)), { unsettled: true, living: [3], owner: 3 })).toEqual([
      'asked c z9hG4bK+abc',
      'to 3',
    ]);
  });

  it('of an INVITE that nobody has any more waits for the INVITE to be repeated, unless it is a 2xx', () => {
    const asked = 'asked c z9hG4bK+abc';
    const one = (status: number, method = 'INVITE') => response(via(1), method, status);
    for (const status of [180, 486, 302])
      expect(route(one(status), { unsettled: true })).toEqual([asked, 'held', 'here']);
    expect(route(one(200), { unsettled: true })).toEqual([asked, 'here']);
    expect(route(one(486, 'MESSAGE'), { unsettled: true })).toEqual([asked, 'here']);
    expect(route(one(180))).toEqual(['here']);
    // What comes after it says more.
    expect(route([one(180), one(180)], { unsettled: true })).toEqual([asked, asked, 'held', 'here']);
    expect(route([one(180), one(200)], { unsettled: true })).toEqual([asked, asked, 'here']);
  });

  it('to a probe goes to the worker that asked', () => {
    const id = probeIdFor(2, '0123456789abcdef');
    expect(route(response(`SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKprobe${id}`, 'OPTIONS'))).toEqual(['to 2']);
  });
});

describe('a request', () => {
  const key = 's z9hG4bKq 198.51.100.1:5060 INVITE';

  it('stays: the system gave it to us by its source, with all that belongs to it', () => {
    for (const method of ['INVITE', 'ACK', 'CANCEL', 'BYE', 'REGISTER', 'OPTIONS'])
      expect(route(request(method))).toEqual(['here']);
  });

  it('ACK without a transaction is offered to all, and handled at once: a BYE may be right behind it', () => {
    expect(route(request('ACK'), { unsettled: true, owner: 2 })).toEqual([`offered ${key}`, 'here']);
    expect(route(request('ACK'), { unsettled: true, here: [key] })).toEqual(['here']);
  });

  it('INVITE and CANCEL without a transaction are asked for while workers come and go (by their INVITE)', () => {
    for (const method of ['INVITE', 'CANCEL']) {
      expect(route(request(method), { unsettled: true, owner: 2 })).toEqual([`asked ${key}`, 'to 2']);
      expect(route(request(method), { unsettled: true })).toEqual([`asked ${key}`, 'here']);
      expect(route(request(method), { unsettled: true, here: [key] })).toEqual(['here']);
    }
    expect(route(request('BYE'), { unsettled: true, owner: 2 })).toEqual(['here']);
  });

  it('for a line goes to the worker that has the gateways', () => {
    const uri = 'sip:200@192.0.2.1';
    for (const method of ['INVITE', 'CANCEL', 'ACK', 'BYE', 'MESSAGE'])
      expect(route(request(method, uri), { index: 2, living: [1] })).toEqual(['to 1']);
    expect(route(request('INVITE', uri), { index: 1 })).toEqual(['here']);
    expect(route(request('INVITE', uri), { index: 2, living: [] })).toEqual(['here']);
  });
});
