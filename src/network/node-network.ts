/** The machine's sockets as the port `Network`: UDP, TCP, TLS, WebSocket and secure WebSocket, IPv4 and IPv6. Loaded is what is bound. */
import type { Listener, Network } from '../network.ts';
import type { NetworkParts } from './network-parts.ts';
import { bindUdp } from './udp.ts';

export function createNetwork(parts: NetworkParts): Network {
  // One after the other: between the two steps of binding a UDP port nobody else of ours may take it.
  let turn: Promise<unknown> = Promise.resolve();
  return {
    bind(address, options, events) {
      const bind = async (): Promise<Listener> => {
        switch (address.transport) {
          case 'udp':
            return bindUdp(parts, address, options, events);
          case 'tcp':
          case 'tls':
            return (await import('./stream.ts')).bindStream(parts, address, options, events);
          case 'ws':
          case 'wss':
            return (await import('./websocket.ts')).bindWebSocket(parts, address, options, events);
        }
      };
      const bound = turn.then(bind);
      turn = bound.catch(() => undefined);
      return bound;
    },
  };
}
