import { describe, expect, it } from 'vitest';
import {
  CallControl,
  type Contact,
  LineProvider,
  type LocationService,
  Metrics,
  silentLog,
} from '../../src/internal.ts';
import { contactOfParty, Party, partySdp } from '../support/call-party.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';

const sdp = partySdp;

const lineSdp = sdp(4_000);

describe('hold and resume towards a line (RFC 3264 §8.4)', () => {
  for (const [direction, mode, answer] of [
    ['a=sendonly', 'receive', 'a=recvonly'],
    ['a=recvonly', 'send', 'a=sendonly'],
    ['a=inactive', 'none', 'a=inactive'],
  ] as const)
    it(`${direction}: the line is to ${mode}, and the answer says ${answer}`, () => {
      const { board, line, party, talk } = harness();
      talk();
      party.report({ kind: 'modifyOffered', description: sdp(5_000, direction) });
      expect(line.desired).toMatchObject({ state: 'talking', media: { mode, remote: sdp(5_000, direction) } });
      // Not before the gateway has done it.
      expect(party.heard('modifyAnswer')).toEqual([]);
      board.settled(line);
      expect(party.heard('modifyAnswer')).toEqual([sdp(4_000, answer)]);
      party.report({ kind: 'modifyOffered', description: sdp(5_000) });
      expect(line.desired.media).toMatchObject({ mode: 'both', remote: sdp(5_000) });
      board.settled(line);
      expect(party.heard('modifyAnswer')).toEqual([sdp(4_000, answer), lineSdp]);
    });

  it('without an address (RFC 2543) the line falls silent and keeps the address it had', () => {
    const { board, line, party, talk } = harness();
    talk();
    const before = line.desired.media?.remote;
    party.report({ kind: 'modifyOffered', description: sdp(5_000).replace('c=IN IP4 192.0.2.7', 'c=IN IP4 0.0.0.0') });
    expect(line.desired.media).toMatchObject({ mode: 'none', remote: before });
    board.settled(line);
    expect(party.heard('modifyAnswer')).toEqual([sdp(4_000, 'a=inactive')]);
  });

  it('refused by the gateway leaves the call as it was, to the letter', () => {
    const { board, line, party, talk } = harness();
    talk();
    const before = line.desired;
    party.report({ kind: 'modifyOffered', description: sdp(6_000, 'a=sendonly') });
    board.refused(line, 'noResources');
    expect(party.heard('modifyRefuse')).toEqual(['notAcceptable']);
    expect(line.desired).toBe(before);
    expect(line.leg?.call.phase).toBe('talking');
    // The next one is asked for as if there had been none.
    party.report({ kind: 'modifyOffered', description: sdp(7_000) });
    board.settled(line);
    expect(party.heard('modifyAnswer')).toEqual([lineSdp]);
  });

  it('ends the call where the connection is gone', () => {
    const { board, line, party, talk } = harness();
    talk();
    party.report({ kind: 'modifyOffered', description: sdp(6_000, 'a=sendonly') });
    board.refused(line, 'gatewayLost');
    expect(party.heard('release')).toEqual(['gatewayLost']);
    expect(line.leg).toBeUndefined();
  });

  it('refuses an offer of which the line can serve nothing, without asking its gateway', () => {
    const { line, party, talk } = harness();
    talk();
    const before = line.desired;
    for (const offer of [
      sdp(5_000).replace('RTP/AVP', 'UDP/TLS/RTP/SAVPF'),
      sdp(5_000).replace('m=audio', 'm=video'),
      sdp(0),
    ])
      party.report({ kind: 'modifyOffered', description: offer });
    expect(party.heard('modifyRefuse')).toEqual(['notAcceptable', 'notAcceptable', 'notAcceptable']);
    expect(line.desired).toBe(before);
  });

  it('without an offer the line gives its whole description, and takes the answer', () => {
    const { board, line, party, talk } = harness();
    talk();
    party.report({ kind: 'modifyOffered', description: sdp(5_000, 'a=sendonly') });
    board.settled(line);
    party.report({ kind: 'modifyOffered' });
    expect(party.heard('modifyAnswer').at(-1)).toBe(lineSdp);
    party.report({ kind: 'modified', description: sdp(5_002) });
    expect(line.desired.media).toMatchObject({ mode: 'both', remote: sdp(5_002) });
  });

  it('an answer that sends only holds the line that called', () => {
    const { line, party, talk } = harness();
    talk(sdp(5_000, 'a=sendonly'));
    expect(line.desired).toMatchObject({ state: 'talking', media: { mode: 'receive' } });
    expect(party.heard('release')).toEqual([]);
  });
});

