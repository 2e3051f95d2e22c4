/** Flows as a registrar wants them, where no network is: which are open is what a test says. */
import { FlowTokens } from '../../protocols/sip/proxy/flow-token.ts';
import { Flows } from '../../protocols/sip/proxy/flows.ts';
import type { ControllerAddress, Flow } from '../../src/internal.ts';
import { FakeClock } from './fake-clock.ts';

export interface FlowStore {
  readonly tokens: FlowTokens;
  readonly flows: Flows;
  /** By id. */
  readonly open: Map<string, Flow>;
}

export function flowStore(life = 'life1', members: readonly ControllerAddress[] = []): FlowStore {
  const tokens = new FlowTokens('s', life);
  tokens.is({ host: '127.0.0.1', port: 5_060 });
  const open = new Map<string, Flow>();
  const flows = new Flows({
    tokens,
    members,
    ports: [5_060],
    clock: new FakeClock(),
    downSinceMs: () => undefined,
    flowById: (id) => open.get(id),
    datagramFlow: (_isSocket, remote) => ({ ...datagram, remote, id: `udp-${remote.host}-${remote.port}` }),
  });
  return { tokens, flows, open };
}

const datagram = {
  transport: 'udp',
  reliable: false,
  local: { host: '127.0.0.1', port: 5_060 },
  send: () => undefined,
  close: () => undefined,
} as const;
