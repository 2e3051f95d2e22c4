/**
 * From the host of a SIP URI to addresses (RFC 3263 §4, RFC 7118 §5.5): NAPTR chooses the transport, SRV the servers, A and AAAA their
 * addresses. One procedure, run two ways: over what is known already (`now`), or asking for what is missing (`resolve`).
 */
import {
  type Clock,
  type ControllerAddress,
  type DnsAnswer,
  type DnsClient,
  fail,
  isIpLiteral,
  isSecure,
  type NamedHop,
  type NameResolver,
  type NaptrRecord,
  ok,
  type Random,
  type Resolution,
  type SrvRecord,
  sameAddress,
  type Transport,
} from '../../src/internal.ts';
import { sipDefaultPort } from './config.ts';

export interface SipNamesOptions {
  readonly dns: DnsClient;
  readonly clock: Clock;
  readonly random: Random;
  /** Those we can send by. */
  readonly transports: readonly Transport[];
  /** Those we have sockets of, the preferred first. */
  readonly families?: readonly ('ipv4' | 'ipv6')[] | undefined;
  /** Answers kept at once. */
  readonly maxCached?: number | undefined;
}

export class SipNames implements NameResolver {
  readonly #options: SipNamesOptions;
  readonly #families: readonly ('ipv4' | 'ipv6')[];
  readonly #maxCached: number;
  /** What a hop that names no transport is reached by. */
  readonly #preferred: Transport | undefined;
  readonly #cache = new Map<string, Answer & { readonly untilMs: number }>();
  readonly #asked = new Map<string, Promise<Answer>>();

  constructor(options: SipNamesOptions) {
    this.#options = options;
    this.#families = options.families ?? ['ipv4', 'ipv6'];
    this.#maxCached = options.maxCached ?? 10_000;
    this.#preferred = this.#wantedTransport(undefined, false);
  }

