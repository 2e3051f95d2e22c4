/**
 * What a takeover needs of this protocol: a gateway answers the controller that it obeys alone (RFC 3525 §11.5), so it is audited once it
 * has come to us; those of the same former controller are awaited, for they may have the other ends of its calls.
 */
import {
  type Audited,
  type AuditProtocol,
  type CallRecords,
  type Cancel,
  type Clock,
  type Gateway,
  type GatewayController,
  hasLooseEnd,
  type KeptMedia,
  type Line,
  type LineSnapshot,
  type Logger,
} from '../../src/internal.ts';
import { type AuditRequester, auditGateway } from './audit.ts';
import type { MegacoGatewayConfig } from './config.ts';
import type { MegacoLineDriver } from './line-gateway.ts';
import { nothingObserved } from './line-results.ts';
import type { MediaGateway, MediaGateways } from './media-gateways.ts';
import { gaveBack } from './record-place.ts';
import { digest } from './request-ids.ts';
import { type AuditedLine, auditedLine, lineSnapshot, playedPackages } from './snapshot.ts';
import { terminationOf } from './termination.ts';

export interface TakeoverParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** How long to wait for the other gateways of the dead controller. */
  readonly takeoverMs: number;
  readonly mediaGateways: MediaGateways;
  readonly driver: MegacoLineDriver;
  readonly records: CallRecords | undefined;
  /** Every number that a party may have. */
  numbers(): Iterable<string>;
  controller(): GatewayController<MegacoGatewayConfig, AuditedLine>;
  handOver(): Departures;
  readonly request: AuditRequester;
  /** Another has commanded it meanwhile: what we know of it is old. */
  forgetStale(mg: MediaGateway): void;
  /** Its state is known, and it is ours to command. */
  taken(mg: MediaGateway): void;
}

/** What is known of gateways that are sent to us, or from us to another controller. */
export interface Departures {
  arrived(mg: MediaGateway): void;
  isLeaving(mg: MediaGateway): boolean;
  settled(): void;
}

export class MegacoTakeover implements AuditProtocol<AuditedLine> {
  readonly #parts: TakeoverParts;
  /** What the gateways of the round have said so far. */
  readonly #said = new Map<MediaGateway, readonly AuditedLine[]>();
  /** Gateways that are awaited from the dead controller. */
  readonly #awaited = new Map<MediaGateway, Awaited>();
  /** Audits under way. */
  #auditing = 0;
  /** Questions under way whether a gateway's own controller lives. */
  #judging = 0;

  constructor(parts: TakeoverParts) {
    this.#parts = parts;
  }

