/**
 * A simulated residential gateway: the MGCP network entity that follows the path attribute. What it sends goes to the notified entity, and
 * when that is dead to its alternates, by the core's Transmitter; what it is told, it does (RFC 3435 §2.3, §4.3, §4.4).
 */
import {
  Assembler,
  allowHolds,
  type Cancel,
  ControlEndpoint,
  type ControllerAddress,
  ControllerPool,
  type CoreServices,
  type Counter,
  type Flow,
  isIpLiteral,
  type Listener,
  type PathAttribute,
  sameAddress,
  TransactionIds,
  toneOfLine,
} from '../../../src/internal.ts';
import { createMgcpAdapter } from '../adapter.ts';
import { maxDatagramBytes } from '../codec/decode.ts';
import { command, encodeDatagram } from '../codec/encode.ts';
import { isSuccess, type MgcpCommand, type MgcpResponse, type Parameter, parameter } from '../codec/messages.ts';
import type { Signal } from '../codec/values/events.ts';
import { writeSignals } from '../codec/values/events.ts';
import { covers, readEndpointName, readNotifiedEntity } from '../codec/values/names.ts';
import { hasMalformedPath, readPath } from '../path.ts';
import { type MgcpEndpoint, MgcpTransactions, type Respond } from '../transactions.ts';
import type { CommandedGateway, Destination, SimGatewayOptions } from './commanded-gateway.ts';
import { executeCommand } from './execute.ts';
import { SimLine } from './sim-line.ts';

export type { SimGatewayOptions } from './commanded-gateway.ts';

/** What it needs of the core. */
export type SimServices = Pick<CoreServices, 'clock' | 'random' | 'log' | 'metrics' | 'network'>;

export class SimGateway implements CommandedGateway {
  readonly options: SimGatewayOptions;
  readonly lines: readonly SimLine[];
  readonly #services: SimServices;
  readonly #endpoint: MgcpEndpoint;
  readonly #pool: ControllerPool;
  readonly #transactions: MgcpTransactions;
  readonly #destinations = new Map<SimLine, Destination>();
  readonly #byLocal = new Map<string, SimLine>();
  readonly #gatewayWide: Destination;
  readonly #malformed: Counter;
  readonly #refused: Counter;
  readonly #disconnected = new Map<SimLine, { waitMs: number; cancel: Cancel }>();
  #nextPort = 20_000;
  #stopped = false;

