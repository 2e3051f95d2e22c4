/**
 * Brings lines to their desired states: one command at a time per line, each the next one that lies between what the gateway has, as far
 * as it has confirmed that, and what the line is to be doing. What the gateway answers changes the observed state, and the comparison is
 * made again. A protocol brings pure functions (`LineProtocol`) and the way to its gateways (`LineGateway`).
 */
import type { FailureTold, ReleaseReason } from '../calls/leg.ts';
import type { Cancel, Clock } from '../clock.ts';
import type { Line } from './line.ts';
import type { LineProvider } from './line-provider.ts';
import type { DesiredLine } from './line-state.ts';

/** What a protocol knows of its lines. `Observed` is a value: what the gateway has of the line, as far as it has told. */
export interface LineProtocol<Observed, Command, Result> {
  /** Of a line of which the gateway has nothing. */
  readonly nothing: Observed;
  /** `desired` undefined: nothing of the line is to remain. `cleansUp`: what lies about may be tried to be deleted (again). */
  nextCommand(
    desired: DesiredLine | undefined,
    observed: Observed,
    context: { readonly line: Line; readonly cleansUp: boolean },
  ): Command | undefined;
  /** `isDisturbed`: an event came while the command was under way, which may have stopped what the command started. */
  onResult(observed: Observed, command: Command, result: Result, isDisturbed: boolean): Reaction<Observed>;
  /** What is left of it after an event was detected. */
  afterEvent(observed: Observed): Observed;
  /** What was requested of the line is not known to be in force. */
  unrequested(observed: Observed): Observed;
  mediaOf(observed: Observed): { readonly callId: string; readonly local: string | undefined } | undefined;
}

export interface Reaction<Observed> {
  readonly observed: Observed;
  readonly report?: LineReport | undefined;
  /** Something that belongs to no call was deleted, or could not be deleted yet. */
  readonly cleanUp?: 'done' | 'postponed' | undefined;
}

/** What a result means beyond what the gateway has now. */
export type LineReport =
  /** `glare`: off-hook before the bell could ring. */
  | { readonly kind: 'event'; readonly event: 'offHook' | 'onHook' | 'glare' }
  /** The gateway cannot do this; it is tried again after a while unless the call does something else. */
  | { readonly kind: 'refused'; readonly reason: ReleaseReason }
  /** The gateway cannot do this now; whoever talks goes on talking meanwhile. */
  | { readonly kind: 'tryLater' }
  | { readonly kind: 'failed'; readonly because: LineFailure };

/** No answer, the answer that another controller commands the gateway, or that it does not have the line. */
export type LineFailure = 'silent' | 'notOurs' | 'outOfService';

/** The way to the gateways of one protocol. */
export interface LineGateway<Observed, Command, Result> {
  /** Is the line's gateway ours to command, and not known to be down? */
  isCommanded(line: Line): boolean;
  /** `ended` is told the result, or undefined for silence. What is returned takes the command back, where that can be done. */
  submit(line: Line, command: Command, ended: (result: Result | undefined) => void): Cancel | undefined;
  failed(line: Line, because: LineFailure): void;
  /** How many packets have come in the media that the gateway has of the line; undefined where it does not tell. */
  packetsReceived(line: Line, observed: Observed, told: (packets: number | undefined) => void): void;
  /** A refusal, as lists and records show it. */
  told?(line: Line, result: Result): FailureTold | undefined;
}

export interface LineDriverParts<Observed, Command, Result> {
  readonly clock: Clock;
  readonly protocol: LineProtocol<Observed, Command, Result>;
  readonly gateway: LineGateway<Observed, Command, Result>;
  lineProvider(): LineProvider;
}

/** What the core does with the driver of any protocol. */
export interface LineCommander {
  apply(line: Line): void;
  /** What it does is requested anew. */
  renew(line: Line): void;
  forget(line: Line): void;
  whenSettled(line: Line, run: () => void): void;
  packetsReceived(line: Line, told: (packets: number | undefined) => void): void;
}

class Progress<Observed> {
  observed: Observed;
  isUnderWay = false;
  cancel: Cancel | undefined;
  isDisturbed = false;
  /** A result is being weighed: desired states that change meanwhile are looked at once, at its end. */
  isWeighing = false;
  /** Nothing of the line is to remain; nobody is told of it any more. */
  isWithdrawn = false;
  /** Media are reported once for each desired state, and when they change. */
  reportedFor: DesiredLine | undefined;
  reportedLocal: string | undefined;
  /** The gateway refused it: not tried again until something changes, or a while has passed. */
  refused: DesiredLine | undefined;
  retries = 0;
  retry: Cancel | undefined;
  cleanUps = 0;
  cleanUp: Cancel | undefined;
  /** Who waits until the line is settled. */
  readonly waiting: (() => void)[] = [];

