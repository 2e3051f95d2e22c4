/** RFC 5626 §5.2: unique to a flow, the flow can be recovered from it, and it cannot be modified by attackers. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowTokens, maxTokenLength } from '../../../protocols/sip/proxy/flow-token.ts';
import { Flows } from '../../../protocols/sip/proxy/flows.ts';
import type { ControllerAddress, Flow, SocketAddress, Transport } from '../../../src/internal.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const primary = { host: '127.0.0.1', port: 5_060 };
const backup: ControllerAddress = { transport: 'udp', host: '127.0.0.2', port: 5_060 };

function tokensOf(member: SocketAddress, life: string, secret = 'a secret of the cluster'): FlowTokens {
  const tokens = new FlowTokens(secret, life);
  tokens.is(member);
  return tokens;
}

function flowOf(transport: Transport, id: string, remote: SocketAddress, local: SocketAddress = primary): Flow {
  return { transport, reliable: transport !== 'udp', local, remote, id, send: () => undefined, close: () => undefined };
}

const phone = { host: '203.0.113.7', port: 40_000 };

describe('RFC 5626 §5.2 flow tokens', () => {
  it('give the connection back to the life of the member that made them', () => {
    const tokens = tokensOf(primary, 'life1');
    const token = tokens.of(flowOf('tcp', 'tcp-17', phone), tokens.subscriber('alice@example.com', 'k'));
    expect(tokens.read(token)).toEqual({
      member: tokens.nameOf(primary),
      subscriber: tokens.subscriber('alice@example.com', 'k'),
      way: { kind: 'connection', life: 'life1', id: 'tcp-17' },
    });
  });

  it('give socket and remote address of datagrams back, whatever the address', () => {
    const tokens = tokensOf(primary, 'life1');
    const check = (remote: SocketAddress): void => {
      const token = tokens.of(flowOf('udp', 'udp', remote));
      expect(token.length).toBeLessThanOrEqual(maxTokenLength);
      expect(tokens.read(token)?.way).toEqual({ kind: 'datagram', socket: tokens.nameOf(primary), remote });
    };
    for (const host of ['::1', '::', '2001:db8::1', '2001:db8:0:1:1:1:1:1', 'fe80::1:0:0:2', '1:2:3:4:5:6:7:8', '1::'])
      check({ host, port: 65_535 });
    fc.assert(fc.property(fc.ipV4(), fc.integer({ min: 1, max: 65_535 }), (host, port) => check({ host, port })));
  });

  it('stand in the user part of a URI as they are, and are no longer than the bound', () => {
    const tokens = tokensOf({ host: '2001:db8:1:1:1:1:1:1', port: 5_060 }, 'a'.repeat(16));
    const far = { host: '2001:db8:2:2:2:2:2:2', port: 65_535 };
    for (const flow of [flowOf('tcp', 'wss-9007199254740991', far), flowOf('udp', 'udp', far)]) {
      const token = tokens.of(flow, tokens.subscriber('alice@example.com', 'k'));
      expect(token).toMatch(/^[A-Za-z0-9._-]+$/);
      expect(token.length).toBeLessThanOrEqual(maxTokenLength);
    }
  });

  it('are read by every member and by nobody else, and not with any character changed', () => {
    const tokens = tokensOf(primary, 'life1');
    const token = tokens.of(flowOf('tcp', 'tcp-17', phone));
    expect(tokensOf(backup, 'life2').read(token)?.member).toBe(tokens.nameOf(primary));
    expect(tokensOf(primary, 'life1', 'another secret').read(token)).toBeUndefined();
    for (let at = 0; at < token.length; at += 1)
      for (const other of ['A', '1', '.']) {
        const forged = token.slice(0, at) + other + token.slice(at + 1);
        if (forged !== token) expect(tokens.read(forged), forged).toBeUndefined();
      }
  });

  it('are no token for whatever else a user part may hold', () => {
    const tokens = tokensOf(primary, 'life1');
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        expect(tokens.read(text)).toBeUndefined();
      }),
    );
    expect(tokens.read(`${'a.'.repeat(100_000)}`)).toBeUndefined();
  });
});

describe('where a token leads (RFC 5626 §5.3.1)', () => {
  const open = new Map<string, Flow>();

  function flowsOf(tokens: FlowTokens, members: readonly ControllerAddress[] = [backup]): Flows {
    return new Flows({
      tokens,
      members,
      ports: [5_060],
      clock: new FakeClock(),
      downSinceMs: () => undefined,
      flowById: (id) => open.get(id),
      datagramFlow: (isSocket, remote) => (isSocket(primary) ? flowOf('udp', 'udp-x', remote) : undefined),
    });
  }

  it('is the connection while it is open, then nowhere', () => {
    const tokens = tokensOf(primary, 'life1');
    const flow = flowOf('tcp', 'tcp-1', phone);
    const flows = flowsOf(tokens);
    open.set('tcp-1', flow);
    expect(flows.way(tokens.of(flow))).toEqual({ kind: 'open', flow });
    open.clear();
    expect(flows.way(tokens.of(flow))).toEqual({ kind: 'gone', subscriber: '', isOld: false });
  });

  it('is nowhere for a token of an earlier life, though a connection of this life has the same id', () => {
    const token = tokensOf(primary, 'life1').of(flowOf('tcp', 'tcp-1', phone));
    open.set('tcp-1', flowOf('tcp', 'tcp-1', { host: '127.0.0.66', port: 40_001 }));
    expect(flowsOf(tokensOf(primary, 'life2')).way(token)?.kind).toBe('gone');
    open.clear();
  });

  it("is the member for another one's token, though a connection here has the same id", () => {
    const token = tokensOf(backup, 'life1').of(flowOf('tcp', 'tcp-1', phone));
    open.set('tcp-1', flowOf('tcp', 'tcp-1', { host: '127.0.0.66', port: 40_001 }));
    expect(flowsOf(tokensOf(primary, 'life1')).way(token)).toEqual({
      kind: 'member',
      address: backup,
      token,
      subscriber: '',
    });
    expect(flowsOf(tokensOf(primary, 'life1'), []).way(token)?.kind).toBe('gone');
    open.clear();
  });

  it('is the pair of addresses of a datagram flow, in every life of the socket', () => {
    const token = tokensOf(primary, 'life1').of(flowOf('udp', 'udp', phone));
    expect(flowsOf(tokensOf(primary, 'life2')).way(token)).toMatchObject({ kind: 'open', flow: { remote: phone } });
    const elsewhere = tokensOf(primary, 'life1').of(flowOf('udp', 'udp', phone, { host: '127.0.0.1', port: 5_070 }));
    expect(flowsOf(tokensOf(primary, 'life2')).way(elsewhere)?.kind).toBe('gone');
  });

  it('is found again by the binding where that was renewed over another connection', () => {
    const tokens = tokensOf(primary, 'life2');
    const flows = flowsOf(tokens);
    const before = tokensOf(backup, 'life1');
    const subscriber = before.subscriber('alice@example.com', 'k');
    const flow = flowOf('tcp', 'tcp-3', phone);
    open.set('tcp-3', flow);
    expect(flows.renewed(subscriber)).toBeUndefined();
    flows.bound(flow, 'alice@example.com', 'k');
    expect(flows.renewed(subscriber)).toBe(flow);
    expect(flows.renewed('')).toBeUndefined();
    expect(flows.ended(flow)).toMatchObject([{ record: 'alice@example.com', key: 'k' }]);
    expect(flows.renewed(subscriber)).toBeUndefined();
    expect(flows.ended(flow)).toEqual([]);
    open.clear();
  });

  it('names the binding only where it is clear whose the flow is', () => {
    const tokens = tokensOf(primary, 'life1');
    const flows = flowsOf(tokens);
    const flow = flowOf('tcp', 'tcp-3', phone);
    const subscriberIn = (record?: string) => tokens.read(flows.tokenOf(flow, () => record))?.subscriber;
    expect(subscriberIn()).toBe('');
    flows.bound(flow, 'alice@example.com', 'k');
    expect(subscriberIn()).toBe(tokens.subscriber('alice@example.com', 'k'));
    flows.bound(flow, 'carol@example.com', 'k');
    expect(subscriberIn()).toBe('');
    expect(subscriberIn('carol@example.com')).toBe(tokens.subscriber('carol@example.com', 'k'));
    expect(subscriberIn('dave@example.com')).toBe('');
  });
});
