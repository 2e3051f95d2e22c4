/**
 * Brings endpoints to their lines' orders: one command at a time per endpoint (RFC 3435 §4.4.4), each the next step from what the gateway
 * has to what it shall have; what it answers changes what we believe, and the comparison is made again. Errors go by class (§2.4).
 */
import type {
  Clock,
  CommandOutcome,
  Flow,
  Line,
  LineDriver,
  LineOrder,
  Logger,
  ReleaseReason,
  Switchboard,
} from '../../src/index.ts';
import type { Connection, Endpoint } from './endpoint.ts';
import { isSuccess, type MgcpResponse, type Parameter, parameter } from './messages.ts';
import { requestKey, requestParameters, signalOf } from './requests.ts';
import type { Draft, MgcpTransactions } from './transaction.ts';

export interface LineDriverParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly quarantine: 'loop' | 'step';
  readonly localConnectionOptions: string;
  digitMap(): string;
  endpointOf(line: Line): Endpoint | undefined;
  switchboard(): Switchboard;
  transactions(): MgcpTransactions;
  /** Our name for `N:`, and the path attribute as this gateway bears it. */
  routing(endpoint: Endpoint, flow: Flow, notifiedEntity: boolean): readonly Parameter[];
  /** The gateway did not answer at all. */
  gatewayFailed(endpoint: Endpoint): void;
}

type Step =
  | { readonly kind: 'deleteStray'; readonly id: string }
  | { readonly kind: 'delete'; readonly connection: Connection; readonly request: boolean }
  | { readonly kind: 'create'; readonly request: boolean }
  | { readonly kind: 'modify'; readonly connection: Connection; readonly request: boolean }
  | { readonly kind: 'request' };

export class MgcpLineDriver implements LineDriver {
  readonly #parts: LineDriverParts;
  #serial = 1;

  constructor(parts: LineDriverParts) {
    this.#parts = parts;
  }

  apply(line: Line): void {
    const endpoint = this.#parts.endpointOf(line);
    if (endpoint !== undefined) this.reconcile(endpoint);
  }

  /** Sends the next command, if one is needed and none is under way. */
  reconcile(endpoint: Endpoint): void {
    const { line } = endpoint;
    if (endpoint.pending !== undefined || !endpoint.owned || !line.inService || endpoint.gateway.state === 'down')
      return;
    if (endpoint.refused === line.order) return;
    const step = nextStep(endpoint);
    if (step === undefined) this.#settled(endpoint);
    else this.#send(endpoint, step, line.order);
  }

  /** In step mode every Notify asks for a new request, whether the order changed or not (RFC 3435 §4.4.1). */
  notified(endpoint: Endpoint): void {
    if (this.#parts.quarantine === 'loop' && !endpoint.gateway.dialect.has('noLoop')) return;
    endpoint.requested = undefined;
    this.reconcile(endpoint);
  }

  #settled(endpoint: Endpoint): void {
    endpoint.retries = 0;
    this.#reportMedia(endpoint);
  }

