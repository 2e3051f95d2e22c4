/** Requests in a dialog that the called party has not answered yet, its own and ours. */
import type { SipMessage } from '../codec/messages.ts';
import type { ServerTransaction } from '../transactions/server.ts';
import { type AgentParts, dialogRequest, ignored, reply, send } from './agent.ts';
import { nextCseq } from './dialog.ts';
import type { EarlyDialog } from './early-dialogs.ts';
import { refuseMethod } from './session.ts';

/** `early` is undefined where there is no such dialog, or none any more. */
export function serveEarly(
  agent: AgentParts,
  request: SipMessage,
  server: ServerTransaction,
  early: EarlyDialog | undefined,
  contactUser: string | undefined,
): void {
  if (early === undefined) {
    reply(agent, server, request, 481, 'Call/Transaction Does Not Exist');
    return;
  }
  if (request.cseq <= early.dialog.remoteCseq) {
    reply(agent, server, request, 500, 'Server Internal Error - CSeq out of order');
    return;
  }
  early.dialog = { ...early.dialog, remoteCseq: request.cseq };
  switch (request.method) {
    case 'UPDATE':
      // RFC 3311 §5.2: our offer is not answered yet.
      if (request.body === '') reply(agent, server, request, 200, 'OK', { contactUser });
      else reply(agent, server, request, 491, 'Request Pending');
      return;
    case 'INVITE':
      reply(agent, server, request, 491, 'Request Pending');
      return;
    case 'INFO':
    case 'OPTIONS':
      reply(agent, server, request, 200, 'OK');
      return;
    case 'BYE':
      // RFC 3261 §15: not for the called party to send before it has answered.
      reply(agent, server, request, 481, 'Call/Transaction Does Not Exist');
      return;
    default:
      refuseMethod(agent, server, request);
  }
}

/** RFC 3262 §4: for the response with this RSeq to the INVITE with this CSeq. */
export function prack(agent: AgentParts, early: EarlyDialog, rseq: number, invited: number, contactUser: string): void {
  const cseq = nextCseq(early.dialog, agent.clock.wallNow());
  early.dialog = { ...early.dialog, localCseq: cseq };
  const { callId, localTag, remoteTag } = early.dialog;
  const branch = agent.ids.branch(callId, localTag, cseq, 'PRACK', remoteTag);
  const fields = `RAck: ${rseq} ${invited} INVITE\r\n`;
  const text = dialogRequest(agent, early.dialog, 'PRACK', cseq, branch, contactUser, { fields });
  send(agent, 'PRACK', branch, text, ignored, early.dialog);
}