  constructor(services: SimServices, options: SimGatewayOptions) {
    this.#services = services;
    this.options = options;
    const { clock, random, metrics } = services;
    const log = services.log.child({ gateway: options.name });
    const adapter = createMgcpAdapter('gateway');
    // A gateway has no backups.
    const assembler = new Assembler({
      adapter,
      cluster: { backups: [], backupFor: [] },
      addressOf: ({ local }) => ({ transport: 'udp', host: options.name, port: local.port }),
    });
    this.#malformed = metrics.counter('mgcp_alternates_malformed_total', 'Path attributes that could not be read');
    this.#refused = metrics.counter('mgcp_alternates_refused_total', 'Alternates outside of what is allowed');
    this.#pool = new ControllerPool(clock, random);
    for (const callAgent of options.callAgents) this.#pool.admit(callAgent, 'configured');
    this.#endpoint = new ControlEndpoint({
      services,
      log,
      adapter,
      assembler,
      pool: this.#pool,
      ids: new TransactionIds({ min: 1, max: 999_999_999 }, random),
      listen: [options.listen],
      maxMessageBytes: maxDatagramBytes,
      timers: options.tMaxMs === undefined ? {} : { tMaxMs: options.tMaxMs },
      onMessage: (datagram, flow) => this.#transactions.onDatagram(datagram, flow),
      probe: (to, flow, id) => assembler.probe(to, flow, String(id)),
    });
    this.#transactions = new MgcpTransactions(clock, this.#endpoint, assembler, {
      onCommand: (command, flow, respond) => this.#onCommand(command, flow, respond),
      // RFC 3435 §3.5.2: a gateway tells duplicates by the transaction id alone.
      senderOf: () => 'callAgent',
      trusts: () => true,
      answersTo: () => true,
      beforeResponse: (command) => this.#disconnectedNotice(command),
    });
    this.#gatewayWide = this.#newDestination('*');
    this.lines = Array.from({ length: options.lines }, (_, index) => this.#newLine(`aaln/${index + 1}`));
  }

  get listeners(): readonly Listener[] {
    return this.#endpoint.listeners;
  }

  async start(): Promise<void> {
    await this.#endpoint.start();
    await this.options.media?.start();
    this.restart();
  }

  /** Comes up and says so (RFC 3435 §4.4.6). */
  restart(): void {
    for (const line of this.lines) line.reset();
    this.#restartInProgress('*', 'restart', this.#gatewayWide, (ok) => {
      if (!ok && !this.#stopped) this.#services.clock.after(this.#disconnectedMs, () => this.restart());
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const line of this.lines) line.stop();
    for (const { cancel } of this.#disconnected.values()) cancel();
    this.#transactions.stop();
    await this.#endpoint.stop();
    await this.options.media?.stop();
  }

  line(index: number): SimLine | undefined {
    return this.lines[index - 1];
  }

  /** The lines that a local name covers; empty where it names none. */
  covered(local: string): readonly SimLine[] {
    if (/[*[]/.test(local)) return this.lines.filter((line) => covers(local, line.local));
    const exact = this.#byLocal.get(local.toLowerCase());
    return exact === undefined ? [] : [exact];
  }

  /** The notified entity of a line and what stands behind it. */
  destination(line: SimLine): Destination {
    return this.#destinations.get(line) ?? this.#gatewayWide;
  }

  /** A new notified entity: what is open goes there (RFC 3435 §4.3). */
  setEntity(line: SimLine, entity: ControllerAddress): void {
    const destination = this.destination(line);
    const isSame = destination.entity !== undefined && sameAddress(destination.entity, entity);
    // Its local part is whatever the call agent wrote last.
    destination.entity = entity;
    if (isSame) return;
    if (isIpLiteral(entity.host)) this.#pool.admit(entity, 'learned');
    this.#transactions.redirect(destination);
  }

  setAlternates(line: SimLine, alternates: readonly ControllerAddress[]): void {
    const { allow = [] } = this.options;
    const usable = alternates.filter(
      (each) => isIpLiteral(each.host) && (allow.length === 0 || allow.some((rule) => allowHolds(rule, each))),
    );
    this.#refused.add(alternates.length - usable.length);
    this.destination(line).alternates = usable;
    for (const each of usable) this.#pool.admit(each, 'learned');
  }

  #newLine(local: string): SimLine {
    const { clock, random } = this.#services;
    const line = new SimLine(local, {
      clock,
      random,
      address: this.options.listen.host,
      media: this.options.media,
      toneHz: toneOfLine(`${local}@${this.options.name}`),
      notify: (of, requestId, observed) => this.#notify(of, requestId, observed),
      changed: (of) => this.options.onChange?.(of),
      allocatePort: () => {
        this.#nextPort = this.#nextPort >= 65_000 ? 20_000 : this.#nextPort + 2;
        return this.#nextPort;
      },
      activity: (of) => this.#reportDisconnected(of),
    });
    this.#destinations.set(line, this.#newDestination(local));
    this.#byLocal.set(local.toLowerCase(), line);
    return line;
  }

  #newDestination(local: string): Destination {
    const { callAgents, aware = true } = this.options;
    const destination: Destination = {
      name: local,
      entity: undefined,
      alternates: [],
      addresses: () => {
        const { entity, alternates } = destination;
        const first = entity === undefined || !isIpLiteral(entity.host) ? callAgents : [entity];
        const all = aware ? [...first, ...alternates] : first;
        return all.filter((each, index) => all.findIndex((other) => sameAddress(other, each)) === index);
      },
    };
    return destination;
  }

  #onCommand(command: MgcpCommand, flow: Flow, respond: Respond): void {
    const local = readEndpointName(command.endpoint)?.local ?? '';
    const response = executeCommand(this, command, local);
    if (isSuccess(response.code)) for (const line of this.covered(local)) this.#follow(line, command, flow);
    respond(response);
    // RFC 3435 §4.4.7: a command for a disconnected endpoint starts the procedure anew.
    if (command.verb !== 'AUEP' && command.verb !== 'AUCX')
      for (const line of this.covered(local)) this.#reportDisconnected(line);
  }

  /** Routing parameters that a message of a call agent brings, for the line it concerns. */
  #follow(line: SimLine, message: MgcpCommand | MgcpResponse, { remote }: Flow): void {
    const named = parameter(message, 'N') ?? parameter(message, 'RED/N');
    const entity = named === undefined ? undefined : readNotifiedEntity(named);
    // The attribute is obeyed from call agents that were provisioned or named by one (design §8).
    const { callAgents, aware = true } = this.options;
    const known = [...callAgents, ...this.destination(line).addresses()];
    if (aware && known.some(({ host }) => host === remote.host)) {
      const path: PathAttribute | undefined = readPath(message);
      if (hasMalformedPath(message)) this.#malformed.add();
      if (path !== undefined) this.setAlternates(line, path.alternates);
    }
    if (entity !== undefined) this.setEntity(line, entity);
  }

  #notify(line: SimLine, requestId: string, observed: readonly Signal[]): void {
    const destination = this.destination(line);
    const parameters: readonly Parameter[] = [
      { code: 'X', value: requestId },
      { code: 'O', value: writeSignals(observed) },
    ];
    this.#transactions.submit({
      peer: destination,
      queue: line.local,
      persistent: true,
      draft: () => ({ verb: 'NTFY', endpoint: `${line.local}@${this.options.name}`, parameters, sdp: [] }),
      ended: (outcome) => {
        if (outcome.kind !== 'answered') {
          this.#disconnect(line);
          return;
        }
        this.#follow(line, outcome.response, outcome.flow);
        line.notification.answered();
      },
    });
  }

  get #disconnectedMs(): number {
    return this.options.disconnectedMs ?? 15_000;
  }

  /** RFC 3435 §4.4.7, step 1. */
  #disconnect(line: SimLine): void {
    if (this.#disconnected.has(line) || this.#stopped) return;
    this.#armDisconnected(line, this.#disconnectedMs * (0.1 + 0.9 * this.#services.random.fraction()));
  }

  #armDisconnected(line: SimLine, waitMs: number): void {
    this.#disconnected.get(line)?.cancel();
    const cancel = this.#services.clock.after(waitMs, () => {
      this.#reportDisconnected(line);
      if (this.#disconnected.has(line)) this.#armDisconnected(line, Math.min(600_000, waitMs * 2));
    });
    this.#disconnected.set(line, { waitMs, cancel });
  }

  #reportDisconnected(line: SimLine): void {
    if (!this.#disconnected.has(line)) return;
    this.#restartInProgress(line.local, 'disconnected', this.destination(line), (ok) => {
      if (!ok) return;
      this.#disconnected.get(line)?.cancel();
      this.#disconnected.delete(line);
      // §4.4.1: the lost Notify leaves the notification state with the end of the procedure.
      line.notification.answered();
    });
  }

  /** The first non-audit message that a call agent sees of a disconnected endpoint must say so (§4.4.7). */
  #disconnectedNotice({ verb, endpoint }: MgcpCommand): Uint8Array | undefined {
    if (verb === 'AUEP' || verb === 'AUCX') return undefined;
    const local = readEndpointName(endpoint)?.local ?? '';
    const [line] = this.covered(local).filter((each) => this.#disconnected.has(each));
    if (line === undefined) return undefined;
    const id = 1 + Math.floor(this.#services.random.fraction() * 999_999_998);
    const parameters = [{ code: 'RM', value: 'disconnected' }];
    const notice = command('RSIP', id, `${line.local}@${this.options.name}`, parameters);
    return encodeDatagram({ messages: [notice] }, undefined);
  }

  #restartInProgress(local: string, method: string, to: Destination, done: (ok: boolean) => void, hops = 0): void {
    this.#transactions.submit({
      peer: to,
      draft: () => ({
        verb: 'RSIP',
        endpoint: `${local}@${this.options.name}`,
        parameters: [{ code: 'RM', value: method }],
        sdp: [],
      }),
      ended: (outcome) => {
        if (outcome.kind !== 'answered') {
          done(false);
          return;
        }
        const { response } = outcome;
        for (const line of this.covered(local)) this.#follow(line, response, outcome.flow);
        const named = parameter(response, 'N');
        const entity = named === undefined ? undefined : readNotifiedEntity(named);
        if (entity !== undefined && to === this.#gatewayWide) to.entity = entity;
        // RFC 3435 §4.4.6: redirected, so try there; a few times, in case two send us back and forth.
        if (response.code === 521 && hops < 3) this.#restartInProgress(local, method, to, done, hops + 1);
        else done(isSuccess(response.code));
      },
    });
  }
}
