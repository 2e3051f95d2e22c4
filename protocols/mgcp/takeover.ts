/**
 * Taking over lines whose state another call agent had, or that we had before a restart: audit them all, pair the ends of calls, restore
 * (design §5.3). What a call's other end says may be needed from gateways that are not ours to take: those are audited for pairing only.
 */
import {
  type AuditRound,
  AuditTakeover,
  type CallRecovery,
  dialledNumber,
  type Gateway,
  type LineProvider,
  type LineSnapshot,
  type Logger,
} from '../../src/internal.ts';
import { type AuditParts, auditEndpoint } from './audit.ts';
import { bulkAudit } from './bulk-audit.ts';
import { readEndpointName } from './codec/values/names.ts';
import type { Endpoint } from './endpoint.ts';
import type { Connection, Stray } from './line-commands.ts';
import type { MgcpLineDriver } from './line-gateway.ts';
import { unrequested } from './line-results.ts';
import { type EndpointAudit, idle } from './snapshot.ts';
import { type NumberRules, withUnnamedMedia } from './unnamed-media.ts';

export interface TakeoverParts extends AuditParts {
  readonly log: Logger;
  readonly driver: MgcpLineDriver;
  lineProvider(): LineProvider;
  readonly recovery: CallRecovery;
  endpointByName(name: string): Endpoint | undefined;
  /** Every endpoint, for pairing. */
  endpoints(): Iterable<Endpoint>;
  /** Asks the gateway for its packages unless that was done; false: it does not answer. */
  learn(endpoint: Endpoint, learned: (answered: boolean) => void): void;
  /** Its state is known and it is ours to command from now on. */
  adopted(endpoint: Endpoint): void;
  /** The audit failed; `code` if the gateway said one. */
  unreachable(endpoint: Endpoint, code: number | undefined): void;
}

export class MgcpTakeover {
  readonly #parts: TakeoverParts;
  readonly #audits: AuditTakeover<EndpointAudit>;
  readonly #codes = new Map<string, number | undefined>();
  /** Endpoints that are to be ours after the round. */
  #scope = new Set<Endpoint>();
  #paired = false;
  /** Those who wait for the end of the round. */
  readonly #idle: (() => void)[] = [];
  /** What is about to be asked, by gateway. */
  #batches = new Map<Gateway, Wanted[]>();

