/**
 * Taking over gateways that another controller had, or that we had before a restart (RFC 3525 §11.5): each is audited once it has come to
 * us, those of the same former controller are awaited, and calls are restored from what they say together.
 */
import {
  AuditTakeover,
  type CallRecovery,
  type Cancel,
  type Clock,
  type GatewayController,
  type Line,
  type Logger,
} from '../../src/internal.ts';
import { type AuditRequester, auditGateway } from './audit.ts';
import type { MegacoGatewayConfig } from './config.ts';
import type { MegacoHandOver } from './hand-over.ts';
import type { MegacoLineDriver } from './line-gateway.ts';
import { nothingObserved } from './line-results.ts';
import type { MediaGateway, MediaGateways } from './media-gateways.ts';
import { digest } from './request-ids.ts';
import { type AuditedLine, auditedLine, hasLooseEnd, lineSnapshot, playedPackages } from './snapshot.ts';
import { terminationOf } from './termination.ts';

export interface TakeoverParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** How long to wait for the other gateways of the dead controller. */
  readonly takeoverMs: number;
  readonly mediaGateways: MediaGateways;
  readonly driver: MegacoLineDriver;
  readonly recovery: CallRecovery;
  /** Every number that a party may have. */
  numbers(): Iterable<string>;
  controller(): GatewayController<MegacoGatewayConfig>;
  handOver(): MegacoHandOver;
  readonly request: AuditRequester;
  /** It does not answer, or not us. */
  lost(mg: MediaGateway): void;
  /** Another has commanded it meanwhile: what we know of it is old. */
  forgetStale(mg: MediaGateway): void;
  /** Its state is known, and it is ours to command. */
  adopted(mg: MediaGateway): void;
}

export class MegacoTakeover {
  readonly #parts: TakeoverParts;
  readonly #audits: AuditTakeover<readonly AuditedLine[]>;
  /** What the gateways of the round have said so far. */
  readonly #pictures = new Map<string, readonly AuditedLine[]>();
  /** Gateways that are awaited from the dead controller: how to go on without them. */
  readonly #awaited = new Map<string, Awaited>();
  /** Audits under way. */
  #auditing = 0;
  /** Questions under way whether a gateway's own controller lives. */
  #judging = 0;

