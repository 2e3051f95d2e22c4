/**
 * One simulated host whose address several worker programs share, as processes share a port of the system: whoever sends from one address
 * reaches one worker as long as workers neither come nor go. A worker that is killed sends nothing any more, its timers and connections
 * end, and its siblings see that a moment later.
 */
import {
  type BindOptions,
  type Clock,
  type ControllerAddress,
  type Flow,
  type FlowOptions,
  formatAddress,
  type Listener,
  type Network,
  type NetworkEvents,
  type SocketAddress,
  type TransmitError,
} from '../../src/internal.ts';
import { encodeFrame, type Frame, type FrameKind, FrameReader } from '../../src/workers/frames.ts';
import type { Links, SiblingLinksParts, Speaker, WorkerAddress } from '../../src/workers/sibling-links.ts';
import type { MemoryHost, MemoryNetwork } from './memory-network.ts';

export class WorkerHost {
  readonly host: MemoryHost;
  readonly #ports = new Map<string, SharedPort>();
  readonly #links = new Map<string, MemoryLinks>();

  constructor(network: MemoryNetwork, address: string) {
    this.host = network.host(address);
  }

  /** `life`: unlike for any two programs. */
  program(index: number, life: string): WorkerProgram {
    return new WorkerProgram(this, index, life);
  }

  /** @internal */
  async port(address: ControllerAddress, options: BindOptions): Promise<SharedPort> {
    const key = formatAddress(address);
    const known = this.#ports.get(key);
    if (known !== undefined) return known;
    const port = new SharedPort();
    this.#ports.set(key, port);
    port.listener = await this.host.bind(address, options, port.events);
    return port;
  }

  /** @internal */
  unbind(program: WorkerProgram): void {
    for (const port of this.#ports.values()) port.unbind(program);
  }

  /** @internal */
  get links(): Map<string, MemoryLinks> {
    return this.#links;
  }
}

/** What runs in one process. */
export class WorkerProgram implements Network {
  readonly index: number;
  readonly life: string;
  readonly clock: Clock;
  readonly #host: WorkerHost;
  isDead = false;

  constructor(host: WorkerHost, index: number, life: string) {
    this.#host = host;
    this.index = index;
    this.life = life;
    const { clock } = host.host;
    this.clock = {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      after: (ms, run) =>
        clock.after(ms, () => {
          if (!this.isDead) run();
        }),
    };
  }

  get address(): WorkerAddress {
    return { index: this.index, life: this.life, path: this.life };
  }

  readonly links = (parts: SiblingLinksParts): Links => new MemoryLinks(this.#host, this, parts);

  async bind(address: ControllerAddress, options: BindOptions, events: NetworkEvents): Promise<Listener> {
    const port = await this.#host.port(address, options);
    return port.bind(this, events);
  }

  kill(): void {
    if (this.isDead) return;
    this.isDead = true;
    this.#host.unbind(this);
    for (const links of this.#host.links.values()) links.lost(this.life);
    this.#host.links.delete(this.life);
  }
}

/** A port of the host, and who listens on it. */
class SharedPort {
  listener: Listener | undefined;
  readonly #bound: Bound[] = [];
  readonly #owners = new WeakMap<Flow, Bound>();
  readonly #shown = new WeakMap<Flow, ProgramFlow>();

  readonly events: NetworkEvents = {
    received: (bytes, flow) => {
      const bound = this.#owners.get(flow) ?? this.#chosen(flow.remote);
      if (bound === undefined) return;
      if (flow.reliable) this.#owners.set(flow, bound);
      bound.events.received(bytes, this.shown(flow, bound));
    },
    failed: (flow, error) => this.#failed(flow, error),
  };

  bind(program: WorkerProgram, events: NetworkEvents): Listener {
    const bound = new Bound(this, program, events);
    this.#bound.push(bound);
    this.#bound.sort((a, b) => a.program.index - b.program.index);
    return bound;
  }

  unbind(program: WorkerProgram): void {
    const at = this.#bound.findIndex((each) => each.program === program);
    if (at >= 0) this.#bound.splice(at, 1);
  }

  flowTo(remote: SocketAddress, options: FlowOptions | undefined, bound: Bound): Flow {
    if (this.listener === undefined) throw new Error('not bound');
    const flow = this.listener.flowTo(remote, options);
    this.#owners.set(flow, bound);
    return this.shown(flow, bound);
  }

  shown(flow: Flow, bound: Bound): ProgramFlow {
    const known = this.#shown.get(flow);
    if (known?.bound === bound) return known;
    const made = new ProgramFlow(flow, bound);
    this.#shown.set(flow, made);
    return made;
  }

  /** By the last number of the address: neighbours are with different workers. */
  #chosen({ host }: SocketAddress): Bound | undefined {
    return this.#bound[Number(host.split('.').at(-1)) % this.#bound.length];
  }

  #failed(flow: Flow, error: TransmitError): void {
    const bound = this.#owners.get(flow);
    if (bound?.program.isDead === false) bound.events.failed(this.shown(flow, bound), error);
  }
}

class Bound implements Listener {
  readonly program: WorkerProgram;
  readonly events: NetworkEvents;
  readonly connections = 0;
  readonly #port: SharedPort;

