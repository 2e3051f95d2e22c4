/** Signals and last resorts of a serving process. */
import type { Logger } from '../log.ts';

export interface EndReason {
  readonly signal: 'SIGTERM' | 'SIGINT' | 'drain';
  readonly text: string;
}

export class ProcessSignals {
  /** Settles once, when the process is asked to end in order. */
  readonly ended: Promise<EndReason>;
  readonly #log: Logger;
  readonly #handlers = new Map<string, (error?: unknown) => void>();
  #end: (reason: EndReason) => void = () => undefined;
  #asked = false;
  #hangUp: (() => void) | undefined;

  constructor(log: Logger) {
    this.#log = log;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#on('SIGTERM', () => this.#signalled('SIGTERM'));
    this.#on('SIGINT', () => this.#signalled('SIGINT'));
    this.#on('SIGHUP', () => this.#hangUp?.());
    // A process in a state that nobody thought of must not go on with calls: its backup knows better.
    this.#on('uncaughtException', (error) => this.#die(error, 'uncaught exception'));
    this.#on('unhandledRejection', (error) => this.#die(error, 'unhandled rejection'));
  }

  end(reason: EndReason): void {
    this.#asked = true;
    this.#end(reason);
  }

  onHangUp(run: () => void): void {
    this.#hangUp = run;
  }

  dispose(): void {
    for (const [event, handler] of this.#handlers) process.removeListener(event, handler);
    this.#handlers.clear();
  }

  #on(event: string, handler: (error?: unknown) => void): void {
    this.#handlers.set(event, handler);
    process.on(event, handler);
  }

  #signalled(signal: 'SIGTERM' | 'SIGINT'): void {
    // Who asks twice does not want to wait (128 + the signal's number, as a shell would say).
    if (this.#asked) process.exit(signal === 'SIGINT' ? 130 : 143);
    this.end({ signal, text: signal });
  }

  #die(error: unknown, what: string): never {
    try {
      this.#log.fatal({ err: error }, `${what}: ending at once`);
    } finally {
      process.exit(1);
    }
  }
}
