/** What a follower keeps of the requests, responses and acknowledgements under way. */
import type { ControllerAddress, Delivery } from '../../../src/internal.ts';
import { response } from '../codec/encode.ts';
import type { SipMessage } from '../codec/messages.ts';

export interface OpenRequest {
  readonly message: SipMessage;
  readonly bytes: Buffer;
  readonly to: ControllerAddress;
  delivery: Delivery | undefined;
  answeredBy: ControllerAddress | undefined;
  /** How often every address has failed. */
  failures: number;
}

export interface ServedRequest {
  /** Where the request came from last: the controller that has it now. */
  from: ControllerAddress;
  readonly alternates: readonly ControllerAddress[];
  readonly named: ControllerAddress | undefined;
  delivery: Delivery | undefined;
  last: string;
  sent: number;
  /** Our 2xx while its ACK is awaited. */
  unacknowledged: { readonly message: SipMessage; readonly bytes: Buffer } | undefined;
}

export interface Acknowledgement {
  readonly bytes: Buffer;
  readonly message: SipMessage;
  readonly to: ControllerAddress;
  lastHop: ControllerAddress;
  delivery: Delivery | undefined;
}

/** Every address failed this often: the user agent is told. Once may be a controller that is being started anew. */
export const maxFailures = 2;

/** RFC 3261 §8.1.3.1: what a transport error means to a user agent. */
export const transportError = (request: SipMessage): string =>
  response(request, 503, 'Service Unavailable - nobody there', { toTag: 'unreachable' });
