/** The provisioned gateways as the controller sees them: who a message is from, how it is written to, and whether it is ours to command. */
import { isDeepStrictEqual } from 'node:util';
import { type ControllerAddress, type Flow, type Gateway, sameAddress } from '../../src/internal.ts';
import type { SecurityAssociation } from './authentication.ts';
import { TerminationNaming } from './codec/binary/termination-naming.ts';
import type { Encoding, MegacoMessage, MId, PeerFormat } from './codec/messages.ts';
import { addressMId } from './codec/mid.ts';
import type { MegacoGatewayConfig } from './config.ts';
import { EncodingChoice } from './encoding-choice.ts';
import { ReplayGuard, SequenceNumbers } from './replay-guard.ts';

/** What is the same for all gateways of the role. */
export interface MediaGatewayDefaults {
  /** What gateways are written to in that do not name their own. */
  readonly encoding: Encoding;
  readonly tHistMs: number;
}

export class MediaGateway {
  readonly gateway: Gateway;
  naming: TerminationNaming;
  security: SecurityAssociation | undefined;
  /** What it is written to in. */
  readonly encoding: EncodingChoice;
  readonly #tHistMs: number;
  #config: MegacoGatewayConfig;
  #version = 1;
  /** Where it is provisioned to live; of a name, what DNS says. */
  addresses: readonly ControllerAddress[] = [];
  #isTroubled = false;
  #format: PeerFormat;
  /** We command it: it registered with us, or came to us. */
  controlled = false;
  controlledSinceMs = 0;
  /** As it calls itself. */
  mId: MId | undefined;
  /** The packages that its ROOT and its lines have, as far as it said. */
  packages: ReadonlySet<string> = new Set();
  /** It does not take keys as events in Local (RFC 4733). */
  refusesEvents = false;
  /** It has the display package, and did not take what it was to show. */
  refusesDisplay = false;

  readonly #provisioned: Encoding;

  constructor(gateway: Gateway, config: MegacoGatewayConfig, { encoding, tHistMs }: MediaGatewayDefaults) {
    this.gateway = gateway;
    this.#config = config;
    this.#provisioned = config.encoding ?? encoding;
    this.naming = new TerminationNaming(config.terminations);
    this.#tHistMs = tHistMs;
    this.security = this.#associate();
    this.encoding = new EncodingChoice(config.encoding ?? encoding);
    this.#format = this.#formatNow();
  }

  get name(): string {
    return this.gateway.name;
  }

  get config(): MegacoGatewayConfig {
    return this.#config;
  }

