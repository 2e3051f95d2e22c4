/** Asks every hop of a trunk by OPTIONS whether it is there (RFC 3261 §11): any answer but 503 says so. */
import type { Cancel, Clock, Logger, Random } from '../../../src/internal.ts';
import type { OwnRequests } from './own-requests.ts';
import type { HopState, Trunk, TrunkHop } from './trunk.ts';
import type { Trunks } from './trunks.ts';

export interface TrunkPingParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly trunks: Trunks;
  readonly requests: OwnRequests;
}

export class TrunkPings {
  readonly #parts: TrunkPingParts;
  /** By hop: the wait for the next ping, or for the answer to this one. */
  readonly #waits = new Map<TrunkHop, Cancel>();
  readonly #callId: string;
  #cseq = 0;

  constructor(parts: TrunkPingParts) {
    this.#parts = parts;
    this.#callId = parts.random.hex(16);
  }

  start(): void {
    for (const trunk of this.#parts.trunks.all)
      if (trunk.config.pingSeconds > 0) for (const hop of trunk.hops) this.#ping(trunk, hop);
  }

  stop(): void {
    for (const cancel of this.#waits.values()) cancel();
    this.#waits.clear();
  }

  #ping(trunk: Trunk, hop: TrunkHop): void {
    const { requests, trunks } = this.#parts;
    this.#cseq += 1;
    const cancel = requests.send({
      method: 'OPTIONS',
      uri: `sip:${trunk.domain}`,
      hop: hop.hop,
      alternates: [],
      callId: this.#callId,
      cseq: this.#cseq,
      party: `sip:${trunk.account?.user ?? 'ping'}@${trunk.domain}`,
      fields: () => 'Accept: application/sdp\r\n',
      limitMs: answerMs,
      resolved: (addresses) => trunks.learn(trunk, addresses),
      done: (answer) => {
        if (typeof answer === 'string') this.#is(trunk, hop, 'down', answer);
        else if (answer.status === 503) this.#is(trunk, hop, 'down', '503');
        else this.#is(trunk, hop, 'up');
      },
    });
    this.#waits.set(hop, cancel);
  }

  #is(trunk: Trunk, hop: TrunkHop, state: HopState, detail?: string): void {
    const { clock, random, log } = this.#parts;
    if (hop.state !== state)
      log[state === 'down' ? 'warn' : 'info'](
        { trunk: trunk.name, hop: hop.name, detail },
        `a hop of a trunk is ${state}`,
      );
    hop.state = state;
    hop.detail = detail;
    if (state === 'up') hop.answeredMs = clock.now();
    // Sooner where it is down, and never all at once.
    const everyMs = trunk.config.pingSeconds * 1_000;
    const waitMs = (state === 'down' ? Math.min(everyMs, downMs) : everyMs) * (0.9 + 0.2 * random.fraction());
    this.#waits.set(
      hop,
      clock.after(waitMs, () => this.#ping(trunk, hop)),
    );
  }
}

/** Three repetitions over UDP. */
const answerMs = 4_000;

const downMs = 5_000;
