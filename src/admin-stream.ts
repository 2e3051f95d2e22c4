/**
 * `/events` of the admin server: what happens, as server-sent events (HTML living standard §9.2). A reader that is slow, or asks for more
 * than a person can follow, loses events and is told how many; signaling never waits for it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Cancel, Clock } from './clock.ts';
import { TokenBucket } from './token-bucket.ts';

export const eventKinds = [
  'trace',
  'call',
  'peer',
  'switch',
  'cluster',
  'figures',
  'log',
  'calls',
  'happenings',
  'sample',
] as const;

/** What comes to those who do not say what they want. */
export const usualKinds: readonly EventKind[] = ['call', 'peer', 'switch', 'cluster', 'figures'];

export type EventKind = (typeof eventKinds)[number];

export const isEventKind = (text: string): text is EventKind => eventKinds.some((kind) => kind === text);

/** Where events come from. */
export interface EventSource {
  /** Tells of events of these kinds, those of `trace` only as far as they are about this; returns what ends it. */
  listen(
    kinds: ReadonlySet<EventKind>,
    about: string | undefined,
    tell: (kind: EventKind, data: unknown) => void,
  ): () => void;
}

export class EventStreams {
  readonly #clock: Clock;
  readonly #source: EventSource;
  readonly #open = new Set<() => void>();

  constructor(clock: Clock, source: EventSource) {
    this.#clock = clock;
    this.#source = source;
  }

  get isFull(): boolean {
    return this.#open.size >= maxStreams;
  }

  /** The answer does not end before the connection does. */
  begin(
    request: IncomingMessage,
    response: ServerResponse,
    kinds: ReadonlySet<EventKind>,
    about: string | undefined,
  ): void {
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      connection: 'close',
      'x-accel-buffering': 'no',
    });
    response.write(': altpath\n\n');
    const bucket = new TokenBucket(this.#clock, eventsPerSecond, eventBurst);
    let lost = 0;
    const write = (kind: string, data: unknown): void => {
      response.write(`event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`);
    };
    const stopListening = this.#source.listen(kinds, about, (kind, data) => {
      if (response.writableLength > maxUnreadBytes || !bucket.take()) lost += 1;
      else write(kind, data);
    });
    let beat: Cancel = () => undefined;
    const tick = (): void => {
      if (lost > 0 && response.writableLength <= maxUnreadBytes) {
        write('lost', { count: lost });
        lost = 0;
      } else response.write(': \n\n');
      // Who has read nothing for so long is gone.
      if (response.writableLength > 2 * maxUnreadBytes) request.socket.destroy();
      beat = this.#clock.after(beatMs, tick);
    };
    beat = this.#clock.after(beatMs, tick);
    const end = (): void => {
      stopListening();
      beat();
      this.#open.delete(end);
      response.end();
    };
    this.#open.add(end);
    request.socket.once('close', end);
    response.on('error', end);
  }

  close(): void {
    for (const end of [...this.#open]) end();
  }
}

const maxStreams = 16;

/** More than a screen can show. */
const eventsPerSecond = 500;
const eventBurst = 2_000;

const maxUnreadBytes = 1_048_576;

const beatMs = 1_000;
