/**
 * A network telephone (RFC 3261 user agent): registers, calls, answers, hangs up, asks for options. The npm package `sip` is its
 * transaction layer, a PathFollower its way to the network, so that it survives the death of the proxy it registered with.
 */
import {
  type Cancel,
  type Clock,
  type ControllerAddress,
  formatSocketAddress,
  type Logger,
  type Metrics,
  type Network,
  type Random,
  type TransmitterOptions,
} from '../../../src/internal.ts';
import { allowed, IncomingCall, OutgoingCall } from './call.ts';
import { DigestClient } from './digest-client.ts';
import { createFollowing, type Following } from './follow-alternate-path.ts';
import type { FollowerParts } from './path-follower.ts';
import { sipPackage } from './sip-package.ts';
import type { PackageAddress, PackageRequest, PackageResponse, PackageUri } from './sip-types.ts';
import type { Call, CallEnd, CallMedia, TelephoneLine } from './telephone-line.ts';

export interface TelephoneParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly network: Network;
}

export interface TelephoneOptions {
  /** Address of record: `alice@example.com`. */
  readonly user: string;
  readonly domain: string;
  readonly password?: string | undefined;
  /** The name for digests, where it is not the user part. */
  readonly authUser?: string | undefined;
  readonly listen: ControllerAddress;
  /** Outbound proxies that stand in for each other, best first; IP literals. */
  readonly servers: readonly ControllerAddress[];
  readonly expiresSeconds?: number | undefined;
  /** What happens to incoming calls; without it they ring until somebody calls `answer`. */
  readonly incoming?: { readonly ringMs: number; readonly busy?: boolean | undefined } | undefined;
  readonly timers?: Partial<TransmitterOptions & { readonly holdMs: number }> | undefined;
  /** Speech for one call; without it descriptions name a port where nobody listens. */
  readonly openMedia?: (() => CallMedia | undefined) | undefined;
  readonly onEvent?: ((event: TelephoneEvent) => void) | undefined;
  readonly switched?: FollowerParts['switched'];
  readonly tap?: FollowerParts['tap'];
}

export interface Answer {
  readonly status: number;
  readonly reason: string;
}

export type TelephoneEvent =
  | { readonly kind: 'registered'; readonly expiresSeconds: number }
  | { readonly kind: 'unregistered' }
  | ({ readonly kind: 'registrationFailed' } & Answer)
  | { readonly kind: 'call'; readonly call: Call; readonly detail: string }
  | { readonly kind: 'ended'; readonly call: Call; readonly end: CallEnd };

export class Telephone implements TelephoneLine {
  readonly clock: Clock;
  readonly #parts: TelephoneParts;
  readonly #options: TelephoneOptions;
  readonly #digest: DigestClient;
  readonly #calls = new Map<string, OutgoingCall | IncomingCall>();
  #following: Following | undefined;
  #local: ControllerAddress;
  /** RFC 3608: what the registrar wants in front of our requests. */
  #serviceRoute: readonly PackageAddress[] = [];
  #registration = { callId: '', seq: 0, tag: '' };
  #refresh: Cancel | undefined;
  #stopped = false;

  constructor(parts: TelephoneParts, options: TelephoneOptions) {
    this.#parts = parts;
    this.#options = options;
    this.clock = parts.clock;
    this.#local = options.listen;
    this.#digest = new DigestClient(options.authUser ?? options.user, options.password, parts.random);
  }

  /** Binds the port. @throws BindError (rejects). */
  async start(): Promise<ControllerAddress> {
    const { clock, random, log, metrics, network } = this.#parts;
    const { listen, servers, timers, switched, tap } = this.#options;
    const following = createFollowing(
      sipPackage,
      {
        address: listen.host,
        port: listen.port,
        // The package takes a next hop on its own host for itself, whatever the port: it must not know its host.
        publicAddress: 'telephone.invalid',
        tcp: false,
        logger: { error: (error) => log.debug({ err: error }, 'sip package') },
      },
      (request) => this.#onRequest(request),
      () => ({
        clock,
        random,
        log,
        metrics,
        network,
        controllers: servers.length === 0 ? [] : [servers],
        trust: { trust: [], allow: [], strip: 'none' },
        timers,
        ownsVia: true,
        ...(switched === undefined ? {} : { switched }),
        ...(tap === undefined ? {} : { tap }),
      }),
      () => undefined,
    );
    this.#following = following;
    this.#local = await following.ready;
    return this.#local;
  }

  /** Ends without a word to anybody: hang up and unregister first. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#refresh?.();
    const following = this.#following;
    following?.instance.destroy();
    await following?.follower.stop();
  }

  get local(): ControllerAddress {
    return this.#local;
  }

  get host(): string {
    return this.#local.host;
  }

  get calls(): readonly Call[] {
    return [...this.#calls.values()];
  }

  /** The controllers it knows, and how they are. */
  peers(): readonly { readonly address: string; readonly health: string }[] {
    return this.#following?.follower.peers() ?? [];
  }

