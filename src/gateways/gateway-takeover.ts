/**
 * Taking over lines whose state another member had, or that we had before a restart: they are audited together, calls are rebuilt from
 * what their gateways say, and each line goes on from what its gateway has. What the other end of a call says may be needed from lines
 * that are not ours to take: those are audited for pairing only.
 */
import type { CallRecovery, KeptMedia } from '../calls/call-recovery.ts';
import { hasLooseEnd, type LineSnapshot } from '../calls/rebuild.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import type { ControllerAddress } from '../signaling/controller-address.ts';
import { type AuditRound, AuditTakeover } from './audit-takeover.ts';
import type { Gateway } from './gateway-registry.ts';
import type { Line } from './line.ts';
import type { LineProvider } from './line-provider.ts';

/** One line has been asked. undefined: its state is not known; `code` where its gateway said why. */
export type Audited<A> = (line: Line, audit: A | undefined, code?: number) => void;

/** What a protocol brings to a takeover. `A`: what its gateways say of one line when audited. */
export interface AuditProtocol<A> {
  /** Asks what these lines of one gateway are doing; each is answered once. */
  audit(gateway: Gateway, lines: readonly Line[], audited: Audited<A>): void;
  /** What call control compares, with the audit that it was made of. */
  snapshots(audits: readonly A[]): ReadonlyMap<LineSnapshot, A>;
  /** Lines that are not ours to take, and answer us all the same: asked for the other ends of calls. */
  pairable(): Iterable<Line>;
  /** The line is ours: this is what its gateway has of it, with the media that its call keeps. */
  adopt(line: Line, audit: A, kept: KeptMedia | undefined): void;
  /** A line that we commanded all along was out of reach for a while, and was asked again. Has it media for its call? */
  refresh(line: Line, audit: A): boolean;
  /** It was to be ours, and its state is not known. */
  unreachable(line: Line, code: number | undefined): void;
  /** The round is over; lines of this gateway were asked in it, and are ours. */
  taken?(gateway: Gateway): void;
}

export interface GatewayTakeoverParts<A> {
  readonly log: Logger;
  readonly protocol: string;
  readonly audits: AuditProtocol<A>;
  readonly driver: { apply(line: Line): void };
  readonly recovery: CallRecovery;
  lineProvider(): LineProvider;
  gatewayOf(line: Line): Gateway | undefined;
  /** Its gateway is served here from now on. */
  came(gateway: string): void;
  /** The member that had its calls before; it may be ourselves. */
  formerOf(gateway: string): ControllerAddress;
}

export class GatewayTakeover<A = unknown> {
  readonly #parts: GatewayTakeoverParts<A>;
  readonly #rounds: AuditTakeover<A>;
  readonly #codes = new Map<Line, number>();
  /** Lines that are to be ours after the round. */
  #scope = new Set<Line>();
  #isPairing = false;
  /** Those who wait for the end of the round. */
  readonly #idle: (() => void)[] = [];
  /** What is about to be asked, by gateway. */
  #wanted = new Map<Gateway, Map<Line, (audit: A | undefined) => void>>();

