/** `altpath trace`: the messages of a call, a number, an endpoint or a peer, as one or several members recorded them. */
import { isUtf8 } from 'node:buffer';
import { writeFileSync } from 'node:fs';
import { askAdmin, followAdmin } from '../admin-client.ts';
import { fileProblem } from '../config/fields.ts';
import { AltpathError, FileError } from '../errors.ts';
import { mergeTraces } from '../trace/merge.ts';
import { pcapOf } from '../trace/pcap.ts';
import { isTraceRow, type TraceRow } from '../trace/trace-row.ts';
import { type AdminTarget, adminTargets } from './admin-target.ts';
import { drawLadder, Ladder, mermaid } from './ladder.ts';
import { isRow } from './table.ts';

export interface TraceFlags {
  readonly admin: readonly string[];
  readonly config?: string | undefined;
  readonly token?: string | undefined;
  /** A call's id, a number, an endpoint, or a peer's address; undefined: everything. */
  readonly about?: string | undefined;
  readonly follow: boolean;
  readonly form: 'ladder' | 'json' | 'mermaid';
  readonly pcap?: string | undefined;
  /** Messages to show: the newest. */
  readonly limit: number;
}

/** Prints; with `follow` until it is interrupted. @throws AltpathError (rejects) with a sentence for the operator. */
export async function trace(flags: TraceFlags, print: (text: string) => void): Promise<void> {
  const targets = adminTargets(flags);
  if (flags.follow) {
    await Promise.all(targets.map((target) => follow(target, flags, print)));
    return;
  }
  const traces = await Promise.all(targets.map((target) => rowsOf(target, flags)));
  const rows = traces.length === 1 ? (traces[0] ?? []) : mergeTraces(traces);
  if (flags.pcap !== undefined) {
    writePcap(flags.pcap, rows);
    print(`${rows.length} messages in ${flags.pcap}`);
  } else if (flags.form === 'json') print(JSON.stringify(rows.map(withText), undefined, 2));
  else if (rows.length === 0)
    print(flags.about === undefined ? 'no messages yet' : `no message about ${flags.about} among those recorded`);
  else print(flags.form === 'mermaid' ? mermaid(rows) : drawLadder(rows, process.stdout.columns));
}

async function rowsOf({ address, token }: AdminTarget, { about, limit }: TraceFlags): Promise<readonly TraceRow[]> {
  const search = new URLSearchParams({ limit: String(limit), octets: '1', ...(about === undefined ? {} : { about }) });
  const answer = await askAdmin(address, `/trace?${search}`, { token });
  if (!isRow(answer) || !Array.isArray(answer['items']))
    throw new AltpathError('ERR_ADMIN', 'the answer makes no sense: another version of altpath?');
  return answer['items'].filter(isTraceRow);
}

async function follow(
  { address, token }: AdminTarget,
  { about, form }: TraceFlags,
  print: (text: string) => void,
): Promise<void> {
  const ladder = new Ladder(process.stdout.columns);
  const search = new URLSearchParams({ kinds: 'trace', ...(about === undefined ? {} : { about }) });
  for await (const { kind, data } of followAdmin(address, `/events?${search}`, { token })) {
    if (kind === 'lost' && isRow(data)) print(`… ${String(data['count'])} messages left out: there were too many`);
    if (kind !== 'trace' || !isTraceRow(data)) continue;
    if (form === 'json') print(JSON.stringify(withText(data)));
    else for (const line of ladder.add(data)) print(line);
  }
}

function writePcap(file: string, rows: readonly TraceRow[]): void {
  try {
    writeFileSync(file, pcapOf(rows));
  } catch (error) {
    throw new FileError(`cannot write "${file}": ${fileProblem(error)}`);
  }
}

/** For people who read JSON: the message as text, where it is text. */
function withText({ octets, ...row }: TraceRow): object {
  if (octets === undefined) return row;
  const bytes = Buffer.from(octets, 'base64');
  return isText(bytes) ? { ...row, text: bytes.toString('utf8') } : { ...row, octets };
}

/** No octet that text has no use for, and well-formed. */
const isText = (bytes: Buffer): boolean =>
  isUtf8(bytes) && !bytes.some((octet) => octet < 9 || (octet > 13 && octet < 32));
