/**
 * The member link of several workers on one address: each worker is a member of its own to other hosts, and each datagram of theirs comes to
 * one of us, by its source. It concerns all, since it repeats the counters of each; so all get it.
 */
import type { Network } from '../network.ts';
import type { WorkerGroup } from './worker-group.ts';

export const sharedLink = (network: Network, workers: WorkerGroup): Network => ({
  async bind(address, options, events) {
    const listener = await network.bind(address, options, {
      ...events,
      received(bytes, flow) {
        workers.passLink(bytes, flow.remote);
        events.received(bytes, flow);
      },
    });
    const stop = workers.onLink((bytes, from) => events.received(bytes, listener.flowTo(from)));
    return {
      local: listener.local,
      connections: 0,
      flowTo: (remote, flowOptions) => listener.flowTo(remote, flowOptions),
      flowById: () => undefined,
      close() {
        stop();
        return listener.close();
      },
    };
  },
});
