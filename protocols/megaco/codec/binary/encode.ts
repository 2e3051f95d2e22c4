/**
 * Binary encoding (RFC 3525 Annex A.2, BER, definite lengths), written from the end: what comes last on the wire is written first.
 */
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
  ServiceChangeDescriptor,
  TopologyTriple,
  Transaction,
  Verb,
} from '../messages.ts';
import { pathTag } from './decode.ts';
import {
  writeAmmDescriptors,
  writeAudit,
  writeAuditReturn,
  writeErrorDescriptor,
  writeObserved,
} from './encode-descriptors.ts';
import { writeServiceParm, writeServiceResult } from './encode-services.ts';
import { writeMIdChoice } from './mid.ts';
import { writeTermination, writeTerminationList } from './termination.ts';
import type { TerminationNaming } from './termination-naming.ts';
import { BerWriter } from './writer.ts';

export function encodeBinary(message: MegacoMessage, naming: TerminationNaming): Buffer {
  const w = new BerWriter();
  const whole = w.mark;
  const { body, alternatePath } = message;
  if (alternatePath !== undefined && alternatePath.length > 0) w.string(pathTag, alternatePath.join(' '));
  const choice = w.mark;
  if (body.kind === 'error') {
    writeErrorDescriptor(w, 0xa0, body.error);
  } else {
    for (let index = body.transactions.length - 1; index >= 0; index -= 1) {
      const transaction = body.transactions[index];
      if (transaction !== undefined) writeTransaction(w, transaction, naming);
    }
    w.close(0xa1, choice);
  }
  w.close(0xa2, choice);
  const mId = w.mark;
  writeMIdChoice(w, message.mId, 0);
  w.close(0xa1, mId);
  w.uint(0x80, message.version);
  w.close(0xa1, whole);
  if (message.authentication !== undefined) writeAuthentication(w, message.authentication);
  w.close(0x30, whole);
  return w.take();
}

function writeAuthentication(w: BerWriter, header: AuthenticationHeader): void {
  const mark = w.mark;
  w.octets(0x82, Buffer.from(header.authData, 'hex'));
  w.octets(0x81, Buffer.from(header.sequenceNum, 'hex'));
  w.octets(0x80, Buffer.from(header.securityParmIndex, 'hex'));
  w.close(0xa0, mark);
}

function writeTransaction(w: BerWriter, transaction: Transaction, naming: TerminationNaming): void {
  const mark = w.mark;
  switch (transaction.kind) {
    case 'request': {
      const { actions } = transaction;
      for (let index = actions.length - 1; index >= 0; index -= 1) {
        const action = actions[index];
        if (action !== undefined) writeAction(w, action, naming);
      }
      w.close(0xa1, mark);
      w.uint(0x80, transaction.transactionId);
      w.close(0xa0, mark);
      return;
    }
    case 'pending':
      w.uint(0x80, transaction.transactionId);
      w.close(0xa1, mark);
      return;
    case 'reply': {
      if (transaction.error !== undefined) writeErrorDescriptor(w, 0xa0, transaction.error);
      else {
        const { actions } = transaction;
        for (let index = actions.length - 1; index >= 0; index -= 1) {
          const action = actions[index];
          if (action !== undefined) writeActionReply(w, action, naming);
        }
        w.close(0xa1, mark);
      }
      w.close(0xa2, mark);
      if (transaction.immAckRequired) w.empty(0x81);
      w.uint(0x80, transaction.transactionId);
      w.close(0xa2, mark);
      return;
    }
    case 'ack':
      for (const [first, last] of transaction.ranges.toReversed()) {
        const range = w.mark;
        if (last !== first) w.uint(0x81, last);
        w.uint(0x80, first);
        w.close(0x30, range);
      }
      w.close(0xa3, mark);
  }
}

function writeAction(w: BerWriter, action: ActionRequest, naming: TerminationNaming): void {
  const mark = w.mark;
  const { commands } = action;
  for (let index = commands.length - 1; index >= 0; index -= 1) {
    const command = commands[index];
    if (command !== undefined) writeCommand(w, command, naming);
  }
  w.close(0xa3, mark);
  if (action.contextAudit !== undefined && action.contextAudit.length > 0) writeContextAudit(w, action.contextAudit);
  if (action.context !== undefined) writeContext(w, 0xa1, action.context, naming);
  w.uint(0x80, action.contextId);
  w.close(0x30, mark);
}

function writeContextAudit(w: BerWriter, wanted: readonly ContextAttribute[]): void {
  const mark = w.mark;
  if (wanted.includes('Priority')) w.empty(0x82);
  if (wanted.includes('Emergency')) w.empty(0x81);
  if (wanted.includes('Topology')) w.empty(0x80);
  w.close(0xa2, mark);
}

function writeContext(w: BerWriter, tag: number, context: ContextAttributes, naming: TerminationNaming): void {
  const mark = w.mark;
  if (context.topology !== undefined) {
    for (const triple of context.topology.toReversed()) writeTriple(w, triple, naming);
    w.close(0xa2, mark);
  }
  if (context.emergency !== undefined) w.bool(0x81, context.emergency);
  if (context.priority !== undefined) w.uint(0x80, context.priority);
  w.close(tag, mark);
}

