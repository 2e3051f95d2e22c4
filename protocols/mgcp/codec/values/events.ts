/**
 * Events, signals and actions: RequestedEvents, SignalRequests, ObservedEvents, DetectEvents, EventStates
 * (RFC 3435 §3.2.2.4, §3.2.2.16, §3.2.2.21, Appendix A), with embedded requests and their digit maps.
 */
import { type Cursor, commaList, isAlphanumeric, isNameCode, readList } from './cursor.ts';

export interface EventName {
  /** As written; undefined: the endpoint's default package. `*`: all. */
  readonly packageName: string | undefined;
  /** An event id, `all`, `*`, `#`, a digit, or a range (`[0-9#T]`). */
  readonly id: string;
  /** On which connection: an id, `$` or `*`. */
  readonly connection?: string | undefined;
}

export interface Signal extends EventName {
  /** What stands in parentheses behind the name, item by item as written. */
  readonly parameters?: readonly string[] | undefined;
}

export type Action =
  | { readonly kind: 'N' | 'A' | 'D' | 'S' | 'I' | 'K' }
  | { readonly kind: 'E'; readonly embedded: EmbeddedRequest }
  | { readonly kind: 'extension'; readonly text: string };

export interface EmbeddedRequest {
  readonly requestedEvents?: readonly RequestedEvent[] | undefined;
  readonly signals?: readonly Signal[] | undefined;
  readonly digitMap?: string | undefined;
}

export interface RequestedEvent extends Signal {
  /** Empty: the default, Notify. */
  readonly actions: readonly Action[];
}

export const readRequestedEvents = (value: string): readonly RequestedEvent[] | undefined =>
  readList(value, (cursor) => requestedEvent(cursor, 0));

export const readSignals = (value: string): readonly Signal[] | undefined => readList(value, signal);

/** Observed events; a digit string (`D/8295555T`, RFC 3435 §3.2.2.12) becomes one event per digit. */
export function readObservedEvents(value: string): readonly Signal[] | undefined {
  const events = readSignals(value);
  if (events === undefined || !events.some(isDigitString)) return events;
  return events.flatMap((event) =>
    isDigitString(event) ? [...event.id].map((digit) => ({ ...event, id: digit })) : [event],
  );
}

export const writeRequestedEvents = (events: readonly RequestedEvent[]): string =>
  events.map(requestedEventText).join(',');

export const writeSignals = (signals: readonly Signal[]): string => signals.map(signalText).join(',');

