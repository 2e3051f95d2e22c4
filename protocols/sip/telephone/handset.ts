/** What `altpath phone` does with a Telephone: its actions from beginning to end, told as they happen, as text or as JSON. */
import {
  AltpathError,
  type ControllerAddress,
  createDns,
  createNetwork,
  formatAddress,
  formatSocketAddress,
  isIpLiteral,
  Metrics,
  parseAddress,
  readAddress,
  silentLog,
  systemClock,
  systemRandom,
  systemResolver,
} from '../../../src/internal.ts';
import { SipNames } from '../rfc3263.ts';
import { Telephone, type TelephoneEvent } from './telephone.ts';
import type { Call, CallEnd } from './telephone-line.ts';

export interface HandsetOptions {
  /** `alice@example.com`. */
  readonly user: string;
  readonly servers: readonly string[];
  readonly local: string | undefined;
  readonly password: string | undefined;
  readonly authUser: string | undefined;
  readonly expiresSeconds: number;
  readonly json: boolean;
  readonly trace: boolean;
  readonly incoming: { readonly ringMs: number; readonly busy: boolean } | undefined;
  print(line: string): void;
}

export class Handset {
  readonly #options: HandsetOptions;
  readonly #telephone: Telephone;
  readonly #startMs = systemClock.now();
  #interrupt: () => void = () => undefined;
  readonly #interrupted = new Promise<void>((resolve) => {
    this.#interrupt = resolve;
  });
  #isRegistered = false;
  #callEnded: (() => void) | undefined;
  #talkSeconds: number | undefined;

  /** Finds the servers and binds the port. @throws AltpathError (rejects) with a sentence on what is wrong. */
  static async pickUp(options: HandsetOptions): Promise<Handset> {
    const [user = '', domain = ''] = options.user.replace(/^sips?:/i, '').split('@');
    if (user === '' || domain === '')
      throw new AltpathError('ERR_USAGE', `"${options.user}" is no address of record: write user@domain`);
    const servers = await findServers(options.servers.length > 0 ? options.servers : [domain]);
    const listen = parseAddress(options.local ?? '127.0.0.1', { transport: 'udp', port: 0 });
    if (listen.transport !== 'udp') throw new AltpathError('ERR_USAGE', 'the telephone speaks UDP only');
    const handset = new Handset(options, user, domain, servers, listen);
    const local = await handset.#telephone.start();
    handset.#tell('ready', { local: formatAddress(local), servers: servers.map(formatAddress) });
    return handset;
  }

  private constructor(
    options: HandsetOptions,
    user: string,
    domain: string,
    servers: readonly ControllerAddress[],
    listen: ControllerAddress,
  ) {
    this.#options = options;
    const metrics = new Metrics();
    const parts = { clock: systemClock, log: silentLog, metrics };
    this.#telephone = new Telephone(
      { ...parts, random: systemRandom, network: createNetwork(parts) },
      {
        user,
        domain: domain.includes(':') ? (domain.split(':')[0] ?? domain) : domain,
        password: options.password,
        authUser: options.authUser,
        listen,
        servers,
        expiresSeconds: options.expiresSeconds,
        incoming: options.incoming,
        onEvent: (event) => this.#onEvent(event),
        switched: ({ method, callId }, from, to, because) =>
          this.#tell('switched', { method, callId, from: formatAddress(from), to: formatAddress(to), because }),
        ...(options.trace
          ? {
              tap: (direction, message, remote) =>
                this.#tell('message', {
                  direction,
                  what: message.isRequest ? message.method : `${message.status} ${message.reason}`,
                  remote: formatSocketAddress(remote),
                }),
            }
          : {}),
      },
    );
  }

  interrupt(): void {
    this.#interrupt();
  }

  async stayRegistered(forSeconds: number | undefined): Promise<void> {
    await this.#register();
    await this.#wait(forSeconds);
  }

  async call(to: string, talkSeconds: number, waitSeconds: number): Promise<void> {
    this.#talkSeconds = talkSeconds;
    const call = this.#telephone.call(to);
    const giveUp = systemClock.after(waitSeconds * 1_000, () => {
      if (call.state !== 'answered') call.hangUp();
    });
    void this.#interrupted.then(() => call.hangUp());
    const end = await call.ended;
    giveUp();
    if (end.by !== 'them' && end.status >= 300)
      throw new AltpathError('ERR_CALL', `call to ${to}: ${end.status} ${end.reason}`);
  }

  async answer(
    forSeconds: number | undefined,
    calls: number | undefined,
    talkSeconds: number | undefined,
  ): Promise<void> {
    this.#talkSeconds = talkSeconds;
    let left = calls ?? Number.POSITIVE_INFINITY;
    const enough = new Promise<void>((resolve) => {
      this.#callEnded = () => {
        left -= 1;
        if (left <= 0) resolve();
      };
    });
    await this.#register();
    await Promise.race([this.#wait(forSeconds), enough]);
  }

  async options(to: string): Promise<void> {
    const { status, reason } = await this.#telephone.options(to);
    this.#tell('options', { to, status, reason });
    if (status >= 300) throw new AltpathError('ERR_OPTIONS', `${to}: ${status} ${reason}`);
  }

  /** Hangs up, takes the registration back, closes the port. */
  async putDown(): Promise<void> {
    const open = this.#telephone.calls;
    for (const call of open) call.hangUp();
    await Promise.race([Promise.all(open.map(({ ended }) => ended)), pause(farewellMs)]);
    if (this.#isRegistered) await Promise.race([this.#telephone.unregister(), pause(farewellMs)]);
    await this.#telephone.stop();
  }

  async #register(): Promise<void> {
    const { status, reason } = await this.#telephone.register();
    if (status < 200 || status >= 300) throw new AltpathError('ERR_REGISTER', `registration: ${status} ${reason}`);
    this.#isRegistered = true;
  }

  /** Until interrupted, or so long. */
  async #wait(forSeconds: number | undefined): Promise<void> {
    // The clock's timers keep no process alive; the socket does.
    await (forSeconds === undefined ? this.#interrupted : Promise.race([this.#interrupted, pause(forSeconds * 1_000)]));
  }

  #onEvent(event: TelephoneEvent): void {
    switch (event.kind) {
      case 'call': {
        const { call, detail } = event;
        this.#tell(call.state, { direction: call.direction, peer: call.peer, callId: call.id, detail });
        if (call.state === 'answered') this.#hangUpLater(call);
        break;
      }
      case 'ended':
        this.#tell('ended', describeEnd(event.call, event.end));
        this.#callEnded?.();
        break;
      case 'registered':
        this.#tell('registered', { expiresSeconds: event.expiresSeconds });
        break;
      case 'registrationFailed':
        this.#tell('registrationFailed', { status: event.status, reason: event.reason });
        break;
      case 'unregistered':
        this.#isRegistered = false;
        this.#tell('unregistered', {});
    }
  }

  #hangUpLater(call: Call): void {
    const seconds = this.#talkSeconds;
    if (seconds !== undefined) systemClock.after(seconds * 1_000, () => call.hangUp());
  }

  #tell(event: string, data: Readonly<Record<string, unknown>>): void {
    const { json, print } = this.#options;
    const atMs = Math.round(systemClock.now() - this.#startMs);
    if (json) print(JSON.stringify({ event, atMs, ...data }));
    else {
      const details = Object.entries(data).map(
        ([key, value]) => `${key} ${Array.isArray(value) ? value.join(' ') : value}`,
      );
      // What a peer wrote may be part of it: a terminal must not obey it.
      print(`${String(atMs).padStart(7)} ms  ${event.padEnd(12)} ${details.join(', ')}`.replaceAll(/\p{Cc}/gu, '?'));
    }
  }
}

