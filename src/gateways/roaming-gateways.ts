/**
 * Gateways that are known by their name alone (`addresses: any`): where an access network gives out addresses, the address that a gateway
 * has today says nothing. A message that says a gateway's name from a new address is held until the address has answered a question of
 * ours, which whoever forges a sender does not see. Where the gateway was known to be elsewhere, that place is asked as well: while it
 * answers, the newcomer is a stranger. A message with a proof of its own (a keyed signature) needs neither.
 *
 *     nowhere  ── said its name at A ──► A asked ── A answers ──────────────────────► at A
 *     at A     ── said its name at B ──► A and B asked ── A answers ───────────────► at A, B is refused
 *                                                       ── B answers, A is silent ──► at B
 */
import type { Cancel, Clock } from '../clock.ts';
import { MemberProbes } from '../cluster/member-probes.ts';
import type { Logger } from '../log.ts';
import { limitedEvent, logEvent } from '../log-events.ts';
import type { Metrics } from '../metrics.ts';
import { RateLimitedLog } from '../rate-limited-log.ts';
import {
  addressKey,
  type ControllerAddress,
  formatAddress,
  isIpLiteral,
  isReliable,
  readAddress,
} from '../signaling/controller-address.ts';
import type { Gateway } from './gateway-registry.ts';

export interface RoamingGatewaysParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly protocol: string;
  /** An id that nobody can guess. */
  nextId(): number;
  /** Asks whoever is at this address, as if it were this gateway, for a sign of life; `heard` is called with its answer. */
  ask(gateway: Gateway, address: ControllerAddress, id: number): void;
  /** This is its address from now on. */
  moved(gateway: Gateway, address: ControllerAddress): void;
}

export class RoamingGateways {
  readonly #parts: RoamingGatewaysParts;
  readonly #log: RateLimitedLog;
  /** With the address that each has proved to be at last. */
  readonly #roaming = new Map<Gateway, ControllerAddress | undefined>();
  readonly #probes: MemberProbes;
  /** By gateway, then by address. */
  readonly #claims = new Map<Gateway, Map<string, Claim>>();
  /** Addresses that were refused, and until when they are not asked again. */
  readonly #refused = new Map<string, number>();

