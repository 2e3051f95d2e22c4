/** Calls in progress through a whole SIP role, over a network that is nothing but function calls: answered, acknowledged, not ended. */
import { createSipRole, sipConfigSchema } from '../../protocols/sip/index.ts';
import {
  AddressResolver,
  CallControl,
  CallJournal,
  type ControllerAddress,
  type DnsClient,
  type Flow,
  type LocationService,
  Metrics,
  type Network,
  type NetworkEvents,
  silentLog,
  systemClock,
  systemRandom,
} from '../../src/internal.ts';

export async function placeCalls(
  locations: LocationService,
  record: (n: number) => string,
  count: number,
): Promise<{ readonly placed: number; readonly transactions: number }> {
  const local: ControllerAddress = { transport: 'udp', host: '127.0.0.1', port: 5060 };
  let events: NetworkEvents | undefined;
  let sent: string[] = [];
  const flow = (host: string, port: number): Flow => ({
    transport: 'udp',
    reliable: false,
    local,
    remote: { host, port },
    id: 'udp',
    send: (octets) => sent.push(Buffer.from(octets).toString('latin1')),
    close: () => undefined,
  });
  const network: Network = {
    bind: async (_address, _options, given) => {
      events = given;
      return {
        local,
        connections: 0,
        flowTo: ({ host, port }) => flow(host, port),
        flowById: () => undefined,
        close: async () => undefined,
      };
    },
  };
  const unused = async () => ({ records: [], ttlMs: 0 });
  const dns: DnsClient = { naptr: unused, srv: unused, a: unused, aaaa: unused };
  const parts = { clock: systemClock, random: systemRandom, log: silentLog, metrics: new Metrics() };
  const config = sipConfigSchema.parse({ listen: ['udp:127.0.0.1:5060'], domains: ['example.com'] });
  const role = createSipRole(
    {
      ...parts,
      network,
      dns,
      locations,
      resolver: new AddressResolver({ clock: systemClock, dns, locations }),
      cluster: { secret: 'bench', backups: [], backupFor: [] },
      callControl: new CallControl({ ...parts, locate: () => [] }),
      journal: new CallJournal(systemClock),
    },
    config,
    { trust: [], allow: [], strip: 'none' },
  );
  await role.start();
  const caller = flow('127.0.0.2', 5060);
  const receive = (text: string, from: Flow): string => {
    sent = [];
    events?.received(Buffer.from(text, 'latin1'), from);
    return sent.find((each) => !each.startsWith('SIP/2.0 100')) ?? '';
  };
  let placed = 0;
  for (let n = 0; n < count; n += 1) {
    const uri = `sip:${record(n)}`;
    const invite = receive(
      `INVITE ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bK-scale-${n}\r\nFrom: <sip:caller@127.0.0.2>;tag=c${n}\r\nTo: <${uri}>\r\nCall-ID: ${n}-scale@127.0.0.2\r\nCSeq: 1 INVITE\r\nContact: <sip:caller@127.0.0.2:5060>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`,
      caller,
    );
    const kept = invite.split('\r\n').filter((line) => /^(Via|Record-Route|From|Call-ID|CSeq):/.test(line));
    const answer = receive(
      `SIP/2.0 200 OK\r\n${kept.join('\r\n')}\r\nTo: <${uri}>;tag=s${n}\r\nContact: <sip:callee@10.0.0.1:5060>\r\nContent-Type: application/sdp\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`,
      flow('10.0.0.1', 5060),
    );
    if (answer.startsWith('SIP/2.0 200')) placed += 1;
    const routes = kept
      .filter((line) => line.startsWith('Record-Route'))
      .map((line) => line.replace('Record-Route', 'Route'));
    receive(
      `ACK sip:callee@10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bK-scale-ack-${n}\r\n${routes.join('\r\n')}\r\nFrom: <sip:caller@127.0.0.2>;tag=c${n}\r\nTo: <${uri}>;tag=s${n}\r\nCall-ID: ${n}-scale@127.0.0.2\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n`,
      caller,
    );
    // The clock's timers want their turn.
    if (n % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return { placed, transactions: Number(role.status()['transactions']) };
}

const sdp =
  'v=0\r\no=user1 53655765 2353687637 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n';
