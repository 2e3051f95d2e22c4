/**
 * Where the path attribute sits on the MGCP wire: the vendor parameter `X-ALTPTH` (Appendix A of RFC 3435 allows six characters behind
 * `X-`), a list of notified entities: the alternates of whoever `N:` names, or, without `N:`, of whoever sends the message. The
 * registered relative is `RED/NL` (RFC 3991 §2.1). docs/alternate-path.md is the specification.
 */
import { type ControllerAddress, maxAlternates, type PathAttribute, pathAttribute } from '../../src/internal.ts';
import { type MgcpMessage, type Parameter, parameter } from './messages.ts';
import { readNotifiedEntity, writeNotifiedEntity } from './values/names.ts';

export const pathCode = 'X-ALTPTH';

/** Also read; never written. */
const otherCodes = ['X-ALTERNATEPATH', 'X+ALTPTH', 'X+ALTERNATEPATH'];

const redListCode = 'RED/NL';

/** Stands for "the sender of this message" where no parameter names a primary. */
export const senderOfMessage: ControllerAddress = { transport: 'udp', host: '', port: 0 };

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

/** The parameter that carries our alternates. */
export const pathParameter = (path: PathAttribute): Parameter => ({
  code: pathCode,
  value: path.alternates.map((alternate) => writeNotifiedEntity(alternate)).join(', '),
});

/** For gateways that list package RED: all of them, ourselves first (RFC 3991 §2.1). */
export const redListParameter = (path: PathAttribute): Parameter => ({
  code: redListCode,
  value: [path.primary, ...path.alternates].map((each) => writeNotifiedEntity(each)).join(', '),
});

/** The message with our attribute, in place of any it had. */
export function insertPath<M extends MgcpMessage>(message: M, path: PathAttribute): M {
  if (message.kind === 'broken') return message;
  const parameters = message.parameters.filter(({ code }) => !isPathCode(code));
  return { ...message, parameters: [...parameters, pathParameter(path)] };
}

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
