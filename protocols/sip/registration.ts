/** Who may register and call: users, digest authentication and the registrar, wired for the proxy core. */
import { readFileSync } from 'node:fs';
import { type CoreServices, FileError, type Flow } from '../../src/index.ts';
import { type SipConfig, sipConfigSchema } from './config.ts';
import { response, toBytes } from './encode.ts';
import { H } from './header-names.ts';
import type { Identity } from './identity.ts';
import type { SipMessage } from './messages.ts';
import type { Refusal } from './proxy.ts';
import { Digest } from './registrar/digest.ts';
import { DigestUsers, parseUsersFile } from './registrar/users.ts';
import { parseUri, type SipUri, unescapeText } from './uri.ts';

export interface Registration {
  register(request: SipMessage, flow: Flow, respond: (status: number, bytes: Buffer) => void): void;
  authenticate(request: SipMessage, flow: Flow): Refusal | undefined;
  knows(uri: SipUri): boolean;
  /** Users anew; returns what changed. @throws ConfigError or FileError where the new users cannot be read. */
  reload(config: unknown): readonly string[];
}

export function createRegistration(services: CoreServices, config: SipConfig, identity: Identity): Registration {
  const { clock, random, cluster } = services;
  const realm = config.auth.realm ?? config.domains[0] ?? 'altpath';
  let users = readUsers(config, realm);
  const digest = new Digest({
    realm,
    algorithms: users.size === 0 ? config.auth.algorithms : users.answerable(config.auth.algorithms),
    users,
    secret: cluster.secret,
    nonceMs: config.auth.nonceSeconds * 1_000,
    clock,
    random,
    serves: (host) =>
      identity.isLocal({ scheme: 'sip', user: undefined, host, port: 0, params: '', headers: '', text: '' }),
  });

  /** RFC 3261 §22: `subject` is the URI whose user must be the authenticated one, if any. */
  function challenge(request: SipMessage, proxy: boolean, subject: SipUri | undefined): Refusal | undefined {
    const verdict = digest.verify(
      credentialValues(request, proxy ? H.proxyAuthorization : H.authorization),
      request.method,
      request.requestUri,
    );
    switch (verdict.kind) {
      case 'authenticated':
        return subject === undefined || unescapeText(subject.user ?? '') === verdict.user
          ? undefined
          : { status: 403, reason: 'Forbidden' };
      case 'malformed':
        return { status: 400, reason: 'Bad Request - credentials' };
      case 'stale':
      case 'refused': {
        const name = proxy ? 'Proxy-Authenticate' : 'WWW-Authenticate';
        const fields = digest.challenge(verdict.kind === 'stale').map((value) => `${name}: ${value}\r\n`);
        return proxy
          ? { status: 407, reason: 'Proxy Authentication Required', fields: fields.join('') }
          : { status: 401, reason: 'Unauthorized', fields: fields.join('') };
      }
    }
  }

  return {
    register(request, flow, respond) {
      const to = parseUri(request.to.uri);
      const refusal = config.auth.register ? challenge(request, false, to) : undefined;
      if (refusal !== undefined) {
        respond(
          refusal.status,
          toBytes(
            response(request, refusal.status, refusal.reason, {
              toTag: identity.localTag(request),
              fields: refusal.fields,
            }),
          ),
        );
        return;
      }
      void flow;
    },
    authenticate(request) {
      // In-dialog requests were admitted with their dialog; ACK and CANCEL cannot be challenged (RFC 3261 §22.1).
      if (!config.auth.invite || request.toTag !== '' || unchallenged.has(request.method)) return undefined;
      const from = parseUri(request.from.uri);
      if (from === undefined || !identity.isLocal(from)) return undefined;
      return challenge(request, true, from);
    },
    knows: (uri) =>
      users.ha1(unescapeText(uri.user ?? ''), 'SHA-256') !== undefined ||
      users.ha1(unescapeText(uri.user ?? ''), 'MD5') !== undefined,
    reload(fresh) {
      const parsed = sipConfigSchema.parse(fresh);
      users = readUsers(parsed, realm);
      digest.replaceUsers(users);
      return [`users: ${users.size}`];
    },
  };
}

const unchallenged: ReadonlySet<string> = new Set(['ACK', 'CANCEL', 'REGISTER']);

function readUsers(config: SipConfig, realm: string): DigestUsers {
  const { usersFile, users } = config.auth;
  if (usersFile === undefined) return new DigestUsers(realm, users);
  let text: string;
  try {
    text = readFileSync(usersFile, 'utf8');
  } catch (error) {
    throw new FileError(`cannot read "${usersFile}": ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  return new DigestUsers(realm, [...users, ...parseUsersFile(text, usersFile, realm)]);
}

/** Credentials are not a comma-separated list of values: one per field (RFC 3261 §20.7). */
function credentialValues(
  request: SipMessage,
  id: typeof H.authorization | typeof H.proxyAuthorization,
): readonly string[] {
  const values: string[] = [];
  for (let i = request.fieldIndex(id); i >= 0; i = request.fieldIndex(id, i)) values.push(request.valueAt(i));
  return values;
}