  constructor(parts: RoamingGatewaysParts) {
    this.#parts = parts;
    this.#log = new RateLimitedLog(parts.log, parts.clock);
    this.#probes = new MemberProbes({
      nextId: () => parts.nextId(),
      send: (address, id) => {
        const gateway = this.claimant(address) ?? this.#at(address);
        if (gateway !== undefined) parts.ask(gateway, address, id);
      },
      answered: (address) => this.#answered(address),
    });
  }

  get size(): number {
    return this.#roaming.size;
  }

  /** As provisioned. */
  provision(gateway: Gateway, roams: boolean): void {
    if (!roams) this.forget(gateway);
    else if (!this.has(gateway)) this.#roaming.set(gateway, undefined);
  }

  forget(gateway: Gateway): void {
    this.#roaming.delete(gateway);
    for (const claim of this.#claims.get(gateway)?.values() ?? []) claim.cancel();
    this.#claims.delete(gateway);
  }

  stop(): void {
    for (const gateway of [...this.#claims.keys()]) this.forget(gateway);
    this.#log.close();
  }

  has(gateway: Gateway): boolean {
    return this.#roaming.has(gateway);
  }

  /** Whose name was said at this address, and is not believed yet. */
  claimant(address: ControllerAddress): Gateway | undefined {
    const key = addressKey(address);
    for (const [gateway, claims] of this.#claims) if (claims.has(key)) return gateway;
    return undefined;
  }

  /**
   * A message that says this roaming gateway's name came from there. `admitted`: it is the gateway's. `held`: that is not known yet, and
   * `again` is called when it is; its sender may be told to be patient. `dropped`: it is a stranger's.
   */
  judge(gateway: Gateway, from: ControllerAddress, isProven: boolean, again: () => void): RoamingVerdict {
    if (this.#isAt(gateway, from)) return 'admitted';
    if (!isProven) return this.#claim(gateway, from, again);
    this.#move(gateway, from, 'signed');
    return 'admitted';
  }

  /** An answer with this transaction id came from there, which may be anybody's. */
  heard(id: number, from: ControllerAddress): void {
    if (this.#claims.size > 0) this.#probes.heard(id, from);
  }

  #answered(address: ControllerAddress): void {
    const key = addressKey(address);
    for (const [gateway, claims] of [...this.#claims]) {
      if (this.#isAt(gateway, address)) for (const claim of [...claims.values()]) this.#refuse(gateway, claim);
      const claim = claims.get(key);
      if (claim === undefined) continue;
      claim.isAnswered = true;
      this.#settle(gateway, claim);
    }
  }

  /** Where those are that we serve, for a successor. */
  hints(serves: (gateway: Gateway) => boolean): Readonly<Record<string, string>> {
    const hints: Record<string, string> = {};
    for (const [gateway, address] of this.#roaming)
      if (address !== undefined && serves(gateway)) hints[`${hintPrefix}${gateway.name}`] = formatAddress(address);
    return hints;
  }

  /** Another member, which serves some of them, says where they are. */
  learn(hints: ReadonlyMap<string, string>, serves: (gateway: Gateway) => boolean): void {
    if (hints.size === 0) return;
    for (const gateway of [...this.#roaming.keys()]) {
      const text = hints.get(`${hintPrefix}${gateway.name}`);
      const address = text === undefined ? undefined : readAddress(text, { port: 0 });
      if (address === undefined || address.port === 0 || !isIpLiteral(address.host)) continue;
      if (!serves(gateway) && !this.#isAt(gateway, address)) this.#place(gateway, address);
    }
  }

  #claim(gateway: Gateway, from: ControllerAddress, again: () => void): RoamingVerdict {
    const { clock } = this.#parts;
    const key = addressKey(from);
    const now = clock.now();
    let claims = this.#claims.get(gateway);
    const known = claims?.get(key);
    if (known !== undefined) {
      if (known.held.length < maxHeld) known.held.push(again);
      return 'held';
    }
    if ((this.#refused.get(key) ?? 0) > now) return 'dropped';
    if (claims === undefined) {
      if (this.#claims.size >= maxClaimed) return 'dropped';
      claims = new Map();
      this.#claims.set(gateway, claims);
    }
    // Strangers must not keep the gateway itself from being asked: the oldest claim makes room.
    if (claims.size >= maxClaims) for (const oldest of [...claims.values()].slice(0, 1)) this.#drop(gateway, oldest);
    const claim: Claim = { address: from, sinceMs: now, isAnswered: false, held: [again], cancel: () => undefined };
    claims.set(key, claim);
    this.#claims.set(gateway, claims);
    limitedEvent(this.#log, 'gatewayClaimed', gateway.name, () => ({
      gateway: gateway.name,
      address: formatAddress(from),
      before: this.#whereIs(gateway),
    }));
    this.#ask(gateway, claim);
    return 'held';
  }

  /** Both places; again and again until the time is over. */
  #ask(gateway: Gateway, claim: Claim): void {
    const { clock } = this.#parts;
    const current = this.#roaming.get(gateway);
    if (current !== undefined) this.#probes.ask(current);
    this.#probes.ask(claim.address);
    claim.cancel = clock.after(askEveryMs, () => {
      const elapsedMs = clock.now() - claim.sinceMs;
      if (elapsedMs >= giveUpMs) this.#drop(gateway, claim);
      else if (!this.#settle(gateway, claim)) this.#ask(gateway, claim);
    });
  }

  #settle(gateway: Gateway, claim: Claim): boolean {
    const isElsewhere = this.#roaming.get(gateway) !== undefined && gateway.state !== 'down';
    const isSilent = this.#parts.clock.now() - claim.sinceMs >= silentMs;
    if (!claim.isAnswered || (isElsewhere && !isSilent)) return false;
    this.#move(gateway, claim.address, isElsewhere ? 'silent' : 'answered');
    return true;
  }

  #move(gateway: Gateway, to: ControllerAddress, because: 'signed' | 'silent' | 'answered'): void {
    const before = this.#whereIs(gateway);
    const claims = this.#claims.get(gateway);
    const held = claims?.get(addressKey(to))?.held ?? [];
    for (const claim of claims?.values() ?? []) claim.cancel();
    this.#claims.delete(gateway);
    this.#refused.delete(addressKey(to));
    logEvent(this.#parts.log, 'gatewayMoved', {
      gateway: gateway.name,
      address: formatAddress(to),
      before,
      because,
    });
    this.#count('moved');
    this.#place(gateway, to);
    for (const again of held) again();
  }

  #place(gateway: Gateway, at: ControllerAddress): void {
    this.#roaming.set(gateway, at);
    this.#parts.moved(gateway, at);
  }

  /** Datagrams by address and port; a connection, whose sender cannot be forged, by its address. */
  #isAt(gateway: Gateway, { transport, host, port }: ControllerAddress): boolean {
    const at = this.#roaming.get(gateway);
    return at?.host === host && (isReliable(transport) || at.port === port);
  }

  #at(address: ControllerAddress): Gateway | undefined {
    for (const gateway of this.#claims.keys()) if (this.#isAt(gateway, address)) return gateway;
    return undefined;
  }

  #whereIs(gateway: Gateway): string | undefined {
    const at = this.#roaming.get(gateway);
    return at && formatAddress(at);
  }

  #refuse(gateway: Gateway, claim: Claim): void {
    this.#drop(gateway, claim);
    if (this.#refused.size >= maxRefused) this.#refused.clear();
    this.#refused.set(addressKey(claim.address), this.#parts.clock.now() + refusedMs);
    this.#count('refused');
    limitedEvent(this.#log, 'gatewayClaimRefused', gateway.name, () => ({
      gateway: gateway.name,
      address: formatAddress(claim.address),
      lives: this.#whereIs(gateway),
    }));
  }

  #drop(gateway: Gateway, claim: Claim): void {
    claim.cancel();
    const claims = this.#claims.get(gateway);
    claims?.delete(addressKey(claim.address));
    if (claims?.size === 0) this.#claims.delete(gateway);
  }

  #count(result: 'moved' | 'refused'): void {
    const { metrics, protocol } = this.#parts;
    metrics
      .counter('gateway_moves_total', 'Gateways that may be anywhere and came from a new address, by what came of it', {
        protocol,
        result,
      })
      .add();
  }
}

export type RoamingVerdict = 'admitted' | 'held' | 'dropped';

interface Claim {
  readonly address: ControllerAddress;
  readonly sinceMs: number;
  isAnswered: boolean;
  /** What came from there meanwhile. */
  readonly held: (() => void)[];
  cancel: Cancel;
}

const hintPrefix = '@';

/** The place where it was is silent after so long; a claim that was not answered by then is forgotten somewhat later. */
const silentMs = 3_000;
const giveUpMs = 6_000;
const askEveryMs = 1_000;

/** A refused address is not asked about again for so long. */
const refusedMs = 10_000;

const maxHeld = 8;
const maxClaims = 4;
const maxClaimed = 4_096;
const maxRefused = 4_096;
