/** A connection to one server of the store, as the rest of this folder sees it; tests have one of their own. */
import type { SocketAddress } from '../../signaling/controller-address.ts';

export interface StoreConnection {
  readonly server: SocketAddress;
  readonly isOpen: boolean;
  /**
   * One command, answered in its turn. Rejects with StoreRefusal where the server says no, with StoreLost where it says nothing within
   * `limitMs` (the connection is closed then: what is asked later must not get the answer to this) or the connection ends.
   */
  send(words: readonly string[], limitMs?: number): Promise<unknown>;
  close(): void;
}

/** Connects and shows who we are. Rejects as `send` does, and in bounded time. */
export type Connector = (server: SocketAddress, to: 'store' | 'sentinel') => Promise<StoreConnection>;

/** The server cannot be reached, or says nothing: what was asked may have been done or not. */
export class StoreLost extends Error {}

/** The server answered with an error, such as `READONLY You can't write against a read only replica.` */
export class StoreRefusal extends Error {
  /** Its first word. */
  get kind(): string {
    return this.message.split(' ', 1)[0] ?? '';
  }

  /** Are we refused for who we are? Waiting mends nothing. */
  get isAboutUs(): boolean {
    return (
      ['NOAUTH', 'WRONGPASS', 'NOPERM'].includes(this.kind) ||
      /invalid password|without any password/.test(this.message)
    );
  }
}

/** No answer within this: the server is held to be gone (it may be stopped while its connections stand). */
export const commandMs = 500;

/** A new connection, with TLS and password, may take as long as this. */
export const connectMs = 2_000;
