/**
 * Brings endpoints to their lines' orders: one command at a time per endpoint (RFC 3435 §4.4.4), each the next step from what the gateway
 * has to what it shall have; what it answers changes what we believe, and the comparison is made again. Errors go by class (§2.4).
 */
import type {
  Clock,
  CommandOutcome,
  Flow,
  Gateway,
  Line,
  LineDriver,
  LineOrder,
  Logger,
  ReleaseReason,
  Switchboard,
} from '../../src/internal.ts';
import type { Connection, Endpoint } from './endpoint.ts';
import type { GatewayCommands } from './gateway-commands.ts';
import { isSuccess, type MgcpResponse, type Parameter, parameter } from './messages.ts';
import { effectiveMode, nextStep, type Step } from './next-step.ts';
import { requestKey, requestParameters } from './requests.ts';
import type { Draft } from './transaction.ts';

export interface LineDriverParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly quarantine: 'loop' | 'step';
  localConnectionOptions(gateway: Gateway, dialect: ReadonlySet<string>): string;
  digitMap(): string;
  endpointOf(line: Line): Endpoint | undefined;
  switchboard(): Switchboard;
  commands(): GatewayCommands;
  /** Our name for `N:`, and the path attribute as this gateway bears it. */
  routing(endpoint: Endpoint, flow: Flow, dialect: ReadonlySet<string>): readonly Parameter[];
  /** The gateway did not answer at all. */
  gatewayFailed(endpoint: Endpoint): void;
}

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
    if (endpoint.isWeighing || endpoint.refused === line.order) return;
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
    endpoint.isDisturbed = false;
    endpoint.pending = this.#parts.commands().submit({
      peer: endpoint.gateway,
      draft: (flow, dialect) => this.#draft(endpoint, step, order, serial, flow, dialect),
      ended: (outcome) => {
        endpoint.pending = undefined;
        this.#ended(endpoint, step, order, outcome);
      },
    });
  }

  #draft(
    endpoint: Endpoint,
    step: Step,
    order: LineOrder,
    serial: number,
    flow: Flow,
    dialect: ReadonlySet<string>,
  ): Draft {
    const { line, gateway } = endpoint;
    const routing = this.#parts.routing(endpoint, flow, dialect);
    const request =
      step.kind === 'request' || ('request' in step && step.request)
        ? requestParameters(order, serial, {
            digitMap: this.#parts.digitMap(),
            quarantine: this.#parts.quarantine,
            dialect,
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
        return draft('DLCX', [
          { code: 'C', value: step.callId },
          { code: 'I', value: step.stray.id },
        ]);
      case 'clear':
        return { ...draft('DLCX', []), parameters: [] };
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
            { code: 'L', value: this.#parts.localConnectionOptions(gateway, dialect) },
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
            { code: 'M', value: wireMode(order, connection) },
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
    // What the answer means for the call may pass through several orders: the last one counts.
    endpoint.isWeighing = true;
    try {
      if (isSuccess(response.code)) this.#succeeded(endpoint, step, order, response);
      else this.#failed(endpoint, step, order, response);
    } finally {
      endpoint.isWeighing = false;
    }
    this.reconcile(endpoint);
  }

  #succeeded(endpoint: Endpoint, step: Step, order: LineOrder, response: MgcpResponse): void {
    const [local] = response.sdp;
    switch (step.kind) {
      case 'deleteStray':
        endpoint.strays = endpoint.strays.filter((stray) => stray !== step.stray);
        endpoint.postponements = 0;
        break;
      case 'clear':
        endpoint.strays = [];
        endpoint.connection = undefined;
        endpoint.postponements = 0;
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
        endpoint.connection = {
          callId,
          id,
          isNamed: true,
          mode: effectiveMode(order),
          remote: order.media?.remote,
          local,
        };
        break;
      }
      case 'modify':
        step.connection.mode = effectiveMode(order, step.connection);
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
    if (step.kind === 'request' || ('request' in step && step.request))
      endpoint.requested = endpoint.isDisturbed ? undefined : requestKey(order);
    this.#reportMedia(endpoint);
  }

  /** RFC 3435 §2.4: each class has its own consequence. What a command can do without was left out before (refusals.ts). */
  #failed(endpoint: Endpoint, step: Step, order: LineOrder, response: MgcpResponse): void {
    const { line } = endpoint;
    const { code } = response;
    const { log } = this.#parts;
    const switchboard = this.#parts.switchboard();
    log.debug({ endpoint: line.endpoint, step: step.kind, code, comment: response.comment }, 'command refused');
    // An unknown code counts as the first of its class.
    switch (code) {
      case 401:
        // The event that we missed stopped what was on: nothing that we requested counts any more.
        endpoint.requested = undefined;
        // A bell that rang before, by a dead partner's command, was answered.
        if (order.mark === 'ringing' && step.kind === 'create') switchboard.glare(line);
        else switchboard.offHook(line);
        return;
      case 402:
        endpoint.requested = undefined;
        switchboard.onHook(line);
        return;
      case 500:
      case 501:
        log.warn({ endpoint: line.endpoint, code }, 'the gateway does not have this endpoint in service');
        endpoint.owned = false;
        switchboard.outOfService(line);
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
    if (step.kind === 'deleteStray' || step.kind === 'clear' || step.kind === 'delete') {
      this.#notDeleted(endpoint, step, code);
      return;
    }
    if (code === 515 || code === 516) {
      this.#lost(endpoint, step, order, code);
      return;
    }
    // Transient (§2.4): people who talk go on talking meanwhile.
    if (code < 500 && order.mark === 'talking' && step.kind !== 'create') this.#retryLater(endpoint, order);
    else this.#refuse(endpoint, order, code === 404 ? 'overload' : 'noResources');
  }

  /** The line goes on without: what is left on the gateway is deleted when its turn comes. */
  #notDeleted(endpoint: Endpoint, step: Step & { kind: 'deleteStray' | 'clear' | 'delete' }, code: number): void {
    const isGone = code === 515;
    switch (step.kind) {
      case 'deleteStray':
        endpoint.strays = endpoint.strays.filter((stray) => stray !== step.stray);
        if (isGone) return;
        endpoint.strays = [...endpoint.strays, { id: step.stray.id, callId: nameAfter(code, step.callId) }];
        if (code !== 516) this.#postpone(endpoint);
        return;
      case 'delete':
        // The request in it was refused with it (§4.4.2), and goes by itself.
        endpoint.connection = undefined;
        if (isGone) return;
        endpoint.strays = [
          ...endpoint.strays,
          { id: step.connection.id, callId: nameAfter(code, step.connection.callId) },
        ];
        if (code !== 516) this.#postpone(endpoint);
        return;
      case 'clear':
        if (endpoint.connection !== undefined) {
          endpoint.strays = [...endpoint.strays, { id: endpoint.connection.id, callId: undefined }];
          endpoint.connection = undefined;
        }
        // Some say so where there is none (§2.3.9 has them succeed).
        if (isGone) endpoint.strays = [];
        else this.#postpone(endpoint);
        return;
    }
  }

  /** The connection is not there any more, or by another call id. */
  #lost(endpoint: Endpoint, step: Step, order: LineOrder, code: number): void {
    if (step.kind !== 'modify') {
      this.#refuse(endpoint, order, 'noResources');
      return;
    }
    endpoint.connection = undefined;
    if (code === 516) endpoint.strays = [...endpoint.strays, { id: step.connection.id, callId: undefined }];
    this.#refuse(endpoint, order, 'gatewayLost');
  }

  #postpone(endpoint: Endpoint): void {
    endpoint.postponements += 1;
    endpoint.postponed?.();
    endpoint.postponed = this.#parts.clock.after(waitMs(endpoint.postponements), () => {
      endpoint.postponed = undefined;
      this.reconcile(endpoint);
    });
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
    endpoint.retry = this.#parts.clock.after(waitMs(endpoint.retries), () => {
      endpoint.refused = undefined;
      this.reconcile(endpoint);
    });
  }
}

const wireMode = (order: LineOrder, connection?: Connection): string =>
  effectiveMode(order, connection) === 'both' ? 'sendrecv' : 'recvonly';

const waitMs = (attempt: number): number => Math.min(60_000, 500 * 2 ** Math.min(attempt, 10));

/** 516: it is there, by another call id than we were told; any lasting refusal of its name is no better. A transient one may pass. */
const nameAfter = (code: number, callId: string): string | undefined => (code < 500 ? callId : undefined);
