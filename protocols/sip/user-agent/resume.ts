/**
 * SIP's parties of calls that this member took over, made again from their records (resumption.ts says what is to be done). Target refreshes
 * are paced, so that a member that takes over thousands of calls does not meet its own flood.
 */
import {
  type ControllerAddress,
  type Flow,
  type ResumedLeg,
  type ResumedParty,
  TokenBucket,
} from '../../../src/internal.ts';
import { decode } from '../codec/decode.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { requestKey } from '../transactions/keys.ts';
import { viaAddress } from '../transactions/way-back.ts';
import type { AgentParts } from './agent.ts';
import { callerOf, escapeUser } from './caller-identity.ts';
import { type Dialog, fromRecord, takenOver } from './dialog.ts';
import { IncomingCall } from './incoming-call.ts';
import type { OutgoingCall, RingingParty } from './outgoing-call.ts';
import { type PartyRecord, readPartyFields } from './party-record.ts';
import { ResumedSession } from './resumed-session.ts';
import { resumption } from './resumption.ts';

export interface ResumeParts extends AgentParts {
  /** A flow of ours to this address. */
  flowTo(to: ControllerAddress): Flow | undefined;
  /** The leg of a call that goes to this number. */
  outgoing(call: ResumedParty['call'], number: string, isGuarded: boolean, ringing?: RingingParty): OutgoingCall;
  /** The dialogs with this Call-ID are there. */
  resumed(callId: string): void;
  /** Its INVITE goes out as the dead member's did. */
  standsIn(callId: string, call: ResumedParty['call']): void;
}

export class Resuming {
  readonly #parts: ResumeParts;
  readonly #bucket: TokenBucket;
  readonly #waiting: ResumedSession[] = [];
  #isPacing = false;
  /** Telephones that are asked whether they have answered. */
  #polled = 0;

  constructor(parts: ResumeParts) {
    this.#parts = parts;
    this.#bucket = new TokenBucket(parts.clock, refreshesPerSecond, refreshesPerSecond);
  }

  resume(resumed: ResumedParty): ResumedLeg | undefined {
    const { record, line } = resumed;
    if (record.phase === 'calling') return this.#called(resumed);
    const party = readPartyFields(record.fields);
    if (party === undefined) return undefined;
    const { role } = party.dialog;
    const next = resumption({ role, line, phase: record.phase, isAware: party.isAware });
    switch (next.kind) {
      case 'invite':
        return this.#called(resumed);
      case 'poll':
        return this.#ringing(resumed, party);
      case 'acknowledge':
      case 'established':
        return this.#established(resumed, party, next.kind === 'acknowledge');
      case 'respond':
        return this.#calling(resumed, party, next.status);
      case 'await':
        return undefined;
    }
  }

  /** A call of which nothing but the number is known is made again. */
  placedAgain(call: ResumedParty['call']): void {
    if (call.callId !== undefined) this.#parts.standsIn(this.#parts.ids.callId(call.callId), call);
  }

