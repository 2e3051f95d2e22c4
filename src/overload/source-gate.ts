/** Stands between the sockets and a role: what is too much is dropped, or refused, before anybody reads it. */
import type { Network } from '../network.ts';
import type { Screen, SourceLimits } from './source-limits.ts';

/** `screen`: what the role behind knows, once it is there. */
export const gated = (network: Network, limits: SourceLimits, screen: () => Screen | undefined): Network => ({
  bind: (address, options, events) =>
    network.bind(address, options, {
      ...events,
      received: (bytes, flow) => {
        const known = screen();
        if (limits.passes(bytes, flow, known) && known?.turnsAway?.(bytes, flow) !== true) events.received(bytes, flow);
      },
      // Bound: `events` may be an object with methods of its own.
      failed: (flow, error) => events.failed(flow, error),
    }),
});