function writeTriple(w: BerWriter, { from, to, direction }: TopologyTriple, naming: TerminationNaming): void {
  const mark = w.mark;
  w.uint(0x82, direction === 'Bothway' ? 0 : direction === 'Isolate' ? 1 : 2);
  writeTermination(w, 0xa1, to, naming);
  writeTermination(w, 0xa0, from, naming);
  w.close(0x30, mark);
}

const choices: Readonly<Record<Verb, number>> = {
  Add: 0xa0,
  Move: 0xa1,
  Modify: 0xa2,
  Subtract: 0xa3,
  AuditCapability: 0xa4,
  AuditValue: 0xa5,
  Notify: 0xa6,
  ServiceChange: 0xa7,
};

function writeCommand(w: BerWriter, command: Command, naming: TerminationNaming): void {
  const mark = w.mark;
  if (command.wildcardReturn === true) w.empty(0x82);
  if (command.optional === true) w.empty(0x81);
  const inner = w.mark;
  const { verb, terminationId, descriptors } = command;
  switch (verb) {
    case 'Add':
    case 'Move':
    case 'Modify':
      writeAmmDescriptors(w, 0xa1, descriptors, naming);
      break;
    case 'Subtract':
      for (const descriptor of descriptors) if (descriptor.kind === 'Audit') writeAudit(w, 0xa1, descriptor.items);
      break;
    case 'AuditCapability':
    case 'AuditValue':
      for (const descriptor of descriptors) if (descriptor.kind === 'Audit') writeAudit(w, 0xa1, descriptor.items);
      break;
    case 'Notify':
      for (const descriptor of descriptors) if (descriptor.kind === 'Error') writeErrorDescriptor(w, 0xa2, descriptor);
      for (const descriptor of descriptors)
        if (descriptor.kind === 'ObservedEvents') writeObserved(w, 0xa1, descriptor);
      break;
    case 'ServiceChange':
      writeServiceParm(w, 0xa1, services(descriptors));
      break;
  }
  if (verb === 'AuditCapability' || verb === 'AuditValue') writeTermination(w, 0xa0, terminationId, naming);
  else writeTerminationList(w, 0xa0, [terminationId], naming);
  w.close(choices[verb], inner);
  w.close(0xa0, inner);
  w.close(0x30, mark);
}

function services(descriptors: readonly Descriptor[]): ServiceChangeDescriptor {
  for (const descriptor of descriptors) if (descriptor.kind === 'Services') return descriptor;
  return { kind: 'Services' };
}

function writeActionReply(w: BerWriter, action: ActionReply, naming: TerminationNaming): void {
  const mark = w.mark;
  const { commands } = action;
  for (let index = commands.length - 1; index >= 0; index -= 1) {
    const command = commands[index];
    if (command !== undefined) writeCommandReply(w, command, naming);
  }
  w.close(0xa3, mark);
  if (action.context !== undefined) writeContext(w, 0xa2, action.context, naming);
  if (action.error !== undefined) writeErrorDescriptor(w, 0xa1, action.error);
  w.uint(0x80, action.contextId);
  w.close(0x30, mark);
}

function writeCommandReply(w: BerWriter, reply: CommandReply, naming: TerminationNaming): void {
  const mark = w.mark;
  const { verb, terminationId, descriptors } = reply;
  if (verb === 'AuditValue' || verb === 'AuditCapability') {
    writeAuditReply(w, reply, naming);
    w.close(choices[verb], mark);
    return;
  }
  const error = descriptors.find((descriptor): descriptor is ErrorDescriptor => descriptor.kind === 'Error');
  if (verb === 'Notify') {
    if (error !== undefined) writeErrorDescriptor(w, 0xa1, error);
  } else if (verb === 'ServiceChange') {
    if (error !== undefined) writeErrorDescriptor(w, 0xa0, error);
    else writeServiceResult(w, 0xa1, services(descriptors));
    w.close(0xa1, mark);
  } else if (descriptors.length > 0) writeAuditReturn(w, 0xa1, descriptors, naming);
  writeTerminationList(w, 0xa0, [terminationId], naming);
  w.close(choices[verb], mark);
}

function writeAuditReply(w: BerWriter, reply: CommandReply, naming: TerminationNaming): void {
  if (reply.contextTerminations !== undefined) {
    writeTerminationList(w, 0xa0, reply.contextTerminations, naming);
    return;
  }
  const [first] = reply.descriptors;
  if (reply.terminationId === '' && first?.kind === 'Error') {
    writeErrorDescriptor(w, 0xa1, first);
    return;
  }
  const mark = w.mark;
  writeAuditReturn(w, 0xa1, reply.descriptors, naming);
  writeTermination(w, 0xa0, reply.terminationId, naming);
  w.close(0xa2, mark);
}
