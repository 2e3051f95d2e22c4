/**
 * Text decoding (RFC 3525 Annex B): octets to message by recursive descent, one function per production. A request that cannot
 * be read to its end keeps its transaction id and the code to answer with; the transactions after it are read all the same.
 */
import { type DecodeFailure, fail, ok, type Result } from '../../../../src/internal.ts';
import type {
  ActionRequest,
  AuthenticationHeader,
  Command,
  ContextAttribute,
  Descriptor,
  MegacoMessage,
  MId,
  Transaction,
} from '../messages.ts';
import { readMId } from '../mid.ts';
import { type AttributeList, isAttribute, isVerb, readAttribute, readContextId } from './decode-context.ts';
import { readDescriptors, readError } from './decode-descriptors.ts';
import { maxListItems } from './decode-parameters.ts';
import { readReply } from './decode-replies.ts';
import type { Keyword } from './keywords.ts';
import { type ScanFailure, Scanner } from './scanner.ts';

export interface MegacoFailure extends DecodeFailure {
  readonly code: number;
  /** What of the header could be read, so that an answer can be addressed. */
  readonly version?: number;
  readonly mId?: MId;
}

const uint32 = 0xffffffff;
const [open, close, comma, equals, slash, dash] = [0x7b, 0x7d, 0x2c, 0x3d, 0x2f, 0x2d];

export function decodeText(bytes: Uint8Array): Result<MegacoMessage, MegacoFailure> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const s = new Scanner(text);
  s.skip();
  let keyword = startWord(s);
  let authentication: AuthenticationHeader | undefined;
  if (keyword === 'Authentication') {
    authentication = readAuthentication(s);
    keyword = startWord(s);
  }
  if (keyword !== 'MEGACO') s.fail(400, 'a message begins with MEGACO or !');
  // The long token is followed by a slash at once; what tells the two forms apart is its first character.
  const compact = s.failure === undefined && text.charCodeAt(s.pos - 1) === 0x21;
  s.expect(slash, 400);
  const version = s.uint(99, 400);
  const mId = readMId(s);
  if (s.failure !== undefined) return fail(withHeader(s.failure, version));
  if (version < 1 || version > 3) return fail({ code: 406, reason: `version ${version}`, offset: s.pos, version, mId });

  const word = s.word();
  const body =
    word === 'Error'
      ? { kind: 'error' as const, error: readError(s, 400) }
      : { kind: 'transactions' as const, transactions: readTransactions(s, word) };
  if (s.failure !== undefined) return fail(withHeader(s.failure, version, mId));
  if (s.pos < s.end) return fail({ code: 400, reason: 'text after the message', offset: s.pos, version, mId });
  return ok({
    version,
    mId,
    body,
    authentication,
    alternatePath: s.alternatePath === undefined ? undefined : readAlternates(s.alternatePath),
    encoding: compact ? 'compact' : 'pretty',
    bytes: authentication === undefined ? undefined : bytes,
  });
}

const withHeader = (failure: ScanFailure, version: number, mId?: MId): MegacoFailure =>
  mId === undefined ? { ...failure, version } : { ...failure, version, mId };

/** `MEGACO`, `!` or `Authentication`. */
function startWord(s: Scanner): Keyword | undefined {
  if (s.peek() !== 0x21) return s.word();
  s.pos += 1;
  return 'MEGACO';
}

/** RFC 3525 §10.2. */
function readAuthentication(s: Scanner): AuthenticationHeader | undefined {
  s.expect(equals, 400);
  const header = /0x([0-9a-f]{8}):0x([0-9a-f]{8}):0x([0-9a-f]{24,64})(?=[ \t\r\n;])/iy;
  header.lastIndex = s.pos;
  const found = header.exec(s.text);
  if (found === null) {
    s.fail(400, 'authentication header');
    return undefined;
  }
  s.pos = header.lastIndex;
  s.skip();
  const [, securityParmIndex = '', sequenceNum = '', authData = ''] = found;
  return { securityParmIndex, sequenceNum, authData };
}

/** The addresses of our comment: mId forms separated by blanks; at most a handful is looked at. */
export function readAlternates(text: string): readonly MId[] {
  const words = text.toLowerCase().split(/[ \t,]+/, 8);
  return words.filter((word) => /^(\[[0-9a-f.:]{2,45}\]|<[a-z0-9][a-z0-9.-]{0,62}>)(:\d{1,5})?$/.test(word));
}