  #reportMedia(endpoint: Endpoint): void {
    const { line, connection } = endpoint;
    const { order } = line;
    if (endpoint.reported === order || connection?.local === undefined || order.media?.callId !== connection.callId)
      return;
    endpoint.reported = order;
    this.#parts.switchboard().mediaReady(line, connection.callId, connection.local);
  }

  #send(endpoint: Endpoint, step: Step, order: LineOrder): void {
    this.#serial = (this.#serial + 1) % 0xffff_ffff;
    const serial = this.#serial;
    endpoint.pending = this.#parts.transactions().submit({
      peer: endpoint.gateway,
      draft: (flow) => this.#draft(endpoint, step, order, serial, flow),
      ended: (outcome) => {
        endpoint.pending = undefined;
        this.#ended(endpoint, step, order, outcome);
      },
    });
  }

  #draft(endpoint: Endpoint, step: Step, order: LineOrder, serial: number, flow: Flow): Draft {
    const { line, gateway } = endpoint;
    const { localConnectionOptions } = this.#parts;
    const routing = this.#parts.routing(endpoint, flow, true);
    const request =
      step.kind === 'request' || ('request' in step && step.request)
        ? requestParameters(order, serial, {
            digitMap: this.#parts.digitMap(),
            quarantine: this.#parts.quarantine,
            dialect: gateway.dialect,
          })
        : [];
    const draft = (verb: string, own: readonly Parameter[], remote?: string): Draft => ({
      verb,
      endpoint: line.endpoint,
      parameters: [...own, ...request, ...routing],
      sdp: remote === undefined ? [] : [remote],
    });
    switch (step.kind) {
      case 'deleteStray':
        return draft('DLCX', [{ code: 'I', value: step.id }]);
      case 'delete':
        return draft('DLCX', [
          { code: 'C', value: step.connection.callId },
          { code: 'I', value: step.connection.id },
        ]);
      case 'create': {
        const media = order.media;
        return draft(
          'CRCX',
          [
            { code: 'C', value: media?.callId ?? '' },
            { code: 'L', value: localConnectionOptions },
            { code: 'M', value: wireMode(order) },
          ],
          media?.remote,
        );
      }
      case 'modify': {
        const { connection } = step;
        const remote = order.media?.remote;
        return draft(
          'MDCX',
          [
            { code: 'C', value: connection.callId },
            { code: 'I', value: connection.id },
            { code: 'M', value: wireMode(order) },
          ],
          remote === connection.remote ? undefined : remote,
        );
      }
      case 'request':
        return draft('RQNT', []);
    }
  }

  #ended(endpoint: Endpoint, step: Step, order: LineOrder, outcome: CommandOutcome<MgcpResponse>): void {
    if (!endpoint.owned) return;
    if (outcome.kind !== 'answered') {
      // Whether it was executed is not known (RFC 3435 §3.5.6): the endpoint is asked once its gateway answers again.
      this.#parts.gatewayFailed(endpoint);
      return;
    }
    const { response } = outcome;
    if (isSuccess(response.code)) this.#succeeded(endpoint, step, order, response);
    else this.#failed(endpoint, step, order, response);
    this.reconcile(endpoint);
  }

  #succeeded(endpoint: Endpoint, step: Step, order: LineOrder, response: MgcpResponse): void {
    const [local] = response.sdp;
    switch (step.kind) {
      case 'deleteStray':
        endpoint.strays = endpoint.strays.filter((id) => id !== step.id);
        break;
      case 'delete':
        endpoint.connection = undefined;
        break;
      case 'create': {
        const id = parameter(response, 'I');
        const callId = order.media?.callId;
        if (id === undefined || id === '' || callId === undefined || local === undefined) {
          this.#refuse(endpoint, order, 'noResources');
          break;
        }
        endpoint.connection = { callId, id, mode: effectiveMode(order), remote: order.media?.remote, local };
        break;
      }
      case 'modify':
        step.connection.mode = effectiveMode(order);
        step.connection.remote = order.media?.remote ?? step.connection.remote;
        // RFC 3435 §3.3.2: a description comes back where the session changed.
        if (local !== undefined && local !== step.connection.local) {
          step.connection.local = local;
          endpoint.reported = undefined;
        }
        break;
      case 'request':
        break;
    }
    if (step.kind === 'request' || ('request' in step && step.request)) endpoint.requested = requestKey(order);
    this.#reportMedia(endpoint);
  }

  /** RFC 3435 §2.4: each class has its own consequence. */
  #failed(endpoint: Endpoint, step: Step, order: LineOrder, response: MgcpResponse): void {
    const { line, gateway } = endpoint;
    const { code } = response;
    const { log } = this.#parts;
    log.debug({ endpoint: line.endpoint, step: step.kind, code, comment: response.comment }, 'command refused');
    // An unknown code counts as the first of its class.
    switch (code) {
      case 401:
        // Ringing somebody who is just lifting the handset: the call meets a busy line, the handset gets its dial tone.
        if (order.mark === 'ringing') line.leg?.report({ kind: 'failed', reason: 'busy' });
        this.#parts.switchboard().offHook(line);
        return;
      case 402:
        this.#parts.switchboard().onHook(line);
        return;
      case 515:
      case 516:
        // The connection is not there (any more); for a deletion that is what was wanted.
        if (step.kind === 'deleteStray') endpoint.strays = endpoint.strays.filter((id) => id !== step.id);
        else if (step.kind === 'delete') endpoint.connection = undefined;
        else if (step.kind === 'modify') {
          endpoint.connection = undefined;
          this.#refuse(endpoint, order, 'gatewayLost');
        } else this.#refuse(endpoint, order, 'noResources');
        return;
      case 500:
      case 501:
        log.warn({ endpoint: line.endpoint, code }, 'the gateway does not have this endpoint in service');
        endpoint.owned = false;
        this.#parts.switchboard().outOfService(line);
        return;
      case 508:
        if (gateway.dialect.has('noLoop')) break;
        gateway.dialect.add('noLoop');
        return;
      case 512:
      case 513:
      case 522:
      case 538: {
        // A tone it does not have is left out; events it does not have make the line useless.
        const signal = signalOf(order, gateway.dialect);
        if (signal === undefined || code === 512) break;
        gateway.dialect.add(`no:${signal}`);
        return;
      }
      case 510:
      case 511:
      case 518:
      case 539:
        if (gateway.dialect.has('noPath') && gateway.dialect.has('noRedirectList')) break;
        log.info({ gateway: gateway.name, code }, 'gateway does not bear the path attribute: left out from now on');
        gateway.dialect.add('noPath');
        gateway.dialect.add('noRedirectList');
        return;
      case 405:
      case 409:
      case 520:
        // Restarting or overloaded: it says the same to everything, so wait.
        this.#retryLater(endpoint, order);
        return;
      default:
        break;
    }
    if (step.kind === 'delete' || step.kind === 'deleteStray') {
      this.#retryLater(endpoint, order);
      return;
    }
    this.#refuse(endpoint, order, code === 404 || code === 409 ? 'overload' : 'noResources');
  }

  #refuse(endpoint: Endpoint, order: LineOrder, reason: ReleaseReason): void {
    const { line } = endpoint;
    if (line.order !== order) return;
    this.#parts.switchboard().refused(line, reason);
    if (line.order === order) this.#retryLater(endpoint, order);
  }

  #retryLater(endpoint: Endpoint, order: LineOrder): void {
    endpoint.refused = order;
    endpoint.retries += 1;
    endpoint.retry?.();
    endpoint.retry = this.#parts.clock.after(Math.min(60_000, 500 * 2 ** endpoint.retries), () => {
      endpoint.refused = undefined;
      this.reconcile(endpoint);
    });
  }
}

