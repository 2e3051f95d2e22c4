/** How commands of the line driver reach the gateways of lines. */
import {
  type CommandOutcome,
  type FailureTold,
  formatAddress,
  type Line,
  type LineControl,
  type LineDriver,
  type LineFailure,
  type LineGateway,
  type LineProtocol,
  type Logger,
  logEvent,
} from '../../src/internal.ts';
import type { ActionReply, ActionRequest } from './codec/messages.ts';
import { type LineCommand, nextCommand, type ObservedLine } from './line-commands.ts';
import {
  afterEvent,
  errorIn,
  mayMeanMedia,
  mayMeanSignal,
  mediaIn,
  nothingObserved,
  onResult,
  unrequested,
} from './line-results.ts';
import type { MediaGateway } from './media-gateways.ts';
import type { RecordPlace } from './record-place.ts';
import type { MegacoResponse } from './transactions.ts';

export type MegacoLineDriver = LineDriver<ObservedLine, LineCommand, MegacoResponse>;

export interface LineGatewayParts {
  readonly log: Logger;
  mediaGatewayOf(line: Line): MediaGateway | undefined;
  terminationOf(line: Line): string;
  request(
    mg: MediaGateway,
    actions: readonly ActionRequest[],
    ended: (outcome: CommandOutcome<MegacoResponse>) => void,
  ): void;
  digitMap(): string;
  /** For a display; undefined where the line's gateway cannot be told who calls. */
  localTime(line: Line): (() => string) | undefined;
  /** `hasEvents`: keys as events may be asked for. */
  chooseLocal(offer: string | undefined, hasEvents: boolean): string;
  control(): LineControl;
  /** 402 or 504: its gateway obeys another controller, or refuses commands for this line. */
  notObeyed(line: Line): void;
  place(): RecordPlace;
}

export const megacoLines = (parts: LineGatewayParts): LineProtocol<ObservedLine, LineCommand, MegacoResponse> => ({
  nothing: nothingObserved,
  nextCommand: (desired, observed, { line }) => {
    const call = line.leg?.call.state;
    const mg = parts.mediaGatewayOf(line);
    return nextCommand(desired, observed, {
      termination: parts.terminationOf(line),
      number: call !== undefined && 'number' in call && call.number !== '' ? call.number : undefined,
      digitMap: parts.digitMap(),
      chooseLocal: (offer) => parts.chooseLocal(offer, mg?.refusesEvents !== true),
      packages: mg?.packages,
      localTime: parts.localTime(line),
      isBinary: mg?.encoding.current === 'binary',
      sealed: () => (mg === undefined || desired === undefined ? undefined : parts.place().sealed(line, desired, mg)),
    });
  },
  onResult,
  afterEvent,
  unrequested,
  mediaOf: ({ media }) => media,
});

export class MegacoLineGateway implements LineGateway<ObservedLine, LineCommand, MegacoResponse> {
  readonly #parts: LineGatewayParts;

  constructor(parts: LineGatewayParts) {
    this.#parts = parts;
  }

  isCommanded(line: Line): boolean {
    return this.#parts.control().isCommanded(line);
  }

  /** A transaction under way is somebody else's to settle. */
  submit(
    line: Line,
    { actions, asksForEvents, showsCaller, desired, termination }: LineCommand,
    ended: (result: MegacoResponse | undefined) => void,
  ): undefined {
    const { mediaGatewayOf, log, place, request } = this.#parts;
    const mg = mediaGatewayOf(line);
    if (mg === undefined) return;
    request(mg, actions, (outcome) => {
      if (outcome.kind !== 'answered') {
        ended(undefined);
        return;
      }
      const { error, actions: replied } = outcome.response.reply;
      const refusal = errorIn(error, replied);
      if (refusal !== undefined) {
        const { code, text } = refusal;
        if (asksForEvents && mayMeanMedia(code)) mg.refusesEvents = true;
        if (showsCaller && mayMeanSignal(code)) mg.refusesDisplay = true;
        logEvent(log, 'commandRefused', { endpoint: line.endpoint, command: desired?.state, code, text });
      } else if (desired?.media?.record !== undefined) {
        const { contextId, rtp } = mediaIn(replied, termination) ?? {};
        place().learn(mg, actions, contextId, rtp);
      }
      ended(outcome.response);
    });
  }

  /** RFC 3525 Annex E.12.4: rtp/pr of the ephemeral termination. */
  packetsReceived(line: Line, { media }: ObservedLine, told: (packets: number | undefined) => void): void {
    const { mediaGatewayOf, request } = this.#parts;
    const mg = mediaGatewayOf(line);
    if (mg === undefined || media === undefined) {
      told(undefined);
      return;
    }
    const question: ActionRequest = {
      contextId: media.contextId,
      commands: [
        { verb: 'AuditValue', terminationId: media.rtp, descriptors: [{ kind: 'Audit', items: ['Statistics'] }] },
      ],
    };
    request(mg, [question], (outcome) => {
      const actions = outcome.kind === 'answered' ? outcome.response.reply.actions : [];
      told(receivedIn(actions));
    });
  }

  told(line: Line, { reply }: MegacoResponse): FailureTold | undefined {
    const error = errorIn(reply.error, reply.actions);
    if (error === undefined) return undefined;
    const [address] = this.#parts.mediaGatewayOf(line)?.gateway.addresses() ?? [];
    return {
      code: String(error.code),
      where: address === undefined ? undefined : formatAddress(address),
      detail: `${line.endpoint}: ${(error.text ?? '').slice(0, maxShown)}`,
    };
  }

  failed(line: Line, because: LineFailure): void {
    if (because === 'silent') this.#parts.control().unanswered(line);
    else this.#parts.notObeyed(line);
  }
}

function receivedIn(actions: readonly ActionReply[]): number | undefined {
  for (const { commands } of actions)
    for (const { descriptors } of commands)
      for (const each of descriptors) {
        if (each.kind !== 'Statistics') continue;
        const value = each.statistics.find(({ name }) => name.toLowerCase() === 'rtp/pr')?.value;
        if (value !== undefined && /^\d{1,15}$/.test(value)) return Number(value);
      }
  return undefined;
}

/** As much of a gateway's words as is kept. */
const maxShown = 128;