  now(hop: NamedHop): Resolution | undefined {
    // Nearly every hop is a literal: no procedure is begun for it.
    if (hop.secure !== true && isIpLiteral(hop.host)) {
      const transport = hop.transport === undefined ? this.#preferred : hop.transport;
      if (transport !== undefined && this.#options.transports.includes(transport))
        return ok([{ transport, host: hop.host, port: hop.port ?? sipDefaultPort(transport) }]);
    }
    const run = this.#locate(hop);
    let step = run.next();
    while (step.done !== true) {
      const answers: Answer[] = [];
      for (const question of step.value) {
        const answer = this.#known(question);
        if (answer === undefined) return undefined;
        answers.push(answer);
      }
      step = run.next(answers);
    }
    return step.value;
  }

  async resolve(hop: NamedHop): Promise<Resolution> {
    const run = this.#locate(hop);
    let step = run.next();
    while (step.done !== true)
      step = run.next(await Promise.all(step.value.map((question) => this.#known(question) ?? this.#ask(question))));
    return step.value;
  }

  *#locate(hop: NamedHop): Procedure<Resolution> {
    const host = hop.host.toLowerCase().replace(/\.$/, '');
    const secure = hop.secure === true;
    const wanted = this.#wantedTransport(hop.transport, secure);
    if (wanted === undefined)
      return fail({
        name: host,
        reason: 'unsupported',
        detail: `no ${secure ? 'secure ' : ''}transport ${hop.transport ?? ''} here to reach ${host} by`,
      });
    const isNumeric = isIpLiteral(host);
    if (isNumeric) return ok([{ transport: wanted, host, port: hop.port ?? sipDefaultPort(wanted) }]);
    if (!isName(host)) return fail({ name: host, reason: 'notFound', detail: `"${host}" is no domain name` });

    const trouble: Trouble = { temporary: false };
    let found: readonly ControllerAddress[] = [];
    if (hop.port !== undefined) {
      found = yield* this.#hosts([{ host, port: hop.port, transport: wanted }], trouble);
    } else {
      const services =
        hop.transport === undefined
          ? yield* this.#services(host, secure, trouble)
          : [{ transport: wanted, name: srvName(wanted, host) }];
      const servers = yield* this.#servers(services, trouble);
      const transport = services[0]?.transport ?? wanted;
      found = yield* this.#hosts(servers ?? [{ host, port: sipDefaultPort(transport), transport }], trouble);
    }
    if (found.length > 0) return ok(found);
    return trouble.temporary
      ? fail({ name: host, reason: 'temporary', detail: `no name server answers for ${host}` })
      : fail({ name: host, reason: 'notFound', detail: `${host} has no address that we can reach` });
  }

  /** RFC 3263 §4.1: the transport said, made secure for sips; where none is said, UDP, or TLS for sips. undefined: we have none such. */
  #wantedTransport(said: Transport | undefined, secure: boolean): Transport | undefined {
    const { transports } = this.#options;
    const candidates: readonly (Transport | undefined)[] =
      said === undefined
        ? (secure ? secureByPreference : byPreference).filter((each) => transports.includes(each))
        : [secure ? secured(said) : said];
    return candidates.find((each) => each !== undefined && transports.includes(each));
  }

  /** RFC 3263 §4.1: the SRV names to ask, by NAPTR; without such, one for each of our transports. */
  *#services(host: string, secure: boolean, trouble: Trouble): Procedure<readonly Service[]> {
    const [naptr] = yield [{ type: 'naptr', name: host }];
    note(naptr, trouble);
    const records = (naptr?.naptr ?? [])
      .slice(0, maxRecords)
      .map((record) => ({ ...record, transport: naptrTransports.get(record.service.toUpperCase()) }))
      .filter(({ flags, regexp }) => flags.toLowerCase() === 's' && regexp === '')
      .sort((a, b) => a.order - b.order || a.preference - b.preference);
    const services: Service[] = [];
    for (const { transport, replacement } of records) {
      if (transport === undefined || !this.#options.transports.includes(transport)) continue;
      if (secure && !isSecure(transport)) continue;
      if (services.length < maxServices)
        services.push({ transport, name: replacement.toLowerCase().replace(/\.$/, '') });
    }
    if (services.length > 0) return services;
    return (secure ? secureByPreference : byPreference)
      .filter((transport) => this.#options.transports.includes(transport) && !isWebSocket(transport))
      .map((transport) => ({ transport, name: srvName(transport, host) }));
  }

  /** RFC 3263 §4.2, RFC 2782: the servers of every service in order; undefined where no service has any record. */
  *#servers(services: readonly Service[], trouble: Trouble): Procedure<readonly Server[] | undefined> {
    const answers = yield services.map(({ name }): Question => ({ type: 'srv', name }));
    let any = false;
    const servers: Server[] = [];
    for (const [index, { transport }] of services.entries()) {
      const answer = answers[index];
      note(answer, trouble);
      const records = (answer?.srv ?? []).slice(0, maxRecords);
      any ||= records.length > 0;
      for (const { target, port } of byWeight(records, this.#options.random)) {
        const host = target.toLowerCase().replace(/\.$/, '');
        // RFC 2782: a lone dot says that the service is decidedly not there.
        if (host !== '' && servers.length < maxServers) servers.push({ host, port, transport });
      }
    }
    return any ? servers : undefined;
  }

  /** A and AAAA of each, in the order of the servers. */
  *#hosts(servers: readonly Server[], trouble: Trouble): Procedure<readonly ControllerAddress[]> {
    const questions = servers.flatMap(({ host }) =>
      isIpLiteral(host) || isLocalhost(host) ? [] : this.#questions(host),
    );
    const answers = questions.length === 0 ? [] : yield questions;
    const found: ControllerAddress[] = [];
    for (const { host, port, transport } of servers) {
      for (const literal of this.#literals(host, questions, answers, trouble)) {
        const address = { transport, host: literal, port };
        if (found.length < maxAddresses && !found.some((other) => sameAddress(other, address))) found.push(address);
      }
    }
    return found;
  }

  #literals(
    host: string,
    questions: readonly Question[],
    answers: readonly Answer[],
    trouble: Trouble,
  ): readonly string[] {
    if (isIpLiteral(host)) return [host];
    // RFC 6761 §6.3: never asked of a name server.
    if (isLocalhost(host)) return this.#families.map((family) => (family === 'ipv4' ? '127.0.0.1' : '::1'));
    const literals: string[] = [];
    for (const [index, { name }] of questions.entries()) {
      if (name !== host) continue;
      note(answers[index], trouble);
      literals.push(...(answers[index]?.addresses ?? []).slice(0, maxRecords));
    }
    return literals;
  }

  #questions(host: string): readonly Question[] {
    return this.#families.map((family) => ({ type: family === 'ipv4' ? 'a' : 'aaaa', name: host }));
  }