  /** As freshly provisioned. What it taught us of its encoding stays. */
  configure(config: MegacoGatewayConfig): void {
    const isRekeyed = !isDeepStrictEqual(config.security, this.#config.security);
    this.#config = config;
    this.naming = new TerminationNaming(config.terminations);
    if (isRekeyed) this.security = this.#associate();
    this.#format = this.#formatNow();
  }

  /** Requests go on to where it was, if that is still one of its hosts. */
  located(addresses: readonly ControllerAddress[]): void {
    this.addresses = addresses;
    const [first] = this.gateway.addresses();
    if (first === undefined || !this.livesAt(first.host)) this.gateway.setAddresses(addresses);
  }

  /** The member whose it is, where the operator said so. */
  get home(): ControllerAddress | undefined {
    return this.#config.home;
  }

  get format(): PeerFormat {
    if (this.#format.encoding !== this.encoding.current) this.#format = this.#formatNow();
    return this.#format;
  }

  /** It speaks another encoding than a successor would begin with. */
  get isUnlikeProvisioned(): boolean {
    return this.encoding.isKnown && this.encoding.current !== this.#provisioned;
  }

  /**
   * It says that it cannot read us: because of the encoding, if it says so in another one, else perhaps because of how we say "no
   * signals". True if there is another way that has not been tried yet.
   */
  isTroubled(encoding: Encoding): boolean {
    if (this.encoding.refused(encoding)) return true;
    if (this.#isTroubled || encoding === 'binary') return false;
    this.#isTroubled = true;
    this.#format = this.#formatNow();
    return true;
  }

  agreed(version: number): void {
    this.#version = version;
    this.#format = this.#formatNow();
  }

  /** Where its requests come from is where ours go (RFC 3525 §9), the provisioned addresses after it. */
  reachedAt(address: ControllerAddress): void {
    if (!this.livesAt(address.host)) return;
    const [first] = this.gateway.addresses();
    if (first === undefined || !sameAddress(first, address)) this.gateway.setAddresses([address]);
  }

  /** The connection from there is gone, and its port with it: requests go to the port that is known (Annex D.2). Did they go there? */
  disconnected(from: ControllerAddress): boolean {
    const [first] = this.gateway.addresses();
    if (first === undefined || !sameAddress(first, from) || this.addresses.some((each) => sameAddress(each, from)))
      return false;
    this.gateway.setAddresses(this.addresses);
    return true;
  }

  livesAt(host: string): boolean {
    return this.addresses.some((address) => address.host === host);
  }

  #associate(): SecurityAssociation | undefined {
    const { security } = this.#config;
    if (security === undefined) return undefined;
    return {
      securityParmIndex: security.spi,
      key: security.key,
      numbers: new SequenceNumbers(),
      replays: security.replay ? new ReplayGuard(this.#tHistMs) : undefined,
    };
  }

  #formatNow(): PeerFormat {
    const bareEmptySignals = (this.#config.emptySignals === 'bare') !== this.#isTroubled;
    return { encoding: this.encoding.current, version: this.#version, naming: this.naming, bareEmptySignals };
  }
}

export class MediaGateways {
  readonly #byMId = new Map<MId, MediaGateway>();
  readonly #byName = new Map<string, MediaGateway>();
  readonly #byAddress = new Map<string, MediaGateway>();

  readonly #byHost = new Map<string, MediaGateway>();
  readonly #defaults: MediaGatewayDefaults;

  constructor(defaults: MediaGatewayDefaults) {
    this.#defaults = defaults;
  }

  get size(): number {
    return this.#byName.size;
  }

  /** A gateway as provisioned. */
  add(gateway: Gateway, config: MegacoGatewayConfig): void {
    const name = gateway.name.toLowerCase();
    const known = this.#byName.get(name);
    if (known !== undefined) {
      known.configure(config);
      return;
    }
    const mg = new MediaGateway(gateway, config, this.#defaults);
    this.#byName.set(name, mg);
    for (const mId of [name, `<${name}>`]) this.#byMId.set(mId, mg);
  }

  /** These are its addresses from now on. */
  locate(mg: MediaGateway, addresses: readonly ControllerAddress[]): void {
    this.#forgetAddresses(mg);
    mg.located(addresses);
    for (const address of addresses) {
      this.#byMId.set(addressMId(address), mg);
      if (!this.#byMId.has(`[${address.host}]`)) this.#byMId.set(`[${address.host}]`, mg);
      this.#byAddress.set(`${address.host}:${address.port}`, mg);
      if (!this.#byHost.has(address.host)) this.#byHost.set(address.host, mg);
    }
  }

  remove(mg: MediaGateway): void {
    const name = mg.name.toLowerCase();
    this.#forgetAddresses(mg);
    this.#byName.delete(name);
    for (const mId of [name, `<${name}>`]) this.#byMId.delete(mId);
  }

  #forgetAddresses(mg: MediaGateway): void {
    const forget = (map: Map<string, MediaGateway>, key: string): void => {
      if (map.get(key) === mg) map.delete(key);
    };
    for (const address of mg.addresses) {
      forget(this.#byMId, addressMId(address));
      forget(this.#byMId, `[${address.host}]`);
      forget(this.#byAddress, `${address.host}:${address.port}`);
      forget(this.#byHost, address.host);
    }
  }

  all(): Iterable<MediaGateway> {
    return this.#byName.values();
  }

  byName(name: string): MediaGateway | undefined {
    return this.#byName.get(name.toLowerCase());
  }

  byMId(mId: MId): MediaGateway | undefined {
    return this.#byMId.get(mId) ?? this.#byMId.get(mId.replace(/:\d+$/, ''));
  }

  /** Believed only at a host that it is provisioned with. */
  sender(message: MegacoMessage, flow: Flow): MediaGateway | undefined {
    const mg = this.byMId(message.mId);
    return mg?.livesAt(flow.remote.host) === true ? mg : undefined;
  }

  /** How to write to an address that is one of ours. */
  at({ transport, host, port }: ControllerAddress): MediaGateway | undefined {
    const provisioned = this.#byAddress.get(`${host}:${port}`);
    if (provisioned !== undefined) return provisioned;
    for (const mg of this.#byName.values()) {
      const [first] = mg.gateway.addresses();
      if (first?.host === host && first.port === port && first.transport === transport) return mg;
    }
    return this.atHost(host);
  }

  atHost(host: string): MediaGateway | undefined {
    return this.#byHost.get(host);
  }
}
