/**
 * Binary decoding (RFC 3525 Annex A.2, BER): octets to message, one function per type of the module, fields by their automatic
 * tags. What stands behind an extension mark is passed over, but for tag [30] of Message: the path attribute.
 */
import { fail, ok, type Result } from '../../../../src/internal.ts';
import type {
  ActionReply,
  ActionRequest,
  AuthenticationHeader,
  Command,
  CommandReply,
  ContextAttribute,
  ContextAttributes,
  Descriptor,
  ErrorDescriptor,
  MegacoMessage,
  MessageBody,
  MId,
  TopologyTriple,
  Transaction,
  Verb,
} from '../messages.ts';
import { unreadableError } from '../messages.ts';
import { type MegacoFailure, readAlternates } from '../text/decode.ts';
import {
  readAmmDescriptors,
  readAudit,
  readAuditReturn,
  readErrorDescriptor,
  readObserved,
} from './decode-descriptors.ts';
import { readServiceParm, readServiceResult } from './decode-services.ts';
import { toDefinite } from './definite.ts';
import { readMIdChoice } from './mid.ts';
import { BerReader } from './reader.ts';
import { readTermination, readTerminationList } from './termination.ts';
import type { TerminationNaming } from './termination-naming.ts';

/** The naming that is provisioned for the gateway that sent the message. */
export type NamingOf = (mId: MId) => TerminationNaming;

export const pathTag = 0x9e;

export function decodeBinary(bytes: Uint8Array, namingOf: NamingOf): Result<MegacoMessage, MegacoFailure> {
  const decoded = decodeDefinite(bytes, namingOf);
  if (decoded.ok || !decoded.error.indefinite) return decoded;
  const definite = toDefinite(bytes);
  return definite === undefined ? decoded : decodeDefinite(definite, namingOf);
}

interface BinaryFailure extends MegacoFailure {
  readonly indefinite: boolean;
}

function decodeDefinite(bytes: Uint8Array, namingOf: NamingOf): Result<MegacoMessage, BinaryFailure> {
  const r = new BerReader(bytes);
  if (r.next(bytes.length) !== 0x30) r.fail('SEQUENCE MegacoMessage expected');
  const limit = r.stop;
  let authentication: AuthenticationHeader | undefined;
  let version = 0;
  let mId = '';
  let body: MessageBody | undefined;
  let alternatePath: readonly MId[] | undefined;
  let indefinite = false;
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0xa0) authentication = readAuthentication(r, stop);
    else if (tag === 0xa1) {
      while (r.pos < stop) {
        const field = r.next(stop);
        const end = r.stop;
        switch (field) {
          case 0x80:
            version = r.uint(end);
            break;
          case 0xa1: {
            const choice = r.next(end);
            mId = readMIdChoice(r, choice, r.stop, 0);
            break;
          }
          case 0xa2: {
            const choice = r.next(end);
            if (choice === 0xa0) body = { kind: 'error', error: readErrorDescriptor(r, r.stop) };
            else if (choice === 0xa1) {
              const transactions: Transaction[] = [];
              const naming = namingOf(mId);
              const last = r.stop;
              while (r.pos < last) {
                indefinite ||= readTransaction(r, last, naming, transactions);
              }
              body = { kind: 'transactions', transactions };
            }
            break;
          }
          case pathTag:
            alternatePath = readAlternates(r.string(Math.min(end, r.pos + 512)));
            break;
        }
        r.pos = end;
      }
    }
    r.pos = stop;
  }
  if (body === undefined || mId === '') r.fail('no message');
  if (r.failure !== undefined || indefinite) {
    const { reason, offset } = r.failure ?? { reason: 'indefinite length', offset: 0 };
    const failure = { code: 400, reason, offset, indefinite: indefinite || r.failure?.indefinite === true };
    return fail(mId === '' ? failure : { ...failure, version, mId });
  }
  if (version < 1 || version > 3)
    return fail({ code: 406, reason: `version ${version}`, offset: 0, version, mId, indefinite: false });
  if (body === undefined) return fail({ code: 400, reason: 'no body', offset: 0, indefinite: false });
  return ok({ version, mId, body, authentication, alternatePath, encoding: 'binary', bytes: undefined });
}

