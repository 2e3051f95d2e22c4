/**
 * Which lines we command, whatever protocol their gateways speak: those whose gateway obeys us and whose state we know. What befalls a
 * gateway (it restarts, falls silent, goes to another member) befalls its lines here.
 */
import type { FailureTold } from '../calls/leg.ts';
import type { Clock } from '../clock.ts';
import type { Unit } from '../cluster/hand-over.ts';
import { addressOf, type GatewayLiveness } from './gateway-liveness.ts';
import type { Gateway } from './gateway-registry.ts';
import type { GatewayTakeover } from './gateway-takeover.ts';
import type { Line } from './line.ts';
import type { LineCommander } from './line-driver.ts';
import type { LineProvider } from './line-provider.ts';

export interface LineControlParts {
  readonly clock: Clock;
  readonly driver: LineCommander;
  readonly takeover: Pick<GatewayTakeover, 'begin' | 'drop'>;
  /** T-MAX: a gateway that was heard since lives, whatever became of one command. */
  readonly tMaxMs: number;
  lineProvider(): LineProvider;
  liveness(): GatewayLiveness;
  homeOf(gateway: string): string | undefined;
  /** Is the line ours to ask for? */
  mayTake(line: Line): boolean;
  /** None of the gateway's lines is commanded any more. */
  lost(gateway: Gateway): void;
}

export class LineControl {
  readonly #parts: LineControlParts;
  /** Also of lines whose gateway is provisioned no more. */
  readonly #gateways = new WeakMap<Line, Gateway>();
  /** When lines are or were asked last because a command had no answer, and how long that waited. */
  readonly #asked = new WeakMap<Line, { readonly atMs: number; readonly waitMs: number }>();
  /** The same for those that their gateways do not have in service. */
  readonly #looked = new WeakMap<Line, { readonly atMs: number; readonly waitMs: number }>();

  constructor(parts: LineControlParts) {
    this.#parts = parts;
  }

  added(line: Line, gateway: Gateway): void {
    this.#gateways.set(line, gateway);
  }

  gatewayOf(line: Line): Gateway | undefined {
    return this.#gateways.get(line);
  }

  /** May commands for the line leave? */
  isCommanded(line: Line): boolean {
    return line.controlled && this.gatewayOf(line)?.state !== 'down';
  }

  /** What it does is requested anew. */
  renew(line: Line): void {
    if (line.controlled) this.#parts.driver.renew(line);
  }

  of(gateway: Gateway): readonly Line[] {
    return this.#parts.lineProvider().lines.of(gateway.name);
  }

  /** The lines of gateways that change hands together. */
  in({ home, gateway }: Unit): readonly Line[] {
    const { homeOf } = this.#parts;
    const { lines } = this.#parts.lineProvider();
    if (gateway !== undefined) return lines.of(gateway);
    return [...lines.all()].filter((line) => homeOf(line.gateway) === home);
  }

  /** Is a call being made with a line of these, whose other end would stay behind if they went? */
  isCalling(unit: Unit): boolean {
    const { homeOf } = this.#parts;
    const goesAlong = ({ gateway }: Line): boolean =>
      unit.gateway === undefined ? homeOf(gateway) === unit.home : gateway === unit.gateway;
    return this.in(unit).some((line) => {
      const call = line.leg?.call;
      const other = line.leg?.side === 'caller' ? call?.callee : call?.caller;
      const beside = this.#lineOf(other);
      // A party that is no line goes with the line that keeps its record.
      return call?.phase !== 'talking' && beside !== undefined && !goesAlong(beside);
    });
  }

  /** Has one of these a call with a line of another home? */
  spansHomes(unit: Unit): boolean {
    const { homeOf } = this.#parts;
    return this.in(unit).some(({ leg }) =>
      [leg?.call.caller, leg?.call.callee].some((party) => {
        const line = this.#lineOf(party);
        return line !== undefined && homeOf(line.gateway) !== unit.home;
      }),
    );
  }

