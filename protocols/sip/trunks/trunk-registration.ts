/**
 * Registration with a carrier (RFC 3261 §10.2), one member at a time: the first living one of the cluster's order. Every member uses the same
 * Call-ID and address of record, with a Contact of its own; who begins takes the others' contacts out in the same request, so that calls
 * come to a living member at once. CSeq numbers follow the calendar: they rise from one member to the next, too.
 */
import {
  type Cancel,
  type Clock,
  type ControllerAddress,
  type Flow,
  formatAddress,
  formatSocketAddress,
  type Logger,
  logEvent,
  type Random,
} from '../../../src/internal.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { retryAfterMs } from '../codec/retry-after.ts';
import { param, parseNameAddr } from '../codec/values.ts';
import type { Identity } from '../identity.ts';
import { tagText } from '../path.ts';
import type { ClientTransaction } from '../transactions/client.ts';
import type { OwnRequests } from './own-requests.ts';
import type { Trunk } from './trunk.ts';
import { TrunkAttempts } from './trunk-attempts.ts';
import type { Trunks } from './trunks.ts';

export interface TrunkRegistrationParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly identity: Identity;
  readonly requests: OwnRequests;
  readonly trunks: Trunks;
  /** The same on every member, known to nobody else. */
  readonly callId: string;
  /** The addresses of the other members: what they may have registered. */
  readonly partners: readonly ControllerAddress[];
  /** Do all members that come before us lie dead? */
  isRegistrant(): boolean;
}

export class TrunkRegistration {
  readonly trunk: Trunk;
  readonly #parts: TrunkRegistrationParts;
  readonly #attempts: TrunkAttempts;
  #wait: Cancel | undefined;
  #request: Cancel | undefined;
  #wasRegistrant = false;
  /** Others' contacts go with the next request. */
  #takesOver = false;
  #askedSeconds: number;
  #failures = 0;
  #cseq = 0;
  #flow: Flow | undefined;

  constructor(trunk: Trunk, parts: TrunkRegistrationParts) {
    this.trunk = trunk;
    this.#parts = parts;
    this.#attempts = new TrunkAttempts(trunk);
    this.#askedSeconds = trunk.config.registerSeconds;
  }

  /** Called again and again: whose turn is it? */
  look(): void {
    const isRegistrant = this.#parts.isRegistrant();
    if (isRegistrant === this.#wasRegistrant) return;
    this.#wasRegistrant = isRegistrant;
    this.#end();
    if (isRegistrant) {
      this.#takesOver = true;
      this.#failures = 0;
      this.#register();
      return;
    }
    this.trunk.registration = { state: 'elsewhere' };
    logEvent(this.#parts.log, 'trunkElsewhere', { trunk: this.trunk.name });
  }

  /** We leave: our contact is taken out, and nobody waits for the answer. */
  leave(): void {
    const wasRegistered = this.trunk.registration.state === 'registered';
    this.#end();
    this.trunk.registration = { state: 'elsewhere' };
    if (wasRegistered) this.#send(0, () => undefined);
  }

  stop(): void {
    this.#end();
  }

  #end(): void {
    this.#wait?.();
    this.#request?.();
    this.#wait = undefined;
    this.#request = undefined;
  }

  #register(): void {
    this.#attempts.begin();
    if (this.trunk.registration.state !== 'registered') this.trunk.registration = { state: 'registering' };
    this.#send(this.#askedSeconds, (answer, transaction) => this.#answered(answer, transaction));
  }

