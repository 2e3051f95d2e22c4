/**
 * Provisional responses that are acknowledged (RFC 3262), of the called side: repeated until their PRACK comes, one after the other, and
 * numbered from a number that every member computes.
 */
import type { Cancel } from '../../../src/internal.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { nextWaitMs } from '../transactions/host.ts';
import type { AgentParts } from './agent.ts';
import { descriptionOf } from './session-description.ts';

export interface ReliableParts {
  readonly agent: AgentParts;
  readonly firstSequence: number;
  readonly inviteCseq: number;
  readonly isWanted: boolean;
  /** No PRACK for 64*T1. */
  unacknowledged(): void;
}

interface Sent {
  readonly sequence: number;
  readonly hasDescription: boolean;
  send(): void;
}

export class ReliableProvisionals {
  readonly #parts: ReliableParts;
  #sequence: number;
  #open: Sent | undefined;
  readonly #waiting: Sent[] = [];
  #whenFree: (() => void) | undefined;
  #timer: Cancel | undefined;
  #deadline: Cancel | undefined;
  #waitMs = 0;
  #hasAnswered = false;
  #stopped = false;

  constructor(parts: ReliableParts) {
    this.#parts = parts;
    this.#sequence = parts.firstSequence;
  }

  /** RFC 3262 §3: demanded by Require. What is merely supported is not made use of: a ringing line says nothing that may not be lost. */
  static isWanted(invite: SipMessage): boolean {
    return invite.list(H.require).some((option) => option.toLowerCase() === '100rel');
  }

  /** A description was told in one that has its PRACK. */
  get hasAnswered(): boolean {
    return this.#hasAnswered;
  }

  /** `send` puts the fields that are given into the response. */
  send(send: (fields: string) => void, hasDescription: boolean): void {
    if (!this.#parts.isWanted) {
      send('');
      return;
    }
    const sequence = this.#sequence;
    this.#sequence += 1;
    const fields = `Require: 100rel\r\nRSeq: ${sequence}\r\n`;
    const sent: Sent = { sequence, hasDescription, send: () => send(fields) };
    // RFC 3262 §3: not before the one before is acknowledged.
    if (this.#open !== undefined) {
      if (this.#waiting.length < maxWaiting) this.#waiting.push(sent);
      return;
    }
    this.#begin(sent);
  }

  /** At once, or when what carries a description has its PRACK. */
  whenAcknowledged(run: () => void): void {
    this.#waiting.length = 0;
    if (this.#open?.hasDescription === true) this.#whenFree = run;
    else {
      this.#clear();
      run();
    }
  }

  /** undefined: the PRACK belongs to none of ours (RFC 3262 §3: 481). `goOn` is called once it is answered. */
  acknowledge(prack: SipMessage): { readonly description: string | undefined; goOn(): void } | undefined {
    const [, sequence, cseq, method] = /^\s*(\d{1,10})\s+(\d{1,10})\s+(\S+)\s*$/.exec(prack.named('RAck') ?? '') ?? [];
    const open = this.#open;
    if (open === undefined || Number(sequence) !== open.sequence) return undefined;
    if (Number(cseq) !== this.#parts.inviteCseq || method?.toUpperCase() !== 'INVITE') return undefined;
    this.#clear();
    if (open.hasDescription) this.#hasAnswered = true;
    const body = descriptionOf(prack);
    return { description: body.kind === 'description' ? body.text : undefined, goOn: () => this.#next() };
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.length = 0;
    this.#whenFree = undefined;
    this.#clear();
  }

  #next(): void {
    const run = this.#whenFree;
    this.#whenFree = undefined;
    if (run !== undefined) {
      run();
      return;
    }
    const next = this.#waiting.shift();
    if (next !== undefined && !this.#stopped) this.#begin(next);
  }

  #begin(sent: Sent): void {
    const { clock, layer } = this.#parts.agent;
    this.#open = sent;
    this.#waitMs = layer.timers.t1Ms;
    sent.send();
    this.#deadline = clock.after(64 * layer.timers.t1Ms, () => {
      this.#clear();
      this.#parts.unacknowledged();
    });
    this.#arm(sent);
  }

  #arm(sent: Sent): void {
    this.#timer = this.#parts.agent.clock.after(this.#waitMs, () => {
      // RFC 3262 §3: doubled each time, without a limit.
      this.#waitMs = nextWaitMs(this.#waitMs, Number.POSITIVE_INFINITY);
      sent.send();
      this.#arm(sent);
    });
  }

  #clear(): void {
    this.#open = undefined;
    this.#timer?.();
    this.#deadline?.();
    this.#timer = undefined;
    this.#deadline = undefined;
  }
}

const maxWaiting = 8;
