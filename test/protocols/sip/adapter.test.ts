import { createSipAdapter } from '../../../protocols/sip/adapter.ts';
import type { ControllerAddress } from '../../../src/internal.ts';
import { examineAdapter } from '../../contract/protocol-adapter.contract.ts';

const octets = (text: string): Buffer => Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1');

const udp = (host: string, port = 5_060): ControllerAddress => ({ transport: 'udp', host, port });

function request(method: string, branch: string, more = '', via = '127.0.0.9:5062'): Buffer {
  return octets(
    `${method} sip:bob@example.com SIP/2.0\nVia: SIP/2.0/UDP ${via};branch=${branch}\n${more}From: <sip:alice@example.com>;tag=f\nTo: <sip:bob@example.com>\nCall-ID: c-${branch}@127.0.0.9\nCSeq: 4711 ${method}\nMax-Forwards: 70\nContent-Length: 5\n\nv=0\n`,
  );
}

function response(status: string, method: string, branch: string): Buffer {
  return octets(
    `SIP/2.0 ${status}\nVia: SIP/2.0/UDP 127.0.0.9:5062;branch=${branch}\nFrom: <sip:alice@example.com>;tag=f\nTo: <sip:bob@example.com>;tag=t\nCall-ID: c-${branch}@127.0.0.9\nCSeq: 4711 ${method}\nContent-Length: 0\n\n`,
  );
}

for (const placement of ['header', 'uri', 'both'] as const)
  examineAdapter(`sip, tag in ${placement}`, () => ({
    adapter: createSipAdapter(placement),
    exchanges: [
      {
        request: request('INVITE', 'z9hG4bKa'),
        responses: [
          response('100 Trying', 'INVITE', 'z9hG4bKa'),
          response('180 Ringing', 'INVITE', 'z9hG4bKa'),
          response('200 OK', 'INVITE', 'z9hG4bKa'),
        ],
      },
      { request: request('CANCEL', 'z9hG4bKa'), responses: [response('200 OK', 'CANCEL', 'z9hG4bKa')] },
      { request: request('INVITE', 'z9hG4bKb'), responses: [response('486 Busy Here', 'INVITE', 'z9hG4bKb')] },
      { request: request('BYE', 'z9hG4bKc'), responses: [response('200 OK', 'BYE', 'z9hG4bKc')] },
      // RFC 2543: no magic cookie, the branch means little.
      { request: request('OPTIONS', '1'), responses: [response('200 OK', 'OPTIONS', '1')] },
    ],
    events: [request('ACK', 'z9hG4bKa')],
    garbage: [
      octets(''),
      octets('hello\n\n'),
      octets('INVITE sip:bob@example.com SIP/2.0\n\n'),
      Buffer.from([0, 1, 2]),
    ],
    ours: {
      bytes: request(
        'INVITE',
        'z9hG4bKo',
        'Record-Route: <sip:127.0.0.1:5060;lr>\nRoute: <sip:127.0.0.1:5060;lr>;x=y, <sip:other.example.com;lr>\nContact: "Us, <ourselves>" <sip:us@127.0.0.1:5060>;q=0.5\n',
        '127.0.0.1:5060',
      ),
      self: udp('127.0.0.1'),
    },
    alternates: [
      udp('127.0.0.2'),
      udp('127.0.0.3', 5_070),
      { ...udp('::1', 5_062), transport: 'tcp' },
      udp('b.example.com'),
    ],
    keepAlives: [octets('\n\n'), octets('\n'), Buffer.from([0])],
    fillers: [octets('\n'), octets('\n\n'), octets('\n\n\n')],
  }));
