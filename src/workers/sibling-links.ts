/**
 * The connections between the workers of one host: a socket of the file system for each worker, in a directory that only our own user can
 * enter. Each worker connects to every other and writes on that connection; it reads on those that the others made. The system ends
 * the connections of a process that dies, however it dies: nobody waits for a sign of life.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '../log.ts';
import { encodeFrame, type Frame, type FrameKind, FrameReader } from './frames.ts';

export interface WorkerAddress {
  /** From 1 on; a worker that is restarted keeps it. */
  readonly index: number;
  /** Unlike for any two lives. */
  readonly life: string;
  /** Of its socket. */
  readonly path: string;
}

export interface SiblingLinksParts {
  readonly self: WorkerAddress;
  readonly log: Logger;
  /** Frames can be sent to it. */
  joined(sibling: WorkerAddress): void;
  left(sibling: WorkerAddress): void;
  received(from: Speaker, frame: Frame): void;
}

/** Who a frame is from, by the first one of its connection. */
export type Speaker = Pick<WorkerAddress, 'index' | 'life'>;

/** How workers reach each other. */
export interface Links {
  /** @throws (rejects) where nobody can reach us. */
  start(): Promise<void>;
  stop(): void;
  /** The workers that there are now; those that are not connected to yet will be. Resolves once they are, or are gone. */
  meet(workers: readonly WorkerAddress[]): Promise<void>;
  /** Those that frames can be sent to. */
  living(): readonly WorkerAddress[];
  isLiving(index: number): boolean;
  /** False: it is not there, or so far behind that what is sent now would come too late. */
  send(index: number, kind: FrameKind, fields: readonly string[], body?: Uint8Array): boolean;
  toAll(kind: FrameKind, fields: readonly string[], body?: Uint8Array): void;
}

export class SiblingLinks implements Links {
  readonly #parts: SiblingLinksParts;
  readonly #siblings = new Map<number, Sibling>();
  readonly #incoming = new Set<Socket>();
  #server: Server | undefined;

  constructor(parts: SiblingLinksParts) {
    this.#parts = parts;
  }

  start(): Promise<void> {
    const server = createServer((socket) => this.#accept(socket));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#parts.self.path, () => {
        server.removeAllListeners('error');
        server.on('error', () => undefined);
        resolve();
      });
    });
  }

  stop(): void {
    this.#server?.close();
    for (const socket of this.#incoming) socket.destroy();
    for (const { socket } of this.#siblings.values()) socket.destroy();
  }

  async meet(workers: readonly WorkerAddress[]): Promise<void> {
    const met = workers.flatMap((address) => {
      const known = this.#siblings.get(address.index);
      if (address.index === this.#parts.self.index || known?.address.life === address.life) return [];
      known?.socket.destroy();
      return [this.#connect(address)];
    });
    await Promise.all(met);
  }

  living(): readonly WorkerAddress[] {
    return [...this.#siblings.values()].filter(({ isOpen }) => isOpen).map(({ address }) => address);
  }

  isLiving(index: number): boolean {
    return this.#siblings.get(index)?.isOpen === true;
  }

  send(index: number, kind: FrameKind, fields: readonly string[], body?: Uint8Array): boolean {
    const sibling = this.#siblings.get(index);
    if (sibling?.isOpen !== true || sibling.socket.writableLength > maxUnsentBytes) return false;
    sibling.write(encodeFrame(kind, fields, body));
    return true;
  }

  toAll(kind: FrameKind, fields: readonly string[], body?: Uint8Array): void {
    for (const index of this.#siblings.keys()) this.send(index, kind, fields, body);
  }

  #connect(address: WorkerAddress): Promise<void> {
    const { self, joined, left, log } = this.#parts;
    return new Promise((resolve) => {
      const socket = connect(address.path);
      const sibling = new Sibling(address, socket);
      this.#siblings.set(address.index, sibling);
      socket.on('connect', () => {
        sibling.isOpen = true;
        sibling.write(encodeFrame('hello', [String(self.index), self.life]));
        joined(address);
        resolve();
      });
      socket.on('error', (error) => log.debug({ err: error, worker: address.index }, 'connection to a worker'));
      socket.on('close', () => {
        const wasOpen = sibling.isOpen;
        sibling.isOpen = false;
        if (this.#siblings.get(address.index) === sibling) this.#siblings.delete(address.index);
        if (wasOpen) left(address);
        resolve();
      });
      // The other end never writes here; its end is what we wait for.
      socket.resume();
    });
  }

  #accept(socket: Socket): void {
    const reader = new FrameReader();
    let speaker: Speaker | undefined;
    this.#incoming.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#incoming.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      const frames = reader.push(chunk);
      if (frames === undefined) {
        this.#parts.log.error('a worker sent what is no frame: its connection is ended');
        socket.destroy();
        return;
      }
      for (const frame of frames) {
        const [index = '', life = ''] = frame.fields;
        if (speaker === undefined) speaker = { index: Number(index), life };
        else this.#parts.received(speaker, frame);
      }
    });
  }
}

class Sibling {
  readonly address: WorkerAddress;
  readonly socket: Socket;
  isOpen = false;
  #isCorked = false;

  constructor(address: WorkerAddress, socket: Socket) {
    this.address = address;
    this.socket = socket;
  }

  /** What one turn of the event loop has to say leaves in one call of the system. */
  write(bytes: Buffer): void {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.socket.uncork();
      });
    }
    this.socket.write(bytes);
  }
}

/** A worker that does not read is as good as dead; what it lacks is repeated by whoever sent it. */
const maxUnsentBytes = 16_777_216;