  stop(): void {
    for (const { timer } of this.#awaited.values()) timer();
  }

  /** A gateway that was called to us does not take our word. */
  refused(mg: MediaGateway): void {
    const awaited = this.#awaited.get(mg);
    if (awaited === undefined) return;
    awaited.refuses = true;
    this.#awaitNoMore();
  }

  own(mg: MediaGateway): void {
    mg.controlled = true;
    mg.controlledSinceMs = this.#parts.clock.now();
    this.#awaited.get(mg)?.timer();
    this.#awaited.delete(mg);
    this.#parts.handOver().arrived(mg);
    this.#parts.controller().ownership.came(mg.name);
  }

  /** The gateway comes with what it is doing; it and the others of its former controller are asked what that is. */
  begin(mg: MediaGateway, method: string | undefined): void {
    const { driver, forgetStale, log, mediaGateways, taken } = this.#parts;
    const controller = this.#parts.controller();
    const { control, members, takeover } = controller;
    const handOver = this.#parts.handOver();
    const lines = control.of(mg.gateway);
    if (mg.controlled && method === 'Disconnected') {
      // It had lost us for a while, nothing more: every line is commanded again.
      for (const line of lines) driver.renew(line);
      return;
    }
    if (mg.controlled) forgetStale(mg);
    const awaited = this.#awaited.get(mg);
    this.own(mg);
    log.info({ gateway: mg.name, method: method ?? 'a message' }, 'gateway is taken over: audit');
    if (awaited !== undefined) {
      for (const ask of awaited.asks) this.#ask(mg, ask);
      return;
    }
    const home = controller.homeOf(mg.name);
    // A gateway that was not sent to us has lost its controller, perhaps together with others.
    if (method === undefined || method === 'Failover') {
      this.#judging += 1;
      members.judge(home ?? '', () => {
        this.#judging -= 1;
        this.#awaitNoMore();
      });
    }
    const strangers = [...mediaGateways.all()].filter(
      (other) =>
        other !== mg && !other.controlled && !handOver.isLeaving(other) && controller.homeOf(other.name) === home,
    );
    takeover.begin([...lines, ...strangers.flatMap(({ gateway }) => control.of(gateway))]);
    if (lines.length === 0) taken(mg);
    takeover.whenIdle(() => handOver.settled());
  }

  audit(gateway: Gateway, lines: readonly Line[], audited: Audited<AuditedLine>): void {
    const mg = this.#parts.mediaGateways.byName(gateway.name);
    if (mg === undefined) for (const line of lines) audited(line, undefined);
    else if (mg.controlled) this.#ask(mg, { lines, audited });
    else this.#await(mg, { lines, audited });
  }

  #ask(mg: MediaGateway, { lines, audited }: Ask): void {
    this.#auditing += 1;
    auditGateway(mg, lines.map(terminationOf), this.#parts.request, (picture) => {
      this.#auditing -= 1;
      if (picture === undefined) {
        for (const line of lines) audited(line, undefined);
        return;
      }
      mg.packages = playedPackages(picture);
      const said = new Map(
        lines.map((line) => [
          line,
          this.#withRecord(auditedLine(line.endpoint, terminationOf(line), picture), line.gateway),
        ]),
      );
      if ([...said.values()].some((each) => (each?.media?.sealed ?? []).length > 0)) gaveBack(mg);
      this.#said.set(mg, [...(this.#said.get(mg) ?? []), ...[...said.values()].filter((each) => each !== undefined)]);
      for (const [line, each] of said) audited(line, each, each === undefined ? unknownTermination : undefined);
      this.#awaitNoMore();
    });
  }

  /** What is known of a party that is no line: from the gateway itself, or from another member. */
  #withRecord(line: AuditedLine | undefined, gateway: string): AuditedLine | undefined {
    if (line?.media === undefined) return line;
    const { media, snapshot } = line;
    const place = { gateway, endpoint: snapshot.endpoint, callId: undefined };
    const isOf = ({ number }: { readonly number: string }): boolean => digest(number) === line.digest;
    const record = this.#parts.records?.find(place, media.sealed ?? [], isOf);
    return record === undefined ? line : { ...line, media: { ...media, record } };
  }

  /** A gateway of the dead controller that has not come yet. */
  #await(mg: MediaGateway, ask: Ask): void {
    const awaited = this.#awaited.get(mg);
    if (awaited !== undefined) {
      awaited.asks.push(ask);
      return;
    }
    const { clock, takeoverMs } = this.#parts;
    const timer = clock.after(takeoverMs, () => {
      const { asks = [] } = this.#awaited.get(mg) ?? {};
      this.#awaited.delete(mg);
      for (const { lines, audited } of asks) for (const line of lines) audited(line, undefined);
    });
    this.#awaited.set(mg, { timer, refuses: false, asks: [ask] });
  }

  /** The owner serves it again, or another does: what we ask does not matter any more. */
  forget(mg: MediaGateway): void {
    const { control, takeover } = this.#parts.controller();
    this.#awaited.get(mg)?.timer();
    this.#awaited.delete(mg);
    this.#said.delete(mg);
    for (const line of control.of(mg.gateway)) takeover.drop(line);
  }

  /** Once every end of every call is known, nobody else needs to be waited for. */
  #awaitNoMore(): void {
    if (this.#awaited.size === 0 || this.#judging > 0 || this.#auditing > 0) return;
    // Those of a dead controller are called and may come yet.
    if ([...this.#awaited].some(([mg, { refuses }]) => !refuses && this.#parts.controller().serves(mg.name))) return;
    if (hasLooseEnd([...this.#said.values()].flat().map((line) => lineSnapshot(line, () => undefined)))) return;
    for (const mg of [...this.#awaited.keys()]) this.forget(mg);
  }

  snapshots(audits: readonly AuditedLine[]): ReadonlyMap<LineSnapshot, AuditedLine> {
    this.#said.clear();
    const numbers = new Map([...this.#parts.numbers()].map((number) => [digest(number), number]));
    return new Map(audits.map((line) => [lineSnapshot(line, (of) => numbers.get(of)), line]));
  }

  /** A gateway answers the controller that it obeys alone. */
  pairable(): Iterable<Line> {
    return [];
  }

  /** Nothing that we know is less than what its audit says; what is requested is requested anew. */
  refresh(line: Line): boolean {
    const { driver } = this.#parts;
    driver.renew(line);
    return driver.observed(line).media !== undefined;
  }

  unreachable(line: Line, code: number | undefined): void {
    const mg = this.#parts.mediaGateways.byName(line.gateway);
    if (code !== undefined) line.isMissing = true;
    else if (mg?.controlled === true) this.#parts.controller().control.lost(mg.gateway);
  }

  taken({ name }: Gateway): void {
    const mg = this.#parts.mediaGateways.byName(name);
    if (mg?.controlled === true) this.#parts.taken(mg);
  }

  /** Media of no call stay known under a name that no call has: the next desired state takes the line out of its context. */
  adopt(line: Line, { media, snapshot }: AuditedLine, kept: KeptMedia | undefined): void {
    this.#parts.driver.adopt(line, {
      ...nothingObserved,
      media: media && {
        ...media,
        remote: kept?.media.remote ?? media.remote,
        record: kept?.media.record,
        callId: kept?.callId ?? '',
      },
      playing: snapshot.tone,
    });
  }
}

/** A part of an audit. */
interface Ask {
  readonly lines: readonly Line[];
  readonly audited: Audited<AuditedLine>;
}

interface Awaited {
  readonly asks: Ask[];
  readonly timer: Cancel;
  /** It does not take our word; it may still come by itself. */
  refuses: boolean;
}

/** RFC 3525 §13.2, error 430: the gateway said nothing of this one. */
const unknownTermination = 430;
