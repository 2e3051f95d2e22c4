/**
 * The registrar (RFC 3261 §10.3, with Path RFC 3327, Service-Route RFC 3608 and Outbound RFC 5626): checks a REGISTER, works out the
 * new bindings, and says 200 when the location service has them where kill -9 cannot reach.
 */
import type {
  Clock,
  Contact,
  ControllerAddress,
  Counter,
  Flow,
  LocationService,
  Logger,
  Metrics,
  RateLimitedLog,
} from '../../../src/internal.ts';
import { isIpLiteral, LocationConflictError, LocationFullError, limitedEvent } from '../../../src/internal.ts';
import { response } from '../codec/encode.ts';
import { H } from '../codec/header-names.ts';
import { kept, keptId } from '../codec/kept-text.ts';
import type { SipMessage } from '../codec/messages.ts';
import { isSipScheme, parseUri, type SipUri, uriParam } from '../codec/uri.ts';
import { type NameAddr, parseNameAddr } from '../codec/values.ts';
import type { Identity } from '../identity.ts';
import { nameAddrAlternates } from '../path.ts';
import type { Flows } from '../proxy/flows.ts';
import { stampedVia } from '../proxy/forward.ts';
import { type BindingRequest, type BindingRules, bind, type ContactWay, outOfOrder, tooMany } from './bindings.ts';
import type { ContactPlaces } from './contact-places.ts';
import { type ContactValue, type ContactValues, readContacts } from './contact-values.ts';
import { maxRecordNameOctets } from './record-limits.ts';
import { type Refusal, refusal } from './refusal.ts';
import { Removals } from './removals.ts';

export interface RegistrarRules extends BindingRules {
  readonly defaultExpiresSeconds: number;
  /** Tell the telephone to send its requests through us (RFC 3608). */
  readonly serviceRoute: boolean;
  /** A Path that the telephone does not say it knows: refuse with 420, or take it all the same (RFC 3327 §5.3). */
  readonly path: 'strict' | 'lenient';
}

export interface RegistrarParts {
  readonly locations: LocationService;
  readonly clock: Clock;
  readonly log: Logger;
  /** For lines that a sender can cause with every request. */
  readonly reports?: RateLimitedLog | undefined;
  readonly metrics: Metrics;
  readonly identity: Pick<Identity, 'isLocal' | 'record' | 'localTag' | 'localHeaders' | 'isSelf' | 'hasSeveral'>;
  readonly flows: Pick<Flows, 'bindingToken' | 'bound' | 'isGone' | 'isLost'>;
  readonly rules: RegistrarRules;
  /** Is the sender who may register this address of record? undefined: yes. */
  readonly authorize: (request: SipMessage, record: string, flow: Flow) => Refusal | undefined;
  /** Is a sender asked who he is? Credentials are good once. */
  readonly asksForCredentials: boolean;
  /** Where contacts and Paths may lead. */
  readonly places: Pick<ContactPlaces, 'refusalOfContact' | 'refusalOfPath' | 'isOtherUser'>;
  /** Those of the alternates a tag names that may be used. */
  readonly trustedAlternates: (
    named: readonly ControllerAddress[] | undefined,
    from: Flow,
  ) => readonly ControllerAddress[];
}

/** `isRepeatable`: a copy of the request would be answered alike, and change nothing that has happened since. */
export type Respond = (status: number, text: string, isRepeatable: boolean) => void;

export class Registrar {
  readonly #parts: RegistrarParts;
  /** By status. */
  readonly #answers = new Map<number, Counter>();
  readonly #removals: Removals;

  constructor(parts: RegistrarParts) {
    this.#parts = parts;
    this.#removals = new Removals(parts.clock);
  }

  /** Answers exactly once, at once or when the bindings are stored. */
  register(request: SipMessage, flow: Flow, respond: Respond): void {
    this.#proceed(this.#process(request, flow), request, flow, respond);
  }

