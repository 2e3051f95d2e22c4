/**
 * Identifiers of the user agent that need no record: every member of the cluster computes the same from what the gateway or the other
 * end knows anyway.
 *
 * | value                    | call that comes by SIP                       | call that goes to SIP                     |
 * |--------------------------|----------------------------------------------|-------------------------------------------|
 * | call id (at the gateway) | H(Call-ID, From tag) and the called number   | random and the dialled number (CallIds)   |
 * | Call-ID                  | the caller's                                 | H(call id)                                |
 * | our tag                  | H(Call-ID, From tag, number)                 | H(call id)                                |
 * | first RSeq               | H(our tag)                                   | -                                         |
 * | branch                   | H(Call-ID, our tag, CSeq, method)            | H(Call-ID, our tag, CSeq, method)         |
 *
 * Of an INVITE only Call-ID and From tag count, so that any request of its dialog leads to the same call id, with the number from the
 * user part of our Contact. The CSeq of the first INVITE is 1; later requests take what `nextCseq` (dialog.ts) says.
 *
 * The sent-by of the user agent's Via is `userAgentHost` on every member, a name that no element resolves: it stands below the Via of our
 * proxy core, which alone is where answers go (RFC 3261 §18.2.2), and the core's branch, which is computed from it, is the same everywhere.
 */
import { crossingCallId, KeyedHash } from '../../../src/internal.ts';
import { magicCookie } from '../codec/values.ts';

/** RFC 2606 §2: nobody has this name. */
export const userAgentHost = 'user-agent.invalid';

export class DerivedIds {
  readonly #call: KeyedHash;
  readonly #calledTag: KeyedHash;
  readonly #sequence: KeyedHash;
  readonly #callId: KeyedHash;
  readonly #callerTag: KeyedHash;
  readonly #branch: KeyedHash;

  constructor(secret: string) {
    this.#call = new KeyedHash(secret, 'SIP user agent: call');
    this.#calledTag = new KeyedHash(secret, 'SIP user agent: called tag');
    this.#sequence = new KeyedHash(secret, 'SIP user agent: RSeq');
    this.#callId = new KeyedHash(secret, 'SIP user agent: Call-ID');
    this.#callerTag = new KeyedHash(secret, 'SIP user agent: caller tag');
    this.#branch = new KeyedHash(secret, 'SIP user agent: branch');
  }

  /** The call's identifier at the gateway, of a call that comes by SIP. */
  crossingCallId(callId: string, fromTag: string, number: string): string {
    return crossingCallId(this.#call.hex(`${callId}\n${fromTag}`), number);
  }

  /** Our To tag, the same in every response of every member. */
  calledTag(callId: string, fromTag: string, number: string): string {
    return this.#calledTag.of(`${callId}\n${fromTag}\n${number}`);
  }

  /** RFC 3262 §3: 1 to 2^31-1, and one more with each further response; there is room for a million. */
  firstRSeq(tag: string): number {
    return 1 + (Number.parseInt(this.#sequence.hex(tag).slice(0, 8), 16) & 0x3fff_ffff);
  }

  /** Call-ID of a call that goes to SIP; without a host part, which would tell who is primary. */
  callId(gatewayCallId: string): string {
    return this.#callId.wide(gatewayCallId);
  }

  /** Our From tag. */
  callerTag(gatewayCallId: string): string {
    return this.#callerTag.of(gatewayCallId);
  }

  /** The branch of a request of ours; CANCEL and the ACK of a refusal take the INVITE's (RFC 3261 §9.1, §17.1.1.3). */
  branch(callId: string, localTag: string, cseq: number, method: string, remoteTag = ''): string {
    return `${magicCookie}-${this.#branch.of(`${callId}\n${localTag}\n${cseq}\n${method}\n${remoteTag}`)}`;
  }
}
