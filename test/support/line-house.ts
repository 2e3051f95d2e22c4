/**
 * A controller of all three protocols on real sockets, with gateways whose lines a test uses, and a carrier: for tests of what operators are
 * told. Gateways may be made to hear nothing, or to refuse.
 */
import { SimGateway as MegacoGateway } from '../../protocols/megaco/gateway/sim-gateway.ts';
import { SimGateway as MgcpGateway } from '../../protocols/mgcp/gateway/sim-gateway.ts';
import { askAdmin } from '../../src/admin-client.ts';
import { systemClock } from '../../src/clock.ts';
import { type Controller, type ControllerConfig, startController } from '../../src/index.ts';
import {
  type ControllerAddress,
  type Logger,
  Metrics,
  type Network,
  parseAddress,
  silentLog,
} from '../../src/internal.ts';
import { createNetwork } from '../../src/network/node-network.ts';
import { systemRandom } from '../../src/random.ts';

export type LineProtocolName = 'mgcp' | 'megaco';

/** A telephone on a simulated gateway. */
export interface HouseTelephone {
  /** As its gateway names it: `aaln/1@rgw1`. */
  readonly endpoint: string;
  /** As the wire calls it; empty: nothing. */
  readonly hears: string;
  readonly hook: 'on' | 'off';
  offHook(): void;
  onHook(): void;
  dial(number: string): void;
}

export interface HouseGateway {
  readonly name: string;
  /** Where commands reach it: `udp:127.0.7.11:2427`. */
  readonly address: string;
  readonly telephones: readonly HouseTelephone[];
  /** What is sent to it is lost from now on. */
  isDeaf: boolean;
  /** The code with which it refuses media of a call from now on: of the next ones (MEGACO), or until it is taken back (MGCP). */
  refuseMedia(code: number | undefined): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface HouseOptions {
  /** Each house has a network of its own, 127.0.x.0/24. */
  readonly net: number;
  readonly log: Logger;
  readonly config?: Partial<ControllerConfig>;
  /** What may be dialled beside the lines. */
  readonly digitMap?: string[];
  /** A gateway that was not heard for this long is asked. */
  readonly gatewayQuietMs?: number;
}

export class LineHouse {
  readonly controller: Controller;
  readonly gateways: readonly HouseGateway[];

  private constructor(controller: Controller, gateways: readonly HouseGateway[]) {
    this.controller = controller;
    this.gateways = gateways;
  }

  /** Lines of `protocol`: 200, 201 on its first gateway, 202, 203 on its second. */
  static async up(
    protocol: LineProtocolName,
    { net, log, config, digitMap = [], gatewayQuietMs = 2_000 }: HouseOptions,
  ): Promise<LineHouse> {
    const host = `127.0.${net}.1`;
    const hosts = [`127.0.${net}.11`, `127.0.${net}.12`];
    const names = hosts.map((_, index) => `${protocol === 'mgcp' ? 'rgw' : 'gw'}${index + 1}`);
    const port = protocol === 'mgcp' ? 2427 : 2944;
    const home = parseAddress(`udp:${host}:${protocol === 'mgcp' ? 2727 : 2944}`, { port: 2944 });
    const lines = names.flatMap((name, gateway) =>
      [1, 2].map((line) => `${199 + 2 * gateway + line}=aaln/${line}@${name}`),
    );
    const section = {
      gateways: names.map((name, index) => `${name}=udp:${hosts[index]}:${port}`),
      lines,
      digitMap,
      timers: { tMaxMs: 2_000, noAnswerMs: 2_000, gatewayQuietMs },
    };
    const controller = await startController(
      {
        admin: `${host}:0`,
        cluster: { secret: '0123456789abcdef0123456789abcdef' },
        ...(protocol === 'mgcp'
          ? { mgcp: { listen: [`${host}:2727`], ...section } }
          : { megaco: { listen: [`udp:${host}:2944`], ...section } }),
        ...config,
      },
      { logger: log },
    );
    const make = protocol === 'mgcp' ? mgcpGateway : megacoGateway;
    const gateways = hosts.map((each, index) =>
      make(names[index] ?? '', parseAddress(`udp:${each}:${port}`, { port }), home),
    );
    for (const gateway of gateways) await gateway.start();
    return new LineHouse(controller, gateways);
  }

