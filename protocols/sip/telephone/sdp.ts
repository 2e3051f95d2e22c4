/** The least offer and answer that a real telephone accepts (RFC 3264): one audio stream, PCMU; without a port of its own nobody listens. */
import { isIP } from 'node:net';

/** Port 9 is the discard service: media sent there ends there. */
const discard = 9;

export function offer(host: string, session: number, port = discard): string {
  return description(host, session, `m=audio ${port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n`);
}

/** Each stream of the offer in its place (RFC 3264 §6): the first audio stream with PCMU is taken, the others are refused with port 0. */
export function answer(host: string, session: number, offered: string, port = discard): string {
  let taken = false;
  const streams = [...offered.matchAll(/^m=(\S+) \S+ (\S+) ([^\r\n]*)/gm)]
    .slice(0, 32)
    .map(([, kind, profile, formats]) => {
      const fits = !taken && kind === 'audio' && profile === 'RTP/AVP' && (formats ?? '').split(' ').includes('0');
      taken ||= fits;
      return fits
        ? `m=audio ${port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n`
        : `m=${kind} 0 ${profile} ${(formats ?? '').split(' ')[0]}\r\n`;
    });
  return streams.length === 0 ? offer(host, session, port) : description(host, session, streams.join(''));
}

function description(host: string, session: number, streams: string): string {
  const address = `IN IP${isIP(host) === 6 ? 6 : 4} ${host}`;
  return `v=0\r\no=altpath ${session} ${session} ${address}\r\ns=-\r\nc=${address}\r\nt=0 0\r\n${streams}`;
}
