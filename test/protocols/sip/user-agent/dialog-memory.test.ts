/** A call that talks keeps what its dialog needs, and nothing else of the messages that began it (an INVITE of a browser has some 5 kB). */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../../protocols/sip/codec/decode.ts';
import { H } from '../../../../protocols/sip/codec/header-names.ts';
import type { SipMessage } from '../../../../protocols/sip/codec/messages.ts';
import { callerOf } from '../../../../protocols/sip/user-agent/caller-identity.ts';
import {
  type Dialog,
  dialogOfInvite,
  dialogOfResponse,
  refreshed,
} from '../../../../protocols/sip/user-agent/dialog.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const calls = 400;
const body = 'x'.repeat(20_000);

function message(first: string, serial: number): SipMessage {
  const text =
    `${first}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK${serial}\r\nRecord-Route: <sip:edge.example.com:5060;lr>, <sip:other.example.com;lr;serial=${serial}>\r\n` +
    `From: "Somebody with a name" <sip:+4930123456789${serial}@example.com>;tag=from-tag-of-call-${serial}\r\nTo: <sip:200@example.com>;tag=to-tag-of-call-${serial}\r\n` +
    `Call-ID: a-call-id-of-some-length-${serial}@192.0.2.1\r\nCSeq: 1 INVITE\r\nContact: <sip:somebody-of-${serial}@192.0.2.1:5060>\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const decoded = decode(Buffer.from(text, 'latin1'));
  if (!decoded.ok) throw new Error(decoded.error.reason);
  return decoded.value;
}

function heapOf<T>(make: (serial: number) => T): number {
  const kept: T[] = [];
  gc();
  const before = process.memoryUsage().heapUsed;
  for (let serial = 0; serial < calls; serial += 1) kept.push(make(serial));
  gc();
  const each = (process.memoryUsage().heapUsed - before) / kept.length;
  expect(kept).toHaveLength(calls);
  return each;
}

const invite = (serial: number): SipMessage => message('INVITE sip:200@example.com SIP/2.0', serial);
const answer = (serial: number): SipMessage => message('SIP/2.0 200 OK', serial);
const sent = {
  callId: 'c',
  localTag: 'l',
  local: '<sip:200@example.com>',
  remote: '<sip:7001@example.com>',
  requestUri: 'sip:7001@example.com',
  cseq: 1,
  isGuarded: false,
};

const kinds: readonly (readonly [string, (serial: number) => unknown])[] = [
  ['the dialog that an INVITE opens', (serial: number) => dialogOfInvite(invite(serial), 'tag', undefined, false)],
  ['the dialog that a response opens', (serial: number) => dialogOfResponse(sent, answer(serial), undefined)],
  [
    'the target that a re-INVITE refreshes',
    (serial: number) =>
      refreshed(dialogOfInvite(invite(serial), 'tag', undefined, false) as Dialog, answer(serial + 1)),
  ],
  ['the caller', (serial: number) => callerOf(invite(serial), false)],
];

describe('what is kept of 20 kB', () => {
  it.each(kinds)('%s', (_, make) => {
    expect(heapOf(make)).toBeLessThan(2_500);
  });

  it('and that is what was read', () => {
    const dialog = dialogOfInvite(invite(7), 'tag', undefined, false);
    expect(dialog).toMatchObject({
      callId: 'a-call-id-of-some-length-7@192.0.2.1',
      remoteTag: 'from-tag-of-call-7',
      local: '<sip:200@example.com>',
      remote: '"Somebody with a name" <sip:+49301234567897@example.com>',
      target: 'sip:somebody-of-7@192.0.2.1:5060',
      routes: invite(7).list(H.recordRoute),
    });
  });
});
