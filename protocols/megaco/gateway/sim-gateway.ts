/**
 * A simulated media gateway: the MEGACO network entity that follows the path attribute. Its requests go to its controller and, when that
 * is dead, to the alternates that the controller named; a plain one (`aware: false`) goes through its provisioned list instead (RFC
 * 3525 §11.2, §11.5). It obeys one controller at a time.
 */
import {
  Assembler,
  type Cancel,
  type ControllerAddress,
  ControllerPool,
  type ControlPeer,
  type CoreServices,
  type Flow,
  formatAddress,
  type Listener,
  type Logger,
  maxAlternates,
  type SimulatedMedia,
  sameAddress,
  TransactionIds,
  toneOfLine,
} from '../../../src/internal.ts';
import { createMegacoAdapter } from '../adapter.ts';
import {
  type Command,
  type CommandReply,
  contextNull,
  type Encoding,
  type EventsDescriptor,
  type MegacoMessage,
  type MId,
  type ObservedEvent,
} from '../codec/messages.ts';
import { mIdAddress } from '../codec/mid.ts';
import { mIdsToAddresses, pathExtension, pathPackage, pathProperty, readPathValue } from '../path.ts';
import { servicesOf, timeStamp } from '../service-change.ts';
import { type EndpointParts, type IncomingRequest, MegacoEndpoint, remoteOf } from '../transactions.ts';
import { Contexts } from './contexts.ts';
import { SimTermination } from './sim-termination.ts';

export interface SimGatewayOptions {
  /** Its mId, a device name such as gw1. */
  readonly name: MId;
  readonly listen: ControllerAddress;
  /** Provisioned controllers, best first. */
  readonly controllers: readonly ControllerAddress[];
  readonly lines: number;
  readonly encoding?: Encoding;
  /** false: a plain gateway that does not know the path attribute. */
  readonly aware?: boolean;
  /** What its lines have beyond al, cg and dd: `xcg` for a howler. */
  readonly linePackages?: readonly string[];
  /** Codes with which the next Modify commands of ephemeral terminations are refused: faults that pass. */
  readonly faults?: number[];
  /** ... and the next Add commands of them. */
  readonly addFaults?: number[];
  /** It does not know keys as events: 449 to a Local that asks for them. */
  readonly refusesEvents?: boolean;
  /** It answers an Add without the Local that it chose, against §7.1.8. */
  readonly leavesOutLocal?: boolean;
  /** 454 for a display of who calls, though it says that it has the package. */
  readonly refusesDisplay?: boolean;
  /** Speech of its lines; absent: it is not simulated. */
  readonly media?: SimulatedMedia | undefined;
  /** It keeps of a remote description what it understands, and gives that back (§7.1.8). */
  readonly rendersRemote?: boolean;
  readonly tMaxMs?: number;
  /** §9.2: at power-up it waits a random part of this. */
  readonly maxWaitMs?: number;
  /** Between attempts to find a controller. */
  readonly retryMs?: number;
  readonly onChange?: () => void;
}

/** What it needs of the core. */
export type SimGatewayServices = Pick<CoreServices, 'clock' | 'random' | 'log' | 'metrics' | 'network'>;

export class SimGateway {
  readonly options: SimGatewayOptions;
  readonly lines: readonly SimTermination[];
  readonly contexts: Contexts;
  readonly #services: SimGatewayServices;
  readonly #log: Logger;
  readonly #endpoint: MegacoEndpoint;
  readonly #peer: ControlPeer;
  /** Whom we obey, and whom it named as its alternates. */
  #controller: ControllerAddress | undefined;
  #controllerMId: MId | undefined;
  #alternates: readonly ControllerAddress[] = [];
  /** A controller has accepted us, and we may send it more than ServiceChange. */
  #associated = false;
  /** Who has our ServiceChange and may have answered it already. */
  #candidate: ControllerAddress | undefined;
  /** Counts searches for a controller: the outcome of an older one is nobody's. */
  #search = 0;
  readonly #waiting = new Map<SimTermination, { requestId: number; event: ObservedEvent }[]>();
  readonly #notifying = new Set<SimTermination>();
  /** ROOT, as far as it reports events (H.248.14). */
  readonly #rootTermination: SimTermination;
  #heardMs = 0;
  #inactivity: Cancel | undefined;
  #nextRtp = 1;
  #nextPort = 30_000;
  #stopped = false;

