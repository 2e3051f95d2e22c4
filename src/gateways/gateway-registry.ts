/**
 * The provisioned gateways: names, addresses, whether they are heard of, and what each has taught us about its dialect. Commands and
 * events are taken from provisioned gateways only (design: a gateway is known by its name, believed by its address).
 */
import type { Clock } from '../clock.ts';
import type { ControllerAddress } from '../signaling/controller-address.ts';
import type { ControlPeer } from './gateway-transactions.ts';

export type GatewayState =
  /** Nothing heard yet. */
  | 'unknown'
  | 'up'
  /** It did not answer within T-MAX, or refused everything. */
  | 'down'
  /** It announced that it leaves. */
  | 'leaving';

export class Gateway implements ControlPeer {
  readonly name: string;
  #addresses: readonly ControllerAddress[];
  state: GatewayState = 'unknown';
  /** When any message of it last came. */
  lastHeardMs = 0;
  /** When it was found to be down last. */
  downSinceMs = 0;
  /** When it last answered a command of ours. */
  lastAnsweredMs = 0;
  /** Words of the protocol: what this gateway has, does not bear, or wants otherwise. Bounded by the protocol's vocabulary. */
  readonly dialect = new Set<string>();

  constructor(name: string, addresses: readonly ControllerAddress[]) {
    this.name = name;
    this.#addresses = addresses;
  }

  addresses(): readonly ControllerAddress[] {
    return this.#addresses;
  }

  setAddresses(addresses: readonly ControllerAddress[]): void {
    this.#addresses = addresses;
  }

  /** Is this a host that the gateway is provisioned with? Ports are free: replies may come from another one (RFC 3435 §3.5). */
  livesAt(host: string): boolean {
    return this.#addresses.some((address) => address.host === host);
  }
}

export class GatewayRegistry {
  readonly #clock: Clock;
  readonly #byName = new Map<string, Gateway>();
  readonly #returned: ((gateway: Gateway, downMs: number) => void) | undefined;

  /** `returned` is told of a gateway that was down and is heard. */
  constructor(clock: Clock, returned?: (gateway: Gateway, downMs: number) => void) {
    this.#clock = clock;
    this.#returned = returned;
  }

  get size(): number {
    return this.#byName.size;
  }

  add(name: string, addresses: readonly ControllerAddress[]): Gateway {
    const key = name.toLowerCase();
    const known = this.#byName.get(key);
    if (known !== undefined) {
      known.setAddresses(addresses);
      return known;
    }
    const gateway = new Gateway(name, addresses);
    this.#byName.set(key, gateway);
    return gateway;
  }

  remove(name: string): void {
    this.#byName.delete(name.toLowerCase());
  }

  byName(name: string): Gateway | undefined {
    return this.#byName.get(name.toLowerCase());
  }

  all(): Iterable<Gateway> {
    return this.#byName.values();
  }

  /** A command of the gateway came: it is served, but a datagram can be forged, so it is asked as often as one that is quiet. True if it was not known to live. */
  heard(gateway: Gateway): boolean {
    gateway.lastHeardMs = this.#clock.now();
    if (gateway.state === 'up') return false;
    if (gateway.state === 'down') this.#returned?.(gateway, Math.round(this.#clock.now() - gateway.downSinceMs));
    gateway.state = 'up';
    return true;
  }

  /** It answered a command of ours. True if it was not known to live. */
  answered(gateway: Gateway): boolean {
    gateway.lastAnsweredMs = this.#clock.now();
    return this.heard(gateway);
  }

  /** Whether it lives is not known any more. */
  forget(gateway: Gateway): void {
    gateway.state = 'unknown';
  }

  /** True if it was not known to be down. */
  failed(gateway: Gateway): boolean {
    if (gateway.state === 'down') return false;
    gateway.state = 'down';
    gateway.downSinceMs = this.#clock.now();
    return true;
  }

  /** Gateways that answered nothing for this long: those to ask whether they live. */
  quiet(forMs: number): readonly Gateway[] {
    const since = this.#clock.now() - forMs;
    return [...this.#byName.values()].filter(({ lastAnsweredMs }) => lastAnsweredMs <= since);
  }
}
