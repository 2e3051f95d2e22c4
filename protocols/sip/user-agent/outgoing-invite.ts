/** The INVITE of a call that goes to SIP: every member writes the same one for the same call (derived-ids.ts). */
import type { CallerIdentity } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import { type AgentParts, allow, requestText } from './agent.ts';
import { callerFields } from './caller-identity.ts';
import { dialogFields } from './dialog.ts';
import { EarlyDialogs } from './early-dialogs.ts';
import { askedInterval, wantedFields, withInterval } from './session-timer.ts';

export interface OutgoingInvite {
  readonly text: string;
  readonly branch: string;
  readonly early: EarlyDialogs;
  readonly contactUser: string;
}

export interface Invitation {
  /** The call's identifier at the caller's gateway. */
  readonly callId: string;
  readonly requestUri: string;
  /** Our domain, for From. */
  readonly host: string;
  readonly isGuarded: boolean;
  readonly mayAssert: boolean;
  readonly caller: CallerIdentity | undefined;
  /** As lists name the caller. */
  readonly callerName: string | undefined;
  /** undefined: the callee is to make the offer. */
  readonly body: string | undefined;
}

export function outgoingInvite(agent: AgentParts, invitation: Invitation): OutgoingInvite {
  const { requestUri, host, isGuarded, mayAssert, caller, callerName, body } = invitation;
  const { ids } = agent;
  const callId = ids.callId(invitation.callId);
  const localTag = ids.callerTag(invitation.callId);
  const contactUser = caller?.presentation === 'restricted' ? 'anonymous' : (caller?.number ?? callerName ?? 'line');
  const { from, fields } = callerFields(caller, callerName ?? 'anonymous', host, mayAssert);
  const local = { callId, localTag, local: from, remote: `<${requestUri}>` };
  const early = new EarlyDialogs({ ...local, requestUri, cseq: inviteCseq, isGuarded });
  const branch = ids.branch(callId, localTag, inviteCseq, 'INVITE');
  const dialogPart = dialogFields({ ...local, remoteTag: '' }, inviteCseq, 'INVITE');
  const reliable = body === undefined ? 'Supported: timer\r\n' : 'Supported: 100rel, timer\r\n';
  const content = { fields: allow + reliable + wantedFields + fields, body };
  const text = requestText(agent, 'INVITE', requestUri, branch, dialogPart, contactUser, content);
  return { text, branch, early, contactUser };
}

/**
 * RFC 4028 §7.3: the INVITE goes again, once, with the interval that a 422 asks for. A backup that sends the first one again hears the same
 * 422 and sends the same second one. Undefined: the interval is none, or this was the second.
 */
export function inviteAgain(
  { ids }: AgentParts,
  { text, branch, early, contactUser }: OutgoingInvite,
  refusal: SipMessage,
): OutgoingInvite | undefined {
  const seconds = askedInterval(refusal);
  const { invited } = early;
  if (seconds === undefined || invited.cseq !== inviteCseq) return undefined;
  const cseq = inviteCseq + 1;
  const next = ids.branch(invited.callId, invited.localTag, cseq, 'INVITE');
  return {
    text: withInterval(text, seconds)
      .replace(branch, next)
      .replace(`CSeq: ${inviteCseq} INVITE`, `CSeq: ${cseq} INVITE`),
    branch: next,
    early: new EarlyDialogs({ ...invited, cseq }),
    contactUser,
  };
}

/** Always the same: whoever sends the INVITE again sends the same one. */
const inviteCseq = 1;