  #proceed(outcome: Outcome, request: SipMessage, flow: Flow, respond: Respond): void {
    if (outcome.kind === 'asking') {
      void outcome.answer.then((isSure) => this.#proceed(outcome.bind(isSure), request, flow, respond));
      return;
    }
    if (outcome.kind === 'refused') {
      const { status } = outcome.refusal;
      this.#refuse(request, flow, respond, outcome.refusal, status === 401 || !this.#parts.asksForCredentials);
      return;
    }
    const { record, before, after, others, fields, overFlow, removes } = outcome;
    const isRepeatable = !removes && !this.#parts.asksForCredentials;
    if (after === before) {
      this.#accept(request, flow, respond, after, fields, isRepeatable);
      return;
    }
    if (removes) this.#removals.note(record, request);
    const { callId, cseq } = request;
    const { maxContacts } = this.#parts.rules;
    const contacts = others.length === 0 ? after : [...others, ...after];
    this.#parts.locations.save(record, contacts, { callId: keptId(callId), cseq, maxContacts }).then(
      () => {
        // First its answer, then what waits for the telephone to be back.
        this.#accept(request, flow, respond, after, fields, isRepeatable);
        for (const key of overFlow) this.#parts.flows.bound(flow, record, key);
      },
      (error: unknown) => {
        if (error instanceof LocationConflictError) {
          // Another registrar of the domain has taken what this one has not seen yet.
          this.#refuse(request, flow, respond, error.conflict === 'older' ? outOfOrder : tooMany, false);
          return;
        }
        // Another registrar of the domain may have room, and we in a while (RFC 3261 §21.5.4).
        const isFull = error instanceof LocationFullError;
        if (!isFull) this.#parts.log.error({ record, reason: String(error) }, 'registration could not be stored');
        this.#refuse(
          request,
          flow,
          respond,
          isFull ? refusal(503, 'Service Unavailable', 'Retry-After: 60\r\n') : refusal(500, 'Server Internal Error'),
          false,
        );
      },
    );
  }

  /** The steps of RFC 3261 §10.3 in their order; step 1, whose domain it is, is the proxy's. */
  #process(request: SipMessage, flow: Flow): Outcome {
    const { identity, locations, rules } = this.#parts;
    const unknown = request
      .list(H.require)
      .filter((option) => !supportedOptions.includes(option.toLowerCase()))
      .join(', ');
    if (unknown !== '') return refused(420, 'Bad Extension', `Unsupported: ${unknown}\r\n`);

    const to = parseUri(request.to.uri);
    // RFC 4475 §3.3.4: an address of record is a SIP or SIPS URI.
    if (to === undefined || !isSipScheme(to.scheme)) return refused(400, 'Bad Request - To is no SIP URI');
    const record = kept(identity.record(to));
    const refusedByPolicy = this.#parts.authorize(request, record, flow);
    if (refusedByPolicy !== undefined) return { kind: 'refused', refusal: refusedByPolicy };
    if (record.length > maxRecordNameOctets) return refused(404, 'Not Found');
    if (to.user === undefined || !identity.isLocal(to) || !isOfDomain(to, request.uri))
      return refused(404, 'Not Found');

    const options = request.list(H.supported).map((option) => option.toLowerCase());
    const path = request.list(H.path);
    const pathUris = path.map((entry) => routeEntry(entry)?.uri).filter((uri) => uri !== undefined);
    if (pathUris.length < path.length || path.join().length > maxPathLength) return refused(400, 'Bad Request - Path');
    // RFC 3327 §5.3, recommended policy: a telephone that knows nothing of Path shall learn that a proxy added one.
    if (path.length > 0 && rules.path === 'strict' && !options.includes('path'))
      return refused(420, 'Bad Extension', 'Unsupported: path\r\n');

    const contacts = readContacts(request.list(H.contact), request.header(H.expires), rules.defaultExpiresSeconds);
    if (!contacts.ok) return { kind: 'refused', refusal: contacts.error };
    const values = contacts.value === '*' ? [] : contacts.value;
    if (values.some(({ seconds }) => seconds > 0) && this.#removals.isOlder(record, request))
      return { kind: 'refused', refusal: outOfOrder };
    const misplaced = this.#misplaced(values, pathUris, record, flow);
    if (misplaced !== undefined) return { kind: 'refused', refusal: misplaced };
    const isFirstHop = request.list(H.via).length === 1;
    const outbound = outboundOf(values, isFirstHop, path, options);
    if ('status' in outbound) return { kind: 'refused', refusal: outbound };

    const bindIt = (): Outcome =>
      this.#bind(request, flow, record, contacts.value, path, isFirstHop, outbound.applies, options);
    const answer = locations.lookup(record).length === 0 ? locations.ask?.(record) : undefined;
    if (answer === undefined) return bindIt();
    const adds = values.some(({ seconds }) => seconds > 0);
    // What is not known can be neither removed nor told; it might come back.
    const bindOrWait = (isSure: boolean): Outcome =>
      isSure || adds || locations.lookup(record).length > 0 ? bindIt() : { kind: 'refused', refusal: unsure };
    return { kind: 'asking', answer, bind: bindOrWait };
  }

  /** What the request makes of the bindings that there are. */
  #bind(
    request: SipMessage,
    flow: Flow,
    record: string,
    contacts: ContactValues,
    path: readonly string[],
    isFirstHop: boolean,
    isOutbound: boolean,
    options: readonly string[],
  ): Outcome {
    const { identity, clock, locations, rules } = this.#parts;
    const values = contacts === '*' ? [] : contacts;
    const removes = contacts === '*' || values.some(({ seconds }) => seconds === 0);
    const nowMs = clock.now();
    const stored = locations.lookup(record);
    const { flows } = this.#parts;
    const overFlow = new Set<string>();
    const wanted: BindingRequest = {
      contacts,
      callId: request.callId,
      cseq: request.cseq,
      path,
      userAgent: request.header(H.userAgent)?.slice(0, 200),
      nowMs,
      outbound: isOutbound,
      wayTo: (contact, key) => {
        const way = this.#wayTo(contact, request, flow, path, isFirstHop, isOutbound);
        if (way.overFlow !== true) return way;
        overFlow.add(key);
        return { ...way, flow: flows.bindingToken(flow, record, key) };
      },
    };
    // RFC 5626 §7: bindings of flows that have ended are none any more.
    let before = stored.filter((contact) => isRegistered(contact) && !flows.isLost(contact));
    let result = bind(before, wanted, rules);
    if (!result.ok && result.error === tooMany && before.some((contact) => flows.isGone(contact))) {
      // Those that might be dialled go first where there is no room.
      before = before.filter((contact) => !flows.isGone(contact));
      result = bind(before, wanted, rules);
    }
    if (!result.ok) return { kind: 'refused', refusal: result.error };
    if (this.#forwardsTwice(result.value, values, record)) return refused(403, 'Forbidden - the same user twice');
    let fields = '';
    for (const entry of path) fields += `Path: ${entry}\r\n`;
    if (rules.serviceRoute) fields += `Service-Route: ${identity.localHeaders(flow).route}\r\n`;
    // RFC 5626 §6: says that bindings of flows were made, to a telephone that understands it.
    if (isOutbound && options.includes('outbound')) fields += 'Require: outbound\r\n';
    return {
      kind: 'bound',
      record,
      removes,
      before,
      after: result.value,
      overFlow,
      others: stored.filter((contact) => !isRegistered(contact)),
      fields,
    };
  }

  /** What is taken back may be anything. */
  #misplaced(
    values: readonly ContactValue[],
    path: readonly SipUri[],
    record: string,
    flow: Flow,
  ): Refusal | undefined {
    const { places } = this.#parts;
    for (const { uri, seconds } of values) {
      const found = seconds === 0 ? undefined : places.refusalOfContact(uri, record, flow);
      if (found !== undefined) return found;
    }
    return values.some(({ seconds }) => seconds > 0) ? places.refusalOfPath(path, flow) : undefined;
  }

  /** One contact for another user of ours is enough: more of them only multiply what is sent (RFC 5393 §3). */
  #forwardsTwice(contacts: readonly Contact[], values: readonly ContactValue[], record: string): boolean {
    const { places, identity } = this.#parts;
    if (!values.some(({ uri }) => places.isOtherUser(uri, record))) return false;
    const seen = new Set<string>();
    for (const { target } of contacts) {
      const uri = parseUri(target);
      if (uri === undefined || !places.isOtherUser(uri, record)) continue;
      const other = identity.record(uri);
      if (seen.has(other)) return true;
      seen.add(other);
    }
    return false;
  }

  /**
   * Where packets for the contact go besides what its URI says. Behind an edge proxy: along its Path. Directly: back over the very
   * connection, or over UDP to where the REGISTER came from if the telephone asked for that by Outbound, or by `rport` while its
   * Contact is the sent-by of its Via (RFC 3581 §4: then it knows that its own view of its address need not be ours).
   */
  #wayTo(
    { uri, alternates }: ContactValue,
    request: SipMessage,
    flow: Flow,
    path: readonly string[],
    isFirstHop: boolean,
    outbound: boolean,
  ): ContactWay & { readonly overFlow?: boolean } {
    const { identity, trustedAlternates } = this.#parts;
    // The way begins with the first proxy of the Path that is not this one; it is that hop's backups that matter then.
    const hop = path
      .map(routeEntry)
      .find((entry) => entry !== undefined && !identity.isSelf(entry.uri.host, entry.uri.port));
    if (hop !== undefined) return { alternates: trustedAlternates(nameAddrAlternates(hop.address), flow) };
    const trusted = trustedAlternates(alternates, flow);
    if (path.length > 0 || !isFirstHop) return { alternates: trusted };
    if (flow.reliable) return { overFlow: true, alternates: trusted };
    const { via } = request;
    const { host, port } = flow.remote;
    const address: ControllerAddress = { transport: flow.transport, host, port };
    if (outbound) return { overFlow: true, address, alternates: trusted };
    const isSentBy = uri.host === via.host && (uri.port || 5_060) === (via.port || 5_060);
    const moved = uri.host !== host || (uri.port || 5_060) !== port;
    if (moved)
      return via.rport !== undefined && isSentBy
        ? { overFlow: true, address, alternates: trusted }
        : { alternates: trusted };
    // Of several sockets the one that it registered at sends (RFC 5626 §7, implementation note).
    return identity.hasSeveral(flow.transport) ? { overFlow: true, alternates: trusted } : { alternates: trusted };
  }

  /** RFC 3261 §10.3 item 8: every binding with what remains of its time. */
  #accept(
    request: SipMessage,
    flow: Flow,
    respond: Respond,
    contacts: readonly Contact[],
    fields: string,
    isRepeatable: boolean,
  ): void {
    const nowMs = this.#parts.clock.now();
    let text = '';
    for (const { target, params = '', expiresMs } of contacts)
      text += `Contact: <${target}>${params};expires=${Math.max(1, Math.floor((expiresMs - nowMs) / 1_000))}\r\n`;
    text += `${fields}Supported: path, outbound\r\nDate: ${new Date(this.#parts.clock.wallNow()).toUTCString()}\r\n`;
    this.#respond(request, flow, respond, 200, 'OK', text, isRepeatable);
  }

  #refuse(
    request: SipMessage,
    flow: Flow,
    respond: Respond,
    { status, reason, fields }: Refusal,
    isRepeatable: boolean,
  ): void {
    // A first challenge is no refusal; wrong credentials have a line of their own.
    const { reports } = this.#parts;
    if (status !== 401 && reports !== undefined)
      limitedEvent(reports, 'registrationRefused', flow.remote.host, () => ({
        to: request.to.uri,
        from: flow.remote,
        status,
        reason,
      }));
    this.#respond(request, flow, respond, status, reason, fields, isRepeatable);
  }

  #respond(
    request: SipMessage,
    flow: Flow,
    respond: Respond,
    status: number,
    reason: string,
    fields: string | undefined,
    isRepeatable: boolean,
  ): void {
    const { identity, metrics } = this.#parts;
    let counter = this.#answers.get(status);
    if (counter === undefined) {
      counter = metrics.counter('sip_registrations_total', 'Answers of the registrar', { status: String(status) });
      this.#answers.set(status, counter);
    }
    counter.add();
    const toTag = identity.localTag(request);
    const text = response(request, status, reason, { toTag, fields, topVia: stampedVia(request, flow) });
    respond(status, text, isRepeatable);
  }
}

