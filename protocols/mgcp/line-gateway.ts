/** How commands of the line driver reach endpoints, in the dialect of their gateways. */
import type {
  Flow,
  Gateway,
  Line,
  LineDriver,
  LineFailure,
  LineGateway,
  LineProtocol,
  Logger,
} from '../../src/internal.ts';
import { isSuccess, type MgcpResponse, type Parameter } from './codec/messages.ts';
import type { Endpoint } from './endpoint.ts';
import type { GatewayCommands } from './gateway-commands.ts';
import { draftOf, type LineCommand, nextCommand, type ObservedEndpoint } from './line-commands.ts';
import { nothingObserved, onResult, unrequested } from './line-results.ts';

export type MgcpLineDriver = LineDriver<ObservedEndpoint, LineCommand, MgcpResponse>;

export const mgcpLines: LineProtocol<ObservedEndpoint, LineCommand, MgcpResponse> = {
  nothing: nothingObserved,
  nextCommand,
  onResult,
  // §2.3.3: signals have stopped, and what was requested counts no more.
  afterEvent: unrequested,
  unrequested,
  mediaOf: ({ connection }) => connection,
};

export interface LineGatewayParts {
  readonly log: Logger;
  readonly quarantine: 'loop' | 'step';
  localConnectionOptions(gateway: Gateway, dialect: ReadonlySet<string>, offer: string | undefined): string;
  digitMap(): string;
  endpointOf(line: Line): Endpoint | undefined;
  commands(): GatewayCommands;
  routing(endpoint: Endpoint, flow: Flow, dialect: ReadonlySet<string>): readonly Parameter[];
  failed(endpoint: Endpoint, because: LineFailure): void;
}

export class MgcpLineGateway implements LineGateway<LineCommand, MgcpResponse> {
  readonly #parts: LineGatewayParts;
  #serial = 1;

  constructor(parts: LineGatewayParts) {
    this.#parts = parts;
  }

  isCommanded(line: Line): boolean {
    const endpoint = this.#parts.endpointOf(line);
    return endpoint?.owned === true && endpoint.gateway.state !== 'down';
  }

  submit(line: Line, command: LineCommand, ended: (result: MgcpResponse | undefined) => void) {
    const { commands, digitMap, endpointOf, localConnectionOptions, log, quarantine, routing } = this.#parts;
    const endpoint = endpointOf(line);
    if (endpoint === undefined) return undefined;
    this.#serial = (this.#serial + 1) % 0xffff_ffff;
    const serial = this.#serial;
    const { gateway } = endpoint;
    const pending = commands().submit({
      peer: gateway,
      draft: (flow, dialect) =>
        draftOf(command, line.endpoint, {
          serial,
          localConnectionOptions: (offer) => localConnectionOptions(gateway, dialect, offer),
          digitMap: digitMap(),
          quarantine,
          dialect,
          routing: routing(endpoint, flow, dialect),
        }),
      ended: (outcome) => {
        if (outcome.kind !== 'answered') {
          ended(undefined);
          return;
        }
        const { code, comment } = outcome.response;
        if (!isSuccess(code))
          log.debug({ endpoint: line.endpoint, command: command.kind, code, comment }, 'command refused');
        ended(outcome.response);
      },
    });
    return () => pending.cancel();
  }

  failed(line: Line, because: LineFailure): void {
    const endpoint = this.#parts.endpointOf(line);
    if (endpoint === undefined) return;
    if (because === 'outOfService')
      this.#parts.log.warn({ endpoint: line.endpoint }, 'the gateway does not have this endpoint in service');
    this.#parts.failed(endpoint, because);
  }
}
