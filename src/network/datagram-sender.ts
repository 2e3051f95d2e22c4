/**
 * Sends datagrams through a socket of node:dgram without what `socket.send` makes for each: a request object, closures for a name
 * lookup that never happens, and a turn of the tick queue for whoever wants to hear of errors. Together that is a twelfth of a
 * proxied call (ADR 0014).
 *
 * How Node sends is watched, not assumed: the first datagram goes the public way, and if what happens underneath looks as expected,
 * the following ones take the same step directly. On a Node in which it looks otherwise all of them go the public way.
 */
import type { Socket } from 'node:dgram';
import { nextTick } from 'node:process';
import { getSystemErrorName } from 'node:util';
import type { SocketAddress } from '../signaling/controller-address.ts';
import { type DatagramHandle, handleOf } from './datagram-handle.ts';

export class DatagramSender {
  readonly #socket: Socket;
  readonly #failed: (error: unknown, remote: SocketAddress | undefined) => void;
  #way: 'unknown' | 'public' | DirectWay = 'unknown';

  /** `failed`: a datagram could not be sent; called later than `send` returns. `remote` is undefined on a connected socket. */
  constructor(socket: Socket, failed: (error: unknown, remote: SocketAddress | undefined) => void) {
    this.#socket = socket;
    this.#failed = failed;
  }

  /** `remote`: an address literal and a port, or nothing on a connected socket, which has to be bound and open in either case. */
  send(bytes: Uint8Array, remote?: SocketAddress): void {
    const way = this.#way;
    if (way === 'public') this.sendPublicly(bytes, remote);
    else if (way === 'unknown') this.#way = this.#watch(bytes, remote);
    else this.#sendDirectly(way, bytes, remote);
  }

  /** What the documentation of Node describes; works while the socket closes, too. */
  sendPublicly(bytes: Uint8Array, remote?: SocketAddress): void {
    const sent = (error: Error | null): void => {
      if (error !== null) this.#failed(error, remote);
    };
    if (remote === undefined) this.#socket.send(bytes, sent);
    else this.#socket.send(bytes, remote.port, remote.host, sent);
  }

  #sendDirectly({ handle, Request, spare }: DirectWay, bytes: Uint8Array, remote: SocketAddress | undefined): void {
    const request = spare ?? new Request();
    const list = [bytes];
    const result =
      remote === undefined
        ? handle.send(request, list, 1, true)
        : handle.send(request, list, 1, remote.port, remote.host, true);
    // The kernel took it: nothing refers to the request, which serves again.
    if (result > 0) {
      if (spare === undefined) this.#way = { handle, Request, spare: request };
      return;
    }
    if (result < 0) {
      nextTick(this.#failed, systemError(result), remote);
      return;
    }
    // It waits until the kernel has room; the request belongs to it, and keeps the octets alive.
    if (spare !== undefined) this.#way = { handle, Request, spare: undefined };
    request.list = list;
    request.oncomplete = (status) => {
      if (status < 0) this.#failed(systemError(status), remote);
    };
  }

  /** Sends the public way and looks on. */
  #watch(bytes: Uint8Array, remote: SocketAddress | undefined): 'unknown' | 'public' | DirectWay {
    const handle = handleOf(this.#socket);
    if (handle === undefined) {
      this.sendPublicly(bytes, remote);
      return 'public';
    }
    const { send } = handle;
    let seen: readonly unknown[] = [];
    let result = 0;
    handle.send = (...given) => {
      result = send.apply(handle, given);
      seen = given;
      return result;
    };
    try {
      this.sendPublicly(bytes, remote);
    } finally {
      handle.send = send;
    }
    // Refused by the system: the next one will show.
    if (seen.length > 0 && result < 0) return 'unknown';
    const [request, list, count, ...destination] = seen;
    const expected = remote === undefined ? [true] : [remote.port, remote.host, true];
    const isAsExpected =
      isRequest(request) &&
      Array.isArray(list) &&
      list.length === 1 &&
      list[0] === bytes &&
      count === 1 &&
      (result === bytes.length + 1 || result === 0) &&
      destination.length === expected.length &&
      destination.every((each, index) => each === expected[index]);
    const Request = isAsExpected ? request.constructor : undefined;
    return isRequestClass(Request) ? { handle, Request, spare: undefined } : 'public';
  }
}

interface DirectWay {
  readonly handle: DatagramHandle;
  readonly Request: new () => SendRequest;
  readonly spare: SendRequest | undefined;
}

interface SendRequest {
  list?: readonly Uint8Array[];
  oncomplete?: (status: number) => void;
}

const isRequest = (value: unknown): value is SendRequest =>
  typeof value === 'object' && value !== null && value.constructor.name === 'SendWrap' && 'oncomplete' in value;

const isRequestClass = (value: unknown): value is new () => SendRequest => typeof value === 'function';

function systemError(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`send ${code}`), { code, errno: status, syscall: 'send' });
}