  #lineOf(party: { readonly name: string } | undefined): Line | undefined {
    return party && this.#parts.lineProvider().lines.byNumber(party.name);
  }

  unknownOn(gateway: Gateway): readonly Line[] {
    return this.of(gateway).filter(isUnknown);
  }

  hasUnknown(): boolean {
    for (const line of this.#parts.lineProvider().lines.all()) if (isUnknown(line)) return true;
    return false;
  }

  count(): Readonly<Record<string, number>> {
    let linesServed = 0;
    let linesUnlisted = 0;
    for (const { controlled, isMissing } of this.#parts.lineProvider().lines.all()) {
      if (controlled) linesServed += 1;
      if (isMissing) linesUnlisted += 1;
    }
    return { linesServed, linesUnlisted };
  }

  /** Their gateway has nothing of them: calls with them are over. `forgotten` runs when no result of an old command counts any more. */
  restarted(lines: readonly Line[], forgotten: () => void = () => undefined): void {
    const lineProvider = this.#parts.lineProvider();
    this.#forget(lines);
    forgotten();
    for (const line of lines) lineProvider.lost(line, this.#told(this.gatewayOf(line), 'has restarted'));
    for (const line of lines) {
      this.#parts.driver.forget(line);
      line.controlled = true;
      line.isMissing = false;
    }
  }

  /** A line with clean state gets its order. */
  arm(line: Line): void {
    this.#parts.lineProvider().inService(line, 'on');
    this.#parts.driver.apply(line);
  }

  /** Neither commanded nor in service from now on. */
  takeOut(lines: readonly Line[], told?: FailureTold): void {
    this.#forget(lines);
    for (const line of lines) this.#parts.lineProvider().outOfService(line, told);
  }

  /**
   * They are another member's from now on: nothing is sent about their calls, and a party that stays here goes on talking. All of them
   * before the call of any: a call between two of them must not be taken down by the first.
   */
  release(lines: readonly Line[]): void {
    for (const line of lines) line.controlled = false;
    for (const line of lines)
      for (const each of [line, ...this.#parts.lineProvider().forget(line, ({ controlled }) => controlled)]) {
        each.controlled = false;
        this.#parts.driver.forget(each);
      }
  }

  /** A command for the line had no answer, or no way. `wasQuestion`: it asked what the line does. */
  unanswered(line: Line, wasQuestion = false): void {
    const gateway = this.gatewayOf(line);
    if (gateway === undefined) return;
    if (gateway.state === 'down' || (wasQuestion && this.#isSilent(gateway))) {
      this.lost(gateway);
      return;
    }
    if (!this.#isSilent(gateway)) {
      this.#unansweredAlone(line, gateway);
      return;
    }
    // One command that a gateway does not answer costs its line: whether it answers anything is found out before the others pay.
    this.#parts.liveness().ask(gateway, (lives) => {
      if (!lives && this.#isSilent(gateway)) this.lost(gateway);
      else if (this.#parts.mayTake(line)) this.#unansweredAlone(line, gateway);
    });
  }

  /** It was quiet, and did not answer when it was asked. */
  unheard(gateway: Gateway): void {
    if (this.#isSilent(gateway)) this.lost(gateway);
  }

  #isSilent({ lastHeardMs, state }: Gateway): boolean {
    const { clock, tMaxMs } = this.#parts;
    return state === 'down' || clock.now() - lastHeardMs >= tMaxMs;
  }

  #unansweredAlone(line: Line, gateway: Gateway): void {
    // It lives, but not for this command: what came of it must be asked.
    this.takeOut([line], this.#told(gateway, `does not answer for ${line.endpoint}`));
    const waitMs = this.#waitMs(line);
    if (waitMs === 0) this.#parts.takeover.begin([line]);
    else this.#askAfter(waitMs, line, gateway);
  }

  #askAfter(waitMs: number, line: Line, gateway: Gateway): void {
    const { clock, mayTake, takeover } = this.#parts;
    clock.after(waitMs, () => {
      if (isUnknown(line) && gateway.state !== 'down' && mayTake(line)) takeover.begin([line]);
    });
  }

  /**
   * Its gateway says that it does not have the line in service, or refuses us for it. When it has it again it should say so, and may have
   * erred: it is asked from time to time, less and less often.
   */
  lookAgain(line: Line): void {
    const gateway = this.gatewayOf(line);
    if (gateway === undefined) return;
    const now = this.#parts.clock.now();
    const last = this.#looked.get(line);
    if (last !== undefined && now < last.atMs) return;
    const isRecent = last !== undefined && now - last.atMs < last.waitMs;
    const waitMs = isRecent ? Math.min(rarestLookMs, 2 * last.waitMs) : firstLookMs;
    this.#looked.set(line, { atMs: now + waitMs, waitMs });
    this.#askAfter(waitMs, line, gateway);
  }

  /** It is asked at once, and where that fails as well (a port that nobody has refuses within microseconds) less and less often. */
  #waitMs(line: Line): number {
    const now = this.#parts.clock.now();
    const last = this.#asked.get(line);
    const isRecent = last !== undefined && now - last.atMs < 2 * longestWaitMs;
    const waitMs = isRecent ? Math.min(longestWaitMs, Math.max(shortestWaitMs, 2 * last.waitMs)) : 0;
    this.#asked.set(line, { atMs: now + waitMs, waitMs });
    return waitMs;
  }

  /** The gateway does not answer. */
  lost(gateway: Gateway): void {
    this.#parts.liveness().failed(gateway);
    this.#parts.lost(gateway);
    this.takeOut(this.of(gateway), this.#told(gateway, 'does not answer'));
  }

  #told(gateway: Gateway | undefined, what: string): FailureTold | undefined {
    if (gateway === undefined) return undefined;
    return { where: addressOf(gateway), detail: `gateway ${gateway.name} ${what}` };
  }

  #forget(lines: readonly Line[]): void {
    const { driver, takeover } = this.#parts;
    for (const line of lines) {
      takeover.drop(line);
      driver.forget(line);
      line.controlled = false;
    }
  }
}

const shortestWaitMs = 250;
const longestWaitMs = 4_000;
const firstLookMs = 2_000;
const rarestLookMs = 600_000;

/** Neither commanded, nor known not to be there. */
export const isUnknown = ({ controlled, isMissing }: Line): boolean => !controlled && !isMissing;
