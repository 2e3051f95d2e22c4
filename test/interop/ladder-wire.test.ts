/**
 * The ladder that `altpath trace` draws, beside what dumpcap saw of the same call: as many messages, in the same order, from and to the same
 * addresses, octet for octet. Calls of SIP telephones, of lines of both protocols of gateways, and one between a line and a telephone.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { Ladder } from '../../src/cli/ladder.ts';
import type { TraceRow } from '../../src/trace/trace-row.ts';
import { LineHouse, type LineProtocolName } from '../support/line-house.ts';
import { logLines } from '../support/log-lines.ts';
import { SipPeer, sipHeader, sipRequest, sipResponse } from '../support/sip-peer.ts';
import { captureDatagrams, captureMissing, type Datagram } from './support/capture.ts';

const absent = await captureMissing();
const patience = { timeout: 20_000, interval: 50 };

let house: LineHouse | undefined;
const peers: SipPeer[] = [];

afterEach(async () => {
  await house?.stop();
  for (const peer of peers.splice(0)) peer.close();
});

const sdp = (host: string): string =>
  `v=0\r\no=- 1 1 IN IP4 ${host}\r\ns=-\r\nc=IN IP4 ${host}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n`;

/** A house in which line 200 is, with a telephone 9200 that answers at once. */
async function open(protocol: LineProtocolName, net: number) {
  const host = `127.0.${net}.1`;
  house = await LineHouse.up(protocol, {
    net,
    log: logLines('info').log,
    config: { sip: { listen: [`udp:${host}:5096`], domains: ['example.com'] } },
    digitMap: ['9xxx'],
    gatewayQuietMs: 600_000,
  });
  const phone = await SipPeer.open(`127.0.${net}.31`, (request) => {
    if (request.startsWith('ACK')) return [];
    const contact = [`Contact: <sip:9200@127.0.${net}.31:${phone.port}>`];
    return request.startsWith('INVITE')
      ? [sipResponse(request, 180, 'Ringing', contact), sipResponse(request, 200, 'OK', contact, sdp(phone.host))]
      : [sipResponse(request, 200, 'OK')];
  });
  peers.push(phone);
  const caller = await SipPeer.open(`127.0.${net}.32`);
  peers.push(caller);
  const register = sipRequest({
    method: 'REGISTER',
    uri: 'sip:example.com',
    caller: 'sip:9200@example.com',
    to: 'sip:9200@example.com',
    from: phone,
    callId: `register-${net}`,
    fields: ['Expires: 3600'],
  }).replace(/sip:peer@/, 'sip:9200@');
  phone.send(register, 5096, host);
  await phone.awaits(/^SIP\/2.0 200/);
  for (const gateway of house.gateways)
    await expect
      .poll(async () => (await house?.ask('/peers'))?.find(({ name }) => name === gateway.name)?.['state'], patience)
      .toBe('up');
  // Lines are armed, and nothing is under way: what both see begins and ends in silence.
  const before = await settled(house);
  const capture = await captureDatagrams(host, protocol === 'mgcp' ? [5096, 2727] : [5096, 2944]);
  const since = await settled(house);
  expect(since).toBe(before);
  return { host, house, phone, caller, capture, since };
}

/** The number of the last message, once none has come for a while. */
async function settled(of: LineHouse): Promise<number> {
  const last = async (): Promise<number> => Number((await of.ask('/trace?limit=5000')).at(-1)?.['sequence'] ?? 0);
  for (let known = await last(); ; ) {
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const now = await last();
    if (now === known) return now;
    known = now;
  }
}

/** What both saw; the capture's packets in the trace's form. */
async function both(
  opened: Awaited<ReturnType<typeof open>>,
): Promise<{ rows: TraceRow[]; seen: readonly Datagram[] }> {
  await settled(opened.house);
  const seen = await opened.capture.finish();
  const rows: TraceRow[] = JSON.parse(
    JSON.stringify(await opened.house.ask(`/trace?octets=1&limit=5000&after=${opened.since}`)),
  );
  return { rows, seen };
}

/** The sealed record of a call never leaves the process in a trace. */
const masked = (text: string): string =>
  text.replaceAll(/(a=x-altpath:)([^\r\n]+)/g, (_, name: string, value: string) => name + '*'.repeat(value.length));