  // --- registration (RFC 3261 §10.2) ----------------------------------------------------------------------------------------

  /** Registers and keeps the registration fresh until `unregister` or `stop`. */
  register(): Promise<Answer> {
    return this.#register(this.#options.expiresSeconds ?? 3_600);
  }

  unregister(): Promise<Answer> {
    this.#refresh?.();
    this.#refresh = undefined;
    return this.#register(0);
  }

  async #register(expiresSeconds: number): Promise<Answer> {
    const { random } = this.#parts;
    if (this.#registration.callId === '')
      this.#registration = { callId: this.#newCallId(), seq: 0, tag: random.hex(4) };
    const response = await this.#ask(() => {
      this.#registration.seq += 1;
      return {
        method: 'REGISTER',
        uri: `sip:${this.#options.domain}`,
        headers: {
          from: { ...this.self(), params: { tag: this.#registration.tag } },
          to: this.self(),
          'call-id': this.#registration.callId,
          cseq: { seq: this.#registration.seq, method: 'REGISTER' },
          'max-forwards': 70,
          // As text: the package writes a number 0 as no value at all.
          contact: [{ ...this.contact(), params: { expires: String(expiresSeconds) } }],
          route: this.#outbound(),
          supported: 'path',
        },
      };
    });
    const { status, reason, headers } = response;
    if (status === 423) {
      const least = Number(headers['min-expires']);
      // RFC 3261 §10.2.8; a registrar that asks for ever more is not followed.
      if (least > expiresSeconds && least <= 86_400) return this.#register(least);
    }
    if (status < 200 || status >= 300) {
      this.#emit({ kind: 'registrationFailed', status, reason });
      // Keep trying while we are meant to be registered (RFC 5626 §4.5 suggests half a minute to begin with).
      if (this.#refresh !== undefined) this.#refreshAfter(retryMs);
      return { status, reason };
    }
    if (expiresSeconds === 0) {
      this.#emit({ kind: 'unregistered' });
      return { status, reason };
    }
    this.#serviceRoute = readServiceRoute(headers['service-route']);
    const granted = this.#grantedSeconds(response) ?? expiresSeconds;
    this.#refreshAfter(Math.max(500, granted * 1_000 - Math.min(30_000, granted * 200)));
    this.#emit({ kind: 'registered', expiresSeconds: granted });
    return { status, reason };
  }

  #refreshAfter(ms: number): void {
    this.#refresh?.();
    if (this.#stopped) return;
    this.#refresh = this.clock.after(ms, () => {
      void this.register();
    });
  }

  #grantedSeconds({ headers }: PackageResponse): number | undefined {
    const ours = formatSocketAddress(this.#local);
    const contacts = Array.isArray(headers.contact) ? headers.contact : [];
    const contact = contacts.find(({ uri }) => this.text(uri).includes(ours));
    const said = contact?.params['expires'] ?? headers['expires'];
    const seconds = Number(said);
    return said !== undefined && said !== null && Number.isInteger(seconds) && seconds > 0 ? seconds : undefined;
  }

  // --- calls and questions --------------------------------------------------------------------------------------------------

  /** Places a call; `target` is a SIP URI, or a user of our own domain. */
  call(target: string): Call {
    const call = new OutgoingCall(this, this.#newCallId(), this.#uri(target), this.#parts.random.hex(4));
    this.#calls.set(call.id, call);
    return call;
  }

  options(target: string): Promise<Answer> {
    const callId = this.#newCallId();
    let seq = 0;
    return this.#ask(() => {
      seq += 1;
      return {
        method: 'OPTIONS',
        uri: this.#uri(target),
        headers: {
          from: { ...this.self(), params: { tag: callId.slice(0, 8) } },
          to: { uri: this.#uri(target), params: {} },
          'call-id': callId,
          cseq: { seq, method: 'OPTIONS' },
          'max-forwards': 70,
          contact: [this.contact()],
          route: this.route(),
          accept: 'application/sdp',
        },
      };
    });
  }

