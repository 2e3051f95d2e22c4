/** Registrar and authentication put together from the configuration: what the SIP role gives to its proxy core. */
import { readFileSync } from 'node:fs';
import {
  ConfigError,
  type ControllerAddress,
  type CoreServices,
  FileError,
  type Flow,
  RateLimitedLog,
  readAllowRule,
} from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import { parseUri, type SipUri } from '../codec/uri.ts';
import { type SipConfig, sipConfigSchema } from '../config.ts';
import type { Identity } from '../identity.ts';
import type { Flows } from '../proxy/flows.ts';
import type { PathTrust } from '../proxy/trust.ts';
import { authenticate, ownRecord } from './authentication.ts';
import { ContactPlaces } from './contact-places.ts';
import { Digest } from './digest.ts';
import { type Refusal, refusal } from './refusal.ts';
import { Registrar, type Respond } from './registrar.ts';
import { DigestUsers, parseUsersFile } from './users.ts';

export interface Registration {
  /** REGISTER for a domain of ours. */
  register(request: SipMessage, flow: Flow, respond: Respond): void;
  /** undefined: the sender may go on; else the challenge or refusal to send. `target`: where the request goes, the Request-URI if not said. */
  authenticate(request: SipMessage, flow: Flow, target?: SipUri): Refusal | undefined;
  /** Is this user one we know, registered or not? */
  knows(uri: SipUri): boolean;
  /** May a registered contact whose host is a name lead to this address? */
  mayLead(address: ControllerAddress): boolean;
  /** Does it come from this machine? */
  isWithin(from: Flow): boolean;
  /** May what somebody outside wrote lead there? */
  mayReach(address: ControllerAddress, from: Flow): boolean;
  /** Is this value of Proxy-Authorization meant for us? undefined where we ask for none. */
  readonly consumes: ((credentials: string) => boolean) | undefined;
  /** Takes over the users of freshly read configuration; says what it changed. @throws where it cannot be used: nothing changes then. */
  reload(fresh: unknown): readonly string[];
}