  telephone(number: string): HouseTelephone {
    const index = Number(number) - 200;
    const telephone = this.gateways[Math.floor(index / 2)]?.telephones[index % 2];
    if (telephone === undefined) throw new Error(`no telephone ${number}`);
    return telephone;
  }

  gateway(index: number): HouseGateway {
    const gateway = this.gateways[index];
    if (gateway === undefined) throw new Error(`no gateway ${index}`);
    return gateway;
  }

  async ask(path: string): Promise<readonly Record<string, unknown>[]> {
    const answer = await askAdmin(parseAddress(`tcp:${this.controller.admin}`, { port: 1 }), path);
    return JSON.parse(JSON.stringify(answer)).items;
  }

  async stop(): Promise<void> {
    await this.controller.stop();
    for (const gateway of this.gateways) await gateway.stop();
  }
}

/** A network in which what comes in may be lost. */
function leaky(isDeaf: () => boolean): Network {
  const network = createNetwork({ clock: systemClock, log: silentLog, metrics: new Metrics() });
  return {
    bind: (address, options, events) =>
      network.bind(address, options, {
        ...events,
        received: (bytes, flow) => {
          if (!isDeaf()) events.received(bytes, flow);
        },
      }),
  };
}

const services = (isDeaf: () => boolean) => ({
  clock: systemClock,
  random: systemRandom,
  log: silentLog,
  metrics: new Metrics(),
  network: leaky(isDeaf),
});

function mgcpGateway(name: string, listen: ControllerAddress, controller: ControllerAddress): HouseGateway {
  const state = { isDeaf: false };
  const refuses: Record<string, number> = {};
  const gateway = new MgcpGateway(
    services(() => state.isDeaf),
    {
      name,
      listen,
      callAgents: [controller],
      lines: 2,
      disconnectedMs: 500,
      habits: { refuses },
    },
  );
  const telephones = gateway.lines.map(
    (line): HouseTelephone => ({
      endpoint: `${line.local}@${name}`,
      get hears() {
        return line.hears;
      },
      get hook() {
        return line.hook;
      },
      offHook: () => line.offHook(),
      onHook: () => line.onHook(),
      dial: (number) => line.dial(number, 20),
    }),
  );
  return Object.assign(state, {
    name,
    address: `udp:${listen.host}:${listen.port}`,
    telephones,
    refuseMedia: (code: number | undefined) => {
      if (code === undefined) delete refuses['CRCX'];
      else refuses['CRCX'] = code;
    },
    start: () => gateway.start(),
    stop: () => gateway.stop(),
  });
}

function megacoGateway(name: string, listen: ControllerAddress, controller: ControllerAddress): HouseGateway {
  const state = { isDeaf: false };
  const addFaults: number[] = [];
  const gateway = new MegacoGateway(
    services(() => state.isDeaf),
    {
      name,
      listen,
      controllers: [controller],
      lines: 2,
      addFaults,
      retryMs: 500,
    },
  );
  const telephones = gateway.lines.map(
    (line): HouseTelephone => ({
      endpoint: `${line.id}@${name}`,
      get hears() {
        return line.signal ?? '';
      },
      get hook() {
        return line.hook;
      },
      offHook: () => line.offHook(),
      onHook: () => line.onHook(),
      dial: (number) => line.dial(number),
    }),
  );
  return Object.assign(state, {
    name,
    address: `udp:${listen.host}:${listen.port}`,
    telephones,
    refuseMedia: (code: number | undefined) => {
      addFaults.length = 0;
      if (code !== undefined) addFaults.push(code);
    },
    start: () => gateway.start(),
    stop: () => gateway.stop(),
  });
}
