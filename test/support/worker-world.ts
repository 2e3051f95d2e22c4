/** Several workers on one simulated host, under a supervisor of a few lines, and telephones that know that host alone. */
import { type CallJournal, Metrics, silentLog, WorkerGroup } from '../../src/internal.ts';
import { journalOf } from './services.ts';
import type { SimPhone } from './sip-ua.ts';
import { domain, hosts, SipWorld } from './sip-world.ts';
import { WorkerHost, type WorkerProgram } from './worker-host.ts';

interface Worker {
  readonly program: WorkerProgram;
  readonly group: WorkerGroup;
  readonly journal: CallJournal;
  handedOver(): number;
}

export interface WorkerWorldOptions {
  readonly count?: number;
  readonly config?: Readonly<Record<string, unknown>>;
}

export class WorkerWorld {
  readonly sip = new SipWorld();
  readonly #host = new WorkerHost(this.sip.network, hosts.primary);
  readonly #workers = new Map<number, Worker>();
  readonly #config: Readonly<Record<string, unknown>>;
  #lead = 1;
  #starts = 0;

  constructor({ config = { domains: [domain] } }: WorkerWorldOptions = {}) {
    this.#config = config;
  }

  /** All, as a supervisor does it: they are linked before the first of them serves. */
  async start(count: number): Promise<void> {
    for (let index = 1; index <= count; index += 1) await this.#link(index);
    for (let index = 1; index <= count; index += 1) await this.#serve(index);
  }

  /** By index. */
  worker(index: number): Worker {
    const worker = this.#workers.get(index);
    if (worker === undefined) throw new Error(`worker ${index} is not there`);
    return worker;
  }

  /** Names of the programs that live. */
  get living(): readonly string[] {
    return [...this.#workers.keys()].map(nameOf);
  }

  kill(index: number): void {
    this.worker(index).program.kill();
    this.#workers.delete(index);
    const [heir] = [...this.#workers.keys()].sort((a, b) => a - b);
    if (this.#lead === index && heir !== undefined) this.#lead = heir;
    void this.#tellRoster();
  }

  /** As a supervisor does it after a while. */
  async restart(index: number): Promise<void> {
    await this.#link(index);
    await this.#serve(index);
  }

  async #link(index: number): Promise<void> {
    this.#starts += 1;
    const program = this.#host.program(index, `l${this.#starts}`);
    const metrics = new Metrics();
    const group = new WorkerGroup({
      self: program.address,
      clock: program.clock,
      log: silentLog,
      metrics,
      links: program.links,
    });
    this.#workers.set(index, {
      program,
      group,
      get journal() {
        return journalOf(program.clock);
      },
      handedOver: () => metrics.counter('worker_handed_over_total', 'Messages that another worker was given').value,
    });
    await group.start();
    await this.#tellRoster();
  }

  async #serve(index: number): Promise<void> {
    const { program, group } = this.worker(index);
    await this.sip.node(hosts.primary, { config: this.#config, worker: { name: nameOf(index), program, group } });
  }

  async #tellRoster(): Promise<void> {
    const roster = [...this.#workers.values()].map(({ program }) => program.address);
    for (const { group } of this.#workers.values()) {
      group.setLead(this.#lead);
      await group.meet(roster);
    }
  }
}

const nameOf = (index: number): string => `worker ${index}`;

/**
 * A caller and callees that are registered, at neighbouring addresses: their messages come to different workers. With edges, which are
 * controllers of their own and follow the attribute, the telephones know those, and the edges the workers' host.
 */
export async function workersAndTelephones(
  options: WorkerWorldOptions & { readonly callees?: number | undefined; readonly hasEdges?: boolean } = {},
): Promise<Telephones & { readonly workers: WorkerWorld }> {
  const workers = new WorkerWorld(options);
  const { sip: world } = workers;
  await workers.start(options.count ?? 2);
  const { hasEdges = false } = options;
  if (hasEdges)
    for (const edge of [hosts.callerEdge, hosts.calleeEdge])
      await world.edge(edge, { defaultRoute: [`${hosts.primary}:5060`] });
  const edges = hasEdges ? [hosts.callerEdge, hosts.calleeEdge] : [hosts.primary, hosts.primary];
  return { workers, ...(await telephonesAt(world, edges[0] ?? '', edges[1] ?? '', options.callees)) };
}

export interface Telephones {
  readonly world: SipWorld;
  readonly caller: SimPhone;
  readonly callees: readonly SimPhone[];
}

export async function telephonesAt(
  world: SipWorld,
  callerEdge: string,
  calleeEdge: string,
  count = 1,
): Promise<Telephones> {
  const caller = await world.phone({ address: '127.0.3.1', user: 'alice', edge: callerEdge });
  const callees: SimPhone[] = [];
  for (let index = 0; index < count; index += 1)
    callees.push(await world.phone({ address: `127.0.3.${index + 2}`, user: 'bob', edge: calleeEdge }));
  for (const phone of [caller, ...callees]) phone.register();
  // The start is long past.
  await world.clock.advanceAsync(40_000);
  return { world, caller, callees };
}
