/** What workers say to each other, octet by octet; what no worker says ends the connection. */
import { describe, expect, it } from 'vitest';
import { encodeFrame, FrameReader } from '../../../src/workers/frames.ts';

describe('frames', () => {
  const frames = [
    encodeFrame('hello', ['1', 'life']),
    encodeFrame('message', ['sip', '0', '', '', '192.0.2.1', '5060'], Buffer.from('OPTIONS sip:x SIP/2.0\r\n\r\n')),
    encodeFrame('ask', ['7', 'sip', 's key with spaces é']),
    encodeFrame('note', [], Buffer.alloc(5_000, 7)),
  ];

  it.each([1, 3, 7, 4_096, 1_000_000])('come out as they went in, in pieces of %i octets', (size) => {
    const bytes = Buffer.concat(frames);
    const reader = new FrameReader();
    const read = [];
    for (let at = 0; at < bytes.length; at += size) read.push(...(reader.push(bytes.subarray(at, at + size)) ?? []));
    expect(read.map(({ kind, fields, body }) => [kind, fields, body.length])).toEqual([
      ['hello', ['1', 'life'], 0],
      ['message', ['sip', '0', '', '', '192.0.2.1', '5060'], 25],
      ['ask', ['7', 'sip', 's key with spaces é'], 0],
      ['note', [], 5_000],
    ]);
  });

  it.each([
    ['too long', Buffer.from([0xff, 0xff, 0xff, 0xff])],
    ['too short', Buffer.from([0, 0, 0, 2, 0, 0])],
    ['of no kind', Buffer.from([0, 0, 0, 3, 99, 0, 0])],
    ['with a head beyond its end', Buffer.from([0, 0, 0, 3, 0, 0, 9])],
  ])('%s are none', (_what, bytes) => {
    expect(new FrameReader().push(bytes)).toBeUndefined();
  });
});
