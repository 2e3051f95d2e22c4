/**
 * What a call costs the proxy core alone: the six messages of a record-routed call pass through the whole role over a network
 * that is nothing but function calls. Useful beside a profiler; the figures with sockets are bench/sip.ts's.
 */
import { createSipRole, sipConfigSchema } from '../protocols/sip/index.ts';
import {
  AddressResolver,
  CallControl,
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
} from '../src/internal.ts';

export interface CoreFigures {
  readonly calls: number;
  readonly microsecondsPerCall: number;
}

/** One role, `calls` calls one after the other; the figure is CPU time of this process. */
export async function measureCore(calls: number, backup: boolean): Promise<CoreFigures> {
  const local: ControllerAddress = { transport: 'udp', host: '127.0.0.1', port: 5060 };
  let events: NetworkEvents | undefined;
  const sent: string[] = [];
  const flow = (host: string, port: number): Flow => ({
    transport: 'udp',
    reliable: false,
    local,
    remote: { host, port },
    id: 'udp',
    send: (bytes) => sent.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')),
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
  const locations: LocationService = {
    open: async () => undefined,
    lookup: (record) => [
      {
        protocol: 'sip',
        target: `sip:${record}@127.0.0.3:5060`,
        key: record,
        path: [],
        alternates: [],
        expiresMs: Number.POSITIVE_INFINITY,
        q: 1_000,
        updatedMs: 0,
      },
    ],
    save: async () => undefined,
    records: () => [],
    size: 0,
    close: async () => undefined,
  };
  const unused = async () => ({ records: [], ttlMs: 0 });
  const dns: DnsClient = { naptr: unused, srv: unused, a: unused, aaaa: unused };
  const config = sipConfigSchema.parse({
    listen: ['udp:127.0.0.1:5060'],
    backup: backup ? ['udp:127.0.0.9:5060'] : [],
  });
  const role = createSipRole(
    {
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      metrics: new Metrics(),
      network,
      dns,
      locations,
      resolver: new AddressResolver({ clock: systemClock, dns, locations }),
      cluster: { secret: 'bench', backups: config.backup, backupFor: [] },
      callControl: new CallControl({
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        metrics: new Metrics(),
        locate: () => [],
      }),
    },
    config,
    { trust: [], allow: [], strip: 'none' },
  );
  await role.start();
  const caller = flow('127.0.0.2', 5060);
  const callee = flow('127.0.0.3', 5060);
  const receive = (text: string, from: Flow): string => {
    sent.length = 0;
    events?.received(Buffer.from(text, 'latin1'), from);
    return sent[0] ?? '';
  };
  const started = process.cpuUsage();
  for (let n = 0; n < calls; n += 1) {
    const invite = receive(inviteText(n), caller);
    const head = invite.split('\r\n').filter((line) => /^(Via|Record-Route|From|Call-ID|CSeq):/.test(line));
    const vias = head.filter((line) => line.startsWith('Via')).join('\r\n');
    const routes = head.filter((line) => line.startsWith('Record-Route'));
    const answer = (status: string, cseq: string, via: string, body: string): string =>
      `SIP/2.0 ${status}\r\n${via}\r\n${routes.join('\r\n')}\r\nFrom: <sip:caller@127.0.0.1:5060>;tag=c${n}\r\nTo: <sip:u${n}@127.0.0.1:5060>;tag=s${n}\r\nCall-ID: ${n}-1@127.0.0.2\r\nCSeq: ${cseq}\r\nContact: <sip:callee@127.0.0.3:5060>\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    receive(answer('180 Ringing', '1 INVITE', vias, ''), callee);
    receive(answer('200 OK', '1 INVITE', vias, sdp), callee);
    const route = routes.map((line) => line.replace('Record-Route', 'Route')).join('\r\n');
    receive(dialogText('ACK', 1, n, route), caller);
    const bye = receive(dialogText('BYE', 2, n, route), caller);
    const byeVias = bye
      .split('\r\n')
      .filter((line) => line.startsWith('Via'))
      .join('\r\n');
    receive(answer('200 OK', '2 BYE', byeVias, ''), callee);
  }
  const used = process.cpuUsage(started);
  await role.stop();
  return { calls, microsecondsPerCall: (used.user + used.system) / calls };
}

const sdp =
  'v=0\r\no=user1 53655765 2353687637 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n';

const inviteText = (n: number): string =>
  `INVITE sip:u${n}@127.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bK-1234-${n}-0\r\nFrom: <sip:caller@127.0.0.1:5060>;tag=c${n}\r\nTo: <sip:u${n}@127.0.0.1:5060>\r\nCall-ID: ${n}-1@127.0.0.2\r\nCSeq: 1 INVITE\r\nContact: <sip:caller@127.0.0.2:5060>\r\nMax-Forwards: 70\r\nUser-Agent: SIPp\r\nAllow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY\r\nSupported: replaces, timer\r\nContent-Type: application/sdp\r\nContent-Length: ${sdp.length}\r\n\r\n${sdp}`;

const dialogText = (method: string, cseq: number, n: number, route: string): string =>
  `${method} sip:callee@127.0.0.3:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bK-1234-${n}-${method}\r\n${route}\r\nFrom: <sip:caller@127.0.0.1:5060>;tag=c${n}\r\nTo: <sip:u${n}@127.0.0.1:5060>;tag=s${n}\r\nCall-ID: ${n}-1@127.0.0.2\r\nCSeq: ${cseq} ${method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n`;

if (process.argv[1] === import.meta.filename) {
  for (const backup of [false, true]) {
    const rounds: number[] = [];
    for (let round = 0; round < 12; round += 1) rounds.push((await measureCore(4_000, backup)).microsecondsPerCall);
    rounds.sort((a, b) => a - b);
    const shown = rounds.map((value) => value.toFixed(1));
    console.log(
      `AlternatePath ${backup ? 'on' : 'off'}: best ${shown[0]}, median ${shown[6]} µs per call, harness included`,
    );
  }
  process.exit(0);
}