/** How long a BYE or the last REGISTER may take. */
const farewellMs = 3_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => systemClock.after(ms, resolve));

const describeEnd = (call: Call, end: CallEnd): Readonly<Record<string, unknown>> => ({
  direction: call.direction,
  peer: call.peer,
  callId: call.id,
  by: end.by,
  status: end.status,
  reason: end.reason,
});

/** All that stands behind the names, in the order to try (RFC 3263). */
async function findServers(texts: readonly string[]): Promise<readonly ControllerAddress[]> {
  const found: ControllerAddress[] = [];
  const names = new SipNames({
    dns: createDns(systemClock, systemResolver()),
    clock: systemClock,
    random: systemRandom,
    transports: ['udp'],
  });
  for (const text of texts) {
    const address = readAddress(text, { transport: 'udp', port: 0 });
    if (address === undefined || address.transport !== 'udp')
      throw new AltpathError('ERR_USAGE', `"${text}" is no server: write host or host:port`);
    const hop = {
      host: address.host,
      port: address.port === 0 ? (isIpLiteral(address.host) ? 5_060 : undefined) : address.port,
    };
    const resolution = await names.resolve({ ...hop, transport: 'udp' });
    if (!resolution.ok) throw new AltpathError('ERR_SERVER', resolution.error.detail);
    found.push(...resolution.value.filter(({ transport, host }) => transport === 'udp' && !host.includes(':')));
  }
  if (found.length === 0) throw new AltpathError('ERR_SERVER', `${texts.join(', ')}: no IPv4 address`);
  return found.slice(0, 4);
}