  constructor(services: SimGatewayServices, options: SimGatewayOptions) {
    this.#services = services;
    this.options = options;
    const { clock, random } = services;
    this.#log = services.log.child({ gateway: options.name });
    const pool = new ControllerPool(clock, random);
    for (const controller of options.controllers) pool.admit(controller, 'configured');
    this.#peer = { name: 'controller', addresses: () => this.#addresses() };
    const format = { encoding: options.encoding ?? 'compact', version: 1 };
    const adapter = createMegacoAdapter({ mId: () => options.name, formatFor: () => format });
    // A gateway has no backups.
    const assembler = new Assembler({
      adapter,
      cluster: { backups: [], backupFor: [] },
      addressOf: ({ transport, local }) => ({ transport, ...local }),
    });
    this.#endpoint = new MegacoEndpoint({
      adapter,
      assembler,
      services,
      log: this.#log,
      listen: [options.listen],
      pool,
      ids: new TransactionIds({ min: 1, max: 0xffff_fffe }, random),
      mId: () => options.name,
      timers: options.tMaxMs === undefined ? {} : { tMaxMs: options.tMaxMs },
      formatFor: () => format,
      admits: (message, flow) => this.#learn(message, flow),
      onRequest: (incoming) => this.#onRequest(incoming),
    } satisfies EndpointParts);
    this.#rootTermination = this.#termination('ROOT', 'rtp');
    this.lines = Array.from({ length: options.lines }, (_, index) => this.#termination(`aaln/${index + 1}`, 'line'));
    for (const line of this.lines) line.packages = ['al', 'cg', 'dd', ...(options.linePackages ?? [])];
    this.contexts = new Contexts(
      {
        // What it refuses and leaves out.
        ...options,
        lines: new Map(this.lines.map((line) => [line.id, line])),
        makeRtp: () => {
          this.#nextRtp += 1;
          return this.#termination(`rtp/${this.#nextRtp}`, 'rtp');
        },
        rtpAddress: (termination) => {
          termination.stream ??= options.media?.open(this.#toneBeside(termination));
          if (termination.stream !== undefined) return { host: options.listen.host, port: termination.stream.port };
          this.#nextPort = this.#nextPort >= 60_000 ? 30_000 : this.#nextPort + 2;
          return { host: options.listen.host, port: this.#nextPort };
        },
        root: (command) => this.#root(command),
        fault: () => options.faults?.shift(),
        addFault: () => options.addFaults?.shift(),
        rendersRemote: options.rendersRemote === true,
      },
      1 + Math.floor(random.fraction() * 1_000_000),
    );
  }

  get listeners(): readonly Listener[] {
    return this.#endpoint.listeners;
  }

  /** Whom it obeys now; undefined while it looks for one. */
  get controller(): ControllerAddress | undefined {
    return this.#associated ? this.#controller : undefined;
  }

  get alternates(): readonly ControllerAddress[] {
    return this.#alternates;
  }

  async start(): Promise<void> {
    await this.#endpoint.start();
    await this.options.media?.start();
    const { clock, random } = this.#services;
    const waitMs = (this.options.maxWaitMs ?? 0) * random.fraction();
    if (waitMs === 0) this.restart();
    else clock.after(waitMs, () => this.restart());
  }

  /** Power-up: contexts are gone. */
  restart(): void {
    this.contexts.clear();
    for (const line of this.lines) line.reset();
    this.#waiting.clear();
    this.#seek('Restart', '901 Cold Boot', this.options.controllers, 0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#inactivity?.();
    for (const line of this.lines) line.stop();
    await this.#endpoint.stop();
    await this.options.media?.stop();
  }

  /** The tone of the line that an ephemeral termination is together with. */
  #toneBeside({ contextId }: SimTermination): number {
    const line = this.contexts.members(contextId).find(({ kind }) => kind === 'line');
    return toneOfLine(`${line?.id ?? ''}@${this.options.name}`);
  }

  #termination(id: string, kind: 'line' | 'rtp'): SimTermination {
    return new SimTermination(id, kind, this.#services.clock, (termination, requestId, event) =>
      this.#observed(termination, requestId, event),
    );
  }

  /** The path: our controller, then its alternates (an aware gateway), and nobody else (a plain one). */
  #addresses(): readonly ControllerAddress[] {
    if (this.#controller === undefined) return this.options.controllers.slice(0, 1);
    return this.options.aware === false ? [this.#controller] : [this.#controller, ...this.#alternates];
  }

  /** A controller is known by its address, or by the mId that it shares with its backups. */
  #isController(message: MegacoMessage, flow: Flow): boolean {
    if (this.#controller === undefined) return false;
    if (message.mId === this.#controllerMId && this.options.aware === false) return true;
    return comesFrom(flow, this.#controller);
  }

  /** Alternates are learned from our own controller alone (docs/alternate-path.md). */
  #learn(message: MegacoMessage, flow: Flow): boolean {
    const isController = this.#isController(message, flow);
    if (isController) this.#heardMs = this.#services.clock.now();
    if (this.options.aware !== false && message.alternatePath !== undefined && isController)
      this.#alternates = mIdsToAddresses(message.alternatePath, 2944, flow.transport).slice(0, maxAlternates);
    return true;
  }

  #onRequest(incoming: IncomingRequest): void {
    const { message, flow, request } = incoming;
    const commands = request.actions.flatMap((action) => action.commands);
    const isCandidate = this.#candidate !== undefined && comesFrom(flow, this.#candidate);
    if (!this.#isController(message, flow) && !isCandidate) {
      const isAlternate = this.#alternates.some((alternate) => comesFrom(flow, alternate));
      const harmless = commands.every(({ verb }) => verb === 'AuditValue' || verb === 'ServiceChange');
      if (!(isAlternate && harmless)) {
        incoming.refuse(504, 'Command received from unauthorized entity');
        return;
      }
    } else if (!this.#associated && !commands.some(({ verb }) => verb === 'ServiceChange')) {
      incoming.refuse(505, 'Command received before a ServiceChange reply has been received');
      return;
    }
    incoming.reply(this.contexts.execute(request.actions));
    this.options.onChange?.();
  }

  #root(command: Command): CommandReply {
    const plain: CommandReply = { verb: command.verb, terminationId: 'ROOT', descriptors: [] };
    const aware = this.options.aware !== false;
    switch (command.verb) {
      case 'AuditValue': {
        const packages = ['g', 'root', 'al', 'cg', 'dd', 'nt', 'rtp', 'it', ...(aware ? [pathPackage] : [])];
        const wantsPackages = command.descriptors.some(
          (each) => each.kind === 'Audit' && each.items.includes('Packages'),
        );
        return wantsPackages
          ? { ...plain, descriptors: [{ kind: 'Packages', packages: packages.map((name) => ({ name, version: 1 })) }] }
          : plain;
      }
      case 'Modify': {
        const properties = command.descriptors.flatMap((each) =>
          each.kind === 'Media' ? (each.terminationState?.properties ?? []) : [],
        );
        for (const each of command.descriptors) if (each.kind === 'Events') this.#watch(each);
        if (properties.some(({ name }) => name !== pathProperty || !aware))
          return { ...plain, descriptors: [{ kind: 'Error', code: 445, text: 'Unsupported or unknown property' }] };
        return plain;
      }
      case 'ServiceChange':
        return this.#handOff(command, plain);
      default:
        return { ...plain, descriptors: [{ kind: 'Error', code: 410, text: 'Incorrect identifier' }] };
    }
  }

  /** H.248.14: reports that nothing was heard of the controller for the time it named, again and again. */
  #watch(events: EventsDescriptor): void {
    this.#inactivity?.();
    const mit = events.events.find(({ name }) => name === 'it/ito')?.parameters.find(({ name }) => name === 'mit');
    const limitMs = Number(mit?.values[0] ?? 0) * 10;
    if (!(limitMs > 0)) return;
    const { clock } = this.#services;
    const look = (): void => {
      const quietMs = clock.now() - this.#heardMs;
      if (quietMs >= limitMs && !this.#notifying.has(this.#rootTermination))
        this.#observed(this.#rootTermination, events.requestId ?? 0, {
          name: 'it/ito',
          timeStamp: timeStamp(clock.now()),
          parameters: [],
        });
      this.#inactivity = clock.after(Math.max(10, quietMs >= limitMs ? limitMs : limitMs - quietMs), look);
    };
    this.#inactivity = clock.after(limitMs, look);
  }

  /** §11.5: a controller directs us to another. */
  #handOff(command: Command, plain: CommandReply): CommandReply {
    const services = servicesOf(command.descriptors);
    const transport = this.options.listen.transport;
    const target = services?.mgcId === undefined ? undefined : mIdAddress(services.mgcId, 2944, transport);
    if (services?.method !== 'HandOff' || target === undefined)
      return { ...plain, descriptors: [{ kind: 'Error', code: 501, text: 'Not implemented' }] };
    const extension = services.extensions?.find(({ name }) => name === pathExtension)?.values[0];
    const alternates = extension === undefined ? [] : readPathValue(extension, target, 2944);
    this.#associated = false;
    // After the reply to this command has left.
    this.#services.clock.after(0, () => {
      this.#seek('HandOff', '903 MGC Directed Change', [target, ...alternates, ...this.options.controllers], 0);
    });
    return plain;
  }

  /** Registers with one controller after the other until one accepts (§11.2, §11.5). */
  #seek(method: string, reason: string, candidates: readonly ControllerAddress[], index: number): void {
    if (this.#stopped) return;
    this.#search += 1;
    const search = this.#search;
    this.#associated = false;
    const candidate = candidates[index];
    this.#candidate = candidate;
    const { clock, random } = this.#services;
    if (candidate === undefined) {
      const retryMs = this.options.retryMs ?? 2_000;
      clock.after(retryMs * (0.5 + random.fraction() / 2), () => {
        if (this.#search === search)
          this.#seek(
            method === 'Restart' ? method : 'Disconnected',
            method === 'Restart' ? reason : '900 Service Restored',
            this.options.controllers,
            0,
          );
      });
      return;
    }
    const peer: ControlPeer = { name: `controller ${formatAddress(candidate)}`, addresses: () => [candidate] };
    const command: Command = {
      verb: 'ServiceChange',
      terminationId: 'ROOT',
      descriptors: [
        {
          kind: 'Services',
          method,
          reason,
          address: String(
            this.options.listen.port === 0 ? (this.listeners[0]?.local.port ?? 0) : this.options.listen.port,
          ),
          version: 1,
          profile: 'resgw/1',
          timeStamp: timeStamp(clock.now()),
        },
      ],
    };
    this.#log.debug({ method, to: formatAddress(candidate) }, 'looking for a controller');
    const giveUp = clock.after(this.options.retryMs ?? 2_000, () => {
      if (this.#search === search) {
        pending.cancel();
        this.#seek(
          method === 'Restart' ? method : 'Failover',
          method === 'Restart' ? reason : '909 MGC Impending Failure',
          candidates,
          index + 1,
        );
      }
    });
    const pending = this.#endpoint.request(
      peer,
      () => [{ contextId: contextNull, commands: [command] }],
      (outcome) => {
        giveUp();
        if (this.#search !== search) return;
        const failed =
          outcome.kind !== 'answered' ||
          outcome.response.reply.error !== undefined ||
          outcome.response.reply.actions.some(
            ({ error, commands }) =>
              error !== undefined ||
              commands.some(({ descriptors }) => descriptors.some(({ kind }) => kind === 'Error')),
          );
        if (failed) {
          this.#seek(
            method === 'Restart' ? method : 'Failover',
            method === 'Restart' ? reason : '909 MGC Impending Failure',
            candidates,
            index + 1,
          );
          return;
        }
        const { message, reply } = outcome.response;
        const services = reply.actions.flatMap(({ commands }) =>
          commands.map(({ descriptors }) => servicesOf(descriptors)),
        )[0];
        const elsewhere =
          services?.mgcId === undefined ? undefined : mIdAddress(services.mgcId, 2944, candidate.transport);
        if (elsewhere !== undefined && !sameAddress(elsewhere, candidate)) {
          this.#seek(method, reason, [elsewhere, ...candidates.slice(index + 1)], 0);
          return;
        }
        this.#accepted(candidate, message);
      },
      { urgent: true },
    );
  }

  #accepted(controller: ControllerAddress, message: MegacoMessage): void {
    this.#candidate = undefined;
    this.#controller = controller;
    this.#controllerMId = message.mId;
    this.#associated = true;
    this.#alternates =
      this.options.aware === false || message.alternatePath === undefined
        ? []
        : mIdsToAddresses(message.alternatePath, 2944, controller.transport).slice(0, maxAlternates);
    this.#log.info({ controller: formatAddress(controller) }, 'associated');
    // §11.5: what was not answered is repeated to the new controller.
    this.#endpoint.redirect(this.#peer);
    this.#heardMs = this.#services.clock.now();
    for (const line of this.#waiting.keys()) this.#notifyNext(line);
    this.options.onChange?.();
  }

  #observed(termination: SimTermination, requestId: number, event: ObservedEvent): void {
    const queue = this.#waiting.get(termination) ?? [];
    if (queue.length < maxWaiting) queue.push({ requestId, event });
    this.#waiting.set(termination, queue);
    this.#notifyNext(termination);
    this.options.onChange?.();
  }

  /** §9.1 rule 3: one Notify per termination at a time. */
  #notifyNext(termination: SimTermination): void {
    if (this.#notifying.has(termination) || !this.#associated) return;
    const queue = this.#waiting.get(termination);
    const next = queue?.shift();
    if (next === undefined) return;
    this.#notifying.add(termination);
    const { requestId, event } = next;
    this.#endpoint.request(
      this.#peer,
      () => [
        {
          contextId: termination.contextId,
          commands: [
            {
              verb: 'Notify',
              terminationId: termination.id,
              descriptors: [{ kind: 'ObservedEvents', requestId, events: [event] }],
            },
          ],
        },
      ],
      (outcome) => {
        this.#notifying.delete(termination);
        if (outcome.kind === 'answered') {
          if (this.#isController(outcome.response.message, outcome.flow))
            this.#controllerMId = outcome.response.message.mId;
          this.#notifyNext(termination);
          return;
        }
        this.#waiting.get(termination)?.unshift(next);
        if (this.#associated) this.#lostController();
      },
      { sentTo: (to) => this.#obey(to) },
    );
  }

  /** What our controller does not take goes to its alternate, and with it the right to command us. */
  #obey(to: ControllerAddress): void {
    const before = this.#controller;
    if (before === undefined || sameAddress(to, before)) return;
    this.#log.info({ from: formatAddress(before), to: formatAddress(to) }, 'alternate is the controller now');
    this.#controller = to;
    this.#controllerMId = undefined;
    this.#alternates = [...this.#alternates.filter((alternate) => !sameAddress(alternate, to)), before];
  }

  #lostController(): void {
    const lost = this.#controller;
    const others = this.options.controllers.filter(
      (controller) => lost === undefined || !sameAddress(controller, lost),
    );
    const list = this.options.aware === false ? others : [...this.#alternates, ...others];
    this.#seek('Failover', '909 MGC Impending Failure', list, 0);
  }
}

/** A connection that the other end opened has any port. */
const comesFrom = (flow: Flow, address: ControllerAddress): boolean =>
  flow.reliable
    ? flow.remote.host === address.host && flow.transport === address.transport
    : sameAddress(remoteOf(flow), address);

/** Events per termination that wait for a controller. */
const maxWaiting = 32;
