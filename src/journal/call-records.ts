/**
 * Call detail records: one JSON line for each call attempt that has ended. A call that two members saw has a record of each, with the same
 * id: whoever bills takes one of them.
 */
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import { LogOutput } from '../log-output.ts';
import type { Counter, Metrics } from '../metrics.ts';
import { TokenBucket } from '../token-bucket.ts';
import type { CallJournal } from './call-journal.ts';
import { callRow } from './call-row.ts';
import type { ObservedCall } from './observed-call.ts';
import { RecordFile } from './record-file.ts';

export interface CallRecordsParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly journal: CallJournal;
  /** A path, or `stdout`. */
  readonly to: string;
  /** Which member writes. */
  readonly member: string | undefined;
}

export class CallRecords {
  readonly #parts: CallRecordsParts;
  readonly #file: RecordFile | undefined;
  readonly #output: LogOutput | undefined;
  readonly #written: Counter;
  readonly #leftOut: Counter;
  readonly #strangers: TokenBucket;
  readonly #stopListening: () => void;

  /** @throws FileError where the file cannot be opened. */
  constructor(parts: CallRecordsParts) {
    this.#parts = parts;
    const { metrics, log, clock, journal, to } = parts;
    this.#written = metrics.counter('call_records_total', 'Call records that were made');
    this.#leftOut = metrics.counter(
      'call_records_lost_total',
      'Call records that were left out: a flood, or a full disk',
    );
    this.#strangers = new TokenBucket(clock, refusedPerSecond, refusedBurst);
    if (to === 'stdout') this.#output = new LogOutput({ clock, dropped: (count) => this.#leftOut.add(count) });
    else
      this.#file = new RecordFile({
        path: to,
        clock,
        stopped: (reason, waiting) => logEvent(log, 'recordsStopped', { file: to, reason, waiting }),
        resumed: (lost) => logEvent(log, 'recordsResumed', { file: to, lost }),
        lost: (count) => this.#leftOut.add(count),
      });
    metrics.gauge(
      'call_records_waiting',
      'Call records that the disk has not taken yet',
      () => this.#file?.waiting ?? 0,
    );
    this.#stopListening = journal.onEnd((call) => this.#write(call));
  }

  /** After the file was renamed. */
  reopen(): void {
    this.#file?.reopen();
  }

  /** Resolves when every record that was made is written, or the disk takes nothing. */
  async stop(): Promise<void> {
    this.#stopListening();
    this.#output?.flush();
    await this.#file?.close();
  }

  #write(call: ObservedCall): void {
    // What was refused at once may be a flood of anybody's.
    if (call.to === undefined && call.answeredMs === undefined && !call.isAdopted && !this.#strangers.take()) {
      this.#leftOut.add();
      return;
    }
    const { clock, member } = this.#parts;
    const row = callRow(call, clock.now(), clock.wallNow() - clock.now());
    const line = JSON.stringify({ record: 'call', ...row, member });
    this.#written.add();
    if (this.#file !== undefined) this.#file.add(line);
    else this.#output?.write(`${line}\n`);
  }
}

const refusedPerSecond = 100;
const refusedBurst = 1_000;
