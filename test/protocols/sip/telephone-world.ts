/** A primary and its backup on loopback sockets in this process, with one store; closing one's sockets is its death (ICMP). */
import { createSipRole, type SipConfig, sipConfigSchema } from '../../../protocols/sip/index.ts';
import { Telephone, type TelephoneOptions } from '../../../protocols/sip/telephone/index.ts';
import {
  type Contact,
  type ControllerAddress,
  createDns,
  createNetwork,
  type LocationService,
  Metrics,
  type Role,
  silentLog,
  systemClock,
  systemRandom,
} from '../../../src/internal.ts';
import { withCallControl } from '../../support/services.ts';

export const domain = 'telephones.test';

export class TelephoneWorld {
  readonly port: number;
  readonly #stops: (() => Promise<void>)[] = [];
  readonly #store = new Map<string, readonly Contact[]>();
  readonly #roles = new Map<string, Role>();

  constructor() {
    this.port = 20_000 + Math.floor(systemRandom.fraction() * 9_000) * 2;
  }

  address(host: string): ControllerAddress {
    return { transport: 'udp', host, port: this.port };
  }

  get primary(): ControllerAddress {
    return this.address('127.0.0.1');
  }

  get backup(): ControllerAddress {
    return this.address('127.0.0.2');
  }

  /** Both members, each the other's backup. */
  async startPair(config: Record<string, unknown> = {}): Promise<void> {
    for (const host of ['127.0.0.1', '127.0.0.2']) await this.startMember(host, config);
  }

  async startMember(host: string, given: Record<string, unknown> = {}): Promise<void> {
    const partner = `udp:${host === '127.0.0.1' ? '127.0.0.2' : '127.0.0.1'}:${this.port}`;
    const config: SipConfig = sipConfigSchema.parse({
      listen: [`udp:${host}:${this.port}`],
      backup: [partner],
      backupFor: [partner],
      domains: [domain],
      ...given,
    });
    const metrics = new Metrics();
    const parts = { clock: systemClock, log: silentLog, metrics };
    const role = createSipRole(
      withCallControl({
        ...parts,
        random: systemRandom,
        network: createNetwork(parts),
        dns: createDns(systemClock),
        locations: this.#locations(),
        cluster: { secret: 'telephones', backups: config.backup, backupFor: config.backupFor },
      }),
      config,
      { trust: [], allow: [], strip: 'none' },
    );
    await role.start();
    this.#roles.set(host, role);
    this.#stops.push(() => role.stop());
  }

  async kill(host: string): Promise<void> {
    await this.#roles.get(host)?.stop();
  }

  async telephone(host: string, user: string, options: Partial<TelephoneOptions> = {}): Promise<Telephone> {
    const metrics = new Metrics();
    const parts = { clock: systemClock, log: silentLog, metrics };
    const telephone = new Telephone(
      { ...parts, random: systemRandom, network: createNetwork(parts) },
      {
        user,
        domain,
        listen: { transport: 'udp', host, port: 0 },
        servers: [this.primary],
        ...options,
      },
    );
    this.#stops.push(() => telephone.stop());
    await telephone.start();
    return telephone;
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }

  /** What both members see. */
  #locations(): LocationService {
    const store = this.#store;
    return {
      open: async () => undefined,
      lookup: (record) => store.get(record) ?? [],
      save: async (record, contacts) => {
        store.set(record, contacts);
      },
      records: () => [],
      get size() {
        return store.size;
      },
      close: async () => undefined,
    };
  }
}

/** Polls until it holds; the deadline makes a failure of what never comes. */
export async function until(holds: () => boolean, what: string, limitMs = 8_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
