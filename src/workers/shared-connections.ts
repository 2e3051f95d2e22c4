/**
 * Connections that every worker uses through the one that has them: ours as far as tokens name them, and those that siblings have named. What
 * a sibling names is kept as it was told, for it may be told before our own listeners are there.
 */
import type { Flow, Listener, TransmitError } from '../network.ts';
import { RelayedFlow } from './relayed-flow.ts';
import type { Links, Speaker } from './sibling-links.ts';

export interface SharedConnectionsParts {
  /** In the name of our own. */
  readonly life: string;
  readonly links: Pick<Links, 'send' | 'toAll'>;
  /** Of this role, in the order that is the same at all workers. */
  listeners(role: string): readonly Listener[];
  failed(role: string, flow: Flow, error: TransmitError): void;
}

/** A sibling's connection, as it was named: role, index of the listener, id, host, port, name of the peer. */
interface Named {
  readonly from: Speaker;
  readonly fields: readonly string[];
  flow?: RelayedFlow | undefined;
}

export class SharedConnections {
  readonly #parts: SharedConnectionsParts;
  /** Of siblings, by life and id. */
  readonly #siblings = new Map<string, Named>();
  /** Ours that we have named, by id. */
  readonly #own = new Map<string, readonly string[]>();

  constructor(parts: SharedConnectionsParts) {
    this.#parts = parts;
  }

  // --- ours -----------------------------------------------------------------------------------------------------------------

  /** A token names this connection of ours: siblings shall be able to use it. */
  name(role: string, flow: Flow): void {
    if (!flow.reliable || flow.relayed !== undefined || this.#own.has(flow.id)) return;
    const at = listenerAt(this.#parts.listeners(role), flow);
    if (at < 0) return;
    const fields = [role, String(at), flow.id, flow.remote.host, String(flow.remote.port), flow.peerName ?? ''];
    this.#own.set(flow.id, fields);
    this.#parts.links.toAll('named', fields);
  }

  ended(flow: Flow): void {
    if (flow.relayed === undefined && this.#own.delete(flow.id)) this.#parts.links.toAll('ended', [flow.id]);
  }

  /** A sibling has come: it is told of all. */
  tellAll(index: number): void {
    for (const fields of this.#own.values()) this.#parts.links.send(index, 'named', fields);
  }

  /** Role, listener, connection and peer of a flow, for a sibling to find the same flow by; undefined: it is of none of our listeners. */
  wayOf(role: string, flow: Flow): readonly string[] | undefined {
    const at = listenerAt(this.#parts.listeners(role), flow);
    if (at < 0) return undefined;
    const { remote, relayed } = flow;
    if (flow.reliable && relayed === undefined) this.name(role, flow);
    const life = flow.reliable ? (relayed?.life ?? this.#parts.life) : '';
    const id = flow.reliable ? (relayed?.id ?? flow.id) : '';
    return [role, String(at), life, id, remote.host, String(remote.port)];
  }

  /** What a sibling's `wayOf` says. */
  flowBy([role = '', at = '', life = '', id = '', host = '', port = '']: readonly string[]): Flow | undefined {
    const listener = this.#parts.listeners(role)[Number(at)];
    if (listener === undefined) return undefined;
    if (life === '') return listener.flowTo({ host, port: Number(port) });
    return life === this.#parts.life ? listener.flowById(id) : this.of(life, id);
  }

  // --- siblings' ------------------------------------------------------------------------------------------------------------

  of(life: string, id: string): Flow | undefined {
    return this.byId(`${life}/${id}`);
  }

  /** By the id that the flow has here. */
  byId(key: string): Flow | undefined {
    const named = this.#siblings.get(key);
    if (named === undefined) return undefined;
    named.flow ??= this.#make(key, named);
    return named.flow;
  }

  named(from: Speaker, fields: readonly string[]): void {
    const key = `${from.life}/${fields[2] ?? ''}`;
    if (this.#siblings.size < maxNamed && !this.#siblings.has(key)) this.#siblings.set(key, { from, fields });
  }

  endedAt(life: string, id: string): void {
    this.#end(`${life}/${id}`);
  }

  /** All that this life of a worker had. */
  lost(life: string): void {
    for (const [key, { from }] of [...this.#siblings]) if (from.life === life) this.#end(key);
  }

  #make(key: string, { from, fields }: Named): RelayedFlow | undefined {
    const [role = '', at = '', id = '', host = '', port = '', peerName = ''] = fields;
    const { links, listeners, failed } = this.#parts;
    const listener = listeners(role)[Number(at)];
    if (listener === undefined) return undefined;
    return new RelayedFlow({
      role,
      local: listener.local,
      remote: { host, port: Number(port) },
      life: from.life,
      id,
      peerName: peerName === '' ? undefined : peerName,
      send: (bytes) => {
        if (links.send(from.index, 'send', [id], bytes)) return;
        setImmediate(() => {
          const flow = this.#siblings.get(key)?.flow;
          if (flow !== undefined)
            failed(role, flow, { reason: 'closed', detail: `worker ${from.index} takes nothing` });
        });
      },
      close: () => {
        links.send(from.index, 'close', [id]);
      },
    });
  }

  #end(key: string): void {
    const flow = this.#siblings.get(key)?.flow;
    this.#siblings.delete(key);
    if (flow === undefined) return;
    flow.relayed.isOpen = false;
    this.#parts.failed(flow.role, flow, { reason: 'closed', detail: 'the connection ended at another worker' });
  }
}

/** All workers bind the same, in the same order. */
const listenerAt = (listeners: readonly Listener[], { local, transport }: Flow): number =>
  listeners.findIndex(
    (each) => each.local.transport === transport && each.local.port === local.port && each.local.host === local.host,
  );

/** Of all siblings. */
const maxNamed = 200_000;
