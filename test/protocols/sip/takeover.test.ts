/** Design §5.2: branches that prove where a response belongs, and routing headers that lead to the stand-in. */
import fc from 'fast-check';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { H } from '../../../protocols/sip/codec/header-names.ts';
import type { SipMessage } from '../../../protocols/sip/codec/messages.ts';
import { parseVia } from '../../../protocols/sip/codec/values.ts';
import { Identity } from '../../../protocols/sip/identity.ts';
import { adoptRecordRoute } from '../../../protocols/sip/proxy/takeover.ts';
import { BranchKey, isOtherVersion, loopPartOf } from '../../../protocols/sip/proxy/via-branch.ts';
import type { ControllerAddress, Listener } from '../../../src/internal.ts';
import { assemblerOf } from '../../support/assembler.ts';
import { SipWorld } from './world.ts';

const read = (...lines: readonly string[]): SipMessage => {
  const decoded = decode(Buffer.from(`${lines.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`, 'latin1'));
  if (!decoded.ok) throw new Error(decoded.error.reason);
  return decoded.value;
};

const dialogue = ['From: <sip:a@b>;tag=1', 'To: <sip:c@d>', 'Call-ID: x'];

const request = (method: string, viaBranch = 'z9hG4bKedge'): SipMessage =>
  read(
    `${method} sip:c@d SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.1.1:5060;branch=${viaBranch}`,
    ...dialogue,
    `CSeq: 1 ${method}`,
  );

const response = (branch: string, next = '127.0.1.1:5060;branch=z9hG4bKedge'): SipMessage =>
  read(
    'SIP/2.0 180 Ringing',
    `Via: SIP/2.0/UDP 127.0.2.1:5060;branch=${branch}`,
    `Via: SIP/2.0/UDP ${next}`,
    ...dialogue,
    'CSeq: 1 INVITE',
  );

function isOurs(key: BranchKey, message: SipMessage): boolean {
  const via = parseVia(message.list(H.via)[1] ?? '');
  return via !== undefined && key.isOurs(message, via);
}

describe('branches (RFC 3261 §16.11)', () => {
  const key = new BranchKey('secret');

  it('every member makes the same one for the same request and target, and another one for every other', () => {
    const branch = key.branchFor(request('INVITE'), 'sip:c@1');
    expect(new BranchKey('secret').branchFor(request('INVITE'), 'sip:c@1')).toBe(branch);
    expect(key.branchFor(request('INVITE'), 'sip:c@2')).not.toBe(branch);
    expect(key.branchFor(request('INVITE', 'z9hG4bKother'), 'sip:c@1')).not.toBe(branch);
    expect(new BranchKey('other').branchFor(request('INVITE'), 'sip:c@1')).not.toBe(branch);
  });

  it('CANCEL and ACK hash to that of their INVITE', () => {
    const branch = key.branchFor(request('INVITE'), 'sip:c@1');
    for (const method of ['CANCEL', 'ACK']) expect(key.branchFor(request(method), 'sip:c@1')).toBe(branch);
  });

  it('a response of whatever target proves that it belongs to the Via below ours', () => {
    for (const target of ['sip:c@1', 'sip:c@2'])
      expect(isOurs(key, response(key.branchFor(request('INVITE'), target)))).toBe(true);
  });

  it('with another way back, or a branch made up, it proves nothing', () => {
    const branch = key.branchFor(request('INVITE'), 'sip:c@1');
    expect(isOurs(key, response(branch, '127.0.6.6:5060;branch=z9hG4bKedge'))).toBe(false);
    expect(isOurs(key, response(branch, '127.0.1.1:5060;branch=z9hG4bKelse'))).toBe(false);
    expect(isOurs(new BranchKey('other'), response(branch))).toBe(false);
    fc.assert(
      fc.property(fc.stringMatching(/^[+]?[A-Za-z0-9._-]{0,40}$/), (made) => {
        expect(isOurs(key, response(`z9hG4bK${made}`))).toBe(false);
      }),
    );
  });

  it('every part of it is keyed: neither target nor way can be worked out without the secret', () => {
    const parts = (secret: string): readonly string[] => {
      const branch = new BranchKey(secret).branchFor(request('INVITE'), 'sip:c@1');
      expect(branch).toMatch(/^z9hG4bK[+][\w-]{17}[.][\w-]{6}$/);
      return [branch.slice(8, 19), branch.slice(19, 25), branch.slice(26)];
    };
    const [one, other] = [parts('secret'), parts('other')];
    for (const [index, part] of one.entries()) expect(part).not.toBe(other[index]);
    // No part is made with the key of another.
    expect(new Set(one.map((part) => part.slice(0, 6))).size).toBe(3);
  });

  it('tells its layout by the octet behind the cookie', () => {
    expect(isOtherVersion(key.branchFor(request('INVITE'), 'sip:c@1'))).toBe(false);
    expect(isOtherVersion('z9hG4bKN72g_BkBePGCkImCNC.LCFKQB')).toBe(true);
    expect(loopPartOf('z9hG4bKN72g_BkBePGCkImCNC.LCFKQB')).toBeUndefined();
  });
});