  constructor(observed: Observed) {
    this.observed = observed;
  }
}

export class LineDriver<Observed, Command, Result> implements LineCommander {
  readonly #parts: LineDriverParts<Observed, Command, Result>;
  readonly #lines = new Map<Line, Progress<Observed>>();

  constructor(parts: LineDriverParts<Observed, Command, Result>) {
    this.#parts = parts;
  }

  /** Sends the next command, if one is needed and none is under way. */
  apply(line: Line): void {
    this.#advance(line, this.#progress(line));
  }

  observed(line: Line): Observed {
    return this.#lines.get(line)?.observed ?? this.#parts.protocol.nothing;
  }

  /** The gateway has told what it has, by itself or when asked. */
  observe(line: Line, observed: Observed): void {
    this.#progress(line).observed = observed;
  }

  /** After a takeover: this is what the gateway has; whatever else was known of the line counts no more. */
  adopt(line: Line, observed: Observed): void {
    this.forget(line);
    this.observe(line, observed);
  }

  isUnderWay(line: Line): boolean {
    return this.#lines.get(line)?.isUnderWay === true;
  }

  /** An event was detected: call this before what follows from it changes the desired state. */
  eventSeen(line: Line): void {
    const progress = this.#progress(line);
    progress.observed = this.#parts.protocol.afterEvent(progress.observed);
    progress.isDisturbed = true;
  }

  /** What was requested is requested anew. */
  renew(line: Line): void {
    const progress = this.#progress(line);
    progress.observed = this.#parts.protocol.unrequested(progress.observed);
    this.#advance(line, progress);
  }

  /** Runs when the line's desired state is on the gateway, or cannot be brought there: at once, if nothing is to be sent. */
  whenSettled(line: Line, run: () => void): void {
    const progress = this.#progress(line);
    this.#advance(line, progress);
    if (progress.isUnderWay) progress.waiting.push(run);
    else run();
  }

  packetsReceived(line: Line, told: (packets: number | undefined) => void): void {
    const { gateway } = this.#parts;
    if (gateway.isCommanded(line)) gateway.packetsReceived(line, this.observed(line), told);
    else told(undefined);
  }

  /** The gateway restarted, went away or is another's: nothing of what it had exists for us, and no result is waited for. */
  forget(line: Line): void {
    const progress = this.#lines.get(line);
    if (progress === undefined) return;
    this.#lines.delete(line);
    progress.cancel?.();
    stopTimers(progress);
    release(progress);
  }

  /** The gateway has taken the line out of service: what it has of the line is removed, once the command under way has ended. */
  withdraw(line: Line): void {
    const progress = this.#lines.get(line);
    if (progress === undefined) return;
    this.#lines.delete(line);
    stopTimers(progress);
    release(progress);
    progress.isWithdrawn = true;
    this.#advance(line, progress);
  }

  stop(): void {
    for (const progress of this.#lines.values()) stopTimers(progress);
  }

  #progress(line: Line): Progress<Observed> {
    const known = this.#lines.get(line);
    if (known !== undefined) return known;
    const fresh = new Progress(this.#parts.protocol.nothing);
    this.#lines.set(line, fresh);
    return fresh;
  }

  #isCurrent(line: Line, progress: Progress<Observed>): boolean {
    return progress.isWithdrawn || this.#lines.get(line) === progress;
  }

  #advance(line: Line, progress: Progress<Observed>): void {
    const { gateway, lineProvider, protocol } = this.#parts;
    if (progress.isUnderWay || progress.isWeighing || !this.#isCurrent(line, progress)) return;
    // Of a line that is not in service it is not known what its gateway has.
    if (!gateway.isCommanded(line) || !(line.inService || progress.isWithdrawn)) return;
    if (line.isEnding && !progress.isWithdrawn) return;
    const desired = progress.isWithdrawn ? undefined : line.desired;
    const isRefused = desired !== undefined && progress.refused === desired;
    const command = isRefused
      ? undefined
      : protocol.nextCommand(desired, progress.observed, { line, cleansUp: progress.cleanUp === undefined });
    if (command !== undefined) {
      this.#send(line, progress, command);
      return;
    }
    if (!isRefused) {
      progress.retries = 0;
      this.#reportMedia(line, progress);
      // The report may have changed the desired state: then that is what is to be settled.
      if (!progress.isWithdrawn && !progress.isUnderWay && line.desired === desired) lineProvider().settled(line);
    }
    // A report may have changed the desired state.
    if (!progress.isUnderWay) release(progress);
  }

