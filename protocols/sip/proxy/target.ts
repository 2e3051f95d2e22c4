/** Where a request goes and how it looks there: what is the same for all its branches, and what is each target's own. */
import type { ControllerAddress, Flow, NamedHop } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import { isUnicast } from '../codec/uri.ts';
import type { LocalHeaders } from '../identity.ts';
import type { Trunk } from '../trunks/trunk.ts';

/** One place a request may go to, and how it must look there. */
export interface ProxyTarget {
  readonly requestUri: string;
  readonly hop: NamedHop;
  readonly alternates: readonly NamedHop[];
  /** The open connection that leads there. */
  readonly flow?: Flow | undefined;
  /** The token of this flow that says whose it is. */
  readonly token?: string | undefined;
  readonly pushRoutes: readonly string[];
  /** The whole Route set, where it must be written anew. */
  readonly rewriteRoutes?: readonly string[] | undefined;
  /** Addresses that this request may not go to, whatever name led there. */
  readonly barred?: ((address: ControllerAddress) => boolean) | undefined;
  /** Told what the hop's name stands for. */
  readonly resolved?: ((addresses: readonly ControllerAddress[]) => void) | undefined;
  /** The hop that is another member of ours and has the flow: it gets this Route entry, the alternates do not. */
  readonly member?: MemberHop | undefined;
  /** What it means if the target cannot be reached; 503 where nothing is said (RFC 3261 §16.9). */
  readonly failure?: { readonly status: number; readonly reason: string } | undefined;
  /** What a 430 of a proxy behind us means to the caller, where that is another thing (RFC 5626 §7). */
  readonly flowFailure?: { readonly status: number; readonly reason: string } | undefined;
  /** Other flows of the same instance, one to be tried if this one has failed (RFC 5626 §7). */
  readonly spares?: readonly ProxyTarget[] | undefined;
  /** The subscriber behind a flow that may have ended: renewed over another flow of ours within this time, the request goes there. */
  readonly renewal?: { readonly subscriber: string; readonly waitMs: number } | undefined;
  /** There is nowhere to send it until then. */
  readonly isAbsent?: boolean | undefined;
  /** What tells its branch from others of the same Request-URI. */
  readonly branchKey?: string | undefined;
  /** The carrier that it is a hop of: its challenges are answered. */
  readonly trunk?: Trunk | undefined;
  /** An emergency call goes to its carrier however many calls that has. */
  readonly isEmergency?: boolean | undefined;
  /** What decided that it is one: `registered`, `route 00`, `default` … */
  readonly route?: string | undefined;
  /** Preference: equal ones are tried at once, lower ones after higher ones. */
  readonly q: number;
}

/** The member that has a flow, and the Route entry by which it knows the flow. */
export interface MemberHop {
  readonly address: ControllerAddress;
  readonly route: string;
}

/** What is the same for every branch. */
export interface RoutePlan {
  readonly popRoutes: number;
  readonly recordRoute: boolean;
  /** What proves the dialog in our Record-Route entry (route-user.ts). */
  readonly dialog?: string | undefined;
  /** A REGISTER on its way to the registrar behind us. */
  readonly path?: boolean | undefined;
  /** The Path says that we keep the flow (RFC 5626 §5.1). */
  readonly outbound?: boolean | undefined;
  /** Names the flow that the request came over, for Record-Route and Path, where only that leads back (RFC 5626 §5.1, §5.3). */
  readonly fromToken?: string | undefined;
  /** The controller in whose place we act (RFC 3261 §18.1.2 with the exception of docs/alternate-path.md §6). */
  readonly standIn?: ControllerAddress | undefined;
  readonly consumes?: ((credentials: string) => boolean) | undefined;
  /** The request is the user agent's beside us. */
  readonly own?: OwnRequests | undefined;
  /** How much higher our CSeq is than the sender's, in a dialog with a carrier (route-user.ts). */
  readonly cseqOffset?: number | undefined;
  /** How much higher that of the request was which began the dialog. */
  readonly dialogOffset?: number | undefined;
}

/** Requests of the user agent beside the proxy core: it is an end of the dialog, at whatever socket the request leaves by. */
export interface OwnRequests {
  /** Its Contact for a socket with these headers; undefined where the request has none. */
  contact(request: SipMessage, headers: LocalHeaders): string | undefined;
  /** The dead member in whose place it is sent: as its copy of the request looked, ours looks. */
  standInFor(request: SipMessage): ControllerAddress | undefined;
  /** The peer's response came over a flow that only this token leads to. */
  cameOver(token: string, response: SipMessage): void;
}

/** Where a name may have led that no tag may lead to (docs/alternate-path.md §8), and what is barred for this sender, is left out. */
export function reachable(
  { barred }: ProxyTarget,
  addresses: readonly ControllerAddress[],
): readonly ControllerAddress[] {
  const allowed = barred === undefined ? addresses : addresses.filter((address) => !barred(address));
  return addresses.length > 1 ? allowed.filter(({ host }) => isUnicast(host)) : allowed;
}

/** Does it lead to one flow of a telephone? */
export const isFlow = ({ failure, flowFailure }: ProxyTarget): boolean =>
  failure !== undefined || flowFailure !== undefined;
