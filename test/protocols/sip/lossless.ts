/**
 * An oracle for lossless forwarding (RFC 3261 §16.6), written without the codec it judges: takes a request as it came and as it
 * left apart into octet runs and says what differs beyond a proxy's duties.
 */

export interface Duties {
  /** The Request-URI was to change to this. */
  readonly requestUri?: string;
  /** Our own addresses, one of which is on the Via that is added; both may be in Record-Route (RFC 5658). */
  readonly sentBys?: readonly string[];
  /** The Route set was to change: compared elsewhere. */
  readonly routes?: 'edited';
}

/** Every difference that no duty explains; empty where the message is otherwise as it came, octet for octet and in order. */
export function losses(original: string, forwarded: string, duties: Duties = {}): readonly string[] {
  const { sentBys = ['127.0.0.1:5060'] } = duties;
  const isOurs = (field: string): boolean => sentBys.some((sentBy) => field.includes(sentBy));
  const before = apart(original);
  const after = apart(forwarded);
  const found: string[] = [];
  const expectedStart =
    duties.requestUri === undefined ? before.start : before.start.replace(/ .* /, () => ` ${duties.requestUri} `);
  if (after.start !== expectedStart) found.push(`start line: ${after.start}`);
  if (after.body !== before.body) found.push(`body of ${after.body.length} octets, was ${before.body.length}`);

  let at = 0;
  let vias = 0;
  const topVia = before.fields.findIndex((field) => isNamed(field, 'via', 'v'));
  const hadMaxForwards = before.fields.some((field) => isNamed(field, 'max-forwards'));
  for (const field of after.fields) {
    if (duties.routes === 'edited') while (isNamed(before.fields[at] ?? '', 'route')) at += 1;
    const was = before.fields[at];
    if (field === was && !(at === topVia && vias === 0)) at += 1;
    else if (isNamed(field, 'via') && vias === 0 && isOurs(field)) vias += 1;
    else if (isNamed(field, 'record-route') && isOurs(field)) continue;
    else if (isNamed(field, 'max-breadth') && !before.fields.some((each) => isNamed(each, 'max-breadth'))) continue;
    else if (!hadMaxForwards && field === 'Max-Forwards: 70\r\n') continue;
    else if (duties.routes === 'edited' && isNamed(field, 'route')) continue;
    else if (was !== undefined && isNamed(was, 'max-forwards') && countedDown(was) === field) at += 1;
    else if (was !== undefined && at === topVia && unstamped(was) === unstamped(field)) at += 1;
    else {
      found.push(`unexpected field ${JSON.stringify(field)}, next was ${JSON.stringify(was)}`);
      break;
    }
  }
  if (duties.routes === 'edited') while (isNamed(before.fields[at] ?? '', 'route')) at += 1;
  if (vias !== 1) found.push('no Via of ours on top');
  if (found.length === 0 && at < before.fields.length) found.push(`lost ${JSON.stringify(before.fields[at])}`);
  return found;
}

interface Apart {
  readonly start: string;
  /** Each with its folds and its line end. */
  readonly fields: readonly string[];
  readonly body: string;
}

function apart(message: string): Apart {
  const from = message.search(/[^\r\n]/);
  const empty = /\n\r?\n/.exec(message.slice(from));
  if (empty === null) throw new Error('no empty line');
  const head = message.slice(from, from + empty.index + 1);
  const rest = message.slice(from + empty.index + empty[0].length);
  const [start = '', ...fields] = head.split(/(?<=\n)(?![ \t])/);
  const length = fields.find((field) => isNamed(field, 'content-length', 'l'));
  const said = length === undefined ? rest.length : Number.parseInt(length.slice(length.indexOf(':') + 1), 10);
  return { start, fields, body: rest.slice(0, said) };
}

function isNamed(field: string, ...names: readonly string[]): boolean {
  return names.includes(field.slice(0, field.indexOf(':')).trim().toLowerCase());
}

const countedDown = (field: string): string =>
  field.replace(/(:\s*)(\d+)/, (_, lead: string, count: string) => `${lead}${Math.min(255, Number(count)) - 1}`);

/** Without what RFC 3261 §18.2.1 and RFC 3581 §4 let the server write into the top Via, and without that value's folding. */
const unstamped = (field: string): string =>
  field.replace(/;\s*(?:received\s*=\s*[^;,\s]*|rport(?:\s*=\s*\d*)?)/gi, '').replace(/\s+/g, ' ');
