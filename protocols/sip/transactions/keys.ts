/** How messages find their transactions (RFC 3261 §17.1.3, §17.2.3). */
import type { SipMessage } from '../codec/messages.ts';
import { magicCookie, type Via } from '../codec/values.ts';

/** The key of the server transaction that a request begins or repeats, or as ACK belongs to. */
export const requestKey = (request: SipMessage): string =>
  serverKey(request, request.method === 'ACK' ? 'INVITE' : request.method);

/** RFC 3261 §17.2.3: branch, sent-by and method; without the magic cookie (RFC 2543) what that section names instead. */
export function serverKey(request: SipMessage, method: string): string {
  const { via } = request;
  if (isUnique(via.branch)) return viaKey(via, method);
  return `2543 ${request.requestUri} ${method === 'INVITE' ? '' : request.toTag} ${request.fromTag} ${request.callId} ${request.cseq} ${via.text} ${method}`;
}

/** The same of a Via whose branch is unique. */
export const viaKey = ({ branch = '', host, port }: Via, method: string): string =>
  `${branch} ${host}:${port} ${method}`;

export const isUnique = (branch: string | undefined): boolean =>
  branch?.startsWith(magicCookie) === true && branch.length > magicCookie.length;

/** Branches are unlike for all requests but a CANCEL, which has its INVITE's (RFC 3261 §9.1); an ACK has no client transaction. */
export const clientKey = (branch: string, method: string): string =>
  method === 'CANCEL' ? `${branch} CANCEL` : branch;
