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
  masked: (bytes) => maskedOctets(bytes, secrets),
};

/** The URI without its parameters, and the user or number in it. */
function namesOf(text: string): readonly string[] {
  const uri = text === '' ? undefined : parseUri(text);
  if (uri === undefined) return [];
  const { scheme, user, host } = uri;
  if (user === undefined) return [];
  return scheme === 'tel' ? [user, `tel:${user}`] : [user, `${scheme}:${user}@${host}`, `${user}@${host}`];
}

/** RFC 3261 §20.7, §20.28, §20.6; the password that a URI may have (§19.1.1). */
const secrets: readonly RegExp[] = [
  /(^|\n)((?:proxy-)?authorization|authentication-info)([ \t]*:[ \t]*\S+)([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)/gi,
  /(sips?:[^@:;<>\s"]*:)([^@;<>\s"]+)(?=@)/gi,
];
