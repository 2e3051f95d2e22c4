/**
 * Calls through a media gateway of RTP endpoints: two connections on one endpoint, bridged to each other. Written for osmo-mgw, whose
 * dialect is narrow: it takes `*` for "any of", refuses N: everywhere and any extra line in DLCX, and cannot be audited, so a backup
 * clears what a dead partner left with one wildcarded DLCX (RFC 3435 §2.3.9).
 */
import type { CommandOutcome, Gateway, Logger, MediaRelay } from '../../src/index.ts';
import { isSuccess, type MgcpResponse, type Parameter, parameter } from './messages.ts';
import type { MgcpTransactions } from './transaction.ts';

export interface MediaRelayParts {
  readonly log: Logger;
  readonly localConnectionOptions: string;
  gateway(): Gateway | undefined;
  transactions(): MgcpTransactions;
}

interface Bridge {
  /** `rtpbridge/1@mgw`, once known. */
  endpoint: string | undefined;
  /** The gateway's description towards the caller. */
  towardsCaller: string | undefined;
  calleeConnection: string | undefined;
  ended: boolean;
}

export class MgcpMediaRelay implements MediaRelay {
  readonly #parts: MediaRelayParts;
  readonly #bridges = new Map<string, Bridge>();

  constructor(parts: MediaRelayParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#bridges.size;
  }

  offer(callId: string, description: string, done: (description: string | undefined) => void): void {
    const gateway = this.#parts.gateway();
    if (gateway === undefined) {
      done(undefined);
      return;
    }
    const bridge: Bridge = { endpoint: undefined, towardsCaller: undefined, calleeConnection: undefined, ended: false };
    this.#bridges.set(callId, bridge);
    this.#create(`rtpbridge/*@${gateway.name}`, callId, 'sendrecv', description, (response) => {
      bridge.endpoint = response && parameter(response, 'Z');
      bridge.towardsCaller = response?.sdp[0];
      if (bridge.endpoint === undefined || bridge.towardsCaller === undefined || bridge.ended) {
        this.#clear(callId, bridge);
        if (!bridge.ended) done(undefined);
        return;
      }
      this.#create(bridge.endpoint, callId, 'recvonly', undefined, (second) => {
        bridge.calleeConnection = second && parameter(second, 'I');
        const towardsCallee = second?.sdp[0];
        if (bridge.ended) this.#clear(callId, bridge);
        else done(bridge.calleeConnection === undefined ? undefined : towardsCallee);
      });
    });
  }

  answer(callId: string, description: string, done: (description: string | undefined) => void): void {
    const bridge = this.#bridges.get(callId);
    const { endpoint, calleeConnection } = bridge ?? {};
    if (bridge === undefined || endpoint === undefined || calleeConnection === undefined) {
      done(undefined);
      return;
    }
    this.#command(
      'MDCX',
      endpoint,
      [
        { code: 'C', value: callId },
        { code: 'I', value: calleeConnection },
        { code: 'L', value: this.#parts.localConnectionOptions },
        { code: 'M', value: 'sendrecv' },
      ],
      description,
      (outcome) => {
        if (!bridge.ended) done(successOf(outcome) === undefined ? undefined : bridge.towardsCaller);
      },
    );
  }

  end(callId: string): void {
    const bridge = this.#bridges.get(callId);
    if (bridge === undefined) return;
    bridge.ended = true;
    // While a creation is under way its answer tells what there is to delete.
    if (bridge.endpoint !== undefined) this.#clear(callId, bridge);
  }

  /** Whatever calls of others left on the gateway; not while it has calls of ours. */
  clearAll(): void {
    const gateway = this.#parts.gateway();
    if (gateway === undefined || this.#bridges.size > 0) return;
    this.#parts.log.info({ gateway: gateway.name }, 'clearing connections that were left on the media gateway');
    this.#command('DLCX', `rtpbridge/*@${gateway.name}`, [], undefined, () => {});
  }

  #create(
    endpoint: string,
    callId: string,
    mode: string,
    remote: string | undefined,
    done: (response: MgcpResponse | undefined) => void,
  ): void {
    this.#command(
      'CRCX',
      endpoint,
      [
        { code: 'C', value: callId },
        { code: 'L', value: this.#parts.localConnectionOptions },
        { code: 'M', value: mode },
      ],
      remote,
      (outcome) => done(successOf(outcome)),
    );
  }

  #clear(callId: string, { endpoint }: Bridge): void {
    this.#bridges.delete(callId);
    if (endpoint !== undefined)
      this.#command('DLCX', endpoint, [{ code: 'C', value: callId }], undefined, (outcome) => {
        if (successOf(outcome) === undefined)
          this.#parts.log.warn({ endpoint, callId }, 'connections on the media gateway were not deleted');
      });
  }

  #command(
    verb: string,
    endpoint: string,
    parameters: readonly Parameter[],
    remote: string | undefined,
    ended: (outcome: CommandOutcome<MgcpResponse>) => void,
  ): void {
    const gateway = this.#parts.gateway();
    if (gateway === undefined) return;
    this.#parts.transactions().submit({
      peer: gateway,
      queue: endpoint.includes('*') ? undefined : endpoint,
      draft: () => ({ verb, endpoint, parameters, sdp: remote === undefined ? [] : [remote] }),
      ended,
    });
  }
}

const successOf = (outcome: CommandOutcome<MgcpResponse>): MgcpResponse | undefined =>
  outcome.kind === 'answered' && isSuccess(outcome.response.code) ? outcome.response : undefined;