  #send(
    seconds: number,
    done: (answer: SipMessage | string, transaction: ClientTransaction | undefined) => void,
  ): void {
    const { trunk } = this;
    const { requests, trunks, callId } = this.#parts;
    const [hop = { host: 'invalid' }, ...alternates] = trunk.config.to;
    const uri = `sip:${trunk.domain}`;
    this.#cseq = this.#nextCseq();
    this.#request = requests.send({
      method: 'REGISTER',
      uri,
      hop,
      alternates,
      callId: `${callId}-${trunk.name}`,
      cseq: this.#cseq,
      party: `sip:${trunk.account?.user ?? ''}@${trunk.domain}`,
      fields: (flow) => {
        this.#flow = flow;
        return `${this.#contacts(flow, seconds)}Expires: ${seconds}\r\n${this.#attempts.credentials('REGISTER', uri)}`;
      },
      limitMs: registerMs,
      resolved: (addresses) => trunks.learn(trunk, addresses),
      done,
    });
  }

  /** RFC 3261 §10.2.2: what others registered is taken out by their own contacts with `expires=0`. */
  #contacts(flow: Flow, seconds: number): string {
    const { identity, partners } = this.#parts;
    const { address, path } = identity.localHeaders(flow);
    let fields = `Contact: <${this.#contact(address)}>;expires=${seconds}${path === undefined ? '' : tagText(path)}\r\n`;
    if (this.#takesOver && seconds > 0)
      for (const partner of partners)
        if (partner.transport === address.transport) fields += `Contact: <${this.#contact(partner)}>;expires=0\r\n`;
    return fields;
  }

  #contact(address: ControllerAddress): string {
    const { transport } = address;
    const user = this.trunk.account?.user ?? '';
    return `sip:${user}@${formatSocketAddress(address)}${transport === 'udp' ? '' : `;transport=${transport === 'wss' ? 'ws' : transport}`}`;
  }

  #answered(answer: SipMessage | string, transaction: ClientTransaction | undefined): void {
    const { clock, log } = this.#parts;
    const { trunk } = this;
    if (typeof answer !== 'string') {
      const { status } = answer;
      if ((status === 401 || status === 407) && this.#attempts.challenged(answer, transaction?.hop)) {
        this.#send(this.#askedSeconds, (next, from) => this.#answered(next, from));
        return;
      }
      if (status < 300) {
        const seconds = this.#granted(answer);
        if (trunk.registration.state !== 'registered') logEvent(log, 'trunkRegistered', { trunk: trunk.name, seconds });
        trunk.registration = { state: 'registered', untilMs: clock.now() + seconds * 1_000 };
        this.#takesOver = false;
        this.#failures = 0;
        this.#again(Math.max(1_000, seconds * 1_000 * refreshAt));
        return;
      }
      const least = Number(answer.header(H.minExpires));
      // RFC 3261 §10.2.8. Once: who asks for more and more shall wait like any other that refuses.
      if (status === 423 && Number.isInteger(least) && least > this.#askedSeconds && least <= 86_400) {
        this.#askedSeconds = least;
        this.#again(0);
        return;
      }
    }
    const detail = typeof answer === 'string' ? answer : `${answer.status} ${answer.reason}`.trim();
    const { untilMs = 0 } = trunk.registration;
    // While the last one holds, the carrier still sends calls here.
    if (clock.now() >= untilMs) trunk.registration = { state: 'refused', detail };
    if (this.#failures === 0) logEvent(log, 'trunkNotRegistered', { trunk: trunk.name, detail });
    this.#failures += 1;
    const asked = typeof answer === 'string' ? undefined : retryAfterMs(answer);
    this.#again(Math.min(maxBackOffMs, asked ?? this.#backOffMs()));
  }

  /** RFC 5626 §4.5: doubled from one failure to the next, between half of it and all. */
  #backOffMs(): number {
    const most = Math.min(maxBackOffMs, firstBackOffMs * 2 ** Math.min(16, this.#failures - 1));
    return most * (0.5 + 0.5 * this.#parts.random.fraction());
  }

  #again(ms: number): void {
    this.#request = undefined;
    this.#wait = this.#parts.clock.after(ms, () => this.#register());
  }

  /** What the carrier says of our own contact, else of all, else what was asked for. */
  #granted(answer: SipMessage): number {
    const own = this.#flow === undefined ? '' : formatAddress(this.#parts.identity.localHeaders(this.#flow).address);
    const host = own.slice(own.indexOf(':') + 1);
    const contacts = answer.list(H.contact).map(parseNameAddr);
    const ours = contacts.find((each) => each?.uri.includes(`@${host}`) === true);
    const said = (ours === undefined ? undefined : param(ours.params, 'expires', 1)) ?? answer.header(H.expires);
    const seconds = Number(said);
    return said !== undefined && Number.isInteger(seconds) && seconds > 0
      ? Math.min(seconds, 86_400 * 7)
      : this.#askedSeconds;
  }

  /** Quarters of seconds of the calendar, below 2^31 until 2041; always higher than what this member sent. */
  #nextCseq(): number {
    return Math.max(this.#cseq + 1, Math.floor((this.#parts.clock.wallNow() - cseqEpochMs) / 250));
  }
}

/** 2024-01-01. */
const cseqEpochMs = 1_704_067_200_000;

const registerMs = 10_000;
const refreshAt = 0.75;
const firstBackOffMs = 5_000;
const maxBackOffMs = 1_800_000;
