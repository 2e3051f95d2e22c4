/**
 * Failure detector: which peers answer. Believes neither silence nor reports of the network before it has asked, and nothing but a
 * well-formed answer to something that we sent counts as a sign of life: datagrams and ICMP errors can be forged by anybody.
 *
 * - A process that is being killed swallows datagrams for some tens of milliseconds before its sockets refuse them, so a peer that
 *   says nothing to what was sent is soon probed. One probe per peer, however much waits there.
 * - An ICMP error makes a peer suspect: new messages go to its alternates while it is probed. An answer clears it, and the next
 *   reports about it are not believed before a probe stayed unanswered.
 * - What waits for more than a provisional answer, and what is down, is probed all the time.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import { RateLimitedLog } from '../rate-limited-log.ts';
import { type ControllerAddress, isReliable } from './controller-address.ts';
import type { ControllerPool, Peer } from './controller-pool.ts';
import type { HopFailure } from './failover.ts';
import { Refusals } from './refusals.ts';

export interface FailureDetectorHost {
  readonly clock: Clock;
  readonly pool: ControllerPool;
  readonly log: Logger;
  readonly options: FailureDetectorOptions;
  readonly canProbe: boolean;
  /** Are we too slow ourselves to judge others by their silence? */
  readonly isBusy: boolean;
  /** Sends a question that any living peer answers; its id, or undefined where there is no question for this peer. */
  sendProbe(peer: Peer): string | undefined;
  /** The hops of messages that got only a provisional answer and have somewhere else to go. */
  watchedHops(): Iterable<ControllerAddress>;
  /** The peer does not answer: what is open there moves. */
  condemned(address: ControllerAddress, failure: HopFailure, detail: string): void;
  /** A peer that was down answers. */
  returned(peer: Peer): void;
}

export interface FailureDetectorOptions {
  readonly silenceMs: number;
  readonly askMs: number;
  readonly probeMs: number;
  readonly downProbeMs: number;
}

export class FailureDetector {
  readonly #host: FailureDetectorHost;
  readonly #askMs: number;
  /** Peers that have said nothing since something was sent to them. */
  readonly #unheard = new Map<Peer, Unheard>();
  /** Peers that the network says are not there. */
  readonly #reported = new Map<Peer, Report>();
  readonly #probing = new Map<Peer, Probing>();
  readonly #refusals: Refusals;
  readonly #refuted: RateLimitedLog;
  #ticking: Cancel | undefined;
  #tickAtMs = 0;
  #stopped = false;

  constructor(host: FailureDetectorHost) {
    this.#host = host;
    this.#askMs = Math.min(host.options.askMs, host.options.silenceMs / 4);
    this.#refusals = new Refusals(host.clock);
    this.#refuted = new RateLimitedLog(host.log, host.clock);
  }