  #send(line: Line, progress: Progress<Observed>, command: Command): void {
    const { desired } = line;
    progress.isDisturbed = false;
    progress.isUnderWay = true;
    progress.cancel = this.#parts.gateway.submit(line, command, (result) => {
      progress.isUnderWay = false;
      progress.cancel = undefined;
      if (this.#isCurrent(line, progress)) this.#ended(line, progress, command, desired, result);
    });
  }

  #ended(line: Line, progress: Progress<Observed>, command: Command, desired: DesiredLine, result: Result | undefined) {
    const { gateway, lineProvider, protocol } = this.#parts;
    if (result === undefined) {
      release(progress);
      // Whether it was executed is not known: the gateway is asked once it answers again.
      if (progress.isWithdrawn) return;
      gateway.failed(line, 'silent');
      lineProvider().postponed(line);
      return;
    }
    progress.isWeighing = true;
    try {
      const { observed, report, cleanUp } = protocol.onResult(progress.observed, command, result, progress.isDisturbed);
      progress.observed = observed;
      if (cleanUp === 'done') progress.cleanUps = 0;
      else if (cleanUp === 'postponed') this.#cleanUpLater(line, progress);
      if (progress.isWithdrawn) {
        if (report?.kind === 'failed' || progress.retries++ > maxRemovals) return;
      } else if (report === undefined) this.#reportMedia(line, progress);
      else this.#report(line, progress, desired, report, result);
    } finally {
      progress.isWeighing = false;
    }
    this.#advance(line, progress);
  }

  #report(line: Line, progress: Progress<Observed>, desired: DesiredLine, report: LineReport, result: Result): void {
    const { gateway, lineProvider } = this.#parts;
    switch (report.kind) {
      case 'event':
        lineProvider()[report.event](line);
        return;
      case 'failed':
        release(progress);
        gateway.failed(line, report.because);
        return;
      case 'tryLater':
        lineProvider().postponed(line);
        if (line.desired === desired) this.#tryLater(line, progress, desired);
        return;
      case 'refused':
        // Nobody wants it any more: no harm done.
        if (line.desired !== desired) return;
        lineProvider().refused(line, report.reason, gateway.told?.(line, result));
        if (line.desired === desired) this.#tryLater(line, progress, desired);
    }
  }

  #reportMedia(line: Line, progress: Progress<Observed>): void {
    if (progress.isWithdrawn) return;
    const { desired } = line;
    const { callId, local } = this.#parts.protocol.mediaOf(progress.observed) ?? {};
    if (callId === undefined || local === undefined || desired.media?.callId !== callId) return;
    if (progress.reportedFor === desired && progress.reportedLocal === local) return;
    progress.reportedFor = desired;
    progress.reportedLocal = local;
    this.#parts.lineProvider().mediaReady(line, callId, local);
  }

  #tryLater(line: Line, progress: Progress<Observed>, desired: DesiredLine): void {
    progress.refused = desired;
    progress.retries += 1;
    progress.retry?.();
    progress.retry = this.#parts.clock.after(waitMs(progress.retries), () => {
      progress.refused = undefined;
      this.#advance(line, progress);
    });
  }

  #cleanUpLater(line: Line, progress: Progress<Observed>): void {
    progress.cleanUps += 1;
    progress.cleanUp?.();
    progress.cleanUp = this.#parts.clock.after(waitMs(progress.cleanUps), () => {
      progress.cleanUp = undefined;
      this.#advance(line, progress);
    });
  }
}

function release({ waiting }: Progress<unknown>): void {
  for (const run of waiting.splice(0)) run();
}

function stopTimers({ retry, cleanUp }: Progress<unknown>): void {
  retry?.();
  cleanUp?.();
}

/** Commands that remove what is left of a line. */
const maxRemovals = 8;

const waitMs = (attempt: number): number => Math.min(60_000, 500 * 2 ** Math.min(attempt, 10));
