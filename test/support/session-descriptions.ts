/** Session descriptions as real telephones, browsers, gateways and exchanges write them, and what becomes of such texts on a bad day. */
import fc from 'fast-check';

const lines = (...all: readonly string[]): string => `${all.join('\r\n')}\r\n`;

export const realDescriptions: readonly string[] = [
  // A softphone with four codecs and events.
  lines(
    'v=0',
    'o=- 2813957463 1148716563 IN IP4 192.0.2.31',
    's=-',
    'c=IN IP4 192.0.2.31',
    't=0 0',
    'a=tool:softphone 1.0.0',
    'm=audio 10024 RTP/AVP 96 0 8 9 101',
    'b=AS:125',
    'a=rtpmap:96 opus/48000/2',
    'a=fmtp:96 stereo=1;sprop-stereo=1',
    'a=rtpmap:0 PCMU/8000',
    'a=rtpmap:8 PCMA/8000',
    'a=rtpmap:9 G722/8000',
    'a=rtpmap:101 telephone-event/8000',
    'a=fmtp:101 0-15',
    'a=rtcp:10025',
    'a=sendrecv',
    'a=label:1',
    'a=rtcp-rsize',
    'a=ssrc:1398429671 cname:sip:7001@192.0.2.31',
    'a=ptime:20',
  ),
  // Another one, with video and ICE.
  lines(
    'v=0',
    'o=7001 1883 2146 IN IP4 198.51.100.7',
    's=Talk',
    'c=IN IP4 198.51.100.7',
    't=0 0',
    'a=ice-pwd:aa7cdd0c35b9c31e8d2f',
    'a=ice-ufrag:9a9c2f41',
    'a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics',
    'm=audio 7078 RTP/AVPF 96 97 0 8 18 101',
    'a=rtpmap:96 opus/48000/2',
    'a=fmtp:96 useinbandfec=1',
    'a=rtpmap:97 speex/16000',
    'a=fmtp:18 annexb=yes',
    'a=rtpmap:101 telephone-event/48000',
    'a=candidate:1 1 UDP 2130706303 198.51.100.7 7078 typ host',
    'a=candidate:2 1 UDP 1694498687 203.0.113.9 32001 typ srflx raddr 198.51.100.7 rport 7078',
    'a=rtcp-fb:* trr-int 5000',
    'm=video 9078 RTP/AVPF 96 97',
    'a=rtpmap:96 VP8/90000',
    'a=rtpmap:97 H264/90000',
    'a=fmtp:97 profile-level-id=42801F',
    'a=rtcp-fb:96 nack pli',
  ),
  // A browser.
  lines(
    'v=0',
    'o=- 6148562302135492315 2 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'a=extmap-allow-mixed',
    'a=msid-semantic: WMS 3f0a',
    'm=audio 49170 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126',
    'c=IN IP4 203.0.113.44',
    'a=rtcp:9 IN IP4 0.0.0.0',
    'a=ice-ufrag:tGXe',
    'a=ice-pwd:mGTyQ0mmcQW3yOIZ4mFhxz+C',
    'a=ice-options:trickle',
    'a=fingerprint:sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2',
    'a=setup:actpass',
    'a=mid:0',
    'a=rtcp-mux',
    'a=rtpmap:111 opus/48000/2',
    'a=rtpmap:126 telephone-event/8000',
  ),
  // An exchange that holds as RFC 2543 did.
  lines(
    'v=0',
    'o=Exchange 1733145600 1733145602 IN IP4 192.0.2.200',
    's=Exchange',
    'c=IN IP4 0.0.0.0',
    't=0 0',
    'm=audio 24680 RTP/AVP 8 0 101',
    'a=rtpmap:8 PCMA/8000',
    'a=rtpmap:0 PCMU/8000',
    'a=rtpmap:101 telephone-event/8000',
    'a=fmtp:101 0-16',
    'a=silenceSupp:off - - - -',
    'a=ptime:20',
    'a=sendonly',
  ),
  // A gateway: G.729, a connection of its own for the medium, everything a session may have.
  lines(
    'v=0',
    'o=GatewaySIP-UA 4182 7709 IN IP4 10.1.2.3',
    's=SIP Call',
    'i=a call',
    'u=http://example.com/',
    'e=help@example.com (Help)',
    'p=+49 30 1234',
    'c=IN IP4 10.1.2.3',
    'b=CT:256',
    't=0 0',
    'r=7d 1h 0 25h',
    'z=2882844526 -1h 2898848070 0',
    'k=clear:nothing',
    'm=audio 16462/1 RTP/AVP 18 101',
    'c=IN IP4 10.1.2.3',
    'a=rtpmap:18 G729/8000',
    'a=fmtp:18 annexb=no',
    'a=rtpmap:101 telephone-event/8000',
    'a=maxptime:150',
  ),
  // Fax.
  lines(
    'v=0',
    'o=- 3 4 IN IP4 192.0.2.8',
    's=-',
    'c=IN IP4 192.0.2.8',
    't=0 0',
    'm=audio 0 RTP/AVP 0',
    'm=image 4532 udptl t38',
    'a=T38FaxVersion:0',
    'a=T38MaxBitRate:14400',
    'a=T38FaxRateManagement:transferredTCF',
    'a=T38FaxUdpEC:t38UDPRedundancy',
  ),
  // IPv6, and line feeds alone.
  'v=0\no=- 1 1 IN IP6 2001:db8::31\ns=-\nc=IN IP6 2001:db8::31\nt=0 0\nm=audio 5004 RTP/AVP 0 8\na=inactive\n',
];

