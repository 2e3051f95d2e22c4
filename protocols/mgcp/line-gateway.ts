/** How commands of the line driver reach endpoints, in the dialect of their gateways. */
import {
  type FailureTold,
  type Flow,
  formatAddress,
  type Gateway,
  type Line,
  type LineControl,
  type LineDriver,
  type LineFailure,
  type LineGateway,
  type LineProtocol,
  type Logger,
  logEvent,
} from '../../src/internal.ts';
import { isSuccess, type MgcpResponse, type Parameter, parameter } from './codec/messages.ts';
import { readConnectionParameters } from './codec/values/lists.ts';
import type { GatewayCommands } from './gateway-commands.ts';
import { draftOf, type LineCommand, nextCommand, type ObservedEndpoint } from './line-commands.ts';
import { nothingObserved, onResult, unrequested } from './line-results.ts';
import { isBesideRemote, type RecordPlaces, withEntityRecord } from './record-place.ts';
import type { Draft } from './transactions.ts';

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
  /** For a display: the time where the gateway is. */
  localTime(gateway: Gateway): string;
  control(): LineControl;
  commands(): GatewayCommands;
  routing(gateway: Gateway, flow: Flow, dialect: ReadonlySet<string>): readonly Parameter[];
  places(): RecordPlaces;
}

export class MgcpLineGateway implements LineGateway<ObservedEndpoint, LineCommand, MgcpResponse> {
  readonly #parts: LineGatewayParts;
  #serial = 1;

  constructor(parts: LineGatewayParts) {
    this.#parts = parts;
  }

  isCommanded(line: Line): boolean {
    return this.#parts.control().isCommanded(line);
  }

  submit(line: Line, command: LineCommand, ended: (result: MgcpResponse | undefined) => void) {
    const { commands, control, digitMap, localConnectionOptions, localTime, log, places, quarantine, routing } =
      this.#parts;
    const gateway = control().gatewayOf(line);
    if (gateway === undefined) return undefined;
    this.#serial = (this.#serial + 1) % 0xffff_ffff;
    const serial = this.#serial;
    const sealed = places().sealed(line, command.desired);
    let sent: Draft | undefined;
    const pending = commands().submit({
      peer: gateway,
      draft: (flow, dialect) => {
        sent = draftOf(command, line.endpoint, {
          serial,
          localConnectionOptions: (offer) => localConnectionOptions(gateway, dialect, offer),
          digitMap: digitMap(),
          quarantine,
          localTime: () => localTime(gateway),
          dialect,
          routing: withEntityRecord(routing(gateway, flow, dialect), sealed, dialect),
          sealed: isBesideRemote(dialect) ? sealed : undefined,
        });
        return sent;
      },
      ended: (outcome) => {
        if (outcome.kind !== 'answered') {
          ended(undefined);
          return;
        }
        const { code, comment } = outcome.response;
        if (!isSuccess(code))
          logEvent(log, 'commandRefused', { endpoint: line.endpoint, command: command.kind, code, text: comment });
        else if (sealed !== undefined && sent !== undefined)
          places().learn(gateway, line.endpoint, sent, parameter(outcome.response, 'I') ?? valueIn(sent, 'I'), () =>
            control().renew(line),
          );
        ended(outcome.response);
      },
    });
    return () => pending.cancel();
  }

  /** RFC 3435 §2.3.11, §3.2.2.7: PR of the connection parameters. */
  packetsReceived(line: Line, { connection }: ObservedEndpoint, told: (packets: number | undefined) => void): void {
    const { commands, control } = this.#parts;
    const gateway = control().gatewayOf(line);
    if (gateway === undefined || connection === undefined) {
      told(undefined);
      return;
    }
    const parameters = [
      { code: 'I', value: connection.id },
      { code: 'F', value: 'P' },
    ];
    commands().submit({
      peer: gateway,
      isQuestion: true,
      draft: () => ({ verb: 'AUCX', endpoint: line.endpoint, parameters, sdp: [] }),
      ended: (outcome) => {
        const counted = outcome.kind === 'answered' ? parameter(outcome.response, 'P') : undefined;
        told(counted === undefined ? undefined : readConnectionParameters(counted)?.get('PR'));
      },
    });
  }

  told(line: Line, { code, comment }: MgcpResponse): FailureTold {
    const [address] = this.#parts.control().gatewayOf(line)?.addresses() ?? [];
    return {
      code: String(code),
      where: address === undefined ? undefined : formatAddress(address),
      detail: `${line.endpoint}: ${comment.slice(0, maxShown)}`,
    };
  }

  failed(line: Line, because: LineFailure): void {
    const control = this.#parts.control();
    if (because === 'silent') {
      control.unanswered(line);
      return;
    }
    logEvent(this.#parts.log, 'endpointMissing', { endpoint: line.endpoint });
    control.takeOut([line], { detail: `the gateway does not have ${line.endpoint} in service` });
    control.lookAgain(line);
  }
}

/** As much of a gateway's words as is kept. */
const maxShown = 128;

const valueIn = ({ parameters }: Draft, code: string): string | undefined =>
  parameters.find((each) => each.code === code)?.value;
