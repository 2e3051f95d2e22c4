/**
 * What a controller tells the program that runs it: calls, messages and gateways that move, peers that die and return. Handlers
 * are called at once and in order; whoever wants to wait reads `stream` instead.
 */
import type { Logger } from '../log.ts';

/** A call as this controller sees it. `ended` follows every `begun` but those that another controller takes over. */
export interface CallEvent {
  readonly kind: 'call';
  readonly phase: 'begun' | 'answered' | 'ended';
  /** `sip`, `mgcp`, `megaco`: of the party that called. */
  readonly protocol: string;
  /** SIP: the Call-ID. MGCP, MEGACO: made by the controller, unknown until a number is known. */
  readonly callId: string | undefined;
  readonly caller: string | undefined;
  readonly callee: string | undefined;
  /** With `ended`: `hungUp`, `busy`, `noAnswer` …; a call that SIP refused: the status code, `486`. */
  readonly reason?: string | undefined;
}

/** A message was sent to an alternate because its hop failed; or gateways are served by another member than before. */
export interface SwitchEvent {
  readonly kind: 'switch';
  readonly what: 'message' | 'gateway';
  readonly protocol: string;
  /** A single gateway; undefined: all gateways of a member. */
  readonly gateway?: string | undefined;
  /** `udp:192.0.2.1:5060`; of a gateway: the member that served it, where that is known. */
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** `refused`, `silent`, `down` …; of a gateway: `died`, `holdOver`, `drain` … */
  readonly because: string;
}

/** A controller, gateway or telephone that does not answer any more, or answers again. */
export interface PeerEvent {
  readonly kind: 'peer';
  readonly state: 'died' | 'returned';
  readonly protocol: string;
  /** `udp:192.0.2.1:5060` */
  readonly address: string;
  readonly because?: string | undefined;
}

export type ControllerEvent = CallEvent | SwitchEvent | PeerEvent;

export type EventOf<K extends ControllerEvent['kind']> = Extract<ControllerEvent, { readonly kind: K }>;

/** Where the parts of a controller report. */
export interface EventSink {
  /** Is there anybody to tell? Else nothing needs to be put together. */
  readonly isHeard: boolean;
  emit(event: ControllerEvent): void;
  /** A message has just been sent to another address than the one that failed. */
  moved?(from: string, to: string, because: string): void;
  /** A peer died or returned, or gateways are another member's. */
  news?(event: NewsEvent): void;
}

/** What happens seldom is put together for those alone, too, who keep a record of it and hear of nothing else. */
export function tellNews(events: EventSink | undefined, event: NewsEvent): void {
  if (events?.news !== undefined) events.news(event);
  else if (events?.isHeard === true) events.emit(event);
}

type Marker = (from: string, to: string, because: string) => void;

/** What happens seldom: told also where nobody hears of calls. */
type NewsEvent = PeerEvent | SwitchEvent;

type Handler = (event: ControllerEvent) => void;

export class ControllerEvents implements EventSink {
  readonly #log: Logger;
  readonly #handlers = new Set<Handler>();
  readonly #streams = new Set<EventStream>();
  readonly #markers = new Set<Marker>();
  readonly #newsHandlers = new Set<(event: NewsEvent) => void>();
  #ended = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  get isHeard(): boolean {
    return this.#handlers.size > 0;
  }

  moved(from: string, to: string, because: string): void {
    for (const marker of this.#markers) marker(from, to, because);
  }

  /** Calls it for each message that is sent to an alternate, right after it was. Returns what ends that. */
  onMoved(marker: Marker): () => void {
    this.#markers.add(marker);
    return () => {
      this.#markers.delete(marker);
    };
  }

  news(event: NewsEvent): void {
    for (const handler of this.#newsHandlers) handler(event);
    this.emit(event);
  }

  /** Calls it for each peer that dies or returns, and where gateways move. Returns what ends that. */
  onNews(handler: (event: NewsEvent) => void): () => void {
    this.#newsHandlers.add(handler);
    return () => {
      this.#newsHandlers.delete(handler);
    };
  }

  emit(event: ControllerEvent): void {
    for (const handler of this.#handlers) {
      try {
        handler(event);
      } catch (error) {
        // The program's fault is no reason to lose a call.
        this.#log.error({ err: error, event: event.kind }, 'a handler of events failed');
      }
    }
  }

  on<K extends ControllerEvent['kind']>(kind: K, handler: (event: EventOf<K>) => void): () => void {
    const isOf = (event: ControllerEvent): event is EventOf<K> => event.kind === kind;
    return this.#listen((event) => {
      if (isOf(event)) handler(event);
    });
  }

  stream(): AsyncIterableIterator<ControllerEvent> {
    const stream = new EventStream(() => {
      stopListening();
      this.#streams.delete(stream);
    });
    const stopListening = this.#listen((event) => stream.push(event));
    if (this.#ended) stream.end();
    else this.#streams.add(stream);
    return stream;
  }

  /** Every stream ends once what it holds has been read. */
  end(): void {
    this.#ended = true;
    for (const stream of this.#streams) stream.end();
    this.#handlers.clear();
  }

  #listen(handler: Handler): () => void {
    if (!this.#ended) this.#handlers.add(handler);
    return () => {
      this.#handlers.delete(handler);
    };
  }
}

type Next = IteratorResult<ControllerEvent, undefined>;

class EventStream implements AsyncIterableIterator<ControllerEvent> {
  readonly #closed: () => void;
  #held: ControllerEvent[] = [];
  #waiting: ((next: Next) => void)[] = [];
  #ended = false;

  constructor(closed: () => void) {
    this.#closed = closed;
  }

  push(event: ControllerEvent): void {
    if (this.#ended) return;
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      waiting({ done: false, value: event });
      return;
    }
    this.#held.push(event);
    // Who does not read must not cost memory without end: the oldest go, half of them at a time.
    if (this.#held.length > maxHeld) this.#held = this.#held.slice(maxHeld / 2);
  }

  end(): void {
    this.#ended = true;
    for (const waiting of this.#waiting.splice(0)) waiting(over);
  }

  next(): Promise<Next> {
    const value = this.#held.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#ended) return Promise.resolve(over);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  return(): Promise<Next> {
    this.#held = [];
    this.end();
    this.#closed();
    return Promise.resolve(over);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

const over: Next = { done: true, value: undefined };

/** Events that a slow reader may leave unread. */
const maxHeld = 10_000;
