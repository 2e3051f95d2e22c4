/** docs/adr/0015: calls that are being set up with credentials when their proxy dies, and credentials that somebody captured. */
import { describe, expect, it } from 'vitest';
import { digestResponse, ha1 } from '../../protocols/sip/registrar/digest-response.ts';
import type { Flow } from '../../src/internal.ts';
import { domain, hosts, SipWorld } from '../support/sip-world.ts';

const bob = `sip:bob@${domain}`;
const password = 'wonderland';
const config = {
  domains: [domain],
  auth: { invite: true, users: [{ user: 'alice', password }] },
};

/** A telephone that knows of both proxies and repeats its very INVITE at the other one. */
class Caller {
  readonly heard: string[] = [];
  readonly #flow: Flow;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  static async at(world: SipWorld, address: string): Promise<Caller> {
    const listener = await world.network.host(address).bind(
      { transport: 'udp', host: address, port: 5060 },
      { maxMessageBytes: 65_535 },
      {
        received: (bytes) => caller.heard.push(bytes.toString('latin1')),
        failed: () => undefined,
        malformed: () => undefined,
      },
    );
    const flow = (host: string): Flow => {
      const found = listener.flowTo({ host, port: 5060 });
      if (found === undefined) throw new Error('no way');
      return found;
    };
    const caller = new Caller(flow(hosts.primary));
    caller.flow = flow;
    return caller;
  }

  flow: (host: string) => Flow = () => this.#flow;

  invite(cseq: number, fields = '', callId = 'one@call', branch = `z9hG4bKcaller${cseq}`): string {
    return [
      `INVITE ${bob} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.3.1:5060;branch=${branch}`,
      'Max-Forwards: 70',
      `Route: <sip:${hosts.primary}:5060;lr>`,
      `From: <sip:alice@${domain}>;tag=alice1`,
      `To: <${bob}>`,
      `Call-ID: ${callId}`,
      `CSeq: ${cseq} INVITE`,
      'Contact: <sip:alice@127.0.3.1:5060>',
      `${fields}Content-Length: 0`,
      '',
      '',
    ].join('\r\n');
  }

  credentials(nc = 1): string {
    const challenge = this.heard.find((text) => text.startsWith('SIP/2.0 407')) ?? '';
    const nonce = /nonce="([^"]*)"/.exec(challenge)?.[1] ?? '';
    const realm = /realm="([^"]*)"/.exec(challenge)?.[1] ?? '';
    const count = nc.toString(16).padStart(8, '0');
    const given = { nonce, nc: count, cnonce: 'abc', qop: 'auth', uri: bob };
    const response = digestResponse('SHA-256', ha1('SHA-256', 'alice', realm, password), 'INVITE', given);
    return `Proxy-Authorization: Digest username="alice", realm="${realm}", nonce="${nonce}", uri="${bob}", response="${response}", algorithm=SHA-256, cnonce="abc", qop=auth, nc=${count}\r\n`;
  }

  send(host: string, text: string): void {
    this.flow(host).send(Buffer.from(text, 'latin1'));
  }

  statuses(from = 0): string[] {
    return this.heard.slice(from).map((text) => text.slice(8, 11));
  }
}

/** A call that rings at bob's, set up with credentials by way of the primary. */
async function ringing() {
  const world = new SipWorld();
  await world.pair({ config });
  await world.edge(hosts.calleeEdge);
  const callee = await world.phone({ address: '127.0.3.2', user: 'bob', edge: hosts.calleeEdge });
  callee.register();
  callee.answering = 'ring';
  await world.clock.advanceAsync(100);
  const caller = await Caller.at(world, '127.0.3.1');
  caller.send(hosts.primary, caller.invite(1));
  await world.clock.advanceAsync(50);
  const invite = caller.invite(2, caller.credentials());
  caller.send(hosts.primary, invite);
  await world.clock.advanceAsync(400);
  expect(caller.statuses()).toContain('180');
  expect(callee.rung.get('one@call')).toBe(1);
  return { world, callee, caller, invite };
}

describe('an INVITE with credentials whose proxy dies', () => {
  for (const how of ['crash', 'silence'] as const)
    it(`goes on at the backup, and rings once (${how})`, async () => {
      const { world, callee, caller, invite } = await ringing();
      if (how === 'crash') world.network.crash(hosts.primary);
      else world.network.silence(hosts.primary);
      const before = caller.heard.length;
      // As a telephone repeats it: T1, doubled each time (RFC 3261 §17.1.1.2).
      for (const waitMs of [500, 1_000, 2_000]) {
        caller.send(hosts.backup, invite);
        await world.clock.advanceAsync(waitMs);
      }
      expect(caller.statuses(before)).not.toContain('407');
      expect(caller.statuses(before)).toContain('180');
      expect(callee.rung.get('one@call')).toBe(1);
      await world.stop();
    });

  it('is judged within 200 ms where the machine of the dead says so', async () => {
    const { world, caller, invite } = await ringing();
    world.network.crash(hosts.primary);
    const before = caller.heard.length;
    caller.send(hosts.backup, invite);
    await world.clock.advanceAsync(200);
    expect(caller.statuses(before)).toContain('180');
    await world.stop();
  });
});

describe('RFC 7616 §5.5: captured credentials', () => {
  it('are worth nothing at a partner while the one that gave them their nonce lives', async () => {
    const { world, callee, caller, invite } = await ringing();
    const before = caller.heard.length;
    caller.send(hosts.backup, invite.replace('branch=z9hG4bKcaller2', 'branch=z9hG4bKattacker'));
    await world.clock.advanceAsync(3_000);
    expect(caller.statuses(before)).toContain('407');
    expect(callee.rung.get('one@call')).toBe(1);
    await world.stop();
  });

  it('are worth nothing for another call, though their proxy is dead', async () => {
    const { world, callee, caller } = await ringing();
    world.network.crash(hosts.primary);
    const before = caller.heard.length;
    caller.send(hosts.backup, caller.invite(2, caller.credentials(), 'other@call', 'z9hG4bKother'));
    await world.clock.advanceAsync(3_000);
    expect(caller.statuses(before)).toEqual(['407']);
    expect(callee.rung.get('other@call')).toBeUndefined();
    await world.stop();
  });

  it('serve once for the call that they were given for, though their proxy is dead', async () => {
    const { world, caller, invite } = await ringing();
    world.network.crash(hosts.primary);
    caller.send(hosts.backup, invite);
    await world.clock.advanceAsync(500);
    const before = caller.heard.length;
    caller.send(hosts.backup, invite.replace('branch=z9hG4bKcaller2', 'branch=z9hG4bKattacker'));
    await world.clock.advanceAsync(3_000);
    expect(caller.statuses(before)).toContain('407');
    await world.stop();
  });

  it('are worth nothing after a restart', async () => {
    const { world, caller, invite } = await ringing();
    world.network.crash(hosts.primary);
    world.network.revive(hosts.primary);
    await world.primary({ config });
    const before = caller.heard.length;
    caller.send(hosts.primary, invite.replace('branch=z9hG4bKcaller2', 'branch=z9hG4bKattacker'));
    await world.clock.advanceAsync(3_000);
    expect(caller.statuses(before)).toContain('407');
    await world.stop();
  });
});
