/**
 * Brings lines to their orders: one transaction per line at a time, always for the latest order (RFC 3525 §9.1 rule 2), and keeps
 * what the gateway confirmed. It commands only gateways that are ours.
 */
import type { CommandOutcome, Line, LineDriver, LineOrder, Logger, ReleaseReason, Tone } from '../../src/internal.ts';
import type { Agent } from './agents.ts';
import { emptied, emptyContextOf, isReal } from './context-cleanup.ts';
import { actionsFor, howlerPackage, type LineMedia, leave } from './line-commands.ts';
import type { ActionReply, ActionRequest, CommandReply, ErrorDescriptor, MediaDescriptor } from './messages.ts';
import type { MegacoResponse } from './transaction.ts';

export interface LineDriverParts {
  readonly log: Logger;
  agentOf(line: Line): Agent | undefined;
  terminationOf(line: Line): string;
  request(
    agent: Agent,
    actions: readonly ActionRequest[],
    ended: (outcome: CommandOutcome<MegacoResponse>) => void,
  ): void;
  digitMap(): string;
  readonly chooseLocal: string;
  mediaReady(line: Line, callId: string, local: string): void;
  refused(line: Line, reason: ReleaseReason): void;
  /** No answer, or the answer that another controller commands the gateway. */
  lost(agent: Agent, because: 'silent' | 'notOurs'): void;
}

interface LineState {
  media: LineMedia | undefined;
  /** The order under way. */
  sent: LineOrder | undefined;
  /** The order that the gateway has confirmed. */
  confirmed: LineOrder | undefined;
  /** The tone that may still be on. */
  playing: Tone | undefined;
  /** How often the gateway's picture had to be cleared for this order. */
  cleared: number;
  readonly waiting: (() => void)[];
  /** What is left to do once the order under way has ended, if the line was taken out of service meanwhile. */
  withdrawn?: () => void;
}

export class MegacoLineDriver implements LineDriver {
  readonly #parts: LineDriverParts;
  readonly #states = new Map<Line, LineState>();

  constructor(parts: LineDriverParts) {
    this.#parts = parts;
  }

  apply(line: Line): void {
    const state = this.#state(line);
    if (state.sent === undefined) this.#send(line, state);
  }

  /** Runs when the line's latest order is on the gateway: at once, if it is. */
  whenSettled(line: Line, run: () => void): void {
    const state = this.#state(line);
    if (state.sent === undefined) run();
    else state.waiting.push(run);
  }

  /** A detected event ends the signals (RFC 3525 §7.1.11). */
  eventSeen(line: Line): void {
    this.#state(line).playing = undefined;
  }

  mediaOf(line: Line): LineMedia | undefined {
    return this.#state(line).media;
  }

  /** After an audit: this is what the gateway has. */
  adopt(line: Line, media: LineMedia | undefined, playing: Tone | undefined): void {
    const state = this.#state(line);
    state.media = media;
    state.playing = playing;
    state.confirmed = undefined;
  }

  /** The gateway restarted or went away: nothing of what it had exists for us. Commands under way are somebody else's to settle. */
  forget(line: Line): void {
    const state = this.#states.get(line);
    if (state === undefined) return;
    this.#states.delete(line);
    for (const run of state.waiting.splice(0)) run();
  }

  /**
   * The gateway has taken the line out of service (§7.2.8, Forced): it leaves its context, which ends. An order under way is waited
   * for, since its context may be made just now.
   */
  withdraw(line: Line): void {
    const state = this.#states.get(line);
    const agent = this.#parts.agentOf(line);
    this.forget(line);
    if (agent?.ours !== true || state === undefined) return;
    const { media } = state;
    if (state.sent !== undefined) state.withdrawn = () => this.#emptyContext(line, agent, () => undefined);
    else if (media !== undefined)
      this.#parts.request(agent, [leave(this.#parts.terminationOf(line), media)], () => undefined);
  }

