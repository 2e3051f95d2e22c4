/** SIP calls as the proxy observes them: from the INVITE to the BYE, adopted ones, and those that it loses from sight. */
import { describe, expect, it } from 'vitest';
import { SipCallWatch } from '../../../protocols/sip/call-watch.ts';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import type { SipMessage } from '../../../protocols/sip/codec/messages.ts';
import { CallJournal } from '../../../src/journal/call-journal.ts';
import { callRecordId, callRow } from '../../../src/journal/call-row.ts';
import type { Flow } from '../../../src/network.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const flow: Flow = {
  transport: 'udp',
  reliable: false,
  local: { host: '127.0.0.1', port: 5060 },
  remote: { host: '127.0.0.7', port: 5070 },
  id: 'udp',
  send: () => undefined,
  close: () => undefined,
};

function message(method: string, callId: string, { cseq = 1, toTag = '' } = {}): SipMessage {
  const decoded = decode(
    Buffer.from(
      `${method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.7:5070;branch=z9hG4bK${callId}${cseq}${method}\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>${toTag === '' ? '' : `;tag=${toTag}`}\r\nCall-ID: ${callId}\r\nCSeq: ${cseq} ${method}\r\nContent-Length: 0\r\n\r\n`,
    ),
  );
  if (!decoded.ok) throw new Error(decoded.error.reason);
  return decoded.value;
}

function observed() {
  const clock = new FakeClock();
  const journal = new CallJournal(clock);
  const watch = new SipCallWatch(clock, journal);
  const row = (list: 'open' | 'ended' | 'failed' = 'open', index = 0) => {
    const calls = list === 'open' ? [...journal.open] : list === 'ended' ? journal.ended() : journal.failed();
    const call = calls[index];
    return call === undefined ? undefined : callRow(call, clock.now(), 0);
  };
  return { clock, journal, watch, row };
}

const hop = { transport: 'udp', host: '127.0.0.9', port: 5060 } as const;

describe('a call as the proxy observes it', () => {
  it('goes from trying by ringing and talking to its end, with its times, and did not fail', async () => {
    const { clock, watch, row, journal } = observed();
    const invite = message('INVITE', 'c1');
    watch.accepted(invite, flow);
    watch.sent(invite, hop, 'registered', true);
    clock.advance(100);
    watch.ringing(invite);
    expect(row()).toMatchObject({
      state: 'ringing',
      caller: 'sip:alice@example.com',
      to: 'udp:127.0.0.9:5060',
      from: 'udp:127.0.0.7:5070',
    });
    clock.advance(900);
    watch.answered(invite, 200);
    clock.advance(60_000);
    expect(row()).toMatchObject({ state: 'talking', talkedMs: 60_000 });
    watch.answered(message('BYE', 'c1', { cseq: 2, toTag: 'b' }), 200);
    expect(journal.open.size).toBe(0);
    expect(row('ended')).toMatchObject({
      state: 'ended',
      talkedMs: 60_000,
      reason: 'normal',
      cause: 16,
      failed: false,
      route: 'registered',
    });
    expect(row('failed')).toBeUndefined();
  });

  it('is one call when the INVITE comes again with credentials, and when it comes back to us (a spiral)', () => {
    const { watch, journal, row } = observed();
    watch.refused(message('INVITE', 'c2'), flow, 407, 'Proxy Authentication Required');
    const again = message('INVITE', 'c2', { cseq: 2 });
    watch.accepted(again, flow);
    // The same call on its way through us a second time: its answer is not the call's.
    const spiral = message('INVITE', 'c2', { cseq: 3 });
    watch.accepted(spiral, flow);
    watch.answered(spiral, 486);
    expect(journal.open.size).toBe(1);
    watch.answered(again, 200);
    expect(row()).toMatchObject({ state: 'talking' });
  });

  it('is cancelled by its caller, which is no failure', () => {
    const { watch, row } = observed();
    const invite = message('INVITE', 'c3');
    watch.accepted(invite, flow);
    watch.accepted(message('CANCEL', 'c3'), flow);
    watch.answered(invite, 487);
    expect(row('ended')).toMatchObject({ reason: 'cancelled', failed: false });
    expect(row('failed')).toBeUndefined();
  });

  it('fails for want of credentials when the caller gives up after the challenge', async () => {
    const { clock, watch, row } = observed();
    watch.refused(message('INVITE', 'c4'), flow, 407, 'Proxy Authentication Required');
    clock.advance(10_000);
    expect(row('failed')).toMatchObject({ reason: 'unauthorized' });
  });

  it('is adopted where it began elsewhere: no beginning is made up, and the id is the same at both members', () => {
    const { watch, row } = observed();
    watch.answered(message('INVITE', 'c5', { cseq: 2, toTag: 'b' }), 200);
    expect(row()).toMatchObject({ state: 'talking', isAdopted: true, begunMs: undefined });
    watch.answered(message('BYE', 'c5', { cseq: 3, toTag: 'b' }), 200);
    expect(row('ended')).toMatchObject({ isAdopted: true, failed: false, reason: 'normal' });
    const other = observed();
    other.watch.accepted(message('INVITE', 'c5'), flow);
    expect(other.row()?.id).toBe(row('ended')?.id);
    const [call] = other.journal.open;
    expect(call === undefined ? '' : callRecordId(call)).toMatch(/^[0-9a-f]{24}$/);
  });

  it('is said to be out of sight where the proxy does not stay in the dialog, or nobody says anything for hours', async () => {
    const { clock, watch, row, journal } = observed();
    const short = message('INVITE', 'c6');
    watch.accepted(short, flow);
    watch.sent(short, hop, 'registered', false);
    watch.answered(short, 200);
    expect(row('ended')).toMatchObject({ reason: 'unobserved', failed: false, answeredMs: expect.any(Number) });
    const long = message('INVITE', 'c7');
    watch.accepted(long, flow);
    watch.answered(long, 200);
    clock.advance(3_600_000);
    expect(journal.open.size).toBe(1);
    clock.advance(4 * 3_600_000);
    expect(journal.open.size).toBe(0);
    expect(row('ended')).toMatchObject({ callId: 'c7', reason: 'unobserved' });
    watch.stop();
  });

  it('a BYE of a dialog that nobody knows and that is refused makes no call', () => {
    const { watch, journal } = observed();
    watch.answered(message('BYE', 'c8', { cseq: 3, toTag: 'b' }), 481);
    expect(journal.open.size + journal.ended().length).toBe(0);
  });

  it('repetitions of an INVITE that was refused at once are one call', () => {
    const { watch, journal } = observed();
    for (let copy = 0; copy < 5; copy += 1) watch.refused(message('INVITE', 'c9'), flow, 404, 'Not Found');
    expect(journal.ended()).toHaveLength(1);
  });

  it('keeps what it keeps within bounds, however many calls are begun and never ended', () => {
    const { watch, journal } = observed();
    for (let index = 0; index < 100_500; index += 1) watch.refused(message('INVITE', `f${index}`), flow, 407, '');
    expect(journal.open.size).toBeLessThanOrEqual(100_000);
    expect(journal.ended().length).toBeLessThanOrEqual(1_000);
    watch.stop();
  }, 30_000);
});