type Outcome =
  /** Memory has nothing of the record: the store may. */
  | { readonly kind: 'asking'; readonly answer: Promise<boolean>; readonly bind: (isSure: boolean) => Outcome }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | {
      readonly kind: 'bound';
      readonly record: string;
      /** Some contact is taken back. */
      readonly removes: boolean;
      /** Registered contacts. */
      readonly before: readonly Contact[];
      readonly after: readonly Contact[];
      /** Keys of those that were made over the flow of the request. */
      readonly overFlow: ReadonlySet<string>;
      /** Provisioned ones and those of other protocols: not a telephone's to change. */
      readonly others: readonly Contact[];
      readonly fields: string;
    };

const supportedOptions: readonly string[] = ['path', 'outbound'];

const maxPathLength = 4_096;

const unsure = refusal(503, 'Service Unavailable - registrations cannot be asked for', 'Retry-After: 5\r\n');

const refused = (status: number, reason: string, fields?: string): Outcome => ({
  kind: 'refused',
  refusal: refusal(status, reason, fields),
});

const isRegistered = ({ protocol, expiresMs }: Contact): boolean => protocol === 'sip' && Number.isFinite(expiresMs);

/** RFC 3261 §10.3 item 5. An IP address in the Request-URI names no domain, only us. */
const isOfDomain = (to: SipUri, requestUri: SipUri | undefined): boolean =>
  requestUri === undefined || to.host === requestUri.host || isIpLiteral(requestUri.host) || isIpLiteral(to.host);