/** Message for message. The two clocks are those of one machine, but who writes first of two at once is chance: each pair has its order. */
function compare(rows: readonly TraceRow[], seen: readonly Datagram[]): void {
  expect(rows.length).toBe(seen.length);
  const pairs = new Set(seen.map(({ from, to }) => `${from} > ${to}`));
  expect(new Set(rows.map(({ from, to }) => `${from} > ${to}`))).toEqual(pairs);
  for (const pair of pairs) {
    const ofTrace = rows
      .filter(({ from, to }) => `${from} > ${to}` === pair)
      .map(({ octets = '' }) => Buffer.from(octets, 'base64').toString('latin1'));
    const ofCapture = seen
      .filter(({ from, to }) => `${from} > ${to}` === pair)
      .map(({ octets }) => masked(octets.toString('latin1')));
    expect(ofTrace, pair).toEqual(ofCapture);
  }
  const ladder = new Ladder(200);
  for (const row of rows) ladder.know(row);
  const arrows = rows.flatMap((row) => ladder.add(row)).filter((line) => /[▶◀]/.test(line));
  expect(arrows.length).toBe(seen.length);
  for (const [index, { from, to, title }] of rows.entries()) {
    expect(arrows[index]).toContain([...title].slice(0, 8).join(''));
    expect([from, to].every((address) => seen.some((each) => each.from === address || each.to === address))).toBe(true);
  }
}

async function lift(number: string, tone: string): Promise<void> {
  const telephone = house?.telephone(number);
  telephone?.offHook();
  await expect.poll(() => telephone?.hears, patience).toBe(tone);
}

const open1 = async (): Promise<number> => (await house?.ask('/calls'))?.length ?? -1;

describe.skipIf(absent)(`a ladder beside a capture${absent === undefined ? '' : ` (${absent})`}`, () => {
  it('of a SIP call', async () => {
    const opened = await open('mgcp', 91);
    const { caller, host } = opened;
    const callId = `ladder-${process.pid}`;
    const parts = { uri: 'sip:9200@example.com', from: caller, callId };
    caller.send(sipRequest({ ...parts, method: 'INVITE', body: sdp(caller.host) }), 5096, host);
    const answer = await caller.awaits(/^SIP\/2.0 200[\s\S]*INVITE/);
    const [, target = ''] = /<([^>]+)>/.exec(sipHeader(answer, 'Contact') ?? '') ?? [];
    const route = [`Route: ${sipHeader(answer, 'Record-Route')}`];
    for (const [method, cseq] of [
      ['ACK', 1],
      ['BYE', 2],
    ] as const)
      caller.send(
        sipRequest({ ...parts, method, uri: target, to: parts.uri, toTag: 'callee', cseq, fields: route }),
        5096,
        host,
      );
    await caller.awaits(/^SIP\/2.0 200[\s\S]*BYE/);
    const { rows, seen } = await both(opened);
    const ofCall = rows.filter(({ call }) => call === callId);
    compare(
      ofCall,
      seen.filter(({ octets }) => octets.includes(`Call-ID: ${callId}`)),
    );
    expect(ofCall.map(({ title }) => title.split(' ')[0])).toEqual(
      expect.arrayContaining(['INVITE', '180', '200', 'ACK', 'BYE']),
    );
    // The filter of `altpath trace CALL` leaves nothing of it out.
    expect((await opened.house.ask(`/trace?about=${callId}`)).length).toBe(ofCall.length);
  });

  it.each([
    ['mgcp', 92, 'L/dl', 'L/rg'],
    ['megaco', 93, 'cg/dt', 'al/ri'],
  ] as const)('of a call between lines of %s', async (protocol, net, dialTone, ring) => {
    const opened = await open(protocol, net);
    await lift('200', dialTone);
    opened.house.telephone('200').dial('202');
    await expect.poll(() => opened.house.telephone('202').hears, { ...patience, interval: 20 }).toBe(ring);
    opened.house.telephone('202').offHook();
    await expect.poll(async () => (await opened.house.ask('/calls'))[0]?.['state'], patience).toBe('talking');
    opened.house.telephone('200').onHook();
    await expect.poll(open1, patience).toBe(0);
    opened.house.telephone('202').onHook();
    await expect.poll(() => opened.house.telephone('202').hears, patience).toBe('');
    const { rows, seen } = await both(opened);
    compare(rows, seen);
    expect(rows.length).toBeGreaterThan(15);
  });

  it('of a call from a line to a telephone', async () => {
    const opened = await open('mgcp', 94);
    await lift('200', 'L/dl');
    opened.house.telephone('200').dial('9200');
    await expect.poll(async () => (await opened.house.ask('/calls'))[0]?.['state'], patience).toBe('talking');
    opened.house.telephone('200').onHook();
    await expect.poll(open1, patience).toBe(0);
    const { rows, seen } = await both(opened);
    compare(rows, seen);
    expect(new Set(rows.map(({ protocol }) => protocol))).toEqual(new Set(['mgcp', 'sip']));
    // By the number alone both sides of it are found, in one ladder.
    const found = await opened.house.ask('/trace?about=9200&limit=5000');
    expect(new Set(found.map(({ protocol }) => protocol))).toEqual(new Set(['mgcp', 'sip']));
  });
});
