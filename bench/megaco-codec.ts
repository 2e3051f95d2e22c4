/** Our MEGACO codecs beside those of Erlang/OTP, on the 28 messages of RFC 3015 Appendix A, in one run. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { decodeBinary } from '../protocols/megaco/codec/binary/decode.ts';
import { encodeBinary } from '../protocols/megaco/codec/binary/encode.ts';
import { TerminationNaming } from '../protocols/megaco/codec/binary/termination-naming.ts';
import type { MegacoMessage } from '../protocols/megaco/codec/messages.ts';
import { decodeText } from '../protocols/megaco/codec/text/decode.ts';
import { encodeText } from '../protocols/megaco/codec/text/encode.ts';
import { type BenchOptions, median, type Row, type Suite, type SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'megaco-codec',
  title: 'MEGACO codecs beside OTP, one core',
  works: [],
  byDefault: true,
  run,
};

const messages = fileURLToPath(new URL('../test/vectors/megaco/messages.json', import.meta.url));
const anchorScript = fileURLToPath(new URL('./megaco/anchor_codec.escript', import.meta.url));
const vectors = z
  .array(z.object({ pretty: z.string(), compact: z.string(), ber: z.string() }))
  .parse(JSON.parse(readFileSync(messages, 'utf8')));
const naming = new TerminationNaming({ octets: 4, kinds: [{ prefix: 'a', octet: 1 }] });

const anchorReport = z.object({ median: z.record(z.string(), z.number()) });

async function run(options: BenchOptions): Promise<SuiteReport> {
  const rounds = options.quick ? 2 : (options.runs ?? 5);
  const ours = new Map<string, number[]>();
  const theirs = new Map<string, number[]>();
  const works = operations();
  for (const operation of works.values()) medianMicroseconds(operation);
  let missing: string | undefined;
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, operation] of works) push(ours, name, medianMicroseconds(operation));
    if (options.alone || missing !== undefined) continue;
    try {
      const text = execFileSync('escript', [anchorScript, messages, '--rounds', '21', '--json'], { encoding: 'utf8' });
      for (const [name, value] of Object.entries(anchorReport.parse(JSON.parse(text)).median))
        push(theirs, name, value);
    } catch (error) {
      missing = `without OTP: ${error instanceof Error ? error.message.split('\n')[0] : error}`;
    }
  }
  const row = (what: string, name: string, anchors: readonly string[]): Row => {
    // The faster of OTP's ways (its scanner in Erlang or in C).
    const lists = anchors.map((anchor) => theirs.get(anchor) ?? []).filter((list) => list.length > 0);
    const best = lists.toSorted((a, b) => median(a) - median(b))[0];
    return {
      what,
      unit: 'µs',
      better: 'lower',
      target: 1,
      ours: { values: ours.get(name) ?? [], faults: [] },
      ...(best === undefined ? {} : { anchor: { name: 'OTP', values: best, faults: [] } }),
    };
  };
  return {
    rows: [
      row('pretty text: decode', 'pretty decode', ['pretty_dec_erl', 'pretty_dec_flex']),
      row('pretty text: encode', 'pretty encode', ['pretty_enc']),
      row('compact text: decode', 'compact decode', ['compact_dec_erl', 'compact_dec_flex']),
      row('compact text: encode', 'compact encode', ['compact_enc']),
      row('BER: decode, with names', 'ber decode', ['ber_dec_names']),
      row('BER: encode, with names', 'ber encode', ['ber_enc_names']),
      row('BER: decode, beside OTP without names', 'ber decode', ['ber_dec_native']),
      row('BER: encode, beside OTP without names', 'ber encode', ['ber_enc_native']),
    ],
    notes: [
      'median over 28 messages of the time of one decode or encode; ours always yields names and typed values',
      ...(missing === undefined ? [] : [missing]),
    ],
  };
}

type Operation = readonly (() => unknown)[];

function operations(): ReadonlyMap<string, Operation> {
  const pretty = vectors.map((each) => Buffer.from(each.pretty, 'latin1'));
  const compact = vectors.map((each) => Buffer.from(each.compact, 'latin1'));
  const ber = vectors.map((each) => Buffer.from(each.ber, 'hex'));
  const read = (bytes: Buffer): MegacoMessage => {
    const decoded = decodeText(bytes);
    if (!decoded.ok) throw new Error(decoded.error.reason);
    return decoded.value;
  };
  const readBinary = (bytes: Buffer): MegacoMessage => {
    const decoded = decodeBinary(bytes, () => naming);
    if (!decoded.ok) throw new Error(decoded.error.reason);
    return decoded.value;
  };
  const values = compact.map(read);
  const prettyValues = pretty.map(read);
  const binaryValues = ber.map(readBinary);
  return new Map<string, Operation>([
    ['pretty decode', pretty.map((bytes) => () => decodeText(bytes))],
    ['pretty encode', prettyValues.map((value) => () => encodeText(value, 'pretty'))],
    ['compact decode', compact.map((bytes) => () => decodeText(bytes))],
    ['compact encode', values.map((value) => () => encodeText(value, 'compact'))],
    ['ber decode', ber.map((bytes) => () => decodeBinary(bytes, () => naming))],
    ['ber encode', binaryValues.map((value) => () => encodeBinary(value, naming))],
  ]);
}

/** As the anchor does it: per message the median of batches on the same octets, then the median over the messages. */
function medianMicroseconds(operation: Operation): number {
  for (let warm = 0; warm < 20; warm += 1) for (const one of operation) for (let i = 0; i < 50; i += 1) kept = one();
  return median(
    operation.map((one) => {
      const batches: number[] = [];
      for (let batch = 0; batch < 21; batch += 1) {
        const start = performance.now();
        for (let i = 0; i < 50; i += 1) kept = one();
        batches.push(((performance.now() - start) * 1_000) / 50);
      }
      return median(batches);
    }),
  );
}

/** Kept, so that no optimiser leaves the work out. */
export let kept: unknown;

function push(map: Map<string, number[]>, name: string, value: number): void {
  const list = map.get(name);
  if (list === undefined) map.set(name, [value]);
  else list.push(value);
}
