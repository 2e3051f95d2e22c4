/** Asks a running Node process over its inspector: live heap after a collection, and a processor profile of just the time under load. */
import { WebSocket } from 'ws';
import { z } from 'zod';
import { until } from '../../test/interop/support/until.ts';

export class Inspector {
  readonly #socket: WebSocket;
  readonly #pending = new Map<number, (result: unknown) => void>();
  #id = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      const { id, result } = reply.parse(JSON.parse(data.toString()));
      if (id === undefined) return;
      this.#pending.get(id)?.(result);
      this.#pending.delete(id);
    });
  }

  /** Connects to a process started with `--inspect=host:port`. */
  static async connect(host: string, port: number): Promise<Inspector> {
    const url = await until(`inspector at ${host}:${port}`, 5000, async () => {
      const response = await fetch(`http://${host}:${port}/json/list`).catch(() => undefined);
      return response?.ok ? targets.parse(await response.json())[0]?.webSocketDebuggerUrl : undefined;
    });
    const socket = new WebSocket(url);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve).once('error', reject);
    });
    return new Inspector(socket);
  }

  /** Bytes that are still reachable, after collecting what is not. */
  async liveHeapBytes(): Promise<number> {
    // Twice: finalizers of the first collection release what the second one finds.
    await this.#call('HeapProfiler.collectGarbage');
    await this.#call('HeapProfiler.collectGarbage');
    return heapUsage.parse(await this.#call('Runtime.getHeapUsage')).usedSize;
  }

  async startProfile(samplingIntervalUs: number): Promise<void> {
    await this.#call('Profiler.enable');
    await this.#call('Profiler.setSamplingInterval', { interval: samplingIntervalUs });
    await this.#call('Profiler.start');
  }

  async stopProfile(): Promise<CpuProfile> {
    return stopped.parse(await this.#call('Profiler.stop')).profile;
  }

  close(): void {
    this.#socket.close();
  }

  #call(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => reject(new Error(`inspector: no answer to ${method}`)), 60_000);
      this.#pending.set(id, (result) => {
        clearTimeout(limit);
        resolve(result);
      });
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }
}

const reply = z.object({ id: z.number().optional(), result: z.unknown() });

const targets = z.array(z.object({ webSocketDebuggerUrl: z.string() }));

const heapUsage = z.object({ usedSize: z.number() });

const cpuProfile = z.looseObject({
  startTime: z.number(),
  endTime: z.number(),
  nodes: z.array(
    z.looseObject({
      id: z.number(),
      callFrame: z.looseObject({
        functionName: z.string(),
        url: z.string(),
        lineNumber: z.number(),
      }),
      children: z.array(z.number()).optional(),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});

/** The format that Chrome's and VS Code's profile viewers read. */
export type CpuProfile = z.infer<typeof cpuProfile>;

const stopped = z.object({ profile: cpuProfile });