  #called({ call, description, record }: ResumedParty): ResumedLeg | undefined {
    // It goes where the dead member's went.
    const leg = this.#parts.outgoing(call, record.number, false);
    return {
      leg,
      begin: () => {
        this.#parts.standsIn(this.#parts.ids.callId(record.callId), call);
        leg.alert(record.callId, description, call.caller?.identity);
      },
    };
  }

  #established(resumed: ResumedParty, party: PartyRecord, acknowledges: boolean): ResumedLeg {
    const { call, side, record, description, remote } = resumed;
    const dialog = this.#dialogOf(resumed, party);
    const isUas = dialog.role === 'uas';
    const leg = new ResumedSession({
      agent: this.#parts,
      call,
      side,
      name: isUas ? dialog.remote : record.number,
      contactUser: isUas ? record.number : (call.caller?.name ?? 'line'),
      dialog,
      record,
      party,
      told: description,
      remote,
    });
    return {
      leg,
      begin: () => {
        if (acknowledges) leg.acknowledge();
        this.#parts.resumed(dialog.callId);
        this.#pace(leg);
      },
    };
  }

  /** The INVITE as well: a hop that follows the attribute, and does not show it, answers to that. */
  #ringing(resumed: ResumedParty, party: PartyRecord): ResumedLeg {
    const { call, record, description, remote } = resumed;
    this.#polled += 1;
    const leg = this.#parts.outgoing(call, record.number, false, {
      dialog: this.#dialogOf(resumed, party),
      hasEarlyMedia: remote !== undefined,
      waitMs: () => Math.max(pollMs, (this.#polled * 1_000) / pollsPerSecond),
      over: () => {
        this.#polled -= 1;
      },
    });
    return {
      leg,
      begin: () => {
        this.#parts.standsIn(this.#parts.ids.callId(record.callId), call);
        leg.alert(record.callId, description, call.caller?.identity);
        this.#parts.resumed(leg.callId);
      },
    };
  }

  /** The INVITE as far as its responses need it, and what it is answered with. */
  #calling(resumed: ResumedParty, party: PartyRecord, status: 180 | 200): ResumedLeg | undefined {
    const { call, record, description, remote, line } = resumed;
    const dialog = this.#dialogOf(resumed, party);
    const invite = this.#inviteOf(dialog, party, record.number);
    const to = invite === undefined ? undefined : viaAddress(invite.via);
    const flow = to === undefined ? undefined : this.#parts.flowTo(to);
    if (invite === undefined || flow === undefined) return undefined;
    const leg = new IncomingCall({
      agent: this.#parts,
      invite,
      server: this.#parts.layer.accept(invite, flow, requestKey(invite)),
      dialog,
      number: record.number,
      offer: remote,
      caller: callerOf(invite, false),
      isResumed: true,
    }).attach(call);
    return {
      leg,
      begin: () => {
        if (status === 180) leg.progress(undefined);
        else if (line === 'talking') leg.connect(description);
        this.#parts.resumed(dialog.callId);
      },
    };
  }

  #inviteOf(dialog: Dialog, { vias }: PartyRecord, number: string): SipMessage | undefined {
    const { callId, remote, remoteTag, local, target, routes, remoteCseq } = dialog;
    const { identity } = this.#parts;
    const host = identity.name.includes(':') ? `[${identity.name}]` : identity.name;
    const lines = [
      `INVITE sip:${escapeUser(number)}@${host} SIP/2.0`,
      ...vias.map((via) => `Via: ${via}`),
      ...routes.map((route) => `Record-Route: ${route}`),
      `From: ${remote};tag=${remoteTag}`,
      `To: ${local}`,
      `Call-ID: ${callId}`,
      `CSeq: ${remoteCseq} INVITE`,
      `Contact: <${target}>`,
      'Max-Forwards: 70',
      'Content-Length: 0',
      '',
      '',
    ];
    const decoded = decode(Buffer.from(lines.join('\r\n'), 'latin1'));
    return decoded.ok && decoded.value.fieldIndex(H.via) >= 0 ? decoded.value : undefined;
  }

  #dialogOf({ call, record }: ResumedParty, { dialog }: PartyRecord): Dialog {
    const { ids } = this.#parts;
    const gatewayCallId = call.callId ?? record.callId;
    const callId = dialog.callId ?? ids.callId(gatewayCallId);
    const localTag =
      dialog.role === 'uas' ? ids.calledTag(callId, dialog.remoteTag, record.number) : ids.callerTag(gatewayCallId);
    return takenOver(fromRecord(dialog, { callId, localTag }), this.#parts.clock.wallNow());
  }

  #pace(leg: ResumedSession): void {
    this.#waiting.push(leg);
    if (!this.#isPacing) this.#next();
  }

  #next(): void {
    this.#isPacing = false;
    while (this.#waiting.length > 0) {
      if (!this.#bucket.take()) {
        this.#isPacing = true;
        this.#parts.clock.after(1_000 / refreshesPerSecond, () => this.#next());
        return;
      }
      this.#waiting.shift()?.refresh();
    }
  }
}

const refreshesPerSecond = 100;

/** A telephone gives its answer up 64*T1 after it (RFC 3261 §13.3.1.4): it is acknowledged long before. */
const pollMs = 500;
const pollsPerSecond = 100;
