/** Answers of our own: refusals, and what we say of ourselves to OPTIONS (RFC 3261 §8.2, §11.2, §16.3). */
import type { Flow } from '../../../src/internal.ts';
import type { SipCallWatch } from '../call-watch.ts';
import { response } from '../codec/encode.ts';
import type { SipMessage } from '../codec/messages.ts';
import { isSipScheme } from '../codec/uri.ts';
import type { Identity } from '../identity.ts';
import type { TransactionLayer } from '../transactions/layer.ts';
import type { ServerTransaction } from '../transactions/server.ts';
import { reply } from '../transactions/way-back.ts';
import type { Refusal } from './admission.ts';
import type { RoutingExplanation } from './explain-routing.ts';
import { stampedVia } from './forward.ts';
import type { Routing } from './route-preprocessing.ts';

export class LocalAnswers {
  readonly #layer: TransactionLayer;
  readonly #identity: Identity;
  readonly #explain: RoutingExplanation | undefined;
  readonly #watch: SipCallWatch | undefined;
  #draining = false;

  constructor(layer: TransactionLayer, identity: Identity, explain?: RoutingExplanation, watch?: SipCallWatch) {
    this.#explain = explain;
    this.#watch = watch;
    this.#layer = layer;
    this.#identity = identity;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  /** From now on new work is refused, and who asks hears so. */
  drain(): void {
    this.#draining = true;
  }

  refuse(server: ServerTransaction, request: SipMessage, refusal: Refusal): void {
    if (refusal.status >= 300) this.#explain?.refused(request, server.flow, refusal);
    server.respond(refusal.status, this.#answer(request, server.flow, refusal));
  }

  refuseStateless(request: SipMessage, flow: Flow, refusal: Refusal): void {
    if (refusal.status >= 300) this.#explain?.refused(request, flow, refusal);
    this.#watch?.refused(request, flow, refusal.status, refusal.reason);
    reply(this.#layer, request, flow, this.#answer(request, flow, refusal));
  }

  /** One of many that are refused because there are too many: counted elsewhere, and in no list of calls. */
  shed(request: SipMessage, flow: Flow, refusal: Refusal): void {
    reply(this.#layer, request, flow, this.#answer(request, flow, refusal));
  }

  /** OPTIONS to ourselves; false: it is to be proxied. */
  isAsked({ method }: SipMessage, { uri, next }: Routing): boolean {
    return (
      method === 'OPTIONS' &&
      next === undefined &&
      uri.user === undefined &&
      isSipScheme(uri.scheme) &&
      this.#identity.isLocal(uri)
    );
  }

  /** The answer to OPTIONS; whoever asks whether we live hears as well that we are leaving (RFC 3261 §11.2, §21.5.4). */
  abilities({ end, scan }: SipMessage): Refusal {
    const [status, reason, retry] = this.#draining
      ? [503, 'Service Unavailable - draining', 'Retry-After: 10\r\n']
      : [200, 'OK', ''];
    // Its sender may be forged: the answer is at most three times as long.
    return { status, reason, fields: end - scan.start < telephonesOptions ? retry : `${retry}${abilities}` };
  }

  #answer(request: SipMessage, flow: Flow, { status, reason, fields }: Refusal): string {
    return response(request, status, reason, {
      toTag: this.#identity.localTag(request),
      fields,
      topVia: stampedVia(request, flow),
    });
  }
}

/** No telephone's OPTIONS has fewer octets. */
const telephonesOptions = 200;

const abilities =
  'Accept: application/sdp\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY, REFER, UPDATE, PRACK, INFO, PUBLISH\r\nSupported: path, outbound\r\n';
