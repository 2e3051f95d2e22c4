/** Digest on SIP messages: 401 for those who register, 407 for those who call through us (RFC 3261 §22.2, §22.3). */
import type { Flow, RateLimitedLog } from '../../../src/index.ts';
import { H } from '../header-names.ts';
import type { SipMessage } from '../messages.ts';
import { type SipUri, unescapeText } from '../uri.ts';
import type { Digest } from './digest.ts';
import { type Refusal, refusal } from './refusal.ts';

export type Authenticated =
  | { readonly kind: 'user'; readonly user: string }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** `registrar`: Authorization and 401. `proxy`: Proxy-Authorization and 407. */
export function authenticate(
  digest: Digest,
  request: SipMessage,
  flow: Flow,
  as: 'registrar' | 'proxy',
  log: RateLimitedLog,
): Authenticated {
  const verdict = digest.verify(
    fieldValues(request, as === 'registrar' ? H.authorization : H.proxyAuthorization),
    request.method,
    request.requestUri,
  );
  switch (verdict.kind) {
    case 'authenticated':
      return { kind: 'user', user: verdict.user };
    case 'malformed':
      return { kind: 'refused', refusal: refusal(400, 'Bad Request - credentials') };
    case 'refused':
      // RFC 7616 §3.4: failures are logged, but not the name given: it is now and then the password.
      if (verdict.reason !== 'noCredentials')
        log.info('authentication failed', flow.remote.host, () => ({
          to: request.to.uri,
          from: flow.remote,
          reason: verdict.reason,
        }));
      return { kind: 'refused', refusal: challenge(digest, as, false) };
    case 'stale':
      return { kind: 'refused', refusal: challenge(digest, as, true) };
  }
}

/** May this user act as this address of record: his name is its user part, or all of it? */
export const isOwn = (user: string, uri: SipUri, record: string): boolean =>
  user === unescapeText(uri.user ?? '') || user === record;

function challenge(digest: Digest, as: 'registrar' | 'proxy', stale: boolean): Refusal {
  const name = as === 'registrar' ? 'WWW-Authenticate' : 'Proxy-Authenticate';
  const fields = digest.challenge(stale).map((value) => `${name}: ${value}\r\n`);
  return as === 'registrar'
    ? refusal(401, 'Unauthorized', fields.join(''))
    : refusal(407, 'Proxy Authentication Required', fields.join(''));
}

/** One field is one set of credentials: its commas separate parameters. */
function fieldValues(request: SipMessage, id: typeof H.authorization | typeof H.proxyAuthorization): readonly string[] {
  const values: string[] = [];
  for (let i = request.fieldIndex(id); i >= 0; i = request.fieldIndex(id, i)) values.push(request.valueAt(i));
  return values;
}
