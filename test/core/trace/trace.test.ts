/** The trace of a running controller: a call with both neighbours, its failover marked, found by call, number and peer. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { trace } from '../../../src/cli/trace.ts';
import { type Controller, type ControllerConfig, startController } from '../../../src/index.ts';
import { SipPeer, sipRequest, sipResponse } from '../../support/sip-peer.ts';

const open: { stop?(): Promise<void>; close?(): void }[] = [];

afterEach(async () => {
  for (const each of open.splice(0)) {
    await each.stop?.();
    each.close?.();
  }
});

async function controller(config: ControllerConfig): Promise<Controller & { port: number }> {
  const started = await startController({ admin: '127.0.0.1:0', ...config });
  open.push(started);
  return Object.assign(started, { port: Number(started.addresses[0]?.split(':').at(-1)) });
}

async function peer(answer?: (request: string) => readonly string[]): Promise<SipPeer> {
  const opened = await SipPeer.open('127.0.0.1', answer);
  open.push(opened);
  return opened;
}

const asks = async (
  { admin }: Controller,
  about: string | undefined,
  form: 'ladder' | 'json' | 'mermaid' = 'json',
  pcap?: string,
): Promise<string> => {
  const printed: string[] = [];
  await trace({ admin: [admin ?? ''], about, follow: false, form, pcap, limit: 500 }, (text) => printed.push(text));
  return printed.join('\n');
};

interface Shown {
  readonly from: string;
  readonly to: string;
  readonly title: string;
  readonly text: string;
  readonly moved?: { readonly from: string; readonly because: string };
}

/** A closed port, which answers with ICMP. */
async function closedPort(): Promise<number> {
  const closed = await SipPeer.open('127.0.0.1');
  closed.close();
  return closed.port;
}