function nextStep(endpoint: Endpoint): Step | undefined {
  const { line, connection, strays } = endpoint;
  const { order } = line;
  const { media } = order;
  const [stray] = strays;
  if (stray !== undefined) return { kind: 'deleteStray', id: stray };
  const request = endpoint.requested !== requestKey(order);
  if (connection !== undefined && connection.callId !== media?.callId)
    // A request that only fits once the connection is gone would fail with it (RFC 3435 §4.4.2): media first, if a new one follows.
    return { kind: 'delete', connection, request: request && media === undefined };
  if (media !== undefined && connection === undefined) return { kind: 'create', request };
  if (
    media !== undefined &&
    connection !== undefined &&
    (connection.mode !== effectiveMode(order) || (media.remote !== undefined && media.remote !== connection.remote))
  )
    return { kind: 'modify', connection, request };
  return request ? { kind: 'request' } : undefined;
}

/** Never sendrecv before there is a remote description: 527 (RFC 3435 §2.3.5). */
const effectiveMode = ({ media }: LineOrder): 'receive' | 'both' =>
  media?.mode === 'both' && media.remote !== undefined ? 'both' : 'receive';

const wireMode = (order: LineOrder): string => (effectiveMode(order) === 'both' ? 'sendrecv' : 'recvonly');