  constructor(parts: TakeoverParts) {
    this.#parts = parts;
    this.#audits = new AuditTakeover<EndpointAudit>({
      audit: (name, answer) => this.#audit(name, answer),
      completed: (round) => this.#completed(round),
    });
  }

  get #rules(): NumberRules {
    const { lines } = this.#parts.lineProvider();
    return { dialled: dialledNumber, endpointOf: (number) => lines.byNumber(number)?.endpoint };
  }

  get isRunning(): boolean {
    return this.#audits.isRunning;
  }

  begin(endpoints: Iterable<Endpoint>): void {
    const fresh = [...endpoints];
    for (const endpoint of fresh) this.#scope.add(endpoint);
    if (fresh.length > 0) this.#begin(fresh.map(({ line }) => line.endpoint));
  }

  #begin(names: readonly string[]): void {
    this.#audits.begin(names);
    const batches = this.#batches;
    this.#batches = new Map();
    for (const [gateway, wanted] of batches) this.#ask(gateway, wanted);
  }

  /** Many endpoints of one gateway: by the bulk audit package where it has that (RFC 3624), else one by one. */
  #ask(gateway: Gateway, wanted: readonly Wanted[]): void {
    const [first] = wanted;
    const each = (some: readonly Wanted[]) => {
      for (const { endpoint, answer } of some) this.#askOne(endpoint, answer);
    };
    const none = () => {
      for (const { answer } of wanted) answer(undefined);
    };
    if (first === undefined || wanted.length < minBulk) {
      each(wanted);
      return;
    }
    this.#parts.learn(first.endpoint, (answered) => {
      if (!answered) none();
      else if (!gateway.dialect.has('BA')) each(wanted);
      else
        bulkAudit(
          {
            commands: this.#parts.commands(),
            gateway,
            endpoint: `*@${gateway.name}`,
          },
          (audit) => {
            if (audit.kind === 'silent') none();
            else if (audit.kind === 'refused') {
              gateway.dialect.delete('BA');
              each(wanted);
            } else {
              const isIdle = ({ local }: Wanted) => audit.locals.has(local);
              each(wanted.filter((one) => !isIdle(one)));
              for (const { endpoint, answer } of wanted.filter(isIdle)) answer(idle(endpoint.line.endpoint));
            }
          },
        );
    });
  }

  /** Runs once no audit is under way, never at once. */
  whenIdle(run: () => void): void {
    if (this.#audits.isRunning) this.#idle.push(run);
    else queueMicrotask(run);
  }

  /** Runs now, or once the endpoint is known. */
  whenKnown(endpoint: Endpoint, run: () => void): void {
    this.#audits.hold(endpoint.line.endpoint, run);
  }

  /** The gateway has just told us that it is as new: what is being asked does not matter. */
  drop(endpoint: Endpoint): void {
    this.#scope.delete(endpoint);
    this.#audits.drop(endpoint.line.endpoint);
  }

  #audit(name: string, answer: (audit: EndpointAudit | undefined) => void): void {
    const endpoint = this.#parts.endpointByName(name);
    if (endpoint === undefined) {
      answer(undefined);
      return;
    }
    const local = readEndpointName(name)?.local.toLowerCase() ?? '';
    const wanted = { endpoint, local, answer };
    const batch = this.#batches.get(endpoint.gateway);
    if (batch === undefined) this.#batches.set(endpoint.gateway, [wanted]);
    else batch.push(wanted);
  }

  #askOne(endpoint: Endpoint, answer: (audit: EndpointAudit | undefined) => void): void {
    auditEndpoint(this.#parts, endpoint, (audit, code) => {
      this.#codes.set(endpoint.line.endpoint, code);
      answer(audit);
    });
  }

  #completed({ snapshots }: AuditRound<EndpointAudit>): void {
    const known = withUnnamedMedia(
      [...snapshots.values()].filter((audit) => audit !== undefined),
      this.#rules,
    );
    const others = this.#unknownEndpoints(snapshots);
    if (!this.#paired && others.length > 0 && hasLooseEnd(known)) {
      this.#paired = true;
      this.#begin([...snapshots.keys(), ...others]);
      return;
    }
    this.#paired = false;
    const scope = this.#scope;
    this.#scope = new Set();
    for (const [name, audit] of snapshots) {
      const endpoint = this.#parts.endpointByName(name);
      if (endpoint !== undefined && audit === undefined && scope.has(endpoint))
        this.#parts.unreachable(endpoint, this.#codes.get(name));
    }
    this.#codes.clear();
    this.#restore(known, scope);
    for (const run of this.#idle.splice(0)) queueMicrotask(run);
  }

  #restore(audits: readonly EndpointAudit[], scope: ReadonlySet<Endpoint>): void {
    const { driver, log } = this.#parts;
    const lineProvider = this.#parts.lineProvider();
    const strangers: EndpointAudit[] = [];
    for (const audit of audits) {
      const endpoint = this.#parts.endpointByName(audit.endpoint);
      if (endpoint === undefined) continue;
      // A line of ours that was merely out of reach for a while: what it does is compared with its desired state.
      if (endpoint.owned && endpoint.line.inService) this.#refresh(endpoint, audit);
      else strangers.push(audit);
    }
    const calls = this.#parts.recovery.report({
      protocol: 'mgcp',
      snapshots: strangers,
      isOurs: (name) => {
        const endpoint = this.#parts.endpointByName(name);
        return endpoint !== undefined && scope.has(endpoint);
      },
      adopt: (snapshot, kept) => {
        const endpoint = this.#parts.endpointByName(snapshot.endpoint);
        const audit = strangers.find((each) => each === snapshot);
        if (endpoint === undefined || audit === undefined) return;
        const keeps = audit.connections.find((each) => each.callId === kept?.media.callId);
        driver.adopt(endpoint.line, {
          connection: keeps && { ...keeps, remote: kept?.media.remote },
          strays: straysOf(audit, keeps),
          requested: undefined,
        });
        endpoint.isUnarmed = false;
        endpoint.owned = true;
        this.#parts.adopted(endpoint);
        endpoint.line.hook = audit.hook;
        lineProvider.lines.setInService(endpoint.line, true);
      },
      restoreLine: (name, disposition) => {
        const endpoint = this.#parts.endpointByName(name);
        if (endpoint === undefined) return;
        lineProvider.restoreLine(endpoint.line, disposition);
        driver.apply(endpoint.line);
      },
    });
    if (audits.length > 0) log.info({ lines: scope.size, calls }, 'lines taken over by audit');
  }

  #refresh(endpoint: Endpoint, audit: EndpointAudit): void {
    const { line } = endpoint;
    const { driver } = this.#parts;
    const lineProvider = this.#parts.lineProvider();
    const callId = line.desired.media?.callId;
    // A gateway that does not tell its connections leaves us with what we know.
    let observed = driver.observed(line);
    if (!driver.isUnderWay(line) && audit.isPartial !== true) {
      const connection = audit.connections.find((each) => each.callId === callId);
      observed = { ...observed, connection, strays: straysOf(audit, connection) };
    }
    driver.observe(line, unrequested(observed));
    if (line.leg !== undefined && observed.connection === undefined && line.desired.state === 'talking')
      line.leg.report({ kind: 'failed', reason: 'gatewayLost' });
    if (audit.hook !== line.hook) {
      if (audit.hook === 'off') lineProvider.offHook(line);
      else lineProvider.onHook(line);
    }
    driver.apply(line);
  }

  #unknownEndpoints(round: ReadonlyMap<string, unknown>): readonly string[] {
    const names: string[] = [];
    for (const endpoint of this.#parts.endpoints())
      if (!endpoint.owned && endpoint.gateway.state !== 'down' && !round.has(endpoint.line.endpoint))
        names.push(endpoint.line.endpoint);
    return names;
  }
}

interface Wanted {
  readonly endpoint: Endpoint;
  /** In lower case. */
  readonly local: string;
  readonly answer: (audit: EndpointAudit | undefined) => void;
}

/** For fewer endpoints it is not worth a question about packages. */
const minBulk = 4;

/** Whatever an audit shows beside the connection of the call. */
const straysOf = ({ connections, unnamed }: EndpointAudit, connection: Connection | undefined): readonly Stray[] => [
  ...connections
    .filter((each) => each !== connection)
    .map(({ id, callId, isNamed }) => ({ id, callId: isNamed ? callId : undefined })),
  ...unnamed,
];

/** Is there a call of which one end only is known? */
function hasLooseEnd(audits: readonly LineSnapshot[]): boolean {
  const ends = new Map<string, number>();
  for (const { media } of audits) for (const { callId = '' } of media) ends.set(callId, (ends.get(callId) ?? 0) + 1);
  return [...ends.values()].includes(1);
}
