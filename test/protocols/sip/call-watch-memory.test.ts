/** What is kept of a call for the operator lives as long as the call and longer: characters of its own, and few of them. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { SipCallWatch } from '../../../protocols/sip/call-watch.ts';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import type { SipMessage } from '../../../protocols/sip/codec/messages.ts';
import { CallJournal } from '../../../src/journal/call-journal.ts';
import type { Flow } from '../../../src/network.ts';
import { FakeClock } from '../../support/fake-clock.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const flow: Flow = {
  transport: 'udp',
  reliable: false,
  local: { host: '127.0.0.1', port: 5060 },
  remote: { host: '127.0.0.7', port: 5070 },
  id: 'udp',
  send: () => undefined,
  close: () => undefined,
};

const hop = { transport: 'udp', host: '127.0.0.9', port: 5060 } as const;

interface Words {
  readonly callId: string;
  readonly user?: string;
  readonly body?: string;
  readonly first?: string;
  readonly toTag?: string;
  readonly method?: string;
}

function message({
  callId,
  user = 'some-telephone',
  body = '',
  first,
  toTag = '',
  method = 'INVITE',
}: Words): SipMessage {
  const line = first ?? `${method} sip:${user}@example.com SIP/2.0`;
  const decoded = decode(
    Buffer.from(
      `${line}\r\nVia: SIP/2.0/UDP 127.0.0.7:5070;branch=z9hG4bK${callId}${method}\r\nMax-Forwards: 70\r\nFrom: <sip:${user}@example.com>;tag=a\r\nTo: <sip:${user}@example.com>${toTag === '' ? '' : `;tag=${toTag}`}\r\nCall-ID: ${callId}\r\nCSeq: 1 ${method}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    ),
  );
  if (!decoded.ok) throw new Error(decoded.error.reason);
  return decoded.value;
}

function observed() {
  const clock = new FakeClock();
  const journal = new CallJournal(clock);
  return { clock, journal, watch: new SipCallWatch(clock, journal) };
}

/** What is still there after so many calls, each with 50,000 octets that nobody needs. */
function heapAfter(play: (invite: SipMessage) => void): number {
  const body = 'b'.repeat(50_000);
  gc();
  const before = process.memoryUsage().heapUsed;
  for (let n = 0; n < 400; n += 1) play(message({ callId: `some-call-with-a-name-${n}`, body }));
  gc();
  return process.memoryUsage().heapUsed - before;
}

describe('a call that is observed keeps nothing of its messages but a few words', () => {
  it('while it talks', () => {
    const { watch, journal } = observed();
    const heap = heapAfter((invite) => {
      watch.accepted(invite, flow);
      watch.sent(invite, hop, 'registered', true);
      watch.answered(invite, 200);
    });
    expect(journal.open.size).toBe(400);
    expect(heap).toBeLessThan(6_000_000);
  });

  it('while its caller is asked for credentials', () => {
    const { watch, journal } = observed();
    const heap = heapAfter((invite) => watch.refused(invite, flow, 401, 'Unauthorized'));
    expect(journal.open.size).toBe(400);
    expect(heap).toBeLessThan(6_000_000);
  });

  it('after it was refused', () => {
    const { watch, journal } = observed();
    const heap = heapAfter((invite) => watch.refused(invite, flow, 404, 'Not Found'));
    expect(journal.failed()).toHaveLength(400);
    expect(heap).toBeLessThan(6_000_000);
  });

  it('after it ended by a BYE, and where its beginning was not seen', () => {
    const { watch, journal } = observed();
    const heap = heapAfter(({ callId, body }) => {
      watch.answered(message({ callId, body, method: 'INFO', toTag: 'b' }), 200);
    });
    expect(journal.open.size).toBe(400);
    expect(heap).toBeLessThan(6_000_000);
  });

  it('after its branch was refused in many words', () => {
    const { watch, journal } = observed();
    const phrase = 'p'.repeat(8_000);
    gc();
    const before = process.memoryUsage().heapUsed;
    for (let n = 0; n < 900; n += 1) {
      const invite = message({ callId: `some-call-with-a-name-${n}` });
      const refusal = message({
        callId: `some-call-with-a-name-${n}`,
        toTag: 'b',
        first: `SIP/2.0 500 ${n} ${phrase}`,
      });
      watch.accepted(invite, flow);
      watch.sent(invite, hop, 'registered', true);
      watch.branchRefused(invite, refusal.status, refusal.reason, hop);
      watch.answered(invite, 500);
    }
    gc();
    expect(journal.failed()).toHaveLength(900);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(3_000_000);
  });

  it('however long names and ids are: the call is found by them all the same', () => {
    const { watch, journal } = observed();
    const long = 'n'.repeat(2_000);
    gc();
    const before = process.memoryUsage().heapUsed;
    for (let n = 0; n < 2_000; n += 1) {
      const invite = message({ callId: `${n}-${long}`, user: `${n}-${long}` });
      watch.accepted(invite, flow);
      watch.sent(invite, hop, 'registered', true);
      watch.answered(invite, 200);
    }
    gc();
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(6_000_000);
    expect([...journal.open][7]?.caller).toMatch(/^sip:7-n+/);
    for (let n = 0; n < 2_000; n += 1)
      watch.answered(message({ callId: `${n}-${long}`, method: 'BYE', toTag: 'b' }), 200);
    expect(journal.open.size).toBe(0);
  });
});
