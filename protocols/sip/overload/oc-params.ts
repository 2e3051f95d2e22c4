/** The overload control parameters of a Via (RFC 7339 §4, §9; RFC 7415): what hops announce, and what they ask for. */
import { H } from '../codec/header-names.ts';
import { param, replaceParam, unquote, valueEnd } from '../codec/values.ts';

/** RFC 7339 §7 and RFC 7415: a share to leave out, or a rate not to exceed. */
export type OcAlgorithm = 'loss' | 'rate';

export interface OcValues {
  readonly algorithm: OcAlgorithm;
  /** loss: percent of all requests to leave out; rate: requests per second. */
  readonly oc: number;
  /** 0: no control in force. */
  readonly validityMs: number;
  /** Undefined where the hop sent none. */
  readonly seq: number | undefined;
}

/** What we write into our own Via. */
export const announcement = ';oc;oc-algo="loss,rate"';

/** RFC 7339 §4.3, where nothing is said. */
const defaultValidityMs = 500;

/**
 * The algorithm for a client that announces itself in these parameters of its Via: the first of its list that we know (§5.1).
 * Undefined: it takes no part.
 */
export function announcedAlgorithm(params: string): OcAlgorithm | undefined {
  if (!mayHaveOc(params) || param(params, 'oc') === undefined) return undefined;
  const list = unquote(param(params, 'oc-algo') ?? '').split(',');
  const known = list.map((each) => each.trim().toLowerCase()).find((each) => each === 'loss' || each === 'rate');
  return known === 'rate' ? 'rate' : 'loss';
}

/** What the top Via of a response, which is ours, asks of us; undefined: nothing, or nothing that can be read. */
export function askedOf(params: string): OcValues | undefined {
  if (!mayHaveOc(params)) return undefined;
  const oc = wholeNumber(param(params, 'oc'));
  const algorithm = unquote(param(params, 'oc-algo') ?? 'loss').toLowerCase();
  const validityText = param(params, 'oc-validity');
  const validityMs = validityText === undefined ? defaultValidityMs : wholeNumber(validityText);
  if (oc === undefined || validityMs === undefined || (algorithm !== 'loss' && algorithm !== 'rate')) return undefined;
  if (algorithm === 'loss' && oc > 100) return undefined;
  const seqText = param(params, 'oc-seq');
  const seq = seqText !== undefined && /^\d{1,12}\.\d{1,5}$/.test(seqText) ? Number(seqText) : undefined;
  return { algorithm, oc, validityMs: Math.min(validityMs, maxValidityMs), seq };
}

export const ocText = ({ algorithm, oc, validityMs, seq }: OcValues): string =>
  `;oc=${oc};oc-algo="${algorithm}";oc-validity=${validityMs};oc-seq=${(seq ?? 0).toFixed(3)}`;

/** RFC 7339 §5.6: what the hop before us announces is none of the business of the hop behind us. */
export const withoutOc = (params: string): string =>
  mayHaveOc(params) ? names.reduce((left, name) => replaceParam(left, name, ''), params) : params;

/** A response's text with these parameters, and no others of their kind, in its top Via. */
export function withOc(text: string, written: string): string {
  const header = /^(?:via|v)[ \t]*:[ \t]*/im.exec(text);
  if (header === null) return text;
  const start = header.index + header[0].length;
  let stop = text.indexOf('\r\n', start);
  while (stop >= 0 && isBlank(text.charCodeAt(stop + 2))) stop = text.indexOf('\r\n', stop + 2);
  if (stop < 0) return text;
  const end = valueEnd(text, start, stop);
  const value = text.slice(start, end).trimEnd();
  const semicolon = value.indexOf(';');
  const head = semicolon < 0 ? value : value.slice(0, semicolon);
  const params = semicolon < 0 ? '' : withoutOc(value.slice(semicolon));
  return text.slice(0, start) + head + params + written + text.slice(end);
}

/** Nearly always no, at the cost of a look. */
const mayHaveOc = (params: string): boolean =>
  params.includes(';oc') || params.includes('; oc') || /;\s*oc/i.test(params);

const names = ['oc', 'oc-algo', 'oc-validity', 'oc-seq'] as const;

const wholeNumber = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;

const isBlank = (c: number): boolean => c === 32 || c === 9;

/** Nobody may keep us away for longer without a word. */
const maxValidityMs = 60_000;

/** Has a message one Via value alone, so that whoever sent it is where it began? */
export const isFromEnd = (request: { fieldIndex(id: number, after?: number): number }): boolean =>
  request.fieldIndex(H.via, request.fieldIndex(H.via)) < 0;