  #state(line: Line): LineState {
    let state = this.#states.get(line);
    if (state === undefined) {
      state = { media: undefined, sent: undefined, confirmed: undefined, playing: undefined, cleared: 0, waiting: [] };
      this.#states.set(line, state);
    }
    return state;
  }

  #send(line: Line, state: LineState): void {
    const agent = this.#parts.agentOf(line);
    if (agent === undefined || !agent.ours) return;
    const { order } = line;
    state.sent = order;
    const call = line.leg?.call.state;
    const actions = actionsFor(
      {
        termination: this.#parts.terminationOf(line),
        order,
        number: call !== undefined && 'number' in call && call.number !== '' ? call.number : undefined,
        digitMap: this.#parts.digitMap(),
        chooseLocal: this.#parts.chooseLocal,
        playing: state.playing,
        offersHowler: agent.packages.has(howlerPackage),
      },
      state.media,
    );
    this.#parts.request(agent, actions, (outcome) => {
      // Forgotten meanwhile: the outcome is about a life that is over.
      state.withdrawn?.();
      if (this.#states.get(line) === state) this.#ended(line, state, agent, order, outcome);
    });
  }

  #ended(line: Line, state: LineState, agent: Agent, order: LineOrder, outcome: CommandOutcome<MegacoResponse>): void {
    if (outcome.kind !== 'answered') {
      state.sent = undefined;
      this.#release(state);
      this.#parts.lost(agent, 'silent');
      return;
    }
    const { reply } = outcome.response;
    const error = errorIn(reply.error, reply.actions);
    if (error === undefined) {
      this.#confirmed(line, state, order, reply.actions);
      return;
    }
    this.#parts.log.info(
      { line: line.endpoint, mark: order.mark, code: error.code, text: error.text },
      'order refused',
    );
    if (error.code === 504 || error.code === 402) {
      state.sent = undefined;
      this.#release(state);
      this.#parts.lost(agent, 'notOurs');
    } else if (stale.has(error.code) && state.cleared < 2) {
      state.cleared += 1;
      this.#clear(line, state, agent);
    } else {
      this.#cleanUp(line, state, agent, reply.actions);
      state.sent = undefined;
      this.#parts.refused(line, 'noResources');
      this.#next(line, state, order);
    }
  }

  #confirmed(line: Line, state: LineState, order: LineOrder, actions: readonly ActionReply[]): void {
    state.cleared = 0;
    state.confirmed = order;
    state.playing = order.tone;
    const { media } = order;
    if (media === undefined) state.media = undefined;
    else {
      const termination = this.#parts.terminationOf(line);
      const kept = state.media?.callId === media.callId ? state.media : undefined;
      const heard = mediaIn(actions, termination);
      const contextId = heard?.contextId ?? kept?.contextId;
      const rtp = heard?.rtp ?? kept?.rtp;
      state.media =
        contextId === undefined || rtp === undefined
          ? undefined
          : {
              callId: media.callId,
              contextId,
              rtp,
              mode: media.mode,
              local: heard?.local ?? kept?.local,
              remote: media.remote ?? kept?.remote,
            };
    }
    state.sent = undefined;
    const { media: have } = state;
    if (have?.local !== undefined) this.#parts.mediaReady(line, have.callId, have.local);
    this.#next(line, state, order);
  }

  /** The order may have changed meanwhile; else whoever waited for the line goes on. */
  #next(line: Line, state: LineState, order: LineOrder): void {
    if (this.#states.get(line) !== state || state.sent !== undefined) return;
    if (line.order !== order) this.#send(line, state);
    else this.#release(state);
  }

  #release(state: LineState): void {
    for (const run of state.waiting.splice(0)) run();
  }

  /** Our picture of the line was wrong: wherever it is, it leaves, and the order begins anew. */
  #clear(line: Line, state: LineState, agent: Agent): void {
    this.#emptyContext(line, agent, () => {
      if (this.#states.get(line) !== state) return;
      state.media = undefined;
      this.#send(line, state);
    });
  }

  #emptyContext(line: Line, agent: Agent, done: () => void): void {
    emptyContextOf(
      this.#parts.terminationOf(line),
      (actions, ended) => this.#parts.request(agent, actions, ended),
      done,
    );
  }

  /** An Add that failed half-way leaves a context behind. */
  #cleanUp(line: Line, state: LineState, agent: Agent, actions: readonly ActionReply[]): void {
    const made = actions.filter(
      ({ contextId, commands }) => isReal(contextId) && commands.some(({ verb }) => verb === 'Add'),
    );
    if (made.length > 0) {
      this.#parts.log.debug({ line: line.endpoint }, 'context that was made in vain is emptied');
      this.#parts.request(
        agent,
        made.map(({ contextId }) => emptied(contextId)),
        () => undefined,
      );
    }
    if (state.media?.callId !== line.order.media?.callId) state.media = undefined;
  }
}

/** Unknown context or termination, termination in a context or not in it: 411, 430, 431, 433, 434, 435. */
const stale = new Set([411, 430, 431, 433, 434, 435]);

/** The first error that counts: those of optional commands do not (RFC 3525 §8.2.2); ours are the Subtracts. */
function errorIn(whole: ErrorDescriptor | undefined, actions: readonly ActionReply[]): ErrorDescriptor | undefined {
  if (whole !== undefined) return whole;
  for (const { error, commands } of actions) {
    for (const { verb, descriptors } of commands) {
      if (verb === 'Subtract') continue;
      for (const descriptor of descriptors) if (descriptor.kind === 'Error') return descriptor;
    }
    if (error !== undefined && !commands.every(({ verb }) => verb === 'Subtract')) return error;
    if (error !== undefined && commands.length === 0) return error;
  }
  return undefined;
}

interface HeardMedia {
  readonly contextId: number | undefined;
  readonly rtp: string | undefined;
  readonly local: string | undefined;
}

/** What the replies to Add and Modify tell of the ephemeral termination beside the line. */
function mediaIn(actions: readonly ActionReply[], termination: string): HeardMedia | undefined {
  for (const { contextId, commands } of actions) {
    if (!isReal(contextId)) continue;
    const reply = commands.find(({ verb, terminationId }) => verb !== 'Subtract' && terminationId !== termination);
    if (reply === undefined) continue;
    return { contextId, rtp: reply.terminationId, local: localIn(reply) };
  }
  return undefined;
}

export function localIn({ descriptors }: Pick<CommandReply, 'descriptors'>): string | undefined {
  const media = descriptors.find((descriptor): descriptor is MediaDescriptor => descriptor.kind === 'Media');
  return media?.streams.find(({ local }) => local !== undefined && local !== '')?.local;
}
