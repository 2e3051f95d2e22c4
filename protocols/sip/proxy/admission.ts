/**
 * Who may send what, where `auth.invite` asks for credentials. Judged is what would be sent, after the Route entries of ours are taken
 * off (RFC 3261 §16.4), not what the request looks like: a Request-URI of ours may hide the number of a strict router's Route.
 *
 * | Standing  | Who                                              | May reach                                          |
 * |-----------|--------------------------------------------------|----------------------------------------------------|
 * | `open`    | everybody, without `auth.invite`                 | everything                                         |
 * | `trusted` | cluster members, configured hops, `trust`        | everything                                         |
 * | `user`    | a user of ours who showed his credentials        | everything                                         |
 * | `party`   | who brings the proof of a dialog in which a      | Route and Request-URI, never the routing table     |
 * |           | trusted or configured hop has a part             |                                                    |
 * | `dialog`  | who brings the proof of any other dialog         | the same, but no configured hop                    |
 * | `trunk`   | a hop of a trunk, with a new request             | users and lines; no trunk, no route                |
 * | `emergency`| the rest, calling an emergency number           | the trunks that take emergency calls               |
 * | `stranger`| the rest                                         | registered users, and numbers of lines             |
 */
import type { Counter, Flow, Metrics } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import { isSipScheme, parseUri, type SipUri } from '../codec/uri.ts';
import type { NameAddr } from '../codec/values.ts';
import type { Identity } from '../identity.ts';
import { uriHop } from '../path.ts';
import type { OtherMembers } from './other-members.ts';
import { type DialogProof, kindOf, readRouteUser } from './route-user.ts';
import type { PathTrust } from './trust.ts';

export type Standing = 'open' | 'trusted' | 'user' | 'party' | 'dialog' | 'trunk' | 'emergency' | 'stranger';

export interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly fields?: string | undefined;
  /** The INVITE may be one that a partner began: it passes if that partner is dead. */
  readonly isCarried?: boolean | undefined;
}

/** Where a request goes once the entries of ours are off. */
export interface Way {
  readonly uri: SipUri;
  /** The Route entry that leads on; undefined: the Request-URI decides. */
  readonly next: NameAddr | undefined;
  /** Kind and proof of the dialog that an entry of ours claims. */
  readonly dialog: string | undefined;
}

export interface AdmissionParts extends OtherMembers {
  /** `auth.invite` */
  readonly isOn: boolean;
  readonly identity: Identity;
  readonly trust: PathTrust;
  readonly dialogs: DialogProof;
  readonly metrics: Metrics;
  /** Does the user agent beside us send it in a dialog whose peer may not lead it to configured hops? */
  isGuarded(flow: Flow): boolean;
  /** Is a user registered here, or has a line this number? */
  isCallable(uri: SipUri): boolean;
  /** Is the other end of this flow a trunk's? */
  isTrunk(flow: Flow): boolean;
  /** Is it a call to an emergency number of ours? */
  isEmergency(request: SipMessage, way: Way): boolean;
  /** undefined: the sender is a user of ours and writes his own name; else the challenge or refusal to send. */
  authenticate(request: SipMessage, flow: Flow): Refusal | undefined;
}

export class Admission {
  readonly #parts: AdmissionParts;
  readonly #dropped: Counter;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    this.#dropped = parts.metrics.counter(
      'sip_unproven_dropped_total',
      'ACK and CANCEL of no dialog or transaction that is known, from senders without trust',
    );
  }

  /** What the sender may do without being asked for credentials. */
  standing(request: SipMessage, flow: Flow, way: Way): Standing {
    const { isOn, trust, isTrunk } = this.#parts;
    if (request.toTag === '' && isTrunk(flow) && !this.#parts.isMember(flow.remote.host)) return 'trunk';
    if (!isOn) return 'open';
    if (this.#parts.isGuarded(flow)) return 'dialog';
    if (trust.isTrusted(flow)) {
      if (request.toTag === '' || !this.#parts.isMember(flow.remote.host)) return 'trusted';
      // What a member forwards within a dialog it judged by itself, for senders that may have neither our routes nor our hops.
      return isParty(way) && this.#isProven(request, way) ? 'party' : 'dialog';
    }
    if (!this.#isProven(request, way)) return 'stranger';
    return isParty(way) ? 'party' : 'dialog';
  }

  /** A stranger who wants more than registered users has to show who he is: the refusal to send, or what he may do then. */
  ask(request: SipMessage, flow: Flow, way: Way): Refusal | 'user' | 'stranger' | 'emergency' {
    if (this.#parts.isEmergency(request, way)) return 'emergency';
    return this.#mayReach(request, way) ? 'stranger' : (this.#parts.authenticate(request, flow) ?? 'user');
  }

  /**
   * Neither ACK nor CANCEL can be challenged (RFC 3261 §22.1). Without proof they go only where a stranger's INVITE goes: an ACK whose
   * INVITE is known here, and a CANCEL whose INVITE a dead partner may have forwarded.
   */
  mayPass(way: Way, isKnown: boolean): boolean {
    const passes = isKnown && this.#isForUser(way);
    if (!passes) this.#dropped.add();
    return passes;
  }

  #isProven(request: SipMessage, way: Way): boolean {
    const { dialog } = way;
    if (dialog === undefined || request.method === 'REGISTER') return false;
    // Whoever was called once, or called a user of ours, holds a proof: it opens no way to a trunk that has no part in that dialog.
    if (!isParty(way) && this.#leadsToConfigured(request, way)) return false;
    return this.#parts.dialogs.proves(dialog, request);
  }

  #leadsToConfigured(request: SipMessage, { uri, next }: Way): boolean {
    const { identity, trust, dialogs, isMemberAt } = this.#parts;
    const named = next === undefined ? uri : parseUri(next.uri);
    if (named === undefined || !isSipScheme(named.scheme) || (next === undefined && identity.isLocal(uri)))
      return false;
    const hop = uriHop(named);
    if (!trust.isConfigured(hop)) return false;
    // Another member that is in the path of this dialog wrote its proof as well, and judges for itself.
    return next === undefined || !isMemberAt(hop) || !dialogs.proves(readRouteUser(named.user)?.dialog ?? '', request);
  }

  /** A stranger may call our users; whoever claims to be one of them is asked. */
  #mayReach(request: SipMessage, way: Way): boolean {
    const { identity } = this.#parts;
    const from = parseUri(request.from.uri);
    if (from !== undefined && identity.isLocal(from)) return false;
    return this.#isForUser(way) || (way.next === undefined && way.uri.user === undefined && identity.isLocal(way.uri));
  }

  #isForUser({ uri, next }: Way): boolean {
    const { identity, isCallable } = this.#parts;
    return next === undefined && uri.user !== undefined && identity.isLocal(uri) && isCallable(uri);
  }
}

const isParty = ({ dialog }: Way): boolean => dialog !== undefined && kindOf(dialog) !== 'd';

/** Is this the sender of a dialog's request, by whatever proof? */
export const isOfDialog = (standing: Standing): boolean => standing === 'party' || standing === 'dialog';
