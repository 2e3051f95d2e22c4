/**
 * How call agents of one cluster ask each other for a sign of life where the member link says nothing: an empty Notify to the signaling
 * address, which every call agent answers (RFC 3435 §2.3.4). Only the answer to a question of ours counts. Beside it stands `X-ALTSV`,
 * the members whose gateways the sender serves: members of the version before go by it, and so do we where no secret is shared.
 */
import { addressKey, type ControllerAddress, type Flow, type Members } from '../../src/internal.ts';
import { keepAlive } from './adapter.ts';
import { encodeMessage } from './encode.ts';
import { type MgcpDatagram, type Parameter, parameter } from './messages.ts';
import { readNotifiedEntity, writeNotifiedEntity } from './values/names.ts';

export interface MemberProbesParts {
  members(): Members;
  self(): ControllerAddress;
  /** The members whose gateways we serve now. */
  serves(): readonly ControllerAddress[];
  isLeaving(): boolean;
  nextId(): number;
  send(to: ControllerAddress, encode: (flow: Flow) => Uint8Array): void;
}

export class MemberProbes {
  readonly #parts: MemberProbesParts;
  /** Whom we asked, by transaction identifier; the oldest first. */
  readonly #asked = new Map<number, string>();

  constructor(parts: MemberProbesParts) {
    this.#parts = parts;
  }

  ask(partner: ControllerAddress): void {
    const { self, nextId, send } = this.#parts;
    const id = nextId();
    this.#asked.set(id, addressKey(partner));
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= maxAsked) break;
      this.#asked.delete(oldest);
    }
    const message = keepAlive(self(), id);
    const whole = { ...message, parameters: [...message.parameters, ...this.parameters()] };
    send(partner, () => encodeMessage(whole));
  }

  /** What goes with a question, and with the answer to a partner's. */
  parameters(): readonly Parameter[] {
    const { serves, isLeaving } = this.#parts;
    const said = isLeaving() ? [leaving] : serves();
    return [{ code: servesCode, value: said.map((each) => writeNotifiedEntity(each)).join(', ') }];
  }

  /** A datagram from a partner's address, which may be anybody's. */
  heard(from: ControllerAddress, { messages: [first] }: MgcpDatagram): void {
    if (first === undefined || first.kind === 'broken') return;
    const members = this.#parts.members();
    const key = addressKey(from);
    if (first.kind === 'response' && this.#asked.get(first.transactionId) === key) {
      this.#asked.delete(first.transactionId);
      members.answered(from);
    }
    const said = parameter(first, servesCode);
    if (said === undefined || members.hasLink) return;
    const serves = new Set<string>();
    for (const item of said.split(',').slice(0, 64)) {
      const served = readNotifiedEntity(item);
      if (served !== undefined) serves.add(addressKey(served));
    }
    const isLeaving = serves.delete(addressKey(leaving));
    members.said(from, serves, isLeaving);
  }
}

const servesCode = 'X-ALTSV';

/** Said instead of the members served: "I leave, take what is mine". A name that no host can have. */
const leaving: ControllerAddress = { transport: 'udp', host: 'leaving.invalid', port: 2727 };

const maxAsked = 512;