describe('altpath trace', () => {
  it('shows a call with both neighbours, the message that moved marked with why, and nothing of other calls', async () => {
    const callee = await peer((request) =>
      request.startsWith('INVITE')
        ? [sipResponse(request, 180, 'Ringing'), sipResponse(request, 486, 'Busy Here')]
        : [],
    );
    const caller = await peer();
    const dead = await closedPort();
    const proxy = await controller({
      sip: {
        listen: ['udp:127.0.0.1:0'],
        domains: ['example.com'],
        routes: [{ prefix: '9', to: [`udp:127.0.0.1:${dead}`, `udp:127.0.0.1:${callee.port}`] }],
      },
    });
    for (const callId of ['call-a', 'call-b']) {
      caller.send(
        sipRequest({
          method: 'INVITE',
          uri: callId === 'call-a' ? 'sip:9123@example.com' : 'sip:404@example.com',
          from: caller,
          callId,
          fields: ['Proxy-Authorization: Digest username="alice", response="c0ffee"'],
        }),
        proxy.port,
        '127.0.0.1',
      );
      await caller.awaits(new RegExp(`^SIP/2.0 4(?:86|04).*${callId}`, 's'));
    }
    const rows: readonly Shown[] = JSON.parse(await asks(proxy, 'call-a'));
    const [us, up, down] = [`127.0.0.1:${proxy.port}`, `127.0.0.1:${caller.port}`, `127.0.0.1:${callee.port}`];
    const steps = rows.map(({ from, to, title }) => `${from} ${title.split(' ')[0]} ${to}`);
    expect(steps).toEqual(
      expect.arrayContaining([
        `${up} INVITE ${us}`,
        `${us} INVITE 127.0.0.1:${dead}`,
        `${us} INVITE ${down}`,
        `${down} 180 ${us}`,
        `${us} 180 ${up}`,
        `${down} 486 ${us}`,
        `${us} ACK ${down}`,
        `${us} 486 ${up}`,
      ]),
    );
    expect(rows.find(({ to, title }) => to === down && title.startsWith('INVITE'))?.moved).toEqual({
      from: `udp:127.0.0.1:${dead}`,
      because: 'refused',
    });
    expect(JSON.stringify(rows)).not.toContain('c0ffee');
    expect(rows[0]?.text).toContain('Proxy-Authorization: Digest ********');
    expect(JSON.stringify(rows)).not.toContain('call-b');
    // By number, and by peer.
    expect(JSON.parse(await asks(proxy, '9123'))).toHaveLength(rows.length);
    const ofPeer: readonly Shown[] = JSON.parse(await asks(proxy, down));
    expect(ofPeer.length).toBeGreaterThanOrEqual(4);
    expect(ofPeer.every(({ from, to }) => from === down || to === down)).toBe(true);
    const ladder = await asks(proxy, 'call-a', 'ladder');
    expect(ladder.split('\n')[0]).toContain(`[${us}]`);
    expect(ladder).toContain(`✗ udp:127.0.0.1:${dead} failed (refused): sent to ${down} instead`);
    expect(ladder).toMatch(/═ INVITE sip:9123@.*═▶/);
    expect(ladder).toMatch(/◀─+ 486 Busy Here/);
    const diagram = await asks(proxy, 'call-a', 'mermaid');
    expect(diagram).toMatch(/^sequenceDiagram\n {2}participant p0 as 127/);
    expect(diagram).toMatch(/p\d-->>p\d: 486 Busy Here/);
    expect(await asks(proxy, 'call-x', 'ladder')).toBe('no message about call-x among those recorded');
  });

  it('writes a capture file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'altpath-pcap-'));
    const caller = await peer();
    const proxy = await controller({ sip: { listen: ['udp:127.0.0.1:0'], domains: ['example.com'] } });
    caller.send(
      sipRequest({ method: 'INVITE', uri: 'sip:1@example.com', from: caller, callId: 'p' }),
      proxy.port,
      '127.0.0.1',
    );
    await caller.awaits(/^SIP\/2.0 404/);
    const file = join(folder, 'call.pcap');
    expect(await asks(proxy, 'p', 'ladder', file)).toBe(`2 messages in ${file}`);
    const bytes = readFileSync(file);
    expect(bytes.readUInt32LE(0)).toBe(0xa1b2c3d4);
    expect(bytes.toString('latin1')).toContain('INVITE sip:1@example.com');
    rmSync(folder, { recursive: true });
  });

  it('takes a call id that ends in an address for a call, not for the peer at that address', async () => {
    const caller = await peer();
    const proxy = await controller({ sip: { listen: ['udp:127.0.0.1:0'], domains: ['example.com'] } });
    for (const callId of ['c1@127.0.0.1', 'c2@127.0.0.1']) {
      caller.send(
        sipRequest({ method: 'INVITE', uri: 'sip:1@example.com', from: caller, callId }),
        proxy.port,
        '127.0.0.1',
      );
      await caller.awaits(new RegExp(`^SIP/2.0 404.*${callId}`, 's'));
    }
    const rows: readonly Shown[] = JSON.parse(await asks(proxy, 'c1@127.0.0.1'));
    expect(rows.map(({ title }) => title.split(' ')[0])).toEqual(['INVITE', '404']);
    expect(JSON.stringify(rows)).not.toContain('c2@');
  });

  it('keeps nothing where it is off, and says so', async () => {
    const proxy = await controller({ trace: 'off', sip: { listen: ['udp:127.0.0.1:0'] } });
    await expect(asks(proxy, undefined)).rejects.toThrow('no trace is kept here: trace is off in the configuration');
  });

  it('follows: messages come as they pass, of what was asked for alone', async () => {
    const caller = await peer();
    const proxy = await controller({ sip: { listen: ['udp:127.0.0.1:0'], domains: ['example.com'] } });
    const printed: string[] = [];
    const following = trace(
      { admin: [proxy.admin ?? ''], about: '77', follow: true, form: 'ladder', limit: 1 },
      (text) => printed.push(text),
    );
    await expect
      .poll(
        () => {
          for (const number of ['66', '77'])
            caller.send(
              sipRequest({
                method: 'OPTIONS',
                uri: `sip:${number}@example.com`,
                from: caller,
                callId: `${number}-${Math.random()}`,
              }),
              proxy.port,
              '127.0.0.1',
            );
          return printed.join('\n');
        },
        { timeout: 5_000, interval: 100 },
      )
      .toMatch(/OPTIONS sip:77@.*404/s);
    expect(printed.join('\n')).not.toContain('sip:66@');
    await proxy.stop();
    await following.catch(() => undefined);
  });
});
