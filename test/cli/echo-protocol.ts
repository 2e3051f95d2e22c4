/** A protocol that nobody knows, for the tests of the command line. It answers each datagram with its own text. */

import { z } from 'zod';
import { defineProtocol } from '../../src/controller/protocol-entry.ts';
import {
  addressField,
  announce,
  type ControllerAddress,
  type CoreServices,
  type Listener,
  type Logger,
  type Role,
  section,
  type TrustSettings,
} from '../../src/internal.ts';

const echoSchema = section({
  listen: z.array(addressField(() => 7070)).prefault(['127.0.0.1']),
  backup: z.array(addressField(() => 7070)).default([]),
  backupFor: z.array(addressField(() => 7070)).default([]),
  site: z.string().default('home'),
  zones: z.array(z.string()).default([]),
  drainMs: z.number().default(0),
});

type EchoConfig = z.output<typeof echoSchema>;

class EchoRole implements Role {
  readonly name = 'echo';
  readonly #services: CoreServices;
  readonly #log: Logger;
  readonly #core: TrustSettings;
  #config: EchoConfig;
  #listeners: readonly Listener[] = [];

  constructor(services: CoreServices, config: EchoConfig, core: TrustSettings) {
    this.#services = services;
    this.#log = services.log.child({ protocol: 'echo' });
    this.#config = config;
    this.#core = core;
  }

  async start(): Promise<readonly Listener[]> {
    const bound: Listener[] = [];
    this.#listeners = bound;
    for (const address of this.#config.listen) {
      const listener = await this.#services.network.bind(
        address,
        {},
        {
          received: (bytes, flow) => {
            if (bytes.toString() === 'throw') throw new Error('a fault of ours');
            if (bytes.toString() === 'reject') void Promise.reject(new Error('a fault of ours'));
            if (bytes.toString().startsWith('log ')) this.#log.info(bytes.toString());
            flow.send(bytes);
          },
          failed: () => undefined,
        },
      );
      bound.push(listener);
    }
    const contact = {
      protocol: 'echo',
      target: 'echo:1',
      key: '1',
      path: [],
      alternates: [this.#backup()],
      q: 500,
    };
    const call = this.#services.journal?.begin({
      protocol: 'echo',
      callId: 'c1',
      caller: 'a\u001b[31m',
      callee: 'b',
    });
    call?.ringing();
    await this.#services.locations.save('zone', [
      { ...contact, expiresMs: this.#services.clock.now() + 60_000, updatedMs: this.#services.clock.now() },
    ]);
    announce(this.#services.log, 'echo', 'echo post', bound);
    return bound;
  }

  #backup(): ControllerAddress {
    return this.#services.cluster.backups[0] ?? { transport: 'udp', host: '127.0.0.9', port: 1 };
  }

  drain(limitMs: number): Promise<void> {
    const ms = Math.min(limitMs, this.#config.drainMs);
    return ms === 0 ? Promise.resolve() : new Promise((resolve) => void this.#services.clock.after(ms, resolve));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  reload(config: unknown): readonly string[] {
    const fresh = echoSchema.parse(config);
    const before = this.#config.site;
    this.#config = fresh;
    return before === fresh.site ? [] : [`site ${before} -> ${fresh.site}`];
  }

  status(): Readonly<Record<string, unknown>> {
    return { site: this.#config.site, zones: this.#config.zones, trust: this.#core.trust.length };
  }

  calls(): readonly Readonly<Record<string, unknown>>[] {
    return [{ id: 'c1', state: 'flying', from: 'a\u001b[31m', to: 'b' }];
  }

  peers(): readonly Readonly<Record<string, unknown>>[] {
    return [];
  }
}

export const echo = defineProtocol({
  name: 'echo',
  title: 'echo post',
  configSchema: echoSchema,
  createRole: (services, config, core) => new EchoRole(services, config, core),
  reloads: ['site'],
  warnings: ({ site }) => (site === 'open' ? ['the site is open: whoever passes may take an echo'] : []),
  flags: [
    { name: 'site', describe: 'where it lives', path: ['site'] },
    {
      name: 'zone',
      describe: 'where it flies to',
      path: ['zones'],
      repeatable: true,
      read: (text) => text.toUpperCase(),
    },
  ],
  examples: [['altpath echo --zone north', 'flies north']],
});