  #known(question: Question): Answer | undefined {
    const answer = this.#cache.get(questionKey(question));
    return answer !== undefined && answer.untilMs > this.#options.clock.now() ? answer : undefined;
  }

  /** Who asks while the same is being asked waits for that answer. */
  #ask(question: Question): Promise<Answer> {
    const key = questionKey(question);
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked;
    const asking = this.#query(question).then(
      ({ answer, ttlMs }) => {
        this.#asked.delete(key);
        this.#keep(key, answer, ttlMs);
        return answer;
      },
      (): Answer => {
        this.#asked.delete(key);
        return { temporary: true };
      },
    );
    this.#asked.set(key, asking);
    return asking;
  }

  async #query({ type, name }: Question): Promise<{ answer: Answer; ttlMs: number }> {
    const { dns } = this.#options;
    switch (type) {
      case 'naptr':
        return answered(await dns.naptr(name), (naptr) => ({ naptr }));
      case 'srv':
        return answered(await dns.srv(name), (srv) => ({ srv }));
      case 'a':
        return answered(await dns.a(name), (addresses) => ({ addresses }));
      case 'aaaa':
        return answered(await dns.aaaa(name), (addresses) => ({ addresses }));
    }
  }

  #keep(key: string, answer: Answer, ttlMs: number): void {
    if (ttlMs <= 0) return;
    this.#cache.delete(key);
    if (this.#cache.size >= this.#maxCached) {
      const [oldest] = this.#cache.keys();
      if (oldest !== undefined) this.#cache.delete(oldest);
    }
    this.#cache.set(key, { ...answer, untilMs: this.#options.clock.now() + Math.min(ttlMs, maxTtlMs) });
  }
}

/**
 * RFC 2782, "Weight": lowest priority first; among equals each next one is drawn with a chance in proportion to its weight, those of
 * weight 0 having a very small one.
 */
export function byWeight(records: readonly SrvRecord[], random: Random): readonly SrvRecord[] {
  const ordered: SrvRecord[] = [];
  const left = records.toSorted((a, b) => a.priority - b.priority || a.weight - b.weight);
  while (left.length > 0) {
    const priority = left[0]?.priority;
    let sum = 0;
    for (const record of left) if (record.priority === priority) sum += record.weight;
    let drawn = Math.floor(random.fraction() * (sum + 1));
    const index = left.findIndex(({ weight }) => {
      drawn -= weight;
      return drawn <= 0;
    });
    ordered.push(...left.splice(index, 1));
  }
  return ordered;
}

type Question = { readonly type: 'naptr' | 'srv' | 'a' | 'aaaa'; readonly name: string };

interface Answer {
  readonly naptr?: readonly NaptrRecord[];
  readonly srv?: readonly SrvRecord[];
  readonly addresses?: readonly string[];
  /** Nobody answered. */
  readonly temporary?: boolean;
}

/** Yields questions that may be asked at the same time, is given their answers in the same order. */
type Procedure<T> = Generator<readonly Question[], T, readonly Answer[]>;

interface Service {
  readonly transport: Transport;
  /** What to ask SRV for. */
  readonly name: string;
}

interface Server {
  readonly host: string;
  readonly port: number;
  readonly transport: Transport;
}

interface Trouble {
  temporary: boolean;
}

/** RFC 3263 §4.1, RFC 7118 §10.2. */
const naptrTransports = new Map<string, Transport>([
  ['SIP+D2U', 'udp'],
  ['SIP+D2T', 'tcp'],
  ['SIPS+D2T', 'tls'],
  ['SIP+D2W', 'ws'],
  ['SIPS+D2W', 'wss'],
]);

/** RFC 3263 §4.1: without a word of the domain, UDP for sip and TLS for sips. */
const byPreference: readonly Transport[] = ['udp', 'tcp', 'tls', 'ws', 'wss'];
const secureByPreference: readonly Transport[] = ['tls', 'wss'];

const maxRecords = 64;
const maxServices = 8;
const maxServers = 32;
const maxAddresses = 32;
const maxTtlMs = 86_400_000;

function srvName(transport: Transport, host: string): string {
  switch (transport) {
    case 'udp':
      return `_sip._udp.${host}`;
    case 'tcp':
      return `_sip._tcp.${host}`;
    case 'tls':
      return `_sips._tcp.${host}`;
    case 'ws':
      return `_sip._ws.${host}`;
    case 'wss':
      return `_sips._ws.${host}`;
  }
}

/** The transport that keeps the promise of sips; there is none over UDP (RFC 3263 §4.1). */
function secured(transport: Transport): Transport | undefined {
  switch (transport) {
    case 'udp':
      return undefined;
    case 'tcp':
    case 'tls':
      return 'tls';
    case 'ws':
    case 'wss':
      return 'wss';
  }
}

const isWebSocket = (transport: Transport): boolean => transport === 'ws' || transport === 'wss';

const isLocalhost = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost');

const isName = (host: string): boolean =>
  host.length <= 253 && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(host) && !/^[\d.]+$/.test(host);

const questionKey = ({ type, name }: Question): string => `${type} ${name}`;

const answered = <T>(
  { records, ttlMs }: DnsAnswer<T>,
  wrap: (records: readonly T[]) => Answer,
): { answer: Answer; ttlMs: number } => ({ answer: wrap(records), ttlMs });

function note(answer: Answer | undefined, trouble: Trouble): void {
  if (answer?.temporary === true) trouble.temporary = true;
}