describe('a line that is called with more than it can serve', () => {
  it('refuses video and what else there is in the order of the offer (RFC 3264 §6)', () => {
    const { board, line, party } = harness();
    const offer = sdp(5_000, 'a=rtcp-mux', 'm=video 6000 RTP/AVP 96', 'a=rtpmap:96 H264/90000').replace(
      'm=audio',
      'm=application 7000 TCP/BFCP *\r\nm=audio',
    );
    party.call('200', offer);
    expect(line.desired.media?.remote).toBe(sdp(5_000));
    board.mediaReady(line, line.desired.media?.callId ?? '', lineSdp);
    expect(party.heard('progress')).toEqual([undefined]);
    board.offHook(line);
    expect(party.heard('connect')).toEqual([
      `${lineSdp.replace('m=audio', 'm=application 0 TCP/BFCP *\r\nm=audio')}m=video 0 RTP/AVP 96\r\n`,
    ]);
  });

  it('is not rung for media that need keys (RTP/SAVP)', () => {
    const { line, party } = harness();
    party.call('200', sdp(5_000).replace('RTP/AVP', 'RTP/SAVP'));
    expect(line.desired.state).toBe('idle');
    expect(party.heard('release')).toEqual(['notAcceptable']);
  });

  it('answers without an offer with one of its own, and sends once it has the answer', () => {
    const { board, line, party } = harness();
    party.call('200', undefined);
    board.mediaReady(line, line.desired.media?.callId ?? '', lineSdp);
    board.offHook(line);
    expect(party.heard('connect')).toEqual([lineSdp]);
    party.report({ kind: 'modified', description: sdp(5_000) });
    expect(line.desired.media).toMatchObject({ mode: 'both', remote: sdp(5_000) });
  });

  it('tells who calls with the bell', () => {
    const { line, party } = harness();
    party.identity = { number: '4930123', name: 'Ada', presentation: 'allowed' };
    party.call('200', sdp(5_000));
    expect(line.desired.caller).toEqual(party.identity);
  });
});

describe('early media towards the line that calls', () => {
  it('are heard without a ringback tone beside them; a bare alert is ringback', () => {
    const { board, line, party } = harness();
    dial(board, line);
    party.report({ kind: 'alerting' });
    expect(line.desired).toMatchObject({ state: 'ringback', tone: 'ringback' });
    party.report({ kind: 'alerting', description: sdp(5_000) });
    expect(line.desired).toMatchObject({ state: 'ringback', media: { mode: 'receive', remote: sdp(5_000) } });
    expect(line.desired.tone).toBeUndefined();
    party.report({ kind: 'answered', description: sdp(5_004) });
    expect(line.desired).toMatchObject({ state: 'talking', media: { mode: 'both', remote: sdp(5_004) } });
  });
});

describe('keys in messages', () => {
  it('are played one after the other, each once', () => {
    const { board, line, party, talk } = harness({ canPlayKeys: true });
    talk();
    for (const signal of ['5', '#']) party.report({ kind: 'digit', signal, durationMs: 100 });
    expect(line.desired.key).toMatchObject({ signal: '5', isPlayed: false });
    const first = line.desired.key;
    board.settled(line);
    expect(first?.isPlayed).toBe(true);
    expect(line.desired.key).toMatchObject({ signal: '#', isPlayed: false });
    board.settled(line);
    board.settled(line);
    expect(line.desired.key).toMatchObject({ signal: '#', isPlayed: true });
  });
  it('are left aside where the gateway cannot play them, or are no keys', () => {
    const { line, party, talk } = harness();
    talk();
    party.report({ kind: 'digit', signal: '5', durationMs: 100 });
    expect(line.desired.key).toBeUndefined();
    const other = harness({ canPlayKeys: true });
    other.talk();
    other.party.report({ kind: 'digit', signal: '55', durationMs: 100 });
    other.party.report({ kind: 'digit', signal: '\r\nS: x', durationMs: 100 });
    expect(other.line.desired.key).toBeUndefined();
  });
});

describe('what a line hears at the end', () => {
  it('follows the cause where the reason says little (Q.850)', () => {
    for (const [reason, cause, tone] of [
      ['unavailable', 17, 'busy'],
      ['unavailable', undefined, 'reorder'],
      ['declined', undefined, 'busy'],
      ['declined', 1, 'reorder'],
      ['busy', 1, 'busy'],
    ] as const) {
      const { board, line, party } = harness();
      dial(board, line);
      party.report({ kind: 'failed', reason, cause });
      expect([reason, cause, line.desired.tone]).toEqual([reason, cause, tone]);
    }
  });
});

type Harness = ReturnType<typeof harness>;

function dial(board: Harness['board'], line: Harness['line']): void {
  board.offHook(line);
  board.dialled(line, '300');
  board.mediaReady(line, line.desired.media?.callId ?? '', lineSdp);
}

function harness({ canPlayKeys = false } = {}) {
  const clock = new FakeClock();
  const records = new Map<string, readonly Contact[]>();
  const locations: LocationService = {
    open: async () => {},
    lookup: (record) => records.get(record) ?? [],
    save: async (record, contacts) => {
      records.set(record, contacts);
    },
    records: () => records,
    size: 0,
    close: async () => {},
  };
  const parts = { clock, log: silentLog, metrics: new Metrics() };
  const control = new CallControl({
    ...parts,
    random: seededRandom(1),
    locate: (number) => (number === '300' ? [contactOfParty('300')] : locations.lookup(number)),
  });
  const party = new Party(control, '300');
  const board = new LineProvider({
    ...parts,
    locations,
    callControl: control,
    protocol: 'lines',
    driver: { apply() {} },
    canPlayKeys: () => canPlayKeys,
  });
  control.register(party.provider);
  const line = board.lines.add({ number: '200', endpoint: 'a@g', gateway: 'g' });
  board.inService(line, 'on');
  const talk = (answer = sdp(5_000)): void => {
    dial(board, line);
    party.report({ kind: 'answered', description: answer });
  };
  return { clock, control, board, line, party, talk };
}