describe('an adopted dialog-forming response (RFC 3261 §13.2.2.4)', () => {
  const primary: ControllerAddress = { transport: 'udp', host: '127.0.2.1', port: 5_060 };
  const self: ControllerAddress = { transport: 'udp', host: '127.0.2.2', port: 5_060 };
  const cluster = { secret: 's', backups: [primary], backupFor: [primary] };
  const identity = new Identity(
    { domains: [], placement: 'header', partners: [primary], secret: 's' },
    assemblerOf(cluster),
  );
  const listener: Listener = {
    local: self,
    connections: 0,
    flowTo: () => {
      throw new Error('nothing is sent here');
    },
    flowById: () => undefined,
    close: () => Promise.resolve(),
  };
  identity.bound([listener]);
  const ours = '<sip:127.0.2.2:5060;lr>;AlternatePath="sip:127.0.2.1:5060;transport=udp"';
  const adopt = (...fields: readonly string[]): string =>
    adoptRecordRoute(['SIP/2.0 200 OK', ...fields, 'Content-Length: 4', '', 'body'].join('\r\n'), primary, identity);

  it('names us where it named the primary, with the primary as our alternate', () => {
    const adopted = adopt('Record-Route: <sip:127.0.2.1:5060;lr>;AlternatePath="sip:127.0.2.2"', 'To: <sip:c@d>');
    expect(adopted).toBe(
      ['SIP/2.0 200 OK', `Record-Route: ${ours}`, 'To: <sip:c@d>', 'Content-Length: 4', '', 'body'].join('\r\n'),
    );
  });

  it('leaves the entries of others alone, in joined, folded and repeated fields', () => {
    const adopted = adopt(
      'record-route: <sip:127.0.1.2;lr>,\r\n <sip:127.0.2.1;lr>, "x, y" <sip:127.0.9.9;lr>',
      'Record-Route: <sip:127.0.1.1;lr>',
    );
    expect(adopted).toContain(`Record-Route: <sip:127.0.1.2;lr>, ${ours}, "x, y" <sip:127.0.9.9;lr>\r\n`);
    expect(adopted).toContain('Record-Route: <sip:127.0.1.1;lr>\r\n');
  });

  it('touches nothing where the primary is not named, and never the body', () => {
    const text = 'SIP/2.0 200 OK\r\nTo: <sip:c@d>\r\n\r\nRecord-Route: <sip:127.0.2.1:5060;lr>\r\n';
    expect(adoptRecordRoute(text, primary, identity)).toBe(text);
  });
});

