/**
 * Our wire codec beside the npm package `sip`: what it costs to read an INVITE, to edit it as a proxy must, and to write it.
 * The package is measured with the least that gives the same message: parse, put a Via and a Record-Route in front, stringify.
 */
import { createRequire } from 'node:module';
import { createSipAdapter } from '../protocols/sip/adapter.ts';
import { decode } from '../protocols/sip/codec/decode.ts';
import { toBytes } from '../protocols/sip/codec/encode.ts';
import type { SipMessage } from '../protocols/sip/codec/messages.ts';
import { Identity } from '../protocols/sip/identity.ts';
import { type ForwardPlan, forwardedText } from '../protocols/sip/proxy/forward.ts';
import { BranchKey } from '../protocols/sip/proxy/via-branch.ts';
import { Assembler, type Flow } from '../src/internal.ts';
import { nanoseconds, timing } from './support/nanoseconds.ts';
import type { BenchOptions, Row, Suite, SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'sip-codec',
  title: 'SIP wire codec, one core',
  works: [],
  byDefault: true,
  run,
};

async function run(options: BenchOptions): Promise<SuiteReport> {
  const received = invites.map((text) => Buffer.from(text, 'latin1'));
  const ours = received.map(decoded);
  const theirs = invites.map((text) => sip.parse(text));
  const pick = <T>(list: readonly T[], iteration: number): T => list[iteration % list.length] ?? never();
  const forward = (request: SipMessage, branch: string): Buffer =>
    toBytes(forwardedText(request, { ...plan, branch }, flow, identity));
  const values = nanoseconds(
    new Map<string, (iteration: number) => unknown>([
      ['ours read', (i) => decode(pick(received, i))],
      ['theirs read', (i) => sip.parse(pick(received, i).toString('latin1'))],
      ['ours write', (i) => forward(pick(ours, i), branch)],
      ['theirs write', (i) => Buffer.from(sip.stringify(theirsForwarded(pick(theirs, i))), 'latin1')],
      ['ours', (i) => forward(decoded(pick(received, i)), branch)],
      [
        'theirs',
        (i) => Buffer.from(sip.stringify(theirsForwarded(sip.parse(pick(received, i).toString('latin1')))), 'latin1'),
      ],
      ['branch', (i) => key.branchFor(pick(ours, i), 'udp:127.0.0.81:5060')],
      ['response', (i) => decode(pick(responses, i))],
    ]),
    timing(options.quick),
  );
  const microseconds = (name: string) => ({ values: (values.get(name) ?? []).map((ns) => ns / 1000), faults: [] });
  const row = (what: string, ours: string, theirs?: string, target?: number): Row => ({
    what,
    unit: 'µs',
    better: 'lower',
    ours: microseconds(ours),
    ...(theirs === undefined ? {} : { anchor: { name: 'npm sip', ...microseconds(theirs) } }),
    ...(target === undefined ? {} : { target }),
  });
  return {
    rows: [
      row('INVITE: octets to message', 'ours read', 'theirs read'),
      row('INVITE: edit and write', 'ours write', 'theirs write'),
      row('INVITE: all of it', 'ours', 'theirs'),
      row('INVITE: all of it, against the clock', 'ours', undefined, 2),
      row('branch of an INVITE (keyed hash)', 'branch'),
      row('200 OK: octets to message', 'response'),
    ],
    notes: [],
  };
}

/** Unlike Call-IDs, tags and branches, so that no engine learns one message by heart. */
const invites = Array.from({ length: 64 }, (_, index) => invite(index));

const responses = invites.map((text) =>
  Buffer.from(
    text
      .replace(/^.*/, 'SIP/2.0 200 OK')
      .replace(
        /\r\nVia:/,
        '\r\nVia: SIP/2.0/UDP 127.0.0.16:5060;branch=z9hG4bK3fP_0q;rport=5060;received=127.0.0.16\r\nVia:',
      )
      .replace(/(\r\nTo: .*)/, '$1;tag=4711s1'),
    'latin1',
  ),
);

/** What SIPp's caller sends in `--work call`. */
function invite(index: number): string {
  const body = [
    'v=0',
    'o=user1 53655765 2353687637 IN IP4 127.0.0.82',
    's=-',
    'c=IN IP4 127.0.0.82',
    't=0 0',
    'm=audio 6000 RTP/AVP 0',
    'a=rtpmap:0 PCMU/8000',
    '',
  ].join('\r\n');
  return [
    `INVITE sip:u${index}@127.0.0.16:5060 SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.82:5060;branch=z9hG4bK-4711-${index}-0`,
    `From: <sip:caller@127.0.0.16:5060>;tag=4711c${index}`,
    `To: <sip:u${index}@127.0.0.16:5060>`,
    `Call-ID: ${index}-4711@127.0.0.82`,
    'CSeq: 1 INVITE',
    'Contact: <sip:caller@127.0.0.82:5060>',
    'Max-Forwards: 70',
    'User-Agent: SIPp',
    'Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY',
    'Supported: replaces, timer',
    'Content-Type: application/sdp',
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

function decoded(bytes: Buffer): SipMessage {
  const result = decode(bytes);
  return result.ok ? result.value : never();
}

function never(): never {
  throw new Error('the benchmark cannot read its own message');
}

const key = new BranchKey('a cluster secret');

const branch = 'z9hG4bKq0bTmT3PzvS0cE8eHh4GfA.1x2y3z';

const local = { host: '127.0.0.16', port: 5060 };

const flow: Flow = {
  transport: 'udp',
  reliable: false,
  local,
  remote: { host: '127.0.0.82', port: 5060 },
  id: '1',
  send() {},
  close() {},
};

const plan: Omit<ForwardPlan, 'branch'> = {
  requestUri: 'sip:u1@127.0.0.81:5060',
  popRoutes: 0,
  pushRoutes: [],
  recordRoute: true,
  from: flow,
};

const identity = new Identity(
  { domains: [], placement: 'header', partners: [], secret: 'a cluster secret' },
  new Assembler({
    adapter: createSipAdapter(),
    cluster: { backups: [{ transport: 'udp', host: '127.0.0.2', port: 5060 }], backupFor: [] },
    addressOf: ({ transport, local }) => ({ transport, ...local }),
  }),
);

/** The package's message, as far as the benchmark touches it. */
interface PackageMessage {
  uri: string;
  readonly headers: Record<string, unknown> & { via: unknown[] };
}

const sip: { parse(text: string): PackageMessage; stringify(message: PackageMessage): string } = createRequire(
  import.meta.url,
)('sip');

const theirsForwarded = (message: PackageMessage): PackageMessage => ({
  ...message,
  uri: plan.requestUri,
  headers: {
    ...message.headers,
    via: [
      {
        version: '2.0',
        protocol: 'UDP',
        host: '127.0.0.16',
        port: 5060,
        params: { branch, rport: null, AlternatePath: '"sip:127.0.0.2:5060;transport=udp"' },
      },
      ...message.headers.via,
    ],
    'record-route': [
      { uri: 'sip:127.0.0.16:5060;lr', params: { AlternatePath: '"sip:127.0.0.2:5060;transport=udp"' } },
    ],
    'max-forwards': 69,
  },
});
