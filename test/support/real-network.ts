/** For tests over real sockets of 127.0.0.0/8: what a listener saw, and waiting for a condition instead of sleeping. */
import type { Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import {
  type BindOptions,
  type Clock,
  type ControllerAddress,
  type Flow,
  type Listener,
  Metrics,
  type Network,
  silentLog,
  systemClock,
  type TransmitError,
} from '../../src/internal.ts';
import { createNetwork } from '../../src/network/node-network.ts';

/** Some machines have IPv4 only. */
export const hasIpv6 = Object.values(networkInterfaces()).some((each) =>
  each?.some(({ address }) => address === '::1'),
);

/** Polls until the condition holds; rejects after `limitMs`. */
export async function eventually(condition: () => boolean, what = 'condition', limitMs = 5_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A bound listener and everything it saw. */
export interface Station {
  readonly listener: Listener;
  readonly texts: string[];
  readonly flows: Flow[];
  readonly failures: { readonly flow: Flow; readonly error: TransmitError }[];
  readonly malformed: string[];
}

export interface RealNetwork {
  readonly network: Network;
  readonly metrics: Metrics;
  /** Binds, by default to port 0. `onMessage` may answer. */
  station(
    address: Partial<ControllerAddress> & Pick<ControllerAddress, 'transport'>,
    options?: BindOptions,
    onMessage?: (text: string, flow: Flow) => void,
  ): Promise<Station>;
  /** The value of one counter, summed over its labels where they are left out. */
  count(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** Closes every listener. */
  close(): Promise<void>;
}

export function realNetwork(clock: Clock = systemClock): RealNetwork {
  const metrics = new Metrics();
  const network = createNetwork({ clock, log: silentLog, metrics });
  const listeners: Listener[] = [];
  return {
    network,
    metrics,
    async station(address, options = {}, onMessage = () => undefined) {
      const seen = { texts: [] as string[], flows: [] as Flow[], malformed: [] as string[] };
      const failures: { flow: Flow; error: TransmitError }[] = [];
      const listener = await network.bind({ host: '127.0.0.1', port: 0, ...address }, options, {
        received(bytes, flow) {
          const text = bytes.toString();
          seen.texts.push(text);
          seen.flows.push(flow);
          onMessage(text, flow);
        },
        failed: (flow, error) => failures.push({ flow, error }),
        malformed: (_bytes, _flow, reason) => seen.malformed.push(reason),
      });
      listeners.push(listener);
      return { listener, failures, ...seen };
    },
    async count(name, labels = {}) {
      let sum = 0;
      for (const line of (await metrics.text()).split('\n')) {
        if (!line.startsWith(`altpath_${name}{`) && !line.startsWith(`altpath_${name} `)) continue;
        if (Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`)))
          sum += Number(line.slice(line.lastIndexOf(' ')));
      }
      return sum;
    },
    async close() {
      await Promise.all(listeners.splice(0).map((listener) => listener.close()));
    },
  };
}

/** The socket has closed, in whatever way. */
export function closed(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  socket.resume();
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}