  /** A datagram that has an alternate went to this hop: true where it is the first since it was heard. A connection tells by itself. */
  suspect(to: ControllerAddress, isUrgent: boolean): boolean {
    if (this.#stopped || !this.#host.canProbe || isReliable(to.transport)) return false;
    const peer = this.#host.pool.find(to);
    return peer !== undefined && this.#sent(peer, isUrgent);
  }

  /** What was just sent, and nothing else, began the suspicion, and nobody waits for an answer to it. */
  clearSuspicion(to: ControllerAddress): void {
    const peer = this.#host.pool.find(to);
    const unheard = peer === undefined ? undefined : this.#unheard.get(peer);
    if (unheard !== undefined) unheard.isUrgent = false;
  }

  /** A well-formed answer to something that we sent there at this moment; undefined: in several copies, or not known when. */
  answered(address: ControllerAddress, sentMs?: number): void {
    const peer = this.#host.pool.find(address);
    if (peer !== undefined) this.#answered(peer, sentMs);
  }

  /** It took a message: a final answer that is no refusal. */
  accepted(address: ControllerAddress): void {
    const peer = this.#host.pool.find(address);
    if (peer !== undefined) peer.acceptedMs = this.#host.clock.now();
  }

  /** The answer to a probe came from there; `retryAfterMs`: it says that it takes no work for so long. False: it is none of ours. */
  probeAnswered(id: string, address: ControllerAddress, retryAfterMs?: number): boolean {
    const { pool } = this.#host;
    const peer = pool.find(address);
    const probing = peer === undefined ? undefined : this.#probing.get(peer);
    const sentMs = probing?.ids.get(id);
    if (peer === undefined || probing === undefined || sentMs === undefined) return false;
    probing.ids.delete(id);
    this.#answered(peer, sentMs);
    if (retryAfterMs !== undefined) this.#refuses(peer, retryAfterMs);
    else if (!this.#refusals.isRefusing(peer)) pool.accepts(peer);
    return true;
  }

  /**
   * A hop refused one message and named a time (RFC 3261 §21.5.4). That is its word on this message only; for others it counts once
   * it answers a probe so, or accepts nothing any more.
   */
  refused(address: ControllerAddress, retryAfterMs: number): void {
    const peer = this.#host.pool.find(address);
    if (peer === undefined || peer.provenance !== 'configured') return;
    if (this.#refusals.add(peer, retryAfterMs)) this.#refuses(peer, retryAfterMs);
    else if (!this.#isProbedLately(peer)) this.probe(address);
  }

  /** It said, to all and not to one message, that it takes no new work. */
  withdrawn(address: ControllerAddress): void {
    const { pool, clock } = this.#host;
    const peer = pool.find(address);
    if (peer === undefined) return;
    pool.refuses(peer, clock.now() + maxRefusingMs);
    this.watchAiling();
  }

  /**
   * The network reports that nobody is at the other end of a datagram flow. `moves`: the messages at hand go to the next address now;
   * `waits`: not before a probe stayed unanswered; `unknown`: it is down anyhow, or cannot be
   * asked: the report has to do.
   */
  reported(address: ControllerAddress, failure: HopFailure, detail: string): 'moves' | 'waits' | 'unknown' {
    const { pool, clock, options } = this.#host;
    const peer = pool.find(address);
    if (peer === undefined || !this.#host.canProbe) return 'unknown';
    if (peer.health === 'down') return 'unknown';
    const known = this.#reported.get(peer);
    if (known !== undefined) {
      known.reports += 1;
      return known.isBelieved ? 'moves' : 'waits';
    }
    const now = clock.now();
    if (!this.#sendProbe(peer, now)) return 'unknown';
    const isBelieved = peer.refutedMs === 0 || now - peer.refutedMs >= distrustMs;
    const confirmMs = peer.answerMs === 0 ? 2 * this.#askMs : Math.max(this.#askMs, 4 * peer.answerMs);
    const report: Report = {
      sinceMs: now,
      confirmMs: Math.min(options.silenceMs, confirmMs),
      failure,
      detail,
      isBelieved,
      reports: 0,
      probeMs: 2 * this.#askMs,
      cancel: () => undefined,
    };
    this.#reported.set(peer, report);
    if (isBelieved) pool.suspect(peer);
    this.#confirmLater(peer, report);
    return isBelieved ? 'moves' : 'waits';
  }

  heardSince(address: ControllerAddress, sinceMs: number): boolean {
    const peer = this.#host.pool.find(address);
    return peer !== undefined && peer.lastHeardMs > sinceMs;
  }

  /** When whatever was sent to this peer earlier has arrived: it spoke some time after it. */
  arrivedBeforeMs(address: ControllerAddress): number {
    return (this.#host.pool.find(address)?.lastHeardMs ?? 0) - 2 * this.#host.options.askMs;
  }

  /** One question serves all who wait: another one just asked and unanswered stands for this one, too. */
  probe(address: ControllerAddress): boolean {
    const { pool, clock, options } = this.#host;
    const peer = pool.find(address);
    if (peer === undefined) return false;
    const now = clock.now();
    const probing = this.#probing.get(peer);
    const isAsked = probing !== undefined && now - probing.sentMs < options.askMs / 2;
    return isAsked && peer.lastHeardMs <= probing.sentMs ? true : this.#sendProbe(peer, now);
  }

  /** A message may go there later: is anybody there? */
  probeBeforehand(address: ControllerAddress): void {
    const peer = this.#host.pool.find(address);
    if (peer !== undefined && !isReliable(address.transport) && !this.#isProbedLately(peer)) this.probe(address);
  }

  /** A message got only a provisional answer: its hop is probed until it ends. */
  keepWatch(): void {
    this.#tick(this.#host.options.probeMs);
  }

  /** A peer is down: it is probed until it is back. */
  watchAiling(): void {
    this.#tick(this.#host.options.downProbeMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#ticking?.();
    this.#refuted.close();
    for (const { cancel } of this.#unheard.values()) cancel();
    for (const { cancel } of this.#reported.values()) cancel();
    this.#unheard.clear();
    this.#reported.clear();
  }

  #answered(peer: Peer, sentMs: number | undefined): void {
    const { pool, clock } = this.#host;
    const now = clock.now();
    if (sentMs !== undefined) {
      const tookMs = now - sentMs;
      const isFaster = peer.answerMs === 0 || tookMs < peer.answerMs;
      peer.answerMs = isFaster ? Math.max(tookMs, 0.1) : peer.answerMs + (tookMs - peer.answerMs) / 16;
    }
    const report = this.#reported.get(peer);
    if (report !== undefined) {
      peer.lastHeardMs = now;
      // What was sent before the report may have been answered before the peer went.
      if (sentMs === undefined || sentMs < report.sinceMs) return;
      report.cancel();
      this.#reported.delete(peer);
      peer.refutedMs = now;
      // Whoever can forge ICMP errors can have one refuted every few milliseconds.
      this.#refuted.info('peer was reported gone and answers: the report counts for nothing', peer.key, () => ({
        peer: peer.key,
        failure: report.failure,
      }));
    }
    if (pool.answered(peer)) this.#host.returned(peer);
  }

  #refuses(peer: Peer, retryAfterMs: number): void {
    const { pool, log, clock } = this.#host;
    const forMs = Math.min(retryAfterMs, maxRefusingMs);
    if (pool.refuses(peer, clock.now() + forMs)) logEvent(log, 'peerRefuses', { peer: peer.key, forMs });
    this.watchAiling();
  }

  // --- nothing heard since something was sent ---------------------------------------------------------------------------------

  /** Something that must not get lost is on its way to this peer. True: nothing was before. */
  #sent(peer: Peer, isUrgent: boolean): boolean {
    const { clock } = this.#host;
    const unheard = this.#unheard.get(peer);
    if (unheard === undefined) {
      const begun = { sinceMs: clock.now(), waitMs: this.#askMs, isUrgent, asked: 0, cancel: () => undefined };
      this.#unheard.set(peer, begun);
      this.#lookLater(peer, begun, this.#askMs);
      return true;
    }
    if (peer.lastHeardMs <= unheard.sinceMs) {
      unheard.isUrgent ||= isUrgent;
      return false;
    }
    unheard.sinceMs = clock.now();
    unheard.isUrgent = isUrgent;
    if (unheard.asked > 0) {
      unheard.asked = 0;
      unheard.waitMs = this.#askMs;
      unheard.cancel();
      this.#lookLater(peer, unheard, this.#askMs);
    }
    return true;
  }

  #lookLater(peer: Peer, unheard: Unheard, ms: number): void {
    unheard.cancel = this.#host.clock.after(ms, () => this.#look(peer, unheard));
  }

  #look(peer: Peer, unheard: Unheard): void {
    const unheardMs = this.#host.clock.now() - unheard.sinceMs;
    if (peer.lastHeardMs > unheard.sinceMs || peer.health !== 'up' || unheardMs >= this.#host.options.silenceMs) {
      this.#unheard.delete(peer);
      return;
    }
    // It may have begun anew with a later message.
    const earlyMs = unheard.waitMs - unheardMs;
    if (earlyMs > 0) {
      this.#lookLater(peer, unheard, earlyMs);
      return;
    }
    if ((!unheard.isUrgent && unheard.asked === 0 && this.#isProbedLately(peer)) || !this.probe(peer.address)) {
      this.#unheard.delete(peer);
      return;
    }
    unheard.asked += 1;
    unheard.waitMs = 2 * Math.max(unheard.waitMs, unheardMs);
    this.#lookLater(peer, unheard, unheard.waitMs - unheardMs);
  }

  // --- reported by the network ------------------------------------------------------------------------------------------------

  #confirmLater(peer: Peer, report: Report): void {
    const { clock } = this.#host;
    const dueMs = clock.now() + this.#askMs;
    report.cancel = clock.after(this.#askMs, () => {
      const now = clock.now();
      // We come late ourselves: what the peer answered meanwhile is not read yet.
      if (now - dueMs > this.#askMs) report.sinceMs += now - dueMs;
      this.#confirm(peer, report, now);
    });
  }

  #confirm(peer: Peer, report: Report, now: number): void {
    const { pool, options } = this.#host;
    if (pool.find(peer.address) !== peer) {
      this.#reported.delete(peer);
      return;
    }
    const elapsedMs = now - report.sinceMs;
    const isConfirmed = report.reports > 0 && elapsedMs >= report.confirmMs;
    if (isConfirmed || elapsedMs >= options.silenceMs) {
      this.#reported.delete(peer);
      this.#host.condemned(peer.address, isConfirmed ? report.failure : 'silent', report.detail);
      return;
    }
    if (elapsedMs >= report.probeMs) {
      report.probeMs *= 2;
      this.#sendProbe(peer, now);
    }
    this.#confirmLater(peer, report);
  }

  // --- probes -----------------------------------------------------------------------------------------------------------------

  /** Probes what is pending and what is down; runs only while there is something of either. */
  #tick(inMs: number): void {
    const { clock, options, canProbe } = this.#host;
    if (this.#stopped || !canProbe) return;
    const atMs = clock.now() + inMs;
    if (this.#ticking !== undefined && this.#tickAtMs <= atMs) return;
    this.#ticking?.();
    this.#tickAtMs = atMs;
    this.#ticking = clock.after(inMs, () => {
      this.#ticking = undefined;
      this.#excuse(clock.now() - atMs);
      const pending = this.#probePending();
      const ailing = this.#probeAiling();
      if (pending) this.#tick(options.probeMs);
      else if (ailing) this.#tick(Math.min(options.downProbeMs, options.probeMs * 2));
    });
  }

  /** We come late ourselves (a stalled process, a stopped machine): what peers answered meanwhile is not read yet. */
  #excuse(lateMs: number): void {
    const { pool, options } = this.#host;
    for (const [peer, probing] of this.#probing) {
      if (lateMs > options.probeMs) probing.sinceMs += lateMs;
      if (pool.find(peer.address) !== peer) this.#probing.delete(peer);
    }
  }