/** Text that does harm where it is not expected. */
const nasty = [
  'a=x-altpath:AAECAwQFBgcICQ',
  'a=X-ALTPATH',
  'm=audio 99999 RTP/AVP 0',
  'm=audio -1 RTP/AVP 0',
  'm=audio 40000/9999999999 RTP/AVP 0',
  'm=audio 40000 RTP/AVP 0 0 0 0 300 x',
  'm=',
  'c=IN IP4 256.1.1.1',
  'c=IN IP4 224.2.1.1/127/3',
  'c=IN IP6 ::%eth0',
  'c=IN IP4 $',
  'o=- 99999999999999999999 -1 IN IP4 x',
  'v=1',
  'v=0',
  '}',
  '}, MEGACO/1 [10.0.0.1] T=1{C=1{MF=*{}}}',
  '.',
  'DLCX 1 aaln/1@rgw1 MGCP 1.0',
  'a=ptime:0',
  'a=ptime:999999999999',
  'a=rtpmap:999 x/0',
  'a=rtpmap:0',
  'a=fmtp:',
  'a=sendrecv',
  'a=inactive',
  'x=unknown',
  '=',
  'a',
  ' v=0',
  '\u0000',
  'a=\u0007',
  'a=\u00ff\u00fe\u0080',
  `a=${'y'.repeat(2_000)}`,
  '%s%n%x',
  '"',
];

type Change = (text: string) => string;

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(fc.nat(60), fc.constantFrom(...nasty)).map(
    ([at, line]): Change =>
      (text) =>
        withLines(text, (all) => all.toSpliced(at % (all.length + 1), 0, line)),
  ),
  fc.nat(60).map(
    (at): Change =>
      (text) =>
        withLines(text, (all) => all.toSpliced(at % all.length, 1)),
  ),
  fc.tuple(fc.nat(60), fc.nat(60)).map(
    ([at, to]): Change =>
      (text) =>
        withLines(text, (all) => all.toSpliced(to % all.length, 0, all[at % all.length] ?? '')),
  ),
  fc.tuple(fc.nat(4_000), fc.nat(255)).map(
    ([at, octet]): Change =>
      (text) => {
        const place = at % text.length;
        return text.slice(0, place) + String.fromCharCode(octet) + text.slice(place + 1);
      },
  ),
  fc.nat(4_000).map(
    (length): Change =>
      (text) =>
        text.slice(0, length % text.length),
  ),
  fc.constantFrom<Change>(
    (text) => text.replaceAll('\r\n', '\r'),
    (text) => text.replaceAll('\r\n', '\n'),
    (text) => text.replaceAll('\r\n', '\r\n\r\n'),
    (text) => text.replaceAll(' ', '  '),
    (text) => text.toUpperCase(),
    (text) => text + text,
    (text) => text.replaceAll(/\d+/g, '4294967296'),
    (text) => text.replaceAll(/\d/g, ''),
    (text) => text.replace(/^m=.*$/m, (line) => `${line}\r\n`.repeat(40).trimEnd()),
    (text) => text + 'a=candidate:1 1 UDP 1 192.0.2.1 1 typ host\r\n'.repeat(300),
  ),
);

const withLines = (text: string, run: (all: readonly string[]) => readonly string[]): string =>
  run(text.split('\r\n')).join('\r\n');

/** A real description after up to five changes. */
export const spoiltDescription: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom(...realDescriptions), fc.array(change, { maxLength: 5 }))
  .map(([text, changes]) => changes.reduce((spoilt, each) => (spoilt === '' ? spoilt : each(spoilt)), text));