/** @throws ConfigError, FileError for a users file that cannot be used. */
export function createRegistration(
  services: CoreServices,
  config: SipConfig,
  identity: Identity,
  trust: PathTrust,
  flows: Flows,
  isPartnerDead: () => boolean = () => false,
): Registration {
  const { clock, random, metrics, locations, cluster } = services;
  const log = services.log.child({ protocol: 'sip' });
  const failures = new RateLimitedLog(log, clock);
  const { auth } = config;
  const realm = auth.realm ?? config.domains[0] ?? 'altpath';
  /** Of users without a domain in their name. */
  const home = config.domains.includes(realm) ? realm : config.domains[0];
  let users = readUsers(auth, realm);
  const algorithms = users.answerable(auth.algorithms);
  if (algorithms.length === 0 && (auth.register || auth.invite))
    throw new ConfigError(
      'sip.auth: the users have no hash in common with algorithms: give passwords, or ha1 for each algorithm',
    );
  if (algorithms.length < auth.algorithms.length)
    log.warn(
      { offered: algorithms },
      'some users have no hash for every algorithm: only those that all have are offered',
    );
  const digest = new Digest({
    realm,
    algorithms,
    users,
    secret: cluster.secret,
    nonceMs: auth.nonceSeconds * 1_000,
    clock,
    random,
    serves: (host) => identity.isLocal(hostUri(host)),
  });
  metrics.gauge('sip_users', 'Users that may authenticate', () => users.size);

  const places = new ContactPlaces({
    identity,
    allow: config.registrar.allowContacts.map(readAllowRule).filter((rule) => rule !== undefined),
    isUser: (uri) => knows(uri) || locations.lookup(identity.record(uri)).length > 0,
    trust,
  });
  const registrar = new Registrar({
    locations,
    clock,
    log,
    reports: failures,
    metrics,
    identity,
    flows,
    rules: { ...config.registrar, serviceRoute: config.serviceRoute },
    authorize(request, record, flow) {
      if (isLine(record)) {
        claimed.add();
        return refusal(403, 'Forbidden - the number of a line');
      }
      if (!auth.register) return undefined;
      const who = authenticate(digest, request, flow, 'registrar', failures);
      if (who.kind === 'refused') return who.refusal;
      return ownRecord(who.user, home) === record ? undefined : refusal(403, 'Forbidden - not your address of record');
    },
    asksForCredentials: auth.register,
    places,
    trustedAlternates: (named, from) => trust.alternates(named, from),
  });

  const claimed = metrics.counter(
    'sip_line_numbers_claimed_total',
    'Registrations for the number of a line that were refused',
  );
  /** Nobody else answers for a line's number. */
  const isLine = (record: string): boolean => {
    const [user] = splitRecord(record);
    return isNumber.test(user) && services.callControl.numberOf(user) !== undefined;
  };

  const knows = (uri: SipUri): boolean => {
    const record = identity.record(uri);
    const [user = '', domain] = splitRecord(record);
    return users.has(record) || (domain === home && users.has(user));
  };

  return {
    register: (request, flow, respond) => registrar.register(request, flow, respond),
    // Where strangers are not stopped before, nobody shall learn which names exist.
    knows: (uri) => (auth.register && !auth.invite) || knows(uri),
    mayLead: (address) => places.mayLead(address),
    isWithin: (from) => places.isWithin(from),
    mayReach: (address, from) => places.mayReach(address, from),
    consumes: auth.invite ? (credentials) => digest.isOwn(credentials) : undefined,
    authenticate(request, flow, target = request.uri) {
      if (!auth.invite || unchallenged.has(request.method)) return undefined;
      if (trust.isTrusted(flow)) return undefined;
      const from = parseUri(request.from.uri);
      const isOurUser = from !== undefined && identity.isLocal(from);
      // A stranger may call our users; whatever else he asks for goes on in our name.
      if (!isOurUser && target !== undefined && identity.isLocal(target) && isReachable(target)) return undefined;
      const who = authenticate(digest, request, flow, 'proxy', failures, isPartnerDead);
      if (who.kind === 'refused') return who.refusal;
      return !isOurUser || ownRecord(who.user, home) === identity.record(from)
        ? undefined
        : refusal(403, 'Forbidden - From is not yours');
    },
    reload(fresh) {
      const freshUsers = readUsers(sipConfigSchema.parse(fresh).auth, realm);
      const answerable = freshUsers.answerable(algorithms);
      if (answerable.length < algorithms.length)
        throw new ConfigError('sip.auth: new users lack a hash for an algorithm in use: give passwords, or restart');
      // A users file that is just being written must not lock everybody out.
      if (freshUsers.size === 0 && users.size > 0)
        throw new ConfigError(
          'sip.auth: no users are left: is the users file empty or cut off? (a restart would use it)',
        );
      const changes = freshUsers.changesSince(users);
      users = freshUsers;
      digest.replaceUsers(freshUsers);
      return changes === undefined ? [] : [changes];
    },
  };

  /** A user who is not registered is told from nobody by nothing: else strangers could ask for names one by one. */
  function isReachable(uri: SipUri): boolean {
    return uri.user === undefined || locations.lookup(identity.record(uri)).length > 0;
  }
}

const isNumber = /^\+?[0-9*#]+$/;

/** RFC 3261 §22.1. */
const unchallenged: ReadonlySet<string> = new Set(['ACK', 'CANCEL']);

function readUsers(auth: SipConfig['auth'], realm: string): DigestUsers {
  const { usersFile } = auth;
  if (usersFile === undefined) return new DigestUsers(realm, auth.users);
  let text: string;
  try {
    text = readFileSync(usersFile, 'utf8');
  } catch (error) {
    throw new FileError(`users file ${usersFile} cannot be read: ${String(error)}`, { cause: error });
  }
  return new DigestUsers(realm, [...auth.users, ...parseUsersFile(text, usersFile, realm)]);
}

/** User and domain of a record. */
function splitRecord(record: string): readonly [user: string, domain: string | undefined] {
  const at = record.lastIndexOf('@');
  return at < 0 ? [record, undefined] : [record.slice(0, at), record.slice(at + 1)];
}

const hostUri = (host: string): SipUri => ({
  scheme: 'sip',
  user: undefined,
  host,
  port: 0,
  params: '',
  headers: '',
  text: `sip:${host}`,
});