function readTransactions(s: Scanner, first: Keyword | undefined): readonly Transaction[] {
  const transactions: Transaction[] = [];
  let word = first;
  do {
    const transaction = readTransaction(s, word);
    if (transaction !== undefined) transactions.push(transaction);
    if (transactions.length > maxListItems) s.fail(400, 'too many transactions');
    if (s.pos >= s.end) break;
    word = s.word();
  } while (s.failure === undefined);
  return transactions;
}

function readTransaction(s: Scanner, word: Keyword | undefined): Transaction | undefined {
  switch (word) {
    case 'Transaction':
      return readRequest(s);
    case 'Reply':
      return readReply(s);
    case 'Pending': {
      s.expect(equals, 400);
      const transactionId = s.uint(uint32, 400);
      s.expect(open, 400);
      s.expect(close, 400);
      return { kind: 'pending', transactionId };
    }
    case 'TransactionResponseAck': {
      s.expect(open, 400);
      const ranges: (readonly [number, number])[] = [];
      do {
        const first = s.uint(uint32, 400);
        const last = s.take(dash) ? s.uint(uint32, 400) : first;
        ranges.push([first, last]);
      } while (s.take(comma));
      s.expect(close, 400);
      return { kind: 'ack', ranges };
    }
    default:
      // RFC 3525 §8.2.2: no legal transaction can be determined.
      s.fail(403, 'no transaction begins like this');
      return undefined;
  }
}

function readRequest(s: Scanner): Transaction | undefined {
  s.expect(equals, 403);
  const transactionId = s.uint(uint32, 403);
  s.expect(open, 403);
  if (s.failure !== undefined) return undefined;
  const body = s.pos;
  const actions: ActionRequest[] = [];
  let contextId: number | undefined;
  do {
    contextId = undefined;
    if (s.word() !== 'Context') {
      s.fail(421, 'Context expected');
      break;
    }
    contextId = readContextId(s);
    if (s.failure !== undefined) {
      contextId = undefined;
      break;
    }
    actions.push(readAction(s, contextId));
    if (actions.length > maxListItems) s.fail(422, 'too many actions');
  } while (s.take(comma));
  s.expect(close, 403);
  if (s.failure === undefined) return { kind: 'request', transactionId, actions, syntaxError: undefined };
  const { code, reason, offset } = s.failure;
  // The next transaction may still be readable; where the end of this one cannot be found, nothing after it can.
  if (!s.resync(body)) {
    s.failure = undefined;
    s.pos = s.end;
    return { kind: 'request', transactionId, actions: [], syntaxError: { code: 403, reason, offset, contextId } };
  }
  return { kind: 'request', transactionId, actions: [], syntaxError: { code, reason, offset, contextId } };
}

function readAction(s: Scanner, contextId: number): ActionRequest {
  s.expect(open, 422);
  const commands: Command[] = [];
  let attributes: AttributeList | undefined;
  let contextAudit: readonly ContextAttribute[] | undefined;
  do {
    let word = s.word();
    if (word === 'ContextAudit') {
      contextAudit = readContextAudit(s);
      continue;
    }
    if (isAttribute(word)) {
      attributes = readAttribute(s, word, attributes);
      continue;
    }
    let optional = false;
    let wildcardReturn = false;
    // "O-" and "W-" are words of one letter before a dash (RFC 3525 Annex B.2, commandRequestList).
    if (s.peek() === dash && flagged(s, 0x6f)) {
      optional = true;
      word = s.word();
    }
    if (s.peek() === dash && flagged(s, 0x77)) {
      wildcardReturn = true;
      word = s.word();
    }
    if (!isVerb(word)) {
      s.fail(443, 'no such command');
      break;
    }
    s.expect(equals, 442);
    const terminationId = s.termination(442);
    const descriptors = s.take(open) ? readDescriptors(s, 442) : noDescriptors;
    commands.push({ verb: word, terminationId, descriptors, optional, wildcardReturn });
    if (commands.length > maxListItems) s.fail(422, 'too many commands');
  } while (s.take(comma));
  s.expect(close, 422);
  return { contextId, context: attributes, contextAudit, commands };
}

/** Was the last word this letter? Then the dash behind it is taken. */
function flagged(s: Scanner, letter: number): boolean {
  if (s.wordEnd - s.wordStart !== 1 || (s.text.charCodeAt(s.wordStart) | 32) !== letter) return false;
  s.pos += 1;
  return true;
}

function readContextAudit(s: Scanner): readonly ContextAttribute[] {
  s.expect(open, 422);
  const wanted: ContextAttribute[] = [];
  do {
    const word = s.word();
    if (isAttribute(word)) wanted.push(word);
    else s.fail(422, 'context property expected');
  } while (s.take(comma));
  s.expect(close, 422);
  return wanted;
}

const noDescriptors: readonly Descriptor[] = [];
