/** A connection that another worker has, as a flow of ours: what we send goes to that worker, which writes it. */
import type { Flow } from '../network.ts';
import type { ControllerAddress, SocketAddress, Transport } from '../signaling/controller-address.ts';

export interface RelayedFlowParts {
  readonly role: string;
  /** Our own listener on the same address. */
  readonly local: ControllerAddress;
  readonly remote: SocketAddress;
  readonly life: string;
  readonly id: string;
  readonly peerName: string | undefined;
  send(bytes: Uint8Array): void;
  close(): void;
}

export class RelayedFlow implements Flow {
  readonly role: string;
  readonly local: ControllerAddress;
  readonly remote: SocketAddress;
  readonly id: string;
  readonly peerName: string | undefined;
  readonly relayed: { readonly life: string; readonly id: string; isOpen: boolean };
  readonly #parts: RelayedFlowParts;

  constructor(parts: RelayedFlowParts) {
    const { role, local, remote, life, id, peerName } = parts;
    this.#parts = parts;
    this.role = role;
    this.local = local;
    this.remote = remote;
    this.id = `${life}/${id}`;
    this.peerName = peerName;
    this.relayed = { life, id, isOpen: true };
  }

  get transport(): Transport {
    return this.local.transport;
  }

  get reliable(): boolean {
    return true;
  }

  send(bytes: Uint8Array): void {
    this.#parts.send(bytes);
  }

  close(): void {
    this.#parts.close();
  }
}
