/** One trunk: what the operator says of a carrier, how its hops are, and what went there. */
import type { Counter, DiallingPlan, Metrics, NamedHop, Random } from '../../../src/internal.ts';
import { bracketed, formatAddress } from '../../../src/internal.ts';
import { sipDefaultPort } from '../config.ts';
import type { Account } from './digest-answer.ts';
import { TrunkCalls } from './trunk-calls.ts';
import { readFrom, type TrunkConfig } from './trunk-config.ts';

export type HopState = 'unknown' | 'up' | 'down';

export interface TrunkHop {
  readonly hop: NamedHop;
  readonly name: string;
  state: HopState;
  /** Why it is down. */
  detail: string | undefined;
  /** When it last said something to a ping. */
  answeredMs: number | undefined;
}

export type RegistrationState = 'off' | 'registering' | 'registered' | 'elsewhere' | 'refused';

export class Trunk {
  readonly config: TrunkConfig;
  readonly name: string;
  /** Host, and port where one is said, of the URIs that we send there. */
  readonly domain: string;
  readonly account: Account | undefined;
  readonly hops: readonly TrunkHop[];
  readonly random: Random;
  /** Its calls, where there may be only so many. */
  readonly limit: TrunkCalls | undefined;
  registration: { state: RegistrationState; untilMs?: number | undefined; detail?: string | undefined };
  /** Set-ups that were sent there and have no final answer yet. */
  open = 0;
  calls = 0;
  answered = 0;
  readonly #counters: { readonly calls: Counter; readonly answered: Counter } | undefined;

  constructor(config: TrunkConfig, random: Random, metrics?: Metrics) {
    const { name, to, user, password, domain } = config;
    const [first = { host: 'invalid' }] = to;
    this.config = config;
    this.name = name;
    this.random = random;
    this.domain = domain ?? `${bracketed(first.host)}${first.port === undefined ? '' : `:${first.port}`}`;
    this.account = user === undefined || password === undefined ? undefined : { user, password };
    this.hops = to.map((hop) => ({
      hop,
      name: hopName(hop),
      state: 'unknown',
      detail: undefined,
      answeredMs: undefined,
    }));
    this.limit = config.maxCalls === undefined ? undefined : new TrunkCalls(name, config.maxCalls, metrics);
    this.registration = { state: config.register ? 'registering' : 'off' };
    const labels = { trunk: name };
    this.#counters =
      metrics === undefined
        ? undefined
        : {
            calls: metrics.counter('sip_trunk_calls_total', 'Calls that were sent to a trunk', labels),
            answered: metrics.counter('sip_trunk_calls_answered_total', 'Calls that a trunk answered', labels),
          };
    metrics?.gauge('sip_trunk_up', '1: a hop of the trunk answers', () => (this.state === 'down' ? 0 : 1), labels);
    if (config.register)
      metrics?.gauge(
        'sip_trunk_registered',
        '1: this member is registered with the carrier',
        () => (this.registration.state === 'registered' ? 1 : 0),
        labels,
      );
  }

  /** Down only if all of its hops are. */
  get state(): HopState {
    if (this.hops.some(({ state }) => state === 'up')) return 'up';
    return this.hops.every(({ state }) => state === 'down') ? 'down' : 'unknown';
  }

  /** How much of the number its longest prefix takes; undefined: it does not take the number. */
  matches(number: string, plan: DiallingPlan): number | undefined {
    const forms = plan.forms(number);
    // Names are no numbers, not even those whose letters are hexadecimal digits.
    if (!/^\+?[0-9*#]+$/.test(forms[0] ?? '')) return undefined;
    let longest: number | undefined;
    for (const prefix of this.config.prefixes)
      if (forms.some((form) => form.startsWith(prefix)) && prefix.length > (longest ?? -1)) longest = prefix.length;
    return longest;
  }

  /** RFC 3261 §19.1.6: a number as the user part of a SIP URI. */
  requestUri(number: string, plan: DiallingPlan): string {
    return `sip:${plan.written(number, this.config.format).replaceAll('#', '%23')}@${this.domain};user=phone`;
  }

  /** The URI that stands in From, where the carrier is not to see who calls. */
  get fromUri(): string | undefined {
    const from = this.config.from === undefined ? undefined : readFrom(this.config.from);
    return from === undefined ? undefined : `sip:${from.user.replaceAll('#', '%23')}@${from.host ?? this.domain}`;
  }

  began(): void {
    this.calls += 1;
    this.open += 1;
    this.#counters?.calls.add();
  }

  ended(isAnswered: boolean): void {
    this.open -= 1;
    if (!isAnswered) return;
    this.answered += 1;
    this.#counters?.answered.add();
  }

  /** For `altpath status`. */
  status(nowMs: number): Readonly<Record<string, unknown>> {
    const { state, untilMs, detail } = this.registration;
    return {
      state: this.state,
      calls: this.calls,
      answered: this.answered,
      settingUp: this.open,
      ...(this.limit === undefined
        ? {}
        : { inUse: this.limit.size, maxCalls: this.limit.max, refused: this.limit.refused }),
      hops: this.hops.map((hop) => `${hop.name} ${hop.state}${hop.detail === undefined ? '' : ` (${hop.detail})`}`),
      ...(state === 'off'
        ? {}
        : {
            registration: state,
            ...(untilMs === undefined ? {} : { registeredSeconds: Math.max(0, Math.round((untilMs - nowMs) / 1_000)) }),
            ...(detail === undefined ? {} : { detail }),
          }),
    };
  }
}

/** `udp:192.0.2.1:5060`, or what was written of it. */
export function hopName({ host, port, transport }: NamedHop): string {
  if (transport !== undefined) return formatAddress({ transport, host, port: port ?? sipDefaultPort(transport) });
  return `${bracketed(host)}${port === undefined ? '' : `:${port}`}`;
}