  #probePending(): boolean {
    const { pool, clock, options } = this.#host;
    const now = clock.now();
    let pending = false;
    for (const hop of this.#host.watchedHops()) {
      const peer = pool.find(hop);
      if (peer === undefined) continue;
      pending = true;
      const probing = this.#probing.get(peer);
      if (this.#isSilent(peer, probing, now)) {
        this.#probing.delete(peer);
        this.#host.condemned(hop, 'silent', `no response within ${options.silenceMs} ms`);
        continue;
      }
      if (now - peer.lastHeardMs < options.probeMs) continue;
      this.#sendProbe(peer, now);
    }
    return pending;
  }

  #probeAiling(): boolean {
    const { pool, clock, options } = this.#host;
    const now = clock.now();
    const ailing = pool.ailing();
    for (const peer of ailing) {
      const probing = this.#probing.get(peer);
      if (probing !== undefined && now - probing.sentMs < options.downProbeMs) continue;
      // A recovering peer that falls silent again is down again.
      if (peer.health === 'recovering' && this.#isSilent(peer, probing, now)) pool.failed(peer, 'silent');
      this.#sendProbe(peer, now);
    }
    return ailing.length > 0;
  }

  #isProbedLately(peer: Peer): boolean {
    const probing = this.#probing.get(peer);
    return probing !== undefined && this.#host.clock.now() - probing.sentMs < this.#host.options.probeMs;
  }

  #sendProbe(peer: Peer, now: number): boolean {
    const known = this.#probing.get(peer);
    const probing: Probing = known ?? { sinceMs: now, sentMs: now, ids: new Map() };
    // The silence is counted from the first probe that nothing was heard after.
    if (!this.#isUnanswered(peer, known, now)) probing.sinceMs = now;
    probing.sentMs = now;
    this.#probing.set(peer, probing);
    if (peer.askedMs <= peer.lastHeardMs) peer.askedMs = now;
    const id = this.#host.sendProbe(peer);
    if (id === undefined) return false;
    for (const oldest of probing.ids.keys()) {
      if (probing.ids.size < maxOpenProbes) break;
      probing.ids.delete(oldest);
    }
    probing.ids.set(id, now);
    return true;
  }

  #isSilent(peer: Peer, probing: Probing | undefined, now: number): boolean {
    const { isBusy, options } = this.#host;
    const limitMs = isBusy ? busyLimits * options.silenceMs : options.silenceMs;
    return this.#isUnanswered(peer, probing, now) && now - probing.sinceMs >= limitMs;
  }

  /** A question of long ago, when somebody else wanted to know, proves nothing today: it may have been lost. */
  #isUnanswered(peer: Peer, probing: Probing | undefined, now: number): probing is Probing {
    const { silenceMs, downProbeMs } = this.#host.options;
    return (
      probing !== undefined &&
      peer.lastHeardMs < probing.sinceMs &&
      now - probing.sentMs < 2 * Math.max(silenceMs, downProbeMs)
    );
  }
}

interface Unheard {
  /** When the oldest message was sent after which nothing was heard. */
  sinceMs: number;
  waitMs: number;
  /** Does anybody wait for an answer? Responses and acknowledgements get none. */
  isUrgent: boolean;
  asked: number;
  cancel: Cancel;
}

interface Report {
  sinceMs: number;
  /** Without an answer for so long, and with a further report, the peer is gone: what it takes to answer, by experience. */
  readonly confirmMs: number;
  readonly failure: HopFailure;
  readonly detail: string;
  readonly isBelieved: boolean;
  /** After the first probe. */
  reports: number;
  probeMs: number;
  cancel: Cancel;
}

/** Signs of life asked for: the first that nothing was heard after, the last, and the open questions with their times. */
interface Probing {
  sinceMs: number;
  sentMs: number;
  readonly ids: Map<string, number>;
}

/** Reports about a peer that answered after the last one are not believed unasked for so long. */
const distrustMs = 10_000;

/** Later answers than to the eighth last probe are not waited for. */
const maxOpenProbes = 8;

/** Under our own overload answers lie unread for a while: that many silence limits are silence then. */
export const busyLimits = 3;

/** A hop may keep itself out of work for so long; then it is tried again. */
const maxRefusingMs = 60_000;
