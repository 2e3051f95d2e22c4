/**
 * Calls through a media gateway of RTP endpoints: two connections on one endpoint, bridged to each other. Written for osmo-mgw, whose
 * dialect is narrow: it refuses N: everywhere and any extra line in DLCX, remembers one transaction per endpoint, and cannot be audited,
 * so a backup clears what a dead partner left with one wildcarded DLCX (RFC 3435 §2.3.9).
 */
import {
  answerTo,
  type Clock,
  type CommandOutcome,
  type Gateway,
  type Logger,
  type MediaMode,
  type MediaRelay,
  type ServedMedia,
  type Side,
  servedMedia,
} from '../../src/internal.ts';
import { isSuccess, type MgcpResponse, type Parameter, parameter } from './codec/messages.ts';
import type { GatewayCommands } from './gateway-commands.ts';
import { allRelayEndpoints, RelayEndpoints, relayEndpointName } from './relay-endpoints.ts';

export interface MediaRelayParts {
  readonly clock: Clock;
  readonly log: Logger;
  localConnectionOptions(gateway: Gateway): string;
  gateway(): Gateway | undefined;
  commands(): GatewayCommands;
}

interface Bridge {
  readonly callId: string;
  /** Its endpoint, once the gateway has taken the call there. */
  endpoint: number | undefined;
  /** What the gateway has towards each party. */
  readonly towards: { readonly caller: Towards; readonly callee: Towards };
  /** Commands that create something are under way. */
  creating: boolean;
  ended: boolean;
}

interface Towards {
  connection: string | undefined;
  /** The gateway's description. */
  local: string | undefined;
  /** The party's last offer in mid-call. */
  offer: ServedMedia | undefined;
}

const nobody = (): Towards => ({ connection: undefined, local: undefined, offer: undefined });

type Done = (description: string | undefined) => void;

export class MgcpMediaRelay implements MediaRelay {
  readonly #parts: MediaRelayParts;
  readonly #bridges = new Map<string, Bridge>();
  readonly #endpoints = new RelayEndpoints();
  #stopped = false;

  constructor(parts: MediaRelayParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#bridges.size;
  }

  /** Endpoints in use, or not known to be clean. */
  get endpointsTaken(): number {
    return this.#endpoints.taken;
  }

  stop(): void {
    this.#stopped = true;
  }

  offer(callId: string, description: string, done: Done): void {
    const bridge: Bridge = {
      callId,
      endpoint: undefined,
      towards: { caller: nobody(), callee: nobody() },
      creating: true,
      ended: false,
    };
    this.#bridges.set(callId, bridge);
    this.#take(bridge, description, done, 1);
  }