  constructor(parts: GatewayTakeoverParts<A>) {
    this.#parts = parts;
    this.#rounds = new AuditTakeover<A>({
      audit: (endpoint, answer) => this.#want(endpoint, answer),
      completed: (round) => this.#completed(round),
    });
  }

  get isRunning(): boolean {
    return this.#rounds.isRunning;
  }

  isAuditing({ endpoint }: Line): boolean {
    return this.#rounds.isAuditing(endpoint);
  }

  begin(lines: Iterable<Line>): void {
    const fresh = [...lines];
    for (const line of fresh) this.#scope.add(line);
    if (fresh.length > 0) this.#begin(fresh.map(({ endpoint }) => endpoint));
  }

  /** Runs now, or once the line is known. False: too many wait. */
  whenKnown({ endpoint }: Line, run: () => void): boolean {
    return this.#rounds.hold(endpoint, run);
  }

  /** Runs once no audit is under way, never at once. */
  whenIdle(run: () => void): void {
    if (this.isRunning) this.#idle.push(run);
    else queueMicrotask(run);
  }

  /** Its gateway has just told that it is as new, or is another's: what is being asked does not matter. */
  drop(line: Line): void {
    this.#scope.delete(line);
    this.#rounds.drop(line.endpoint);
  }

  #begin(endpoints: readonly string[]): void {
    this.#rounds.begin(endpoints);
    const batches = this.#wanted;
    this.#wanted = new Map();
    for (const [gateway, answers] of batches)
      this.#parts.audits.audit(gateway, [...answers.keys()], (line, audit, code) => {
        if (audit === undefined && code !== undefined) this.#codes.set(line, code);
        answers.get(line)?.(audit);
      });
  }

  #want(endpoint: string, answer: (audit: A | undefined) => void): void {
    const line = this.#lineAt(endpoint);
    const gateway = line && this.#parts.gatewayOf(line);
    if (line === undefined || gateway === undefined) {
      answer(undefined);
      return;
    }
    const batch = this.#wanted.get(gateway);
    if (batch === undefined) this.#wanted.set(gateway, new Map([[line, answer]]));
    else batch.set(line, answer);
  }

  #lineAt(endpoint: string): Line | undefined {
    return this.#parts.lineProvider().lines.byEndpoint(endpoint);
  }

  #completed({ snapshots: round }: AuditRound<A>): void {
    const { audits } = this.#parts;
    const answers = [...round.values()].filter((audit) => audit !== undefined);
    const snapshots = answers.length === 0 ? new Map<LineSnapshot, A>() : audits.snapshots(answers);
    if (!this.#isPairing && hasLooseEnd([...snapshots.keys()])) {
      const others = [...audits.pairable()].map(({ endpoint }) => endpoint).filter((each) => !round.has(each));
      if (others.length > 0) {
        this.#isPairing = true;
        this.#begin([...round.keys(), ...others]);
        return;
      }
    }
    this.#isPairing = false;
    const scope = this.#scope;
    this.#scope = new Set();
    const codes = new Map(this.#codes);
    this.#codes.clear();
    for (const [endpoint, audit] of round) {
      const line = this.#lineAt(endpoint);
      if (line !== undefined && audit === undefined && scope.has(line)) audits.unreachable(line, codes.get(line));
    }
    this.#restore(snapshots, scope);
    for (const run of this.#idle.splice(0)) queueMicrotask(run);
  }

  #restore(snapshots: ReadonlyMap<LineSnapshot, A>, scope: ReadonlySet<Line>): void {
    const { audits, came, driver, formerOf, gatewayOf, log, protocol, recovery } = this.#parts;
    const lineProvider = this.#parts.lineProvider();
    const fresh: LineSnapshot[] = [];
    const gateways = new Set<Gateway>();
    for (const [snapshot, audit] of snapshots) {
      const line = this.#lineAt(snapshot.endpoint);
      if (line === undefined) continue;
      const gateway = scope.has(line) ? gatewayOf(line) : undefined;
      if (gateway !== undefined) gateways.add(gateway);
      if (line.controlled && line.inService) this.#refresh(line, snapshot, audit);
      else fresh.push(snapshot);
    }
    const calls = recovery.report({
      protocol,
      snapshots: fresh,
      isOurs: (endpoint) => {
        const line = this.#lineAt(endpoint);
        return line !== undefined && scope.has(line);
      },
      adopt: (snapshot, kept) => {
        const line = this.#lineAt(snapshot.endpoint);
        const audit = snapshots.get(snapshot);
        if (line === undefined || audit === undefined) return;
        audits.adopt(line, audit, kept);
        line.controlled = true;
        line.isMissing = false;
        came(line.gateway);
        line.hook = snapshot.hook;
        lineProvider.lines.setInService(line, true);
      },
      formerHost: (endpoint) => {
        const line = this.#lineAt(endpoint);
        return line && formerOf(line.gateway).host;
      },
      restoreLine: (endpoint, disposition) => {
        const line = this.#lineAt(endpoint);
        if (line === undefined) return;
        lineProvider.restoreLine(line, disposition);
        driver.apply(line);
      },
    });
    if (snapshots.size > 0)
      logEvent(log, 'linesTaken', { gateways: [...gateways].map(({ name }) => name), lines: scope.size, calls });
    for (const gateway of gateways) audits.taken?.(gateway);
  }

  /** What it does is compared with its desired state. */
  #refresh(line: Line, { hook, isHookGuessed }: LineSnapshot, audit: A): void {
    const { audits, driver } = this.#parts;
    const lineProvider = this.#parts.lineProvider();
    const hasMedia = audits.refresh(line, audit);
    if (!hasMedia && line.desired.state === 'talking') line.leg?.report({ kind: 'failed', reason: 'gatewayLost' });
    if (isHookGuessed !== true && hook !== line.hook) lineProvider[hook === 'off' ? 'offHook' : 'onHook'](line);
    driver.apply(line);
  }
}