/** An entry of a Path; undefined where it is none that a request could be sent along. */
function routeEntry(text: string): { readonly address: NameAddr; readonly uri: SipUri } | undefined {
  const address = parseNameAddr(text);
  const uri = address === undefined ? undefined : parseUri(address.uri);
  return address !== undefined && uri !== undefined && isSipScheme(uri.scheme) ? { address, uri } : undefined;
}

/** RFC 5626 §6: are reg-ids to be obeyed? A refusal where the way in between cannot carry them, or the request is invalid. */
function outboundOf(
  values: readonly ContactValue[],
  isFirstHop: boolean,
  path: readonly string[],
  options: readonly string[],
): { readonly applies: boolean } | Refusal {
  const withRegId = values.filter(({ regId }) => regId !== undefined);
  if (withRegId.length === 0) return { applies: false };
  if (!isFirstHop && !edgeHasOutbound(path)) {
    if (options.includes('outbound')) return refusal(439, 'First Hop Lacks Outbound Support');
    return { applies: false };
  }
  if (values.filter(({ seconds }) => seconds > 0).length > 1 && withRegId.some(({ seconds }) => seconds > 0))
    return refusal(400, 'Bad Request - more than one contact with reg-id');
  return { applies: withRegId.some(({ instance }) => instance !== undefined) };
}

/** The proxy next to the telephone put the last entry (RFC 3327 §5.2: each proxy adds its own on top), and says `ob` in it. */
function edgeHasOutbound(path: readonly string[]): boolean {
  const last = path.at(-1);
  const edge = last === undefined ? undefined : routeEntry(last);
  return edge !== undefined && uriParam(edge.uri, 'ob') !== undefined;
}
