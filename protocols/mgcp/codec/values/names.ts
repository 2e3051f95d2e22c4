/** Endpoint names with their wildcards, and notified entities (RFC 3435 §2.1.2, §3.2.1.3, Appendices A and E). */
import { type ControllerAddress, isIpLiteral, readAddress } from '../../../../src/internal.ts';

export interface EndpointName {
  readonly local: string;
  /** In lower case; a literal without its brackets. */
  readonly domain: string;
}

export function readEndpointName(name: string): EndpointName | undefined {
  const at = name.lastIndexOf('@');
  if (at <= 0 || at === name.length - 1) return undefined;
  const domain = name.slice(at + 1).toLowerCase();
  return { local: name.slice(0, at), domain: domain.startsWith('[') ? domain.slice(1, -1) : domain };
}

export const isAllOf = (local: string): boolean => local.split('/').includes('*');

export const isAnyOf = (local: string): boolean => local.split('/').includes('$');

/**
 * Does the wildcarded local name cover this one? `*` alone covers everything, within a path the term it stands for and what follows it;
 * a term may have ranges of numbers in it (Appendix E.5).
 */
export function covers(pattern: string, local: string): boolean {
  const wanted = pattern.toLowerCase().split('/');
  const terms = local.toLowerCase().split('/');
  for (const [index, term] of wanted.entries()) {
    if ((term === '*' || term === '$') && index === wanted.length - 1) return terms.length > index;
    if (term !== '*' && term !== '$' && !isInTerm(term, terms[index] ?? '')) return false;
  }
  return wanted.length === terms.length;
}

/** `ds1-[1,3-5]` and the like. */
function isInTerm(pattern: string, term: string): boolean {
  const open = pattern.indexOf('[');
  if (open < 0) return pattern === term;
  const close = pattern.indexOf(']', open);
  if (close < 0 || !term.startsWith(pattern.slice(0, open))) return false;
  const [digits = ''] = /^(?:0|[1-9]\d{0,8})/.exec(term.slice(open)) ?? [];
  const isInRange = (range: string): boolean => {
    const [from = '', to = from] = range.split('-', 2);
    return digits !== '' && Number(digits) >= Number(from) && Number(digits) <= Number(to);
  };
  return (
    pattern
      .slice(open + 1, close)
      .split(',')
      .some(isInRange) && isInTerm(pattern.slice(close + 1), term.slice(open + digits.length))
  );
}

/** `ca@[127.0.0.1]:2727`, `ca1.example.net`: an address, or a name still to be resolved. Call agents listen on 2727 by default. */
export const readNotifiedEntity = (value: string, defaultPort = 2727): ControllerAddress | undefined => {
  const trimmed = value.trim();
  const at = trimmed.lastIndexOf('@');
  const user = at < 0 ? undefined : trimmed.slice(0, at);
  // RFC 3435 writes IPv4 literals in brackets too.
  const host = trimmed.slice(at + 1).replace(/^\[(\d+\.\d+\.\d+\.\d+)\]/, '$1');
  const address = readAddress(`udp:${host}`, { transport: 'udp', port: defaultPort });
  if (address === undefined || address.port === 0) return undefined;
  return user === undefined || user === '' ? address : { ...address, user };
};

/** With the port only where it is not the default: what most gateways expect. */
export function writeNotifiedEntity({ user, host, port }: ControllerAddress, defaultPort = 2727): string {
  const where = isIpLiteral(host) ? `[${host}]` : host;
  return `${user === undefined ? '' : `${user}@`}${where}${port === defaultPort ? '' : `:${port}`}`;
}

/** A domain name that stands for an address: the literal in brackets (Appendix A). */
export const domainOf = (address: ControllerAddress): string =>
  isIpLiteral(address.host) ? `[${address.host}]` : address.host;
