/** RFC 3435 Appendix A, strictly: what the encoder may emit. Returns the first line that the grammar does not have. */
export function offence(datagram: string): string | undefined {
  for (const message of datagram.split(/^\.\r\n/m)) {
    const [head = '', ...sdp] = message.split(/\r\n\r\n/);
    const lines = head.split('\r\n').filter((line, index, all) => index < all.length - 1 || line !== '');
    const [first = '', ...parameters] = lines;
    const isCommand = commandLine.test(first);
    if (!isCommand && !responseLine.test(first)) return first;
    const seen = new Set<string>();
    for (const line of parameters) {
      if (!parameterLine.test(line)) return line;
      const code = line.slice(0, line.indexOf(':')).toUpperCase();
      if (seen.has(code) && !['Z', 'A', 'I'].includes(code)) return `twice: ${line}`;
      seen.add(code);
      if (isCommand && forbidden(first.slice(0, 4), code)) return `${first.slice(0, 4)} must not have ${line}`;
    }
    for (const block of sdp)
      if (!block.split('\r\n').every((line) => line === '' || /^[a-z]=\S?.*$/.test(line))) return block;
    if (!message.endsWith('\r\n')) return 'no end of line';
  }
  return undefined;
}

/** RFC 3435 §3.2.2, the table of parameters and commands, as far as we send them. */
function forbidden(verb: string, code: string): boolean {
  const allowed = table.get(verb);
  if (allowed === undefined) return true;
  return code.length <= 2 && code !== 'K' && !allowed.includes(code);
}

const table: ReadonlyMap<string, readonly string[]> = new Map([
  ['EPCF', ['B']],
  ['CRCX', ['B', 'C', 'T', 'D', 'L', 'M', 'N', 'Q', 'R', 'X', 'S', 'Z2']],
  ['MDCX', ['B', 'C', 'I', 'T', 'D', 'L', 'M', 'N', 'Q', 'R', 'X', 'S']],
  ['DLCX', ['B', 'C', 'I', 'P', 'T', 'D', 'N', 'Q', 'E', 'R', 'X', 'S']],
  ['RQNT', ['B', 'T', 'D', 'N', 'Q', 'R', 'X', 'S']],
  ['NTFY', ['N', 'O', 'X']],
  ['AUEP', ['F']],
  ['AUCX', ['I', 'F']],
  ['RSIP', ['E', 'RD', 'RM']],
]);

const hex = '[0-9A-Fa-f]{1,32}';
const packageName = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?';
const local =
  '(?:\\$|\\*|[\\x21-\\x23\\x25-\\x29\\x2B-\\x2E\\x30-\\x3F\\x41-\\x7E]+)(?:/(?:\\$|\\*|[\\x21-\\x23\\x25-\\x29\\x2B-\\x2E\\x30-\\x3F\\x41-\\x7E]+))*';
const domain = '(?:\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9.-]{1,255})';
const endpoint = `${local}@${domain}`;
const entity = `(?:${local}@)?${domain}(?::\\d{1,5})?`;
const eventId = `(?:\\[[0-9A-DXTa-dxt#*-]+\\]|[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?|\\*|#)`;
const eventName = `(?:(?:${packageName}|\\*)/)?${eventId}(?:@(?:${hex}|\\$|\\*))?`;
const signal = `${eventName}(?:\\([^\\r\\n]*\\))?`;
const requested = `${eventName}(?:\\((?:[NADSIK](?:,[NADSIK])*|E\\(.*\\))\\))?(?:\\([^()]*\\))?`;
const list = (item: string) => `${item}(?:, *${item})*`;
const digitPosition = '(?:\\[[0-9A-Za-z#*-]+\\]|[0-9A-Za-z#*])\\.?';

const commandLine = new RegExp(
  `^(?:EPCF|CRCX|MDCX|DLCX|RQNT|NTFY|AUEP|AUCX|RSIP|MESG) [1-9]\\d{0,8} ${endpoint} MGCP 1\\.0$`,
);
const responseLine = /^\d{3} \d{1,9}(?: \/[A-Za-z0-9-]+)?(?: [\x20-\x7E]*[\x21-\x7E])?$/;

const values: readonly (readonly [code: string, value: string])[] = [
  ['K', `(?:${list('\\d{1,9}(?:-\\d{1,9})?')})?`],
  ['C', hex],
  ['I', `(?:${list(hex)})?`],
  ['N', entity],
  ['X', hex],
  ['L', list('[A-Za-z-]+:[^,\\s]+')],
  ['M', '(?:sendonly|recvonly|sendrecv|confrnce|inactive|loopback|conttest|netwloop|netwtest)'],
  ['R', `(?:${list(requested)})?`],
  ['S', `(?:${list(signal)})?`],
  ['D', `(?:\\((?:${digitPosition})+(?:\\|(?:${digitPosition})+)*\\))?`],
  ['O', `(?:${list(signal)})?`],
  ['ES', `(?:${list(signal)})?`],
  ['P', `(?:${list('(?:PS|OS|PR|OR|PL|JI|LA)=\\d{1,9}')})?`],
  ['E', '\\d{3}(?: .*)?'],
  ['Z', endpoint],
  ['F', list('(?:[A-Z]{1,2}|X-[A-Za-z0-9]{1,6}|[A-Za-z]+/[A-Za-z0-9-]+)')],
  ['Q', '(?:step|loop)(?:, *(?:process|discard))?'],
  ['RM', '(?:graceful|forced|restart|disconnected|cancel-graceful)'],
  ['RD', '\\d{1,6}'],
  ['A', '[^\\s].*'],
  ['PL', list('[A-Za-z0-9-]+:\\d+')],
  ['RED/NL', list(entity)],
  ['RED/N', entity],
  ['X-[A-Za-z0-9]{1,6}', `(?:[\\x21\\x23-\\x7F](?:[\\x20-\\x7F]*[\\x21-\\x7F])?)?`],
];

const parameterLine = new RegExp(`^(?:${values.map(([code, value]) => `${code}:(?: ${value})?`).join('|')})$`);
