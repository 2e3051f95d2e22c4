/**
 * A dialog that was established at a member that died: its leg here. The peer hears of us by the ACK that may not have left, and by a target
 * refresh where it does not follow the path attribute (RFC 3261 §12.2.1): from then on its requests come to us.
 */
import type { Call, CallRecord, Flow, Leg, LegEvent, ReleaseReason, Side } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import { type AgentParts, type DialogEnd, dialogRequest, sendAck } from './agent.ts';
import type { Dialog } from './dialog.ts';
import { toRecord } from './dialog.ts';
import { intervalOf, type PartyRecord, partyFields, sessionOf } from './party-record.ts';
import { Session } from './session.ts';
import { OwnDescription } from './session-description.ts';
import { SessionLeg } from './session-leg.ts';

export interface ResumedSessionParts {
  readonly agent: AgentParts;
  readonly call: Call;
  readonly side: Side;
  readonly name: string;
  readonly contactUser: string;
  readonly dialog: Dialog;
  readonly record: CallRecord;
  readonly party: PartyRecord;
  /** What the peer was told of our party last. */
  readonly told: string | undefined;
  /** What the peer said of itself. */
  readonly remote: string | undefined;
}

export class ResumedSession extends SessionLeg implements Leg, DialogEnd {
  readonly name: string;
  readonly callId: string;
  readonly localTag: string;
  protected override readonly session: Session;
  readonly #parts: ResumedSessionParts;
  readonly #own: OwnDescription;
  #call: Call | undefined;
  #isOver = false;
  /** It has ended the call itself: nobody has to tell it. */
  #hasLeft = false;

  constructor(parts: ResumedSessionParts) {
    super();
    const { agent, call, contactUser, dialog, name, party, remote, told } = parts;
    this.#parts = parts;
    this.#call = call;
    this.name = name;
    this.callId = dialog.callId;
    this.localTag = dialog.localTag;
    // What the dead member told after it wrote the record is not known: ours is above that.
    const { version } = party;
    this.#own = new OwnDescription(version === undefined ? 0 : version + 2);
    if (told !== undefined) this.#own.tell(told);
    const host = {
      agent,
      contactUser,
      own: this.#own,
      report: (event: LegEvent) => this.report(event),
      over: () => this.#close(),
    };
    this.session = new Session(host, dialog, remote);
    this.session.refreshedBy(intervalOf(dialog.role, party.session));
    agent.ends.add(this);
  }

  get record(): CallRecord | undefined {
    if (this.#hasLeft) return undefined;
    const { party, record } = this.#parts;
    const { version } = this.#own;
    const { dialog, interval } = this.session;
    const session = sessionOf(dialog.role, interval);
    const fields = partyFields({ ...party, dialog: toRecord(dialog), vias: [], session, version });
    return { ...record, phase: 'talking', fields };
  }

  protected override report(event: LegEvent): void {
    if (event.kind === 'hungUp' || event.kind === 'failed') this.#hasLeft = true;
    this.#call?.on(this.#parts.side, event);
  }

  /** RFC 3261 §13.2.2.4: once more does no harm, and whoever got none goes on repeating its 2xx. */
  acknowledge(): void {
    const { agent, contactUser } = this.#parts;
    const { dialog } = this.session;
    const { inviteCseq: cseq = 1 } = dialog;
    const branch = agent.ids.branch(dialog.callId, dialog.localTag, cseq, 'ACK', dialog.remoteTag);
    sendAck(agent, dialogRequest(agent, dialog, 'ACK', cseq, branch, contactUser), dialog);
  }

  /** Where requests go from now on. */
  refresh(): void {
    if (!this.#isOver) this.session.refresh();
  }

  collect(): void {}

  offer(): void {}

  alert(): void {}

  progress(): void {}

  connect(remote: string | undefined): void {
    if (remote !== undefined && !this.#own.isTold(remote)) this.session.connect(remote);
  }

  release(_reason: ReleaseReason, cause?: number): void {
    this.#call = undefined;
    this.session.bye(cause);
  }

  receive(request: SipMessage, flow: Flow): void {
    this.session.receive(request, flow);
  }

  abandon(): void {
    this.#call = undefined;
    this.#close();
  }

  /** The process ends: nothing more is sent. */
  stop(): void {
    this.abandon();
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.session.abandon();
    this.#parts.agent.ends.delete(this);
  }
}