  answer(callId: string, description: string, done: Done): void {
    const bridge = this.#bridges.get(callId);
    const gateway = this.#parts.gateway();
    const { connection } = bridge?.towards.callee ?? {};
    if (bridge === undefined || gateway === undefined || bridge.endpoint === undefined || connection === undefined) {
      done(undefined);
      return;
    }
    this.#modify(gateway, bridge, connection, 'both', description, (outcome) => {
      if (!bridge.ended) done(successOf(outcome) === undefined ? undefined : bridge.towards.caller.local);
    });
  }

  modify(callId: string, side: Side, description: string | undefined, done: Done): void {
    const bridge = this.#bridges.get(callId);
    const gateway = this.#parts.gateway();
    const towards = bridge?.towards[side];
    const { connection, local } = towards ?? {};
    if (bridge === undefined || towards === undefined || gateway === undefined) done(undefined);
    else if (bridge.endpoint === undefined || connection === undefined || local === undefined) done(undefined);
    else if (description === undefined) done(answerTo(towards.offer, local, 'both'));
    else {
      const served = servedMedia(description);
      if (served === undefined) {
        done(undefined);
        return;
      }
      const remote = served.isUnconnected ? undefined : served.remote;
      this.#modify(gateway, bridge, connection, served.mode, remote, (outcome) => {
        if (bridge.ended) return;
        const response = successOf(outcome);
        if (response === undefined) {
          done(undefined);
          return;
        }
        towards.offer = served;
        towards.local = response.sdp[0] ?? local;
        done(answerTo(served, towards.local, served.mode));
      });
    }
  }

  #modify(
    gateway: Gateway,
    { callId, endpoint }: Bridge,
    connection: string,
    mode: MediaMode,
    remote: string | undefined,
    ended: (outcome: CommandOutcome<MgcpResponse>) => void,
  ): void {
    const parameters = [
      { code: 'C', value: callId },
      { code: 'I', value: connection },
      { code: 'L', value: this.#parts.localConnectionOptions(gateway) },
      { code: 'M', value: modes[mode] },
    ];
    this.#command(gateway, 'MDCX', relayEndpointName(endpoint ?? 0, gateway.name), parameters, remote, ended);
  }

  end(callId: string): void {
    const bridge = this.#bridges.get(callId);
    if (bridge === undefined) return;
    bridge.ended = true;
    // While a creation is under way its answer tells what there is to delete.
    if (!bridge.creating) this.#clear(bridge);
  }

  /** Whatever calls of others left on the gateway; not while it has calls of ours. */
  clearAll(): void {
    const gateway = this.#parts.gateway();
    if (gateway === undefined || this.#bridges.size > 0) return;
    this.#parts.log.info({ gateway: gateway.name }, 'clearing connections that were left on the media gateway');
    this.#command(gateway, 'DLCX', allRelayEndpoints(gateway.name), [], undefined, () => {});
  }

  /** The caller's side, on the next endpoint that takes it. */
  #take(bridge: Bridge, description: string, done: Done, attempt: number): void {
    const gateway = this.#parts.gateway();
    const number = gateway && this.#endpoints.take();
    if (gateway === undefined || number === undefined) {
      this.#failed(bridge, done);
      return;
    }
    this.#create(gateway, number, bridge.callId, 'sendrecv', description, (outcome) => {
      const response = successOf(outcome);
      const [towardsCaller] = response?.sdp ?? [];
      if (response !== undefined && towardsCaller !== undefined && !bridge.ended) {
        bridge.endpoint = number;
        bridge.towards.caller.connection = parameter(response, 'I');
        bridge.towards.caller.local = towardsCaller;
        this.#offerToCallee(gateway, number, bridge, done);
        return;
      }
      const code = outcome.kind === 'answered' ? outcome.response.code : undefined;
      if (code === 500) this.#endpoints.missing(number);
      else if (code !== undefined && code >= 400) this.#endpoints.free(number);
      // Not answered: it may have been executed, or be executed yet.
      else this.#clean(gateway, number, bridge.callId, 1);
      if (code !== undefined && isTaken.has(code) && attempt < maxAttempts && !bridge.ended)
        this.#take(bridge, description, done, attempt + 1);
      else this.#failed(bridge, done);
    });
  }

  #offerToCallee(gateway: Gateway, number: number, bridge: Bridge, done: Done): void {
    this.#create(gateway, number, bridge.callId, 'recvonly', undefined, (outcome) => {
      const response = successOf(outcome);
      bridge.creating = false;
      const { callee } = bridge.towards;
      callee.connection = response && parameter(response, 'I');
      callee.local = response?.sdp[0];
      if (bridge.ended) this.#clear(bridge);
      else done(callee.connection === undefined ? undefined : callee.local);
    });
  }

  #failed(bridge: Bridge, done: Done): void {
    this.#bridges.delete(bridge.callId);
    if (!bridge.ended) done(undefined);
  }

  #create(
    gateway: Gateway,
    number: number,
    callId: string,
    mode: string,
    remote: string | undefined,
    ended: (outcome: CommandOutcome<MgcpResponse>) => void,
  ): void {
    const parameters = [
      { code: 'C', value: callId },
      { code: 'L', value: this.#parts.localConnectionOptions(gateway) },
      { code: 'M', value: mode },
    ];
    this.#command(gateway, 'CRCX', relayEndpointName(number, gateway.name), parameters, remote, ended);
  }

  #clear({ callId, endpoint }: Bridge): void {
    this.#bridges.delete(callId);
    const gateway = this.#parts.gateway();
    if (endpoint === undefined) return;
    if (gateway === undefined) this.#endpoints.free(endpoint);
    else this.#clean(gateway, endpoint, callId, 1);
  }

  /** Until the gateway has said that nothing of the call is left there; the endpoint is not used before. */
  #clean(gateway: Gateway, number: number, callId: string, attempt: number): void {
    const endpoint = relayEndpointName(number, gateway.name);
    this.#command(gateway, 'DLCX', endpoint, [{ code: 'C', value: callId }], undefined, (outcome) => {
      const code = outcome.kind === 'answered' ? outcome.response.code : undefined;
      // 500, 515, 516: there is nothing of this call.
      if (code !== undefined && (isSuccess(code) || code === 500 || code === 515 || code === 516)) {
        this.#endpoints.free(number);
        return;
      }
      if (attempt === 1)
        this.#parts.log.warn({ endpoint, callId, code }, 'connections on the media gateway are not deleted yet');
      const waitMs = Math.min(60_000, 1_000 * 2 ** Math.min(attempt, 6));
      this.#parts.clock.after(waitMs, () => this.#stopped || this.#clean(gateway, number, callId, attempt + 1));
    });
  }

  #command(
    peer: Gateway,
    verb: string,
    endpoint: string,
    parameters: readonly Parameter[],
    remote: string | undefined,
    ended: (outcome: CommandOutcome<MgcpResponse>) => void,
  ): void {
    this.#parts.commands().submit({
      peer,
      queue: endpoint.includes('*') ? undefined : endpoint,
      minWaitMs,
      draft: () => ({ verb, endpoint, parameters, sdp: remote === undefined ? [] : [remote] }),
      ended,
    });
  }
}

/** osmo-mgw knows no `inactive` (517): a party that sends nothing is not heard anyway. */
const modes: Readonly<Record<MediaMode, string>> = {
  both: 'sendrecv',
  receive: 'recvonly',
  send: 'sendonly',
  none: 'recvonly',
};

/** A gateway that relays media has other things to do than to answer: what is repeated sooner is done twice. */
const minWaitMs = 500;

/** Somebody else uses the endpoint, or it has not got it: the next one is tried, so often. */
const isTaken: ReadonlySet<number> = new Set([400, 403, 500, 501, 502, 540]);
const maxAttempts = 8;

const successOf = (outcome: CommandOutcome<MgcpResponse>): MgcpResponse | undefined =>
  outcome.kind === 'answered' && isSuccess(outcome.response.code) ? outcome.response : undefined;
