/** Captures what passes over the loopback interface and has tshark judge it. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Child } from './child.ts';
import { missing, program } from './programs.ts';
import { scratchDirectory } from './scratch.ts';
import { until } from './until.ts';

export interface Packet {
  readonly frame: number;
  readonly from: string;
  readonly to: string;
  /** Names of the dissected layers, as `eth:ethertype:ip:udp:sip:sdp`. */
  readonly protocols: string;
  /** `INVITE sip:u1@…`, or `200 OK`; several with `, ` between them if one TCP segment carried more than one message. */
  readonly firstLines: string;
  /** Values of Via and Record-Route in order. */
  readonly vias: readonly string[];
  readonly recordRoutes: readonly string[];
  /** What else tshark must find in a SIP message (it lets many a broken one pass without a word): Call-ID, CSeq method, From tag. */
  readonly essentials: readonly string[];
  /** tshark's complaints: malformed, and expert remarks of severity error. */
  readonly complaints: string;
}

export interface Capture {
  /** Stops capturing, when everything sent before has been written; the judged packets in order. */
  finish(): Promise<readonly Packet[]>;
}

export interface CaptureOptions {
  /** Only packets from or to this host. */
  readonly host: string;
  /** Ports to read as SIP, whatever tshark would guess. */
  readonly sipPorts: readonly number[];
  /** Ports to read as TLS with SIP inside, and the file of secrets that Node writes with --tls-keylog. */
  readonly tls?: { readonly port: number; readonly keyLogFile: string };
}

/** Why nothing can be captured here, or undefined. */
export async function captureMissing(): Promise<string | undefined> {
  const absent = missing('tshark', 'dumpcap');
  if (absent !== undefined) return absent;
  const interfaces = await run(program('dumpcap'), ['-D'], { timeout: 10_000 }).catch(() => ({ stdout: '' }));
  return /\blo\b/.test(interfaces.stdout)
    ? undefined
    : 'this user may not capture on lo: run as root, or join the group wireshark';
}

export async function startCapture(options: CaptureOptions): Promise<Capture> {
  const recording = await record(`ip host ${options.host} and (udp or tcp)`);
  return {
    async finish() {
      const { file, markerPort } = await recording.finish();
      return dissect(file, options, markerPort);
    },
  };
}

/** One datagram, as it passed. */
export interface Datagram {
  readonly from: string;
  readonly to: string;
  readonly octets: Buffer;
}

/** Every datagram from or to these UDP ports of a host, in order. */
export async function captureDatagrams(
  host: string,
  ports: readonly number[],
): Promise<{ finish(): Promise<readonly Datagram[]> }> {
  const recording = await record(`ip host ${host} and udp`);
  return {
    async finish() {
      const { file } = await recording.finish();
      const wanted = ports.map((port) => `udp.port == ${port}`).join(' || ');
      const fields = ['ip.src', 'udp.srcport', 'ip.dst', 'udp.dstport', 'udp.payload'].flatMap((name) => ['-e', name]);
      const { stdout } = await run(
        program('tshark'),
        // Retransmissions and all: nothing is put together or left out.
        ['-n', '-r', file, '-Y', `ip.addr == ${host} && (${wanted})`, '-T', 'fields', '-E', 'separator=/t', ...fields],
        { maxBuffer: 1 << 28, timeout: 120_000 },
      );
      return stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const [from = '', fromPort = '', to = '', toPort = '', payload = ''] = line.split('\t');
          return { from: `${from}:${fromPort}`, to: `${to}:${toPort}`, octets: Buffer.from(payload, 'hex') };
        });
    },
  };
}

/** What passes over the loopback interface, into a file. */
async function record(filter: string) {
  const file = join(scratchDirectory('capture'), 'lo.pcapng');
  const marker = await freeUdpPort();
  const child = new Child('dumpcap', program('dumpcap'), [
    ...['-q', '-i', 'lo', '-w', file, '-s', '0', '-B', '64'],
    ...['-f', `(${filter}) or (udp and dst port ${marker.port})`],
  ]);
  await child.waitForOutput(/File: /, 10_000);
  return {
    async finish() {
      // What was sent before this marker is written before it.
      const text = randomBytes(16).toString('hex');
      marker.send(text);
      await until('the capture of all that was sent', 10_000, () => readFileSync(file).includes(text));
      await child.stop('SIGINT');
      marker.close();
      return { file, markerPort: marker.port };
    },
  };
}

async function dissect(file: string, options: CaptureOptions, markerPort: number): Promise<Packet[]> {
  const decodeAs = options.sipPorts.flatMap((port) => ['-d', `udp.port==${port},sip`, '-d', `tcp.port==${port},sip`]);
  const tls =
    options.tls === undefined
      ? []
      : [
          ...['-d', `tcp.port==${options.tls.port},tls`, '-d', `tls.port==${options.tls.port},sip`],
          '-o',
          `tls.keylog_file:${options.tls.keyLogFile}`,
        ];
  const { stdout } = await run(
    program('tshark'),
    [
      ...[
        '-n',
        '-r',
        file,
        ...decodeAs,
        ...tls,
        '-Y',
        `!(udp.dstport == ${markerPort})`,
        '-T',
        'fields',
        '-E',
        'separator=/t',
        '-E',
        'aggregator=|',
      ],
      ...[
        '-e',
        'frame.number',
        '-e',
        'ip.src',
        '-e',
        'udp.srcport',
        '-e',
        'tcp.srcport',
        '-e',
        'ip.dst',
        '-e',
        'udp.dstport',
        '-e',
        'tcp.dstport',
      ],
      ...['-e', 'frame.protocols', '-e', 'sip.Request-Line', '-e', 'sip.Status-Line'],
      ...['-e', '_ws.malformed', '-e', '_ws.expert.severity', '-e', '_ws.expert.message'],
      ...[
        '-e',
        'sip.Via',
        '-e',
        'sip.Record-Route',
        '-e',
        'sip.Call-ID',
        '-e',
        'sip.CSeq.method',
        '-e',
        'sip.from.tag',
      ],
    ],
    { maxBuffer: 1 << 28, timeout: 120_000 },
  );
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map(packetOf);
}

const run = promisify(execFile);

function packetOf(line: string): Packet {
  const fields = line.split('\t');
  const field = (index: number): string => fields[index] ?? '';
  const severities = field(11).split('|');
  const remarks = field(12).split('|');
  const errors = severities.flatMap((severity, index) =>
    Number(severity) === severityError ? [remarks[index] ?? '?'] : [],
  );
  return {
    frame: Number(field(0)),
    from: `${field(1)}:${field(2)}${field(3)}`,
    to: `${field(4)}:${field(5)}${field(6)}`,
    protocols: field(7),
    firstLines: [field(8), field(9)].filter((text) => text !== '').join('|'),
    vias: list(field(13)),
    recordRoutes: list(field(14)),
    essentials: [15, 16, 17].map(field).filter((text) => text !== ''),
    complaints: [field(10), ...errors].filter((text) => text !== '').join('; '),
  };
}

const list = (text: string): string[] => (text === '' ? [] : text.split('|'));

/** PI_ERROR in Wireshark's numbering of expert severities. */
const severityError = 0x00800000;

async function freeUdpPort() {
  const socket = createSocket('udp4').on('message', () => {});
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  return {
    port,
    send: (text: string) => socket.send(text, port, '127.0.0.1'),
    close: () => socket.close(),
  };
}