function readAuthentication(r: BerReader, limit: number): AuthenticationHeader {
  const parts = ['', '', ''];
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag >= 0x80 && tag <= 0x82) parts[tag - 0x80] = Buffer.from(r.bytes.subarray(r.pos, stop)).toString('hex');
    r.pos = stop;
  }
  const [securityParmIndex = '', sequenceNum = '', authData = ''] = parts;
  return { securityParmIndex, sequenceNum, authData };
}

/** Appends the next transaction; true where an indefinite length stopped it. */
function readTransaction(r: BerReader, limit: number, naming: TerminationNaming, list: Transaction[]): boolean {
  const tag = r.next(limit);
  const stop = r.stop;
  switch (tag) {
    case 0xa0: {
      const request = readRequest(r, stop, naming);
      const { failure } = r;
      if (failure === undefined) list.push(request);
      else if (request.transactionId < 0) break;
      else {
        // The length of a transaction tells where the next one begins: this one is answered with an error, the others are read.
        r.failure = undefined;
        const { reason, offset } = failure;
        const contextId = request.actions.at(-1)?.contextId;
        const code = contextId === undefined ? 403 : 442;
        list.push({ ...request, actions: [], syntaxError: { code, reason, offset, contextId } });
        r.pos = stop;
        return failure.indefinite;
      }
      break;
    }
    case 0xa1:
      while (r.pos < stop) {
        const field = r.next(stop);
        if (field === 0x80) list.push({ kind: 'pending', transactionId: r.uint(r.stop) });
        r.pos = r.stop;
      }
      break;
    case 0xa2:
      list.push(readReply(r, stop, naming));
      break;
    case 0xa3:
      list.push({ kind: 'ack', ranges: readRanges(r, stop) });
      break;
  }
  r.pos = stop;
  return false;
}

function readRanges(r: BerReader, limit: number): readonly (readonly [number, number])[] {
  const ranges: (readonly [number, number])[] = [];
  while (r.pos < limit) {
    r.next(limit);
    const stop = r.stop;
    let first = 0;
    let last: number | undefined;
    while (r.pos < stop) {
      const tag = r.next(stop);
      if (tag === 0x80) first = r.uint(r.stop);
      else if (tag === 0x81) last = r.uint(r.stop);
      r.pos = r.stop;
    }
    ranges.push([first, last ?? first]);
  }
  return ranges;
}

interface MutableRequest {
  kind: 'request';
  transactionId: number;
  actions: ActionRequest[];
  syntaxError: undefined;
}

/** transactionId -1: it could not even be read. */
function readRequest(r: BerReader, limit: number, naming: TerminationNaming): MutableRequest {
  const request: MutableRequest = { kind: 'request', transactionId: -1, actions: [], syntaxError: undefined };
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) request.transactionId = r.uint(stop);
    else if (tag === 0xa1) while (r.pos < stop) request.actions.push(readAction(r, stop, naming));
    r.pos = stop;
  }
  return request;
}

function readAction(r: BerReader, limit: number, naming: TerminationNaming): ActionRequest {
  r.next(limit);
  const end = r.stop;
  let contextId = 0;
  let context: ContextAttributes | undefined;
  let contextAudit: readonly ContextAttribute[] | undefined;
  const commands: Command[] = [];
  while (r.pos < end) {
    const tag = r.next(end);
    const stop = r.stop;
    switch (tag) {
      case 0x80:
        contextId = r.uint(stop);
        break;
      case 0xa1:
        context = readContext(r, stop, naming);
        break;
      case 0xa2:
        contextAudit = readContextAudit(r, stop);
        break;
      case 0xa3:
        while (r.pos < stop) commands.push(readCommand(r, stop, naming));
        break;
    }
    r.pos = stop;
  }
  return { contextId, context, contextAudit, commands };
}

