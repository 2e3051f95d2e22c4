/**
 * Pure: what the answer to a command says about an endpoint. Errors go by class (RFC 3435 §2.4); what a command can do without was left
 * out before (refusals.ts).
 */
import type { LineFailure, LineReport, Reaction, ReleaseReason } from '../../src/internal.ts';
import { isSuccess, type MgcpResponse, parameter } from './codec/messages.ts';
import { type Connection, effectiveMode, type LineCommand, type ObservedEndpoint } from './line-commands.ts';
import { requestKey } from './requests.ts';

export const nothingObserved: ObservedEndpoint = { connection: undefined, strays: [], requested: undefined };

export const unrequested = (observed: ObservedEndpoint): ObservedEndpoint => ({ ...observed, requested: undefined });

/** `isDisturbed`: the handset was moved while the command was under way: that stopped what it may have started (§2.3.3). */
export function onResult(
  observed: ObservedEndpoint,
  command: LineCommand,
  response: MgcpResponse,
  isDisturbed: boolean,
): Reaction<ObservedEndpoint> {
  if (!isSuccess(response.code)) return failed(observed, command, response.code);
  const reaction = succeeded(observed, command, response);
  if (!('request' in command) || !command.request) return reaction;
  const requested = isDisturbed ? undefined : requestKey(command.desired);
  return { ...reaction, observed: { ...reaction.observed, requested } };
}

function succeeded(
  observed: ObservedEndpoint,
  command: LineCommand,
  response: MgcpResponse,
): Reaction<ObservedEndpoint> {
  const [local] = response.sdp;
  const { media } = command.desired;
  switch (command.kind) {
    case 'deleteStray':
      return { observed: withoutStray(observed, command.stray), cleanUp: 'done' };
    case 'clear':
      return { observed: { ...observed, strays: [], connection: undefined }, cleanUp: 'done' };
    case 'delete':
      return { observed: { ...observed, connection: undefined } };
    case 'create': {
      const id = parameter(response, 'I') ?? '';
      const { callId = '', remote, record } = media ?? {};
      if (id === '' || local === undefined) {
        // There is a connection now, and it is not said which, or not where (§2.3.5 wants both): it is deleted with the call.
        const stray = { id, callId: id === '' ? undefined : callId };
        return { observed: { ...observed, strays: [...observed.strays, stray] }, report: refused('noResources') };
      }
      const mode = effectiveMode(command.desired);
      return { observed: { ...observed, connection: { callId, id, isNamed: true, mode, remote, local, record } } };
    }
    case 'modify': {
      // It may have been deleted by the gateway meanwhile.
      const { connection } = observed;
      if (connection?.id !== command.connection.id) return { observed };
      const modified: Connection = {
        ...connection,
        mode: effectiveMode(command.desired, connection),
        remote: media?.remote ?? connection.remote,
        record: media?.record ?? connection.record,
        // §3.3.2: a description comes back where the session changed.
        local: local ?? connection.local,
      };
      return { observed: { ...observed, connection: modified } };
    }
    case 'request':
      return { observed };
  }
}

/** An unknown code counts as the first of its class. */
function failed(observed: ObservedEndpoint, command: LineCommand, code: number): Reaction<ObservedEndpoint> {
  const { desired, kind } = command;
  switch (code) {
    case 401:
      // The event that we missed stopped what was on: nothing that we requested counts any more. A bell that rang before, by a dead
      // partner's command, was answered.
      return {
        observed: unrequested(observed),
        report: { kind: 'event', event: desired.state === 'ringing' && kind === 'create' ? 'glare' : 'offHook' },
      };
    case 402:
      return { observed: unrequested(observed), report: { kind: 'event', event: 'onHook' } };
    case 500:
    case 501:
      return { observed, report: lost('outOfService') };
    case 405:
    case 409:
    case 520:
      // Restarting or overloaded: it says the same to everything, so wait.
      return { observed, report: { kind: 'tryLater' } };
    default:
      break;
  }
  switch (kind) {
    case 'deleteStray': {
      const { id } = command.stray;
      return notDeleted(withoutStray(observed, command.stray), id, command.callId, code);
    }
    case 'delete':
      // The request in it was refused with it (§4.4.2), and goes by itself.
      return notDeleted({ ...observed, connection: undefined }, command.connection.id, command.connection.callId, code);
    case 'clear': {
      // Some say 515 where there is none (§2.3.9 has them succeed).
      const { connection, strays } = observed;
      const left = connection === undefined ? strays : [...strays, { id: connection.id, callId: undefined }];
      return code === 515
        ? { observed: { ...observed, connection: undefined, strays: [] } }
        : { observed: { ...observed, connection: undefined, strays: left }, cleanUp: 'postponed' };
    }
    case 'modify':
      // The connection is not there any more, or by another call id.
      if (code !== 515 && code !== 516) break;
      return {
        observed: {
          ...observed,
          connection: undefined,
          strays: [...observed.strays, { id: command.connection.id, callId: undefined }],
        },
        report: refused('gatewayLost'),
      };
    default:
      break;
  }
  // Transient (§2.4): people who talk go on talking meanwhile.
  if (code < 500 && desired.state === 'talking' && kind !== 'create') return { observed, report: { kind: 'tryLater' } };
  return { observed, report: refused(reasonOf(code)) };
}

/** RFC 3435 §2.4: bandwidth; and descriptions, codecs and options that the endpoint cannot have. */
function reasonOf(code: number): ReleaseReason {
  if (code === 404 || code === 526) return 'overload';
  return aboutMedia.has(code) ? 'notAcceptable' : 'noResources';
}

const aboutMedia: ReadonlySet<number> = new Set([505, 506, 509, 524, 525, 532, 534, 535, 541]);

/**
 * The line goes on without: what is left on the gateway is deleted when its turn comes. 516: it is there, by another call id than we
 * were told; any lasting refusal of its name is no better. A transient one may pass. 515: it should be gone, and a deletion of all makes sure.
 */
function notDeleted(observed: ObservedEndpoint, id: string, callId: string, code: number): Reaction<ObservedEndpoint> {
  const strays = [...observed.strays, { id, callId: code < 500 ? callId : undefined }];
  return { observed: { ...observed, strays }, cleanUp: code === 515 || code === 516 ? undefined : 'postponed' };
}

const refused = (reason: ReleaseReason): LineReport => ({ kind: 'refused', reason });

const lost = (because: LineFailure): LineReport => ({ kind: 'failed', because });

const withoutStray = (observed: ObservedEndpoint, stray: ObservedEndpoint['strays'][number]): ObservedEndpoint => ({
  ...observed,
  strays: observed.strays.filter((each) => each !== stray),
});

/** The gateway has deleted a connection by itself; one whose name is not known to us may be any. `found` says which it was. */
export function deletedByGateway(
  observed: ObservedEndpoint,
  id: string | undefined,
  callId: string | undefined,
): { readonly found: 'connection' | 'stray' | 'other' | 'otherCall'; readonly observed: ObservedEndpoint } {
  const { connection, strays } = observed;
  const same = (a: string, b: string | undefined) => b === undefined || a.toUpperCase() === b.toUpperCase();
  if (connection !== undefined && (!connection.isNamed || same(connection.id, id))) {
    if (connection.isNamed && !same(connection.callId, callId)) return { found: 'otherCall', observed };
    return { found: 'connection', observed: { ...observed, connection: undefined } };
  }
  const stray = strays.find((each) => each.id !== '' && same(each.id, id));
  if (stray !== undefined) return { found: 'stray', observed: withoutStray(observed, stray) };
  return { found: strays.length > 0 ? 'stray' : 'other', observed };
}
