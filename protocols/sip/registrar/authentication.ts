/** Digest on SIP messages: 401 for those who register, 407 for those who call through us (RFC 3261 §22.2, §22.3). */
import { type Flow, limitedEvent, type RateLimitedLog } from '../../../src/internal.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { type ChallengedBy, callOf, challenge } from './challenge.ts';
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
  as: ChallengedBy,
  log: RateLimitedLog,
  isPartnerDead: () => boolean = () => false,
): Authenticated {
  const call = as === 'proxy' ? callOf(request) : undefined;
  const verdict = digest.verify(
    fieldValues(request, as === 'registrar' ? H.authorization : H.proxyAuthorization),
    request.method,
    request.requestUri,
    call === undefined ? undefined : { call, isOrphan: isPartnerDead },
  );
  switch (verdict.kind) {
    case 'authenticated':
      return { kind: 'user', user: verdict.user };
    case 'malformed':
      return { kind: 'refused', refusal: refusal(400, 'Bad Request - credentials') };
    case 'refused':
      // RFC 7616 §3.4: failures are logged, but not the name given: it is now and then the password.
      if (verdict.reason !== 'noCredentials')
        limitedEvent(log, 'authenticationFailed', flow.remote.host, () => ({
          to: request.to.uri,
          from: flow.remote,
          reason: verdict.reason,
        }));
      return { kind: 'refused', refusal: challenge(digest, request, flow, as, false) };
    case 'stale':
      return {
        kind: 'refused',
        refusal: { ...challenge(digest, request, flow, as, true), isCarried: verdict.isCarried },
      };
  }
}

/**
 * The address of record that belongs to a user: his name where it has a domain, else his name at `home`, the one domain that plain
 * names are for. Another domain's user of the same name is somebody else.
 */
export function ownRecord(user: string, home: string | undefined): string {
  const at = user.lastIndexOf('@');
  if (at > 0) return user.slice(0, at + 1) + user.slice(at + 1).toLowerCase();
  return home === undefined ? user : `${user}@${home}`;
}

/** One field is one set of credentials: its commas separate parameters. */
function fieldValues(request: SipMessage, id: typeof H.authorization | typeof H.proxyAuthorization): readonly string[] {
  const values: string[] = [];
  for (let i = request.fieldIndex(id); i >= 0; i = request.fieldIndex(id, i)) values.push(request.valueAt(i));
  return values;
}
