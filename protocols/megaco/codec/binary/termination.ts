/** TerminationID and lists of it in BER (RFC 3525 Annex A.1, A.2). */
import type { BerReader } from './reader.ts';
import type { TerminationNaming } from './termination-naming.ts';
import type { BerWriter } from './writer.ts';

export function readTermination(r: BerReader, limit: number, naming: TerminationNaming): string {
  let fields: number[] | undefined;
  let name = '';
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0xa0) {
      while (r.pos < stop) {
        r.next(stop);
        if (fields === undefined) fields = [r.bytes[r.pos] ?? 0];
        else if (fields.length < 8) fields.push(r.bytes[r.pos] ?? 0);
        r.pos = r.stop;
      }
    } else if (tag === 0x81) {
      if (stop === r.pos || stop - r.pos > 8) r.fail('termination id');
      else if (fields === undefined) name = naming.decode(r.bytes, r.pos, stop);
      else name = naming.decodeWildcard(fields, r.bytes, r.pos, stop);
    }
    r.pos = stop;
  }
  return name;
}

export function readTerminationList(r: BerReader, limit: number, naming: TerminationNaming): readonly string[] {
  const list: string[] = [];
  while (r.pos < limit) {
    r.next(limit);
    const stop = r.stop;
    list.push(readTermination(r, stop, naming));
    r.pos = stop;
  }
  return list;
}

export function writeTermination(w: BerWriter, tag: number, name: string, naming: TerminationNaming): void {
  const { wildcards, id } = naming.encode(name);
  const mark = w.mark;
  w.octets(0x81, id);
  const fields = w.mark;
  for (let index = wildcards.length - 1; index >= 0; index -= 1) {
    const field = w.mark;
    w.octet(wildcards[index] ?? 0);
    w.close(0x04, field);
  }
  w.close(0xa0, fields);
  w.close(tag, mark);
}

/** The list of one that all commands have (Annex A.2, note 2), or a longer one. */
export function writeTerminationList(
  w: BerWriter,
  tag: number,
  names: readonly string[],
  naming: TerminationNaming,
): void {
  const mark = w.mark;
  for (let index = names.length - 1; index >= 0; index -= 1) writeTermination(w, 0x30, names[index] ?? '', naming);
  w.close(tag, mark);
}
