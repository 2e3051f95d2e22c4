/** Whether addresses can be bound, before several processes bind each of them together: after that nobody would notice who else has them. */
import { createServer } from 'node:net';
import { type ControllerAddress, isReliable } from '../signaling/controller-address.ts';
import { bindableAddress, bindError } from './local-address.ts';
import { bound } from './udp-socket.ts';

/** `floating`: addresses that may be on another host now. @throws BindError (rejects) for the first that is not free. */
export async function probeListeners(
  addresses: readonly ControllerAddress[],
  floating: ReadonlySet<string>,
): Promise<void> {
  for (const address of addresses) {
    const wanted = await bindableAddress(address);
    if (floating.has(wanted.host)) continue;
    try {
      await (isReliable(wanted.transport) ? probeStream(wanted) : probeDatagrams(wanted));
    } catch (error) {
      throw bindError(wanted, error);
    }
  }
}

async function probeDatagrams(address: ControllerAddress): Promise<void> {
  const socket = await bound(address, address.port, 'nobody');
  await new Promise<void>((resolve) => socket.close(() => resolve()));
}

function probeStream({ host, port }: ControllerAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, ipv6Only: host.includes(':'), exclusive: true }, () => server.close(() => resolve()));
  });
}
