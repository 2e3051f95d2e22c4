/** The user part of our Record-Route URIs: what proves a dialog, and which flow it leads to. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import type { SipMessage } from '../../../protocols/sip/codec/messages.ts';
import { DialogProof, maxFlowLength, readRouteUser, writeRouteUser } from '../../../protocols/sip/proxy/route-user.ts';

function request(callId: string, fromTag: string, toTag: string, method = 'BYE'): SipMessage {
  const to = toTag === '' ? '' : `;tag=${toTag}`;
  const text = `${method} sip:b@127.0.0.9 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.1.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=${fromTag}\r\nTo: <sip:c@d>${to}\r\nCall-ID: ${callId}\r\nCSeq: 1 ${method}\r\nContent-Length: 0\r\n\r\n`;
  const decoded = decode(Buffer.from(text, 'latin1'));
  if (!decoded.ok) throw new Error(decoded.error.reason);
  return decoded.value;
}

describe('a proof of the dialog (RFC 3261 §12)', () => {
  const proof = new DialogProof('secret');
  const dialog = proof.write(request('call', 'caller', '', 'INVITE'), 'd');

  it('holds for requests of either side, for every fork, at every member and after a restart', () => {
    for (const member of [proof, new DialogProof('secret')]) {
      expect(member.proves(dialog, request('call', 'caller', 'one'))).toBe(true);
      expect(member.proves(dialog, request('call', 'caller', 'two', 'ACK'))).toBe(true);
      expect(member.proves(dialog, request('call', 'one', 'caller'))).toBe(true);
    }
  });

  it('proves nothing for another call, for other tags, with another secret, or without a To tag', () => {
    expect(proof.proves(dialog, request('llac', 'caller', 'one'))).toBe(false);
    expect(proof.proves(dialog, request('call', 'one', 'two'))).toBe(false);
    expect(new DialogProof('terces').proves(dialog, request('call', 'caller', 'one'))).toBe(false);
    expect(proof.proves(dialog, request('call', 'caller', '', 'INVITE'))).toBe(false);
  });

  it('says what sort of dialog it is for, and nobody can change that', () => {
    expect(dialog[0]).toBe('d');
    expect(proof.proves(`h${dialog.slice(1)}`, request('call', 'caller', 'one'))).toBe(false);
  });

  it('cannot be made up', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[\w-]{0,14}$/), (made) => {
        expect(proof.proves(made, request('call', 'caller', 'one'))).toBe(false);
      }),
    );
  });
});

describe('the user part', () => {
  const dialog = new DialogProof('secret').write(request('call', 'caller', ''), 'd');

  it('holds a proof, a flow, or both, in characters that no user agent escapes (RFC 3261 §25.1 unreserved)', () => {
    for (const user of [{ dialog }, { flow: 'f-1_2.x' }, { dialog, flow: 'f-1_2.x' }]) {
      const written = writeRouteUser(user.dialog, user.flow);
      expect(written).toMatch(/^[\w.~-]{1,109}$/);
      expect(readRouteUser(written)).toEqual({ dialog: undefined, flow: undefined, ...user });
    }
    expect(writeRouteUser(undefined, undefined)).toBe('');
  });

  it('of others, or too long, is none of ours', () => {
    const long = 'x'.repeat(maxFlowLength + 1);
    for (const user of [
      undefined,
      '',
      'alice',
      `${dialog}x`,
      `${dialog}~`,
      '~',
      `~${long}`,
      `${dialog}~a~b`,
      '~a@b',
      `${dialog}~%41`,
    ])
      expect(readRouteUser(user)).toBeUndefined();
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (user) => {
        const parsed = readRouteUser(user);
        if (parsed !== undefined) expect(writeRouteUser(parsed.dialog, parsed.flow)).toBe(user);
      }),
    );
  });
});