describe('RFC 3261 §17.1.1.3: a refusal that a stand-in adopts', () => {
  it.each([
    ['its only branch', ''],
    ['one branch of several', ';forked'],
  ])('is acknowledged to its sender, as often as it comes: %s', async (_claim, forked) => {
    const world = await SipWorld.up({ config: { backupFor: ['127.0.2.1'] } });
    const callee = await world.peer('127.0.0.20:5070');
    const edge = await world.peer('127.0.1.1');
    const branch = new BranchKey('only a test').branchFor(request('INVITE'), 'sip:c@127.0.0.20:5070');
    const refused = [
      'SIP/2.0 486 Busy Here',
      `Via: SIP/2.0/UDP 127.0.2.1:5060;branch=${branch}${forked};received=127.0.2.1;rport=5060;AlternatePath="sip:127.0.0.1"`,
      'Via: SIP/2.0/UDP 127.0.1.1:5060;branch=z9hG4bKedge',
      'From: <sip:a@b>;tag=1',
      'To: <sip:c@d>;tag=busy',
      'Call-ID: x',
      'CSeq: 1 INVITE',
      'Content-Length: 0',
    ].join('\r\n');
    for (let i = 0; i < 2; i += 1) {
      callee.send(`${refused}\r\n\r\n`);
      await world.run();
    }
    const acks = [
      'ACK sip:c@d SIP/2.0',
      `Via: SIP/2.0/UDP 127.0.2.1:5060;branch=${branch}${forked};rport;AlternatePath="sip:127.0.0.1"`,
      'Max-Forwards: 70',
      'From: <sip:a@b>;tag=1',
      'To: <sip:c@d>;tag=busy',
      'Call-ID: x',
      'CSeq: 1 ACK',
      'Content-Length: 0\r\n\r\n',
    ].join('\r\n');
    expect(callee.texts).toEqual([acks, acks]);
    // Whoever sent the request to all of them asks for the best answer itself.
    expect(edge.texts).toHaveLength(forked === '' ? 2 : 0);
  });

  it('with a branch that no member made it is not acknowledged: nobody is reflected upon', async () => {
    const world = await SipWorld.up({ config: { backupFor: ['127.0.2.1'] } });
    const callee = await world.peer('127.0.0.20:5070');
    callee.send(
      'SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 127.0.2.1:5060;branch=z9hG4bK+made.up\r\nVia: SIP/2.0/UDP 127.0.1.1:5060;branch=z9hG4bKedge\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=busy\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n',
    );
    await world.run();
    expect(world.sent).toEqual([]);
  });
});

describe('members on both sides of a change of the branch', () => {
  it('say so once for each partner, and take nothing over', async () => {
    const lines: string[] = [];
    const world = await SipWorld.up({
      config: { backup: ['127.0.2.1'], backupFor: ['127.0.2.1', '127.0.2.3'] },
      log: pino({ level: 'warn' }, { write: (line) => lines.push(line) }),
    });
    const peer = await world.peer('127.0.0.20:5070');
    const ringing = (sentBy: string, branch: string): string =>
      `SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP ${sentBy};branch=${branch}\r\nVia: SIP/2.0/UDP 127.0.0.20:5070;branch=z9hG4bKedge\r\n` +
      'From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n';
    for (const sentBy of ['127.0.2.1:5060', '127.0.2.1:5060', '127.0.2.3:5060', '127.0.9.9:5060'])
      peer.send(ringing(sentBy, 'z9hG4bKN72g_BkBePGCkImCNC.LCFKQB'));
    // Its own layout, made up: a stranger's, and no word is said.
    peer.send(ringing('127.0.2.1:5060', 'z9hG4bK+N72g_BkBePGCkImCN.LCFKQB'));
    await world.run();
    expect(lines.map((line) => JSON.parse(line).partner)).toEqual(['127.0.2.1:5060', '127.0.2.3:5060']);
    expect(peer.texts).toEqual([]);
    await world.down();
  });
});
