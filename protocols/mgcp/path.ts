/**
 * Where the path attribute sits on the MGCP wire: the vendor parameter `X-ALTPTH` (Appendix A of RFC 3435 allows six characters behind
 * `X-`), a list of notified entities: the alternates of whoever `N:` names, or, without `N:`, of whoever sends the message. The
 * registered relative is `RED/NL` (RFC 3991 §2.1). docs/alternate-path.md is the specification.
 */
import { type ControllerAddress, maxAlternates, type PathAttribute, pathAttribute } from '../../src/internal.ts';
import { type MgcpCommand, type MgcpMessage, type MgcpResponse, type Parameter, parameter } from './codec/messages.ts';
import { readNotifiedEntity, writeNotifiedEntity } from './codec/values/names.ts';

const pathCode = 'X-ALTPTH';

/** Also read; never written. */
const otherCodes = ['X-ALTERNATEPATH', 'X+ALTPTH', 'X+ALTERNATEPATH'];

const redListCode = 'RED/NL';

/** Stands for "the sender of this message" where no parameter names a primary. */
const senderOfMessage: ControllerAddress = { transport: 'udp', host: '', port: 0 };

/** The attribute of a message; undefined where it has none or a malformed one. */
export function readPath(message: MgcpMessage): PathAttribute | undefined {
  if (message.kind === 'broken') return undefined;
  const value = pathValue(message.parameters) ?? parameter(message, redListCode);
  if (value === undefined) return undefined;
  const alternates = readList(value);
  if (alternates === undefined) return undefined;
  return pathAttribute(primaryOf(message), alternates);
}

/** Has it an attribute that cannot be read? It is passed over whole. */
export function hasMalformedPath(message: MgcpMessage): boolean {
  if (message.kind === 'broken') return false;
  const value = pathValue(message.parameters) ?? parameter(message, redListCode);
  return value !== undefined && readList(value) === undefined;
}

/** Stands in a command where the list goes, for gateways that list package RED; its value is written with the path. */
export const redListPlace: Parameter = { code: redListCode, value: '' };

/**
 * The parameters of a message that carries our attribute, in place of any it had: the vendor parameter last, the list of package RED where
 * the message has one. A response acknowledgement has no parameters (RFC 3435 §3.5.6).
 */
export function parametersWith(message: MgcpCommand | MgcpResponse, path: PathAttribute): readonly Parameter[] {
  const { vendor, list } = textsOf(path);
  const parameters: Parameter[] = [];
  for (const each of message.parameters) {
    if (each.code === redListCode) parameters.push(list);
    else if (!isPathCode(each.code)) parameters.push(each);
  }
  const isBare = message.kind === 'command' ? message.pathless === true : message.code < 100;
  if (!isBare) parameters.push(vendor);
  return parameters;
}

interface PathTexts {
  readonly vendor: Parameter;
  /** All of them, ourselves first (RFC 3991 §2.1). */
  readonly list: Parameter;
}

/** Each attribute object is written once and kept. */
function textsOf(path: PathAttribute): PathTexts {
  let known = texts.get(path);
  if (known === undefined) {
    const named = (addresses: readonly ControllerAddress[]) =>
      addresses.map((each) => writeNotifiedEntity({ ...each, user: each.user ?? 'ca' })).join(', ');
    known = {
      vendor: { code: pathCode, value: named(path.alternates) },
      list: { code: redListCode, value: named([path.primary, ...path.alternates]) },
    };
    texts.set(path, known);
  }
  return known;
}

const texts = new WeakMap<PathAttribute, PathTexts>();

/** RFC 3435 §3.2.2: a command with a critical extension that we do not know is refused with 511. Ours are known. */
export const unknownCritical = (parameters: readonly Parameter[]): Parameter | undefined =>
  parameters.find(({ code }) => /^X\+/i.test(code) && !isPathCode(code));

export const isPathCode = (code: string): boolean =>
  code.length >= pathCode.length && code.startsWith('X') && [pathCode, ...otherCodes].includes(code.toUpperCase());

function primaryOf(message: MgcpMessage & { kind: 'command' | 'response' }): ControllerAddress {
  const named = parameter(message, 'N') ?? parameter(message, 'RED/N');
  return (named === undefined ? undefined : readNotifiedEntity(named)) ?? senderOfMessage;
}

function pathValue(parameters: readonly Parameter[]): string | undefined {
  for (const { code, value } of parameters) if (isPathCode(code)) return value;
  return undefined;
}

/** Commas or blanks between; more than three are cut (design: limits of the path attribute). */
function readList(value: string): readonly ControllerAddress[] | undefined {
  if (value.length > 1_024) return undefined;
  const addresses: ControllerAddress[] = [];
  for (const item of value.split(/[\s,]+/)) {
    if (item === '') continue;
    const address = readNotifiedEntity(item);
    if (address === undefined) return undefined;
    if (addresses.length <= maxAlternates) addresses.push(address);
  }
  return addresses;
}