function readContext(r: BerReader, limit: number, naming: TerminationNaming): ContextAttributes {
  let topology: TopologyTriple[] | undefined;
  let priority: number | undefined;
  let emergency: boolean | undefined;
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) priority = r.uint(stop);
    else if (tag === 0x81) emergency = r.bool(stop) || undefined;
    else if (tag === 0xa2) {
      topology = [];
      while (r.pos < stop) topology.push(readTriple(r, stop, naming));
    }
    r.pos = stop;
  }
  return { topology, priority, emergency };
}

const directions = ['Bothway', 'Isolate', 'Oneway'] as const;

function readTriple(r: BerReader, limit: number, naming: TerminationNaming): TopologyTriple {
  r.next(limit);
  const end = r.stop;
  let from = '';
  let to = '';
  let direction: TopologyTriple['direction'] = 'Bothway';
  while (r.pos < end) {
    const tag = r.next(end);
    const stop = r.stop;
    if (tag === 0xa0) from = readTermination(r, stop, naming);
    else if (tag === 0xa1) to = readTermination(r, stop, naming);
    else if (tag === 0x82) direction = directions[r.uint(stop)] ?? 'Bothway';
    r.pos = stop;
  }
  return { from, to, direction };
}

function readContextAudit(r: BerReader, limit: number): readonly ContextAttribute[] {
  const wanted: ContextAttribute[] = [];
  while (r.pos < limit) {
    const tag = r.next(limit);
    if (tag === 0x80) wanted.push('Topology');
    else if (tag === 0x81) wanted.push('Emergency');
    else if (tag === 0x82) wanted.push('Priority');
    r.pos = r.stop;
  }
  return wanted;
}

const requestVerbs: readonly Verb[] = [
  'Add',
  'Move',
  'Modify',
  'Subtract',
  'AuditCapability',
  'AuditValue',
  'Notify',
  'ServiceChange',
];

function readCommand(r: BerReader, limit: number, naming: TerminationNaming): Command {
  r.next(limit);
  const end = r.stop;
  let verb: Verb = 'Add';
  let terminationId = '';
  let descriptors: readonly Descriptor[] = none;
  let optional = false;
  let wildcardReturn = false;
  while (r.pos < end) {
    const tag = r.next(end);
    const stop = r.stop;
    if (tag === 0x81) optional = true;
    else if (tag === 0x82) wildcardReturn = true;
    else if (tag === 0xa0) {
      const choice = r.next(stop);
      const last = r.stop;
      const known = requestVerbs[choice - 0xa0];
      if (known === undefined) r.fail('no such command');
      else verb = known;
      while (r.pos < last) {
        const field = r.next(last);
        const fieldEnd = r.stop;
        if (field === 0xa0) {
          terminationId =
            verb === 'AuditValue' || verb === 'AuditCapability'
              ? readTermination(r, fieldEnd, naming)
              : (readTerminationList(r, fieldEnd, naming)[0] ?? '');
        } else if (field === 0xa1) descriptors = readParameters(r, fieldEnd, verb, naming);
        else if (field === 0xa2 && verb === 'Notify') descriptors = [...descriptors, readErrorDescriptor(r, fieldEnd)];
        r.pos = fieldEnd;
      }
      if (terminationId === '') r.fail('termination id');
    }
    r.pos = stop;
  }
  return { verb, terminationId, descriptors, optional, wildcardReturn };
}

function readParameters(r: BerReader, stop: number, verb: Verb, naming: TerminationNaming): readonly Descriptor[] {
  switch (verb) {
    case 'Add':
    case 'Move':
    case 'Modify':
      return readAmmDescriptors(r, stop, naming);
    case 'Subtract':
    case 'AuditCapability':
    case 'AuditValue':
      return [readAudit(r, stop)];
    case 'Notify':
      return [readObserved(r, stop)];
    case 'ServiceChange':
      return [readServiceParm(r, stop)];
  }
}

const none: readonly Descriptor[] = [];