/** Is the id a digit, a letter A to D, `#`, `*` or the timer T? */
export const isDigitId = (id: string): boolean => /^[0-9A-DT#*]$/i.test(id);

const isDigitString = ({ id, packageName }: Signal): boolean =>
  id.length > 1 &&
  (packageName === undefined || packageName.toLowerCase() === 'd') &&
  /^[0-9#*][0-9A-DT#*]*$/i.test(id);

/** Embedded requests deeper than this are not ours to understand (Appendix A gives no limit). */
const maxDepth = 4;

function requestedEvent(cursor: Cursor, depth: number): RequestedEvent | undefined {
  const name = eventName(cursor);
  if (name === undefined) return undefined;
  cursor.skipBlanks();
  if (!cursor.take('(')) return { ...name, actions: [] };
  const actions = commaList(cursor, (inner) => action(inner, depth));
  if (actions === undefined || !cursor.take(')')) return undefined;
  cursor.skipBlanks();
  if (cursor.peek() !== '(') return { ...name, actions };
  const parameters = parameterList(cursor);
  return parameters === undefined ? undefined : { ...name, actions, parameters };
}

function signal(cursor: Cursor): Signal | undefined {
  const name = eventName(cursor);
  if (name === undefined) return undefined;
  if (cursor.peek() !== '(') return name;
  const parameters = parameterList(cursor);
  return parameters === undefined ? undefined : { ...name, parameters };
}

function eventName(cursor: Cursor): EventName | undefined {
  let first = eventWord(cursor);
  if (first === '') return undefined;
  let packageName: string | undefined;
  if (cursor.take('/')) {
    packageName = first;
    first = eventWord(cursor);
    if (first === '') return undefined;
  }
  if (!cursor.take('@')) return { packageName, id: first };
  const connection = cursor.take('$') ? '$' : cursor.take('*') ? '*' : cursor.while(isAlphanumeric);
  return connection === '' ? undefined : { packageName, id: first, connection };
}

/** A name, `*`, `#`, a digit string or a range in brackets. */
function eventWord(cursor: Cursor): string {
  if (cursor.take('[')) {
    const inside = cursor.while((code) => code !== 0x5d && code > 0x20);
    return inside !== '' && cursor.take(']') ? `[${inside}]` : '';
  }
  return cursor.while((code) => isNameCode(code) || code === 0x2a || code === 0x23);
}

function action(cursor: Cursor, depth: number): Action | undefined {
  const from = cursor.at;
  const word = cursor.while(isNameCode);
  if (cursor.take('/')) {
    cursor.while(isAlphanumeric);
    if (cursor.peek() === '(' && parameterList(cursor) === undefined) return undefined;
    return { kind: 'extension', text: cursor.text.slice(from, cursor.at) };
  }
  const kind = word.toUpperCase();
  switch (kind) {
    case 'N':
    case 'A':
    case 'D':
    case 'S':
    case 'I':
    case 'K':
      return { kind };
    case 'E': {
      cursor.skipBlanks();
      if (depth >= maxDepth || !cursor.take('(')) return undefined;
      const embedded = embeddedRequest(cursor, depth + 1);
      return embedded !== undefined && cursor.take(')') ? { kind, embedded } : undefined;
    }
    default:
      return undefined;
  }
}

/** R, S and D groups; the order is fixed for senders only (§3.2.2.16). */
function embeddedRequest(cursor: Cursor, depth: number): EmbeddedRequest | undefined {
  let request: EmbeddedRequest = {};
  const groups = commaList(cursor, (inner) => {
    const letter = inner.while(isAlphanumeric).toUpperCase();
    if (!inner.take('(')) return undefined;
    if (letter === 'R') {
      const requestedEvents = commaList(inner, (event) => requestedEvent(event, depth));
      if (requestedEvents === undefined) return undefined;
      request = { ...request, requestedEvents };
    } else if (letter === 'S') {
      inner.skipBlanks();
      const signals = inner.peek() === ')' ? [] : commaList(inner, signal);
      if (signals === undefined) return undefined;
      request = { ...request, signals };
    } else if (letter === 'D') {
      const digitMap = balanced(inner);
      if (digitMap === undefined) return undefined;
      request = { ...request, digitMap };
    } else return undefined;
    return inner.take(')') ? letter : undefined;
  });
  return groups === undefined ? undefined : request;
}

/** The parameters in parentheses, each as written: quoted strings and nested lists stay whole. */
function parameterList(cursor: Cursor): readonly string[] | undefined {
  if (!cursor.take('(')) return undefined;
  const inside = balanced(cursor);
  if (inside === undefined || !cursor.take(')')) return undefined;
  return splitTop(inside);
}

/** Up to the closing parenthesis that belongs to the one before; quoted strings are passed over (`""` is a quote in one). */
function balanced(cursor: Cursor): string | undefined {
  const { text } = cursor;
  const from = cursor.at;
  let depth = 0;
  for (; cursor.at < text.length; cursor.at += 1) {
    const code = text.charCodeAt(cursor.at);
    if (code === 0x22) {
      const close = text.indexOf('"', cursor.at + 1);
      if (close < 0) return undefined;
      cursor.at = close;
    } else if (code === 0x28) depth += 1;
    else if (code === 0x29) {
      if (depth === 0) return text.slice(from, cursor.at);
      depth -= 1;
    }
  }
  return undefined;
}

function splitTop(inside: string): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  let depth = 0;
  let quoted = false;
  for (let at = 0; at <= inside.length; at += 1) {
    const character = inside.charAt(at);
    if (character === '"') quoted = !quoted;
    else if (!quoted && character === '(') depth += 1;
    else if (!quoted && character === ')') depth -= 1;
    else if (at === inside.length || (!quoted && depth === 0 && character === ',')) {
      parts.push(inside.slice(from, at).trim());
      from = at + 1;
    }
  }
  return parts.length === 1 && parts[0] === '' ? [] : parts;
}

function nameText({ packageName, id, connection }: EventName): string {
  return `${packageName === undefined ? '' : `${packageName}/`}${id}${connection === undefined ? '' : `@${connection}`}`;
}

const signalText = (each: Signal): string =>
  each.parameters === undefined ? nameText(each) : `${nameText(each)}(${each.parameters.join(',')})`;

function requestedEventText(event: RequestedEvent): string {
  const { actions, parameters } = event;
  // The grammar has parameters only behind actions, so the default action is written out before them.
  const shown = actions.length === 0 && parameters !== undefined ? [{ kind: 'N' } as const] : actions;
  const behind = parameters === undefined ? '' : `(${parameters.join(',')})`;
  return `${nameText(event)}${shown.length === 0 ? '' : `(${shown.map(actionText).join(',')})`}${behind}`;
}

function actionText(each: Action): string {
  if (each.kind === 'extension') return each.text;
  if (each.kind !== 'E') return each.kind;
  const { requestedEvents, signals, digitMap } = each.embedded;
  const groups = [
    ...(requestedEvents === undefined ? [] : [`R(${writeRequestedEvents(requestedEvents)})`]),
    ...(signals === undefined ? [] : [`S(${writeSignals(signals)})`]),
    ...(digitMap === undefined ? [] : [`D(${digitMap})`]),
  ];
  return `E(${groups.join(',')})`;
}
