/** The socket of a load agent: a plain one, or one whose PathFollower makes it follow AlternatePath. */
import {
  type ControllerAddress,
  createNetwork,
  Metrics,
  type SocketAddress,
  silentLog,
  systemClock,
  systemRandom,
} from '../../../src/internal.ts';
import { PathFollower } from '../telephone/path-follower.ts';
import type { Kind } from './call-record.ts';

export interface Wire {
  readonly local: ControllerAddress;
  send(text: string, to: SocketAddress): void;
  close(): Promise<void>;
}

export async function openWire(
  kind: Kind,
  host: string,
  controllers: readonly ControllerAddress[],
  holdMs: number,
  received: (text: string, from: SocketAddress) => void,
): Promise<Wire> {
  const parts = { clock: systemClock, log: silentLog, metrics: new Metrics() };
  const network = createNetwork(parts);
  const listen: ControllerAddress = { transport: 'udp', host, port: 0 };
  if (kind === 'aware') {
    const follower = new PathFollower({
      ...parts,
      random: systemRandom,
      network,
      listen,
      // The backup is learned from what the primary writes.
      controllers: controllers.slice(0, 1).map((controller) => [controller]),
      trust: { trust: [], allow: [], strip: 'none' },
      timers: { holdMs, downProbeMs: 250 },
      ownsVia: false,
      deliver: (bytes, from) => received(bytes.toString('latin1'), from),
    });
    const local = await follower.start();
    return {
      local,
      send: (text, to) => follower.send(Buffer.from(text, 'latin1'), to),
      close: () => follower.stop(),
    };
  }
  const listener = await network.bind(
    listen,
    {},
    { received: (bytes, flow) => received(bytes.toString('latin1'), flow.remote), failed: () => undefined },
  );
  return {
    local: listener.local,
    send: (text, to) => listener.flowTo(to).send(Buffer.from(text, 'latin1')),
    close: () => listener.close(),
  };
}
