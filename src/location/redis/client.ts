/**
 * Connections by `@redis/client`, which is loaded when the first store is named and not before. One client per connection, without its own
 * queue for bad times and without its own reconnection: what waits, how long, and where to connect next is decided above.
 */
import { readFileSync } from 'node:fs';
import type { Clock } from '../../clock.ts';
import { FileError } from '../../errors.ts';
import type { SocketAddress } from '../../signaling/controller-address.ts';
import { afterPatience } from './patience.ts';
import {
  type Connector,
  commandMs,
  connectMs,
  type StoreConnection,
  StoreLost,
  StoreRefusal,
} from './store-connection.ts';

export interface ClientOptions {
  readonly clock: Clock;
  readonly secure: boolean;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly database: number;
  readonly sentinelUsername?: string | undefined;
  readonly sentinelPassword?: string | undefined;
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/** @throws FileError where a file for TLS cannot be read. */
export function clientConnector(options: ClientOptions): Connector {
  const tls = options.secure ? readTlsFiles(options) : undefined;
  return async (server, to) => {
    const { createClient } = await import('@redis/client');
    const isStore = to === 'store';
    const password = isStore ? options.password : options.sentinelPassword;
    const username = isStore ? options.username : options.sentinelUsername;
    const common = {
      host: server.host,
      port: server.port,
      connectTimeout: connectMs,
      reconnectStrategy: false as const,
    };
    const client = createClient({
      RESP: 2,
      socket: tls === undefined ? common : { ...common, ...tls, tls: true as const },
      disableOfflineQueue: true,
      disableClientInfo: true,
      maintNotifications: 'disabled',
      // Each command is bounded here, by one timer of the process.
      commandOptions: { timeout: 0 },
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(isStore && options.database > 0 ? { database: options.database } : {}),
    });
    const connection = new ClientConnection(server, options.clock, client);
    await connection.connect();
    return connection;
  };
}

function readTlsFiles({ caFile, certFile, keyFile }: ClientOptions): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  return {
    ...(caFile === undefined ? {} : { ca: read(caFile) }),
    ...(certFile === undefined ? {} : { cert: read(certFile) }),
    ...(keyFile === undefined ? {} : { key: read(keyFile) }),
  };
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new FileError(`${file} for the location store cannot be read: ${String(error)}`, { cause: error });
  }
}

/** What of the package is used. */
interface Client {
  on(event: 'error', listener: (error: unknown) => void): unknown;
  connect(): Promise<unknown>;
  sendCommand(words: readonly string[]): Promise<unknown>;
  destroy(): void;
  readonly isReady: boolean;
}

class ClientConnection implements StoreConnection {
  readonly server: SocketAddress;
  readonly #clock: Clock;
  readonly #client: Client;
  #isClosed = false;
  #error: unknown;

  constructor(server: SocketAddress, clock: Clock, client: Client) {
    this.server = server;
    this.#clock = clock;
    this.#client = client;
    // Without a listener it would end the process; every command that it concerns is rejected as well.
    client.on('error', (error) => {
      this.#error = error;
    });
  }

  get isOpen(): boolean {
    return !this.#isClosed && this.#client.isReady;
  }

  connect(): Promise<void> {
    return this.#bounded(
      this.#client.connect().then(() => {}),
      connectMs,
    );
  }

  send(words: readonly string[], limitMs = commandMs): Promise<unknown> {
    return this.#bounded(this.#client.sendCommand(words), limitMs);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      this.#client.destroy();
    } catch {
      // It was not open.
    }
  }

  #bounded<T>(work: Promise<T>, limitMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = afterPatience(this.#clock, limitMs, () => {
        reject(new StoreLost(`no answer within ${limitMs} ms`));
        this.close();
      });
      work.then(
        (value) => {
          cancel();
          resolve(value);
        },
        (error: unknown) => {
          cancel();
          reject(this.#explained(error));
        },
      );
    });
  }

  #explained(error: unknown): Error {
    if (isRefusal(error)) return new StoreRefusal(error.message);
    const said = this.#error ?? error;
    return new StoreLost(said instanceof Error ? said.message : String(said), { cause: error });
  }
}

/** An answer of the server, by the package's classes. */
const isRefusal = (error: unknown): error is Error =>
  error instanceof Error && ['SimpleError', 'BlobError', 'ErrorReply'].includes(error.constructor.name);
