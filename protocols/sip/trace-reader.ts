/** SIP messages as the trace shows them. */
import { type MessageReader, type MessageReading, maskedOctets } from '../../src/internal.ts';
import { decode } from './codec/decode.ts';
import { parseUri } from './codec/uri.ts';

export const sipReader: MessageReader = {
  hepType: 1,
  read(bytes): readonly MessageReading[] {
    const decoded = decode(bytes);
    if (!decoded.ok) return [];
    const { isRequest, method, requestUri, status, reason, callId, via, from, to } = decoded.value;
    return [
      {
        title: isRequest ? `${method} ${requestUri}` : `${status} ${reason} (${method})`,
        isRequest,
        call: callId,
        // An ACK of a refusal has its INVITE's branch, and is no answer.
        transaction: `${via.branch ?? callId} ${method}`,
        parties: [from.uri, to.uri, requestUri].flatMap(namesOf),
      },
    ];
  },
  masked: (bytes) => withoutPasswords(maskedOctets(bytes, secrets)),
};

/** The password that a URI may have (RFC 3261 §19.1.1). Each octet is looked at once or twice: a peer may write 64 kB of nothing but colons. */
function withoutPasswords(bytes: Buffer): Buffer {
  let masked: Buffer | undefined;
  let done = 0;
  for (let at = bytes.indexOf(0x40); at >= 0; at = bytes.indexOf(0x40, done)) {
    let start = at;
    while (start > done && isUserinfo(bytes[start - 1] ?? 0)) start -= 1;
    const [scheme = ''] = /sips?:[^:]*:/i.exec(bytes.toString('latin1', start, at)) ?? [];
    if (scheme !== '') {
      masked ??= Buffer.from(bytes);
      const userinfo = bytes.toString('latin1', start, at);
      for (let i = start + userinfo.indexOf(scheme) + scheme.length; i < at; i += 1)
        if (!isKept(masked[i] ?? 0)) masked[i] = 0x2a;
    }
    done = at + 1;
  }
  return masked ?? bytes;
}

/** Neither white space nor a quote, bracket or semicolon. */
const isUserinfo = (c: number): boolean => c > 32 && c !== 0x22 && c !== 0x3b && c !== 0x3c && c !== 0x3e;

/** What stands between texts. */
const isKept = (c: number): boolean => c === 0x2c || c === 0x3d || c === 0x3a;

/** The URI without its parameters, and the user or number in it. */
function namesOf(text: string): readonly string[] {
  const uri = text === '' ? undefined : parseUri(text);
  if (uri === undefined) return [];
  const { scheme, user, host } = uri;
  if (user === undefined) return [];
  return scheme === 'tel' ? [user, `tel:${user}`] : [user, `${scheme}:${user}@${host}`, `${user}@${host}`];
}

/** RFC 3261 §20.7, §20.28, §20.6. */
const secrets: readonly RegExp[] = [
  /(^|\n)((?:proxy-)?authorization|authentication-info)([ \t]*:[ \t]*\S+)([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)/gi,
];