  constructor(port: SharedPort, program: WorkerProgram, events: NetworkEvents) {
    this.#port = port;
    this.program = program;
    this.events = events;
  }

  get local(): ControllerAddress {
    if (this.#port.listener === undefined) throw new Error('not bound');
    return this.#port.listener.local;
  }

  flowTo(remote: SocketAddress, options?: FlowOptions): Flow {
    return this.#port.flowTo(remote, options, this);
  }

  flowById(id: string): Flow | undefined {
    const flow = this.#port.listener?.flowById(id);
    return flow && this.#port.shown(flow, this);
  }

  async close(): Promise<void> {
    this.#port.unbind(this.program);
  }
}

/** A flow as one program has it. */
class ProgramFlow implements Flow {
  readonly bound: Bound;
  readonly #flow: Flow;

  constructor(flow: Flow, bound: Bound) {
    this.#flow = flow;
    this.bound = bound;
  }

  get transport() {
    return this.#flow.transport;
  }

  get reliable(): boolean {
    return this.#flow.reliable;
  }

  get local(): SocketAddress {
    return this.#flow.local;
  }

  get remote(): SocketAddress {
    return this.#flow.remote;
  }

  get id(): string {
    return this.#flow.id;
  }

  send(bytes: Uint8Array): void {
    if (!this.bound.program.isDead) this.#flow.send(bytes);
  }

  close(): void {
    this.#flow.close();
  }
}

/** Frames are written and read as on a socket, and take a moment. */
class MemoryLinks implements Links {
  readonly #host: WorkerHost;
  readonly #program: WorkerProgram;
  readonly #parts: SiblingLinksParts;
  readonly #siblings = new Map<number, WorkerAddress>();

  constructor(host: WorkerHost, program: WorkerProgram, parts: SiblingLinksParts) {
    this.#host = host;
    this.#program = program;
    this.#parts = parts;
  }

  async start(): Promise<void> {
    this.#host.links.set(this.#program.life, this);
  }

  stop(): void {
    this.#program.kill();
  }

  async meet(workers: readonly WorkerAddress[]): Promise<void> {
    for (const address of workers) {
      if (address.index === this.#program.index || this.#siblings.get(address.index)?.life === address.life) continue;
      if (!this.#host.links.has(address.life)) continue;
      this.#siblings.set(address.index, address);
      this.#parts.joined(address);
    }
  }

  living(): readonly WorkerAddress[] {
    return [...this.#siblings.values()];
  }

  isLiving(index: number): boolean {
    return this.#siblings.has(index);
  }

  send(index: number, kind: FrameKind, fields: readonly string[], body?: Uint8Array): boolean {
    const sibling = this.#siblings.get(index);
    if (sibling === undefined || this.#program.isDead) return false;
    const bytes = encodeFrame(kind, fields, body);
    const { index: from, life } = this.#program;
    this.#host.host.clock.after(frameMs, () => {
      const target = this.#host.links.get(sibling.life);
      for (const frame of new FrameReader().push(bytes) ?? []) target?.received({ index: from, life }, frame);
    });
    return true;
  }

  toAll(kind: FrameKind, fields: readonly string[], body?: Uint8Array): void {
    for (const index of this.#siblings.keys()) this.send(index, kind, fields, body);
  }

  received(from: Speaker, frame: Frame): void {
    this.#parts.received(from, frame);
  }

  lost(life: string): void {
    for (const sibling of this.#siblings.values())
      if (sibling.life === life)
        this.#program.clock.after(frameMs, () => {
          if (this.#siblings.get(sibling.index)?.life === life) this.#siblings.delete(sibling.index);
          this.#parts.left(sibling);
        });
  }
}

const frameMs = 0.2;