  constructor(parts: TakeoverParts) {
    this.#parts = parts;
    this.#audits = new AuditTakeover({
      audit: (name, answer) => this.#audit(name, answer),
      completed: ({ snapshots }) => this.#rebuild(snapshots),
      maxHeld: 10_000,
    });
  }

  stop(): void {
    for (const { timer } of this.#awaited.values()) timer();
  }

  get isRunning(): boolean {
    return this.#audits.isRunning;
  }

  isAuditing(mg: MediaGateway): boolean {
    return this.#audits.isAuditing(mg.name);
  }

  /** Runs now, or once the gateway is known. False: too many wait. */
  hold(mg: MediaGateway, run: () => void): boolean {
    return this.#audits.hold(mg.name, run);
  }

  /** It has just told us that it is as new: what is being asked does not matter. */
  drop(mg: MediaGateway): void {
    this.#audits.drop(mg.name);
  }

  /** A gateway that was called to us does not take our word. */
  refused(mg: MediaGateway): void {
    const awaited = this.#awaited.get(mg.name);
    if (awaited === undefined) return;
    awaited.refuses = true;
    this.#awaitNoMore();
  }

  own(mg: MediaGateway): void {
    mg.controlled = true;
    mg.controlledSinceMs = this.#parts.clock.now();
    const awaited = this.#awaited.get(mg.name);
    if (awaited !== undefined) {
      awaited.timer();
      this.#awaited.delete(mg.name);
    }
    this.#parts.handOver().arrived(mg);
    this.#parts.controller().ownership.came(mg.name);
  }

  /** The gateway comes with what it is doing; it and the others of its former controller are asked what that is. */
  begin(mg: MediaGateway, method: string | undefined): void {
    if (mg.controlled && method === 'Disconnected') {
      // It had lost us for a while, nothing more: every line is commanded again.
      for (const line of this.#lines(mg)) this.#parts.driver.renew(line);
      return;
    }
    if (mg.controlled) this.#parts.forgetStale(mg);
    const { mediaGateways } = this.#parts;
    const { members } = this.#parts.controller();
    const handOver = this.#parts.handOver();
    const homeOf = (name: string) => this.#parts.controller().homeOf(name);
    const awaited = this.#awaited.get(mg.name);
    this.own(mg);
    this.#parts.log.info({ gateway: mg.name, method: method ?? 'a message' }, 'gateway is taken over: audit');
    if (awaited !== undefined) {
      awaited.give();
      return;
    }
    // A gateway that was not sent to us has lost its controller, perhaps together with others.
    if (method === undefined || method === 'Failover') {
      this.#judging += 1;
      members.judge(homeOf(mg.name) ?? '', () => {
        this.#judging -= 1;
        this.#awaitNoMore();
      });
    }
    const home = homeOf(mg.name);
    const strangers = [...mediaGateways.all()].filter(
      (other) => other !== mg && !other.controlled && !handOver.isLeaving(other) && homeOf(other.name) === home,
    );
    this.#audits.begin([mg.name, ...strangers.map(({ name }) => name)]);
  }

  #audit(name: string, answer: (lines: readonly AuditedLine[] | undefined) => void): void {
    const mg = this.#parts.mediaGateways.byName(name);
    if (mg === undefined) {
      answer(undefined);
      return;
    }
    if (!mg.controlled) {
      this.#await(mg, answer);
      return;
    }
    const lines = this.#lines(mg);
    this.#auditing += 1;
    auditGateway(mg, lines.map(terminationOf), this.#parts.request, (picture) => {
      this.#auditing -= 1;
      if (picture === undefined) {
        this.#parts.lost(mg);
        answer(undefined);
        return;
      }
      mg.packages = playedPackages(picture);
      const audited = lines.flatMap((line) => auditedLine(line.endpoint, terminationOf(line), picture) ?? []);
      this.#pictures.set(name, audited);
      answer(audited);
      this.#awaitNoMore();
    });
  }

  /** A gateway of the dead controller that has not come yet: it is called, and awaited for a while. */
  #await(mg: MediaGateway, answer: (lines: readonly AuditedLine[] | undefined) => void): void {
    const { clock, takeoverMs } = this.#parts;
    const timer = clock.after(takeoverMs, () => {
      this.#awaited.delete(mg.name);
      answer(undefined);
    });
    this.#awaited.set(mg.name, {
      timer,
      refuses: false,
      give: () => this.#audit(mg.name, answer),
    });
  }

  /** The owner serves it again, or another does: what we ask does not matter any more. */
  forget({ name }: MediaGateway): void {
    this.#awaited.get(name)?.timer();
    this.#awaited.delete(name);
    this.#pictures.delete(name);
    this.#audits.drop(name);
  }

  /** Once every end of every call is known, nobody else needs to be waited for. */
  #awaitNoMore(): void {
    if (this.#awaited.size === 0 || this.#judging > 0 || this.#auditing > 0) return;
    // Those of a dead controller are called and may come yet.
    if ([...this.#awaited].some(([name, { refuses }]) => !refuses && this.#parts.controller().serves(name))) return;
    if (hasLooseEnd([...this.#pictures.values()].flat())) return;
    for (const [name, { timer }] of [...this.#awaited]) {
      timer();
      this.#awaited.delete(name);
      this.#audits.drop(name);
    }
  }

  #rebuild(snapshots: ReadonlyMap<string, readonly AuditedLine[] | undefined>): void {
    const { lineProvider } = this.#parts.controller();
    this.#pictures.clear();
    const audited = [...snapshots.values()].flatMap((lines) => lines ?? []);
    const numbers = new Map([...this.#parts.numbers()].map((number) => [digest(number), number]));
    const bySnapshot = new Map(audited.map((line) => [lineSnapshot(line, (of) => numbers.get(of)), line]));
    const calls = this.#parts.recovery.report({
      protocol: 'megaco',
      snapshots: [...bySnapshot.keys()],
      isOurs: () => true,
      adopt: (snapshot, kept) => {
        const line = lineProvider.lines.byEndpoint(snapshot.endpoint);
        const media = bySnapshot.get(snapshot)?.media;
        if (line === undefined) return;
        lineProvider.lines.setInService(line, true);
        line.hook = snapshot.hook;
        // Media of no call stay known under a name that no call has: the next desired state takes the line out of its context.
        const callId = kept?.callId ?? '';
        this.#parts.driver.adopt(line, {
          ...nothingObserved,
          media: media && { ...media, remote: kept?.media.remote ?? media.remote, callId },
          playing: snapshot.tone,
        });
      },
      restoreLine: (endpoint, disposition) => {
        const line = lineProvider.lines.byEndpoint(endpoint);
        if (line !== undefined) lineProvider.restoreLine(line, disposition);
      },
    });
    for (const [name, known] of snapshots) {
      const mg = this.#parts.mediaGateways.byName(name);
      if (known === undefined || mg === undefined) continue;
      this.#parts.log.info({ gateway: name, lines: known.length, calls }, 'gateway is ours');
      this.#parts.adopted(mg);
    }
    queueMicrotask(() => this.#parts.handOver().settled());
  }

  #lines(mg: MediaGateway): readonly Line[] {
    return this.#parts.controller().lineProvider.lines.of(mg.name);
  }
}

interface Awaited {
  readonly give: () => void;
  readonly timer: Cancel;
  /** It does not take our word; it may still come by itself. */
  refuses: boolean;
}
