/**
 * Text decoding of replies (RFC 3525 Annex B.2). What cannot be read costs the smallest part that has an end of its own: the reply of
 * one command, else its action, else the transaction. The part is marked and carries an error of ours; all others are as they came.
 */

import {
  type ActionReply,
  type CommandReply,
  type Descriptor,
  type ErrorDescriptor,
  type TransactionReply,
  unreadableError,
  type Verb,
} from '../messages.ts';
import { type AttributeList, isAttribute, isVerb, readAttribute, readContextId } from './decode-context.ts';
import { readDescriptors, readError } from './decode-descriptors.ts';
import { maxListItems } from './decode-parameters.ts';
import type { Scanner } from './scanner.ts';

const uint32 = 0xffffffff;
const [open, close, comma, equals] = [0x7b, 0x7d, 0x2c, 0x3d];

/** Behind the token. */
export function readReply(s: Scanner): TransactionReply {
  s.expect(equals, 400);
  const transactionId = s.uint(uint32, 400);
  s.expect(open, 400);
  const body = s.pos;
  const isReply = s.failure === undefined;
  let immAckRequired = false;
  let error: ErrorDescriptor | undefined;
  let unreadable = false;
  const actions: ActionReply[] = [];
  do {
    const word = s.word();
    if (word === 'ImmAckRequired') immAckRequired = true;
    else if (word === 'Error') error = readError(s, 400);
    else if (word === 'Context') {
      const contextId = readContextId(s);
      if (s.failure === undefined) actions.push(readActionReply(s, contextId));
    } else s.fail(400, 'action reply expected');
    if (actions.length > maxListItems) s.fail(400, 'too many actions');
    unreadable ||= actions.at(-1)?.unreadable === true;
  } while (s.take(comma));
  s.expect(close, 400);
  const { failure } = s;
  if (isReply && failure !== undefined && body < s.end) {
    unreadable = true;
    error = unreadableError(failure.reason);
    // Where its end cannot be found, nothing after it can be read either; the id says whose reply it was.
    if (!s.resync(body)) s.failure = undefined;
  }
  return { kind: 'reply', transactionId, immAckRequired, error, actions, unreadable: unreadable || undefined };
}

function readActionReply(s: Scanner, contextId: number): ActionReply {
  s.expect(open, 400);
  const body = s.pos;
  let error: ErrorDescriptor | undefined;
  let attributes: AttributeList | undefined;
  let unreadable = false;
  const commands: CommandReply[] = [];
  do {
    const word = s.word();
    if (word === 'Error') error = readError(s, 400);
    else if (isAttribute(word)) attributes = readAttribute(s, word, attributes);
    else if (isVerb(word)) commands.push(readCommandReply(s, word));
    else s.fail(400, 'command reply expected');
    if (commands.length > maxListItems) s.fail(400, 'too many commands');
    unreadable ||= commands.at(-1)?.unreadable === true;
  } while (s.take(comma));
  s.expect(close, 400);
  const { failure } = s;
  if (failure !== undefined) {
    unreadable = true;
    error = unreadableError(failure.reason);
    s.resync(body);
  }
  return { contextId, error, context: attributes, commands, unreadable: unreadable || undefined };
}

function readCommandReply(s: Scanner, verb: Verb): CommandReply {
  s.expect(equals, 400);
  const terminationId = s.termination(400);
  if (!s.take(open)) return { verb, terminationId, descriptors: noDescriptors, contextTerminations: undefined };
  const body = s.pos;
  const contextTerminations = isContextToken(verb, terminationId) ? readTerminations(s) : undefined;
  if (contextTerminations !== undefined)
    return { verb, terminationId: '', descriptors: noDescriptors, contextTerminations };
  const descriptors = readDescriptors(s, 400);
  const { failure } = s;
  if (failure === undefined) return { verb, terminationId, descriptors, contextTerminations: undefined };
  s.resync(body);
  return { verb, terminationId, descriptors: [unreadableError(failure.reason)], unreadable: true };
}

/** `AuditValue = Context {a, b}`: the token stands where a termination id does. */
const isContextToken = (verb: Verb, name: string): boolean =>
  (verb === 'AuditValue' || verb === 'AuditCapability') && (name === 'context' || name === 'c');

/** The list, or undefined where descriptors stand there instead (a termination that is called `c`). */
function readTerminations(s: Scanner): readonly string[] | undefined {
  const start = s.pos;
  const list: string[] = [];
  do {
    list.push(s.termination(400));
    if (list.length > maxListItems * 4) s.fail(400, 'too many terminations');
  } while (s.take(comma));
  if (s.failure === undefined && s.take(close)) return list;
  s.failure = undefined;
  s.pos = start;
  return undefined;
}

const noDescriptors: readonly Descriptor[] = [];
