/** As much SIP as a test phone of our own needs: written apart from the proxy's codec, so that neither hides the other's mistakes. */
export interface SipText {
  readonly startLine: string;
  /** In order, names as they came, folding undone. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export function readSip(text: string): SipText {
  const end = text.indexOf('\r\n\r\n');
  const [startLine = '', ...lines] = text
    .slice(0, end < 0 ? text.length : end)
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n');
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  });
  return { startLine, headers, body: end < 0 ? '' : text.slice(end + 4) };
}

/** Every value of a header, in order; any case. */
export const headers = (message: SipText, name: string): string[] =>
  message.headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);

export const header = (message: SipText, name: string): string => headers(message, name)[0] ?? '';

/** `INVITE` of a request, `200` of a response. */
export const kindOf = ({ startLine }: SipText): string =>
  startLine.startsWith('SIP/2.0 ') ? startLine.slice(8, 11) : startLine.slice(0, startLine.indexOf(' '));

/** A response that copies what a response must (RFC 3261 §8.2.6.2), and Record-Route (RFC 3261 §12.1.1). */
export function respond(
  request: SipText,
  status: string,
  options: { toTag?: string; contact?: string; body?: string } = {},
): string {
  const copied = request.headers.filter(([name]) => /^(via|v|from|f|call-id|i|cseq|record-route)$/i.test(name));
  const to = header(request, 'To');
  const body = options.body ?? '';
  return [
    `SIP/2.0 ${status}`,
    ...copied.map(([name, value]) => `${name}: ${value}`),
    `To: ${to}${options.toTag === undefined || to.includes(';tag=') ? '' : `;tag=${options.toTag}`}`,
    ...(options.contact === undefined ? [] : [`Contact: ${options.contact}`]),
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}