function readReply(r: BerReader, limit: number, naming: TerminationNaming): Transaction {
  let transactionId = 0;
  let immAckRequired = false;
  let error: ErrorDescriptor | undefined;
  let unreadable = false;
  const actions: ActionReply[] = [];
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) transactionId = r.uint(stop);
    else if (tag === 0x81) immAckRequired = true;
    else if (tag === 0xa2) {
      const choice = r.next(stop);
      const last = r.stop;
      if (choice === 0xa0) error = readErrorDescriptor(r, last);
      else if (choice === 0xa1)
        while (r.pos < last) {
          actions.push(readActionReply(r, last, naming));
          unreadable ||= actions.at(-1)?.unreadable === true;
        }
      const reason = r.recover();
      if (reason !== undefined) {
        unreadable = true;
        error = unreadableError(reason);
      }
    }
    r.pos = stop;
  }
  return { kind: 'reply', transactionId, immAckRequired, error, actions, unreadable: unreadable || undefined };
}

function readActionReply(r: BerReader, limit: number, naming: TerminationNaming): ActionReply {
  r.next(limit);
  const end = r.stop;
  let contextId = 0;
  let error: ErrorDescriptor | undefined;
  let context: ContextAttributes | undefined;
  let unreadable = false;
  const commands: CommandReply[] = [];
  while (r.pos < end) {
    const tag = r.next(end);
    const stop = r.stop;
    switch (tag) {
      case 0x80:
        contextId = r.uint(stop);
        break;
      case 0xa1:
        error = readErrorDescriptor(r, stop);
        break;
      case 0xa2:
        context = readContext(r, stop, naming);
        break;
      case 0xa3:
        while (r.pos < stop) {
          const choice = r.next(stop);
          const last = r.stop;
          const verb = requestVerbs[choice - 0xa0];
          if (verb !== undefined) {
            const reply = readWholeReply(r, last, verb, naming);
            unreadable ||= reply.unreadable === true;
            commands.push(reply);
          }
          r.pos = last;
        }
        break;
    }
    r.pos = stop;
  }
  return { contextId, error, context, commands, unreadable: unreadable || undefined };
}

/** The length of a command's reply tells where the next one begins: one that cannot be read is marked, the others are read. */
function readWholeReply(r: BerReader, limit: number, verb: Verb, naming: TerminationNaming): CommandReply {
  const reply = readCommandReply(r, limit, verb, naming);
  const reason = r.recover();
  if (reason === undefined) return reply;
  return { verb, terminationId: reply.terminationId, descriptors: [unreadableError(reason)], unreadable: true };
}

function readCommandReply(r: BerReader, limit: number, verb: Verb, naming: TerminationNaming): CommandReply {
  if (verb === 'AuditValue' || verb === 'AuditCapability') return readAuditReply(r, limit, verb, naming);
  let terminationId = '';
  let descriptors: readonly Descriptor[] = none;
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0xa0) terminationId = readTerminationList(r, stop, naming)[0] ?? '';
    else if (tag === 0xa1) {
      if (verb === 'Notify') descriptors = [readErrorDescriptor(r, stop)];
      else if (verb === 'ServiceChange') descriptors = readServiceResult(r, stop);
      else descriptors = readAuditReturn(r, stop, naming);
    }
    r.pos = stop;
  }
  return { verb, terminationId, descriptors, contextTerminations: undefined };
}

function readAuditReply(r: BerReader, limit: number, verb: Verb, naming: TerminationNaming): CommandReply {
  const choice = r.next(limit);
  const end = r.stop;
  if (choice === 0xa0)
    return { verb, terminationId: '', descriptors: none, contextTerminations: readTerminationList(r, end, naming) };
  if (choice === 0xa1)
    return { verb, terminationId: '', descriptors: [readErrorDescriptor(r, end)], contextTerminations: undefined };
  let terminationId = '';
  let descriptors: readonly Descriptor[] = none;
  while (r.pos < end) {
    const tag = r.next(end);
    const stop = r.stop;
    if (tag === 0xa0) terminationId = readTermination(r, stop, naming);
    else if (tag === 0xa1) descriptors = readAuditReturn(r, stop, naming);
    r.pos = stop;
  }
  return { verb, terminationId, descriptors, contextTerminations: undefined };
}