  /** The final answer, credentials given where they are asked for. */
  #ask(make: () => PackageRequest): Promise<PackageResponse> {
    return new Promise((resolve) => {
      const attempt = (left: number): void => {
        const request = make();
        this.request(request, (response) => {
          const { status } = response;
          if (status < 200) return;
          if (left > 0 && (status === 401 || status === 407) && this.challenged(response, request)) attempt(left - 1);
          else resolve(response);
        });
      };
      attempt(maxChallenges);
    });
  }

  #onRequest(request: PackageRequest): void {
    const { headers, method } = request;
    const call = this.#calls.get(headers['call-id']);
    if (method === 'ACK') {
      call?.acknowledged(request.content);
    } else if (method === 'CANCEL') {
      if (!(call instanceof IncomingCall)) this.respond(request, 481, 'Call/Transaction Does Not Exist');
      else {
        this.respond(request, 200, 'OK');
        call.cancelled();
      }
    } else if (headers.to.params['tag'] !== undefined) {
      if (call === undefined) this.respond(request, 481, 'Call/Transaction Does Not Exist');
      else if (!call.receive(request))
        this.respond(request, 405, 'Method Not Allowed', { headers: { allow: allowed } });
    } else if (method === 'INVITE') this.#onInvite(request, call);
    else if (method === 'OPTIONS')
      this.respond(request, 200, 'OK', { headers: { allow: allowed, accept: 'application/sdp' } });
    else if (method === 'MESSAGE' || method === 'NOTIFY') this.respond(request, 200, 'OK');
    else this.respond(request, 405, 'Method Not Allowed', { headers: { allow: allowed } });
  }

  #onInvite(invite: PackageRequest, known: OutgoingCall | IncomingCall | undefined): void {
    if (known !== undefined) {
      // The same call by another way (RFC 3261 §8.2.2.2).
      this.respond(invite, 482, 'Loop Detected');
      return;
    }
    const { incoming } = this.#options;
    if (incoming?.busy === true || this.#calls.size >= maxCalls) {
      this.respond(invite, 486, 'Busy Here');
      return;
    }
    const call = new IncomingCall(this, invite, this.#parts.random.hex(4));
    this.#calls.set(call.id, call);
    call.ring();
    if (incoming !== undefined) this.clock.after(incoming.ringMs, () => call.answer());
  }

  // --- what calls need ------------------------------------------------------------------------------------------------------

  self(): PackageAddress {
    return { uri: `sip:${this.#options.user}@${this.#options.domain}`, params: {} };
  }

  contact(): PackageAddress {
    return { uri: `sip:${this.#options.user}@${formatSocketAddress(this.#local)}`, params: {} };
  }

  route(): PackageAddress[] {
    return this.#serviceRoute.length > 0 ? [...this.#serviceRoute] : this.#outbound();
  }

  text(uri: string | PackageUri): string {
    return sipPackage.stringifyUri(uri);
  }

  request(request: PackageRequest, onResponse: (response: PackageResponse) => void): void {
    if (request.method !== 'CANCEL') this.#digest.authorize(request, this.text(request.uri));
    this.#following?.instance.send(request, (response) => onResponse(response));
  }

  acknowledge(ack: PackageRequest): void {
    this.#following?.instance.send(ack);
  }

  respond(
    request: PackageRequest,
    status: number,
    reason: string,
    extension: { headers?: Record<string, unknown>; content?: string } = {},
  ): void {
    const { to } = request.headers;
    // Every final answer has a To tag (RFC 3261 §8.2.6.2).
    const tagged =
      to.params['tag'] === undefined ? { ...to, params: { ...to.params, tag: this.#parts.random.hex(4) } } : to;
    this.#following?.instance.send(
      sipPackage.makeResponse(request, status, reason, { ...extension, headers: { to: tagged, ...extension.headers } }),
    );
  }

  challenged(response: PackageResponse, request: PackageRequest): boolean {
    return this.#digest.learn(response, request);
  }

  openMedia(): CallMedia | undefined {
    return this.#options.openMedia?.();
  }

  changed(call: Call, detail: string): void {
    this.#emit({ kind: 'call', call, detail });
  }

  ended(call: Call, end: CallEnd): void {
    // A repetition of the last request must still find its answer in the package; the call itself is gone.
    this.#calls.delete(call.id);
    this.#emit({ kind: 'ended', call, end });
  }

  #outbound(): PackageAddress[] {
    const [server] = this.#options.servers;
    return server === undefined ? [] : [{ uri: `sip:${formatSocketAddress(server)};lr`, params: {} }];
  }

  #uri(target: string): string {
    if (/^sips?:/i.test(target)) return target;
    return target.includes('@') ? `sip:${target}` : `sip:${target}@${this.#options.domain}`;
  }

  #newCallId(): string {
    return `${this.#parts.random.hex(8)}@${this.#local.host}`;
  }

  #emit(event: TelephoneEvent): void {
    this.#options.onEvent?.(event);
  }
}

/** A challenge, and one more where the nonce went stale meanwhile. */
const maxChallenges = 2;
const maxCalls = 1_000;
const retryMs = 30_000;

/** The package leaves this header as text, several joined by commas. */
function readServiceRoute(value: unknown): readonly PackageAddress[] {
  if (typeof value !== 'string') return [];
  const found: PackageAddress[] = [];
  for (const [, uri = '', params = ''] of value.matchAll(
    /<([^<>\s]+)>((?:\s*;\s*[^;,=\s"]+(?:\s*=\s*(?:"[^"]*"|[^;,"\s]*))?)*)/g,
  )) {
    if (found.length === maxRoutes) break;
    const read: PackageAddress = { uri, params: {} };
    for (const [, name = '', given] of params.matchAll(/;\s*([^;,=\s"]+)(?:\s*=\s*("[^"]*"|[^;,"\s]*))?/g))
      read.params[name] = given ?? null;
    found.push(read);
  }
  return found;
}

const maxRoutes = 16;
