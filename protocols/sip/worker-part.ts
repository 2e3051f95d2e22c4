/**
 * The SIP role as one of several workers of this host: what comes to its sockets goes to whom it belongs, and siblings are told of what they
 * may hear the rest of: bindings that are renewed, and calls whose dialog goes on here.
 */
import type { Flow, Listener, TransmitError, WorkerGroup } from '../../src/internal.ts';
import type { SipAdapter } from './adapter.ts';
import type { SipCallWatch } from './call-watch.ts';
import type { SipMessage } from './codec/messages.ts';
import type { Flows } from './proxy/flows.ts';
import { WorkerRouting, type WorkerRoutingParts } from './proxy/worker-routing.ts';
import type { TransactionLayer } from './transactions/layer.ts';

export interface WorkerPartParts extends Omit<WorkerRoutingParts, 'layer'> {
  readonly adapter: Pick<SipAdapter, 'decode'>;
  readonly layer: TransactionLayer;
  readonly flows: Flows;
  readonly watch: SipCallWatch | undefined;
  listeners(): readonly Listener[];
  failed(flow: Flow, error: TransmitError): void;
}

export class WorkerPart {
  readonly #parts: WorkerPartParts;
  readonly #routing: WorkerRouting;

  constructor(parts: WorkerPartParts) {
    this.#parts = parts;
    this.#routing = new WorkerRouting(parts);
    const { workers, flows, watch } = parts;
    const joined = (): void => undefined;
    workers.share(renewedNote, {
      joined,
      received: (_worker, [subscriber = '', token = '']) => flows.renewedBySibling(subscriber, token),
    });
    if (watch === undefined) return;
    workers.share(dialogNote, {
      joined,
      received: (_worker, [callId = '', method = '', status = '']) => watch.heard(callId, method, Number(status)),
    });
    watch.elsewhere = (callId, method, status, isNobodys) => {
      workers.ask('sip', `${dialogKey}${callId}`, (owner) => {
        if (owner === undefined) isNobodys();
        else workers.note(owner, dialogNote, [callId, method, String(status)]);
      });
    };
  }

  /** What came to a socket of ours. */
  route(message: SipMessage, flow: Flow): void {
    this.#routing.route(message, flow);
  }

  /** Once the sockets are bound. */
  join(): void {
    const { workers, adapter, layer, watch, listeners, failed, serve } = this.#parts;
    const routing = this.#routing;
    workers.join('sip', {
      listeners,
      receive(bytes, flow) {
        const decoded = adapter.decode(bytes);
        if (decoded.ok && !routing.absorbs(decoded.value)) serve(decoded.value, flow);
      },
      failed,
      has: (key) =>
        key.startsWith(dialogKey)
          ? watch?.isWatched(key.slice(dialogKey.length)) === true
          : layer.has(key) || routing.isAnswered(key),
    });
  }
}

/** What the flows of one worker say to those of the others. */
export const flowSiblings = (workers: WorkerGroup) => ({
  flowOf: (life: string, id: string) => workers.flowOf(life, id),
  endedMs: (life: string) => workers.endedMs(life),
  named: (flow: Flow) => workers.named('sip', flow),
  renewed: (subscriber: string, token: string) => workers.noteToAll(renewedNote, [subscriber, token]),
});

const renewedNote = 'sip renewed';
const dialogNote = 'sip dialog';
const dialogKey = 'd ';
