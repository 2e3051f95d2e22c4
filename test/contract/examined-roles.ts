/** The roles of the three protocols as the contract asks for them. */
import { createMegacoAdapter } from '../../protocols/megaco/adapter.ts';
import { createMgcpAdapter } from '../../protocols/mgcp/adapter.ts';
import { createSipAdapter } from '../../protocols/sip/adapter.ts';
import { playCall } from '../protocols/megaco/call-script.ts';
import * as megaco from '../protocols/megaco/world.ts';
import * as mgcp from '../protocols/mgcp/world.ts';
import type { MemoryPacket } from '../support/memory-network.ts';
import { domain, hosts, linkPort, usualWorld, webSocketPort } from '../support/sip-world.ts';
import type { ExaminedRole } from './role.contract.ts';

/** Gateways are provisioned by name: their addresses come from DNS. */
const named = (prefix: string, addresses: readonly string[], port: number, transport = 'udp') => ({
  names: new Map(addresses.map((host, index) => [`${prefix}${index + 1}.test`, host])),
  config: {
    gateways: addresses.map((_, index) => ({
      name: `${prefix}${index + 1}`,
      addresses: [`${transport}:${prefix}${index + 1}.test:${port}`],
    })),
  },
});

export async function examinedMgcp({ members = 2 }: ExaminedWorld = {}): Promise<ExaminedRole> {
  const { names, config } = named('rgw', mgcp.gatewayHosts, 2427);
  const world = await mgcp.World.up({ names, config, third: members === 3 });
  const until = async (holds: () => boolean): Promise<boolean> => {
    for (let waitedMs = 0; waitedMs < 15_000; waitedMs += 50) {
      if (holds()) return true;
      await world.run(50);
    }
    return false;
  };
  return erased({
    network: world.network,
    adapter: createMgcpAdapter(),
    primary: mgcp.primaryHost,
    backup: mgcp.backupHost,
    third: members === 3 ? mgcp.thirdHost : undefined,
    restart: async (host) => void (await world.startAgent(host)),
    peer: mgcp.gatewayHosts[1],
    packets: world.packets,
    role: (host) => world.roles.get(host),
    run: (ms) => world.run(ms),
    renumber() {
      world.network.renumber(mgcp.gatewayHosts[1], '127.0.0.77');
      names.set('rgw2.test', '127.0.0.77');
    },
    // RFC 3435 §2.4: no version.
    malformed: 'RQNT 5 aaln/1@rgw1\n',
    // RFC 3435 §3.5.5: piggy-backing.
    messagesIn: (text) => text.split(/^\.\r?\n/m),
    // RFC 3435 §3.5.6: a response acknowledgement is a line.
    hasNoPlace: (text) => text.startsWith('000 '),
    async call(midway, late) {
      const a = world.line('200');
      const b = world.line('202');
      a.offHook();
      if (!(await until(() => a.hears === 'L/dl'))) return 'dial tone';
      a.dial('202');
      if (!(await until(() => b.hears === 'L/rg'))) return 'ringing';
      midway?.();
      b.offHook();
      if (!(await until(() => world.talking('200', '202')))) return 'talking';
      await late?.();
      a.onHook();
      if (!(await until(() => b.hears === 'L/bz'))) return 'busy tone';
      b.onHook();
      return (await until(() => a.connections.size + b.connections.size === 0)) ? undefined : 'idle';
    },
  });
}

export async function examinedMegaco({ members = 2, transport = 'udp' }: ExaminedWorld = {}): Promise<ExaminedRole> {
  const { names, config } = named('gw', megaco.gatewayHosts, 2944, transport);
  const world = await megaco.World.up({ names, config, transport, third: members === 3 });
  return erased({
    network: world.network,
    adapter: createMegacoAdapter({ mId: () => 'judge' }),
    primary: megaco.primaryHost,
    backup: megaco.backupHost,
    third: members === 3 ? megaco.thirdHost : undefined,
    restart: async (host) => void (await world.startController(host)),
    peer: megaco.gatewayHosts[1],
    packets: world.packets,
    role: (host) => world.roles.get(host),
    run: (ms) => world.run(ms),
    renumber() {
      world.network.renumber(megaco.gatewayHosts[1], '127.0.0.77');
      names.set('gw2.test', '127.0.0.77');
    },
    // RFC 3525 §8.2.2: no transaction can be told.
    malformed: '!/1 gw1 X=1{}',
    call: async (midway, late) =>
      (
        await playCall(world, '200', '202', {
          retries: true,
          during: async (phase) => {
            if (phase === 'ringing') midway?.();
            if (phase === 'talking') await late?.();
          },
        })
      ).stuckAt,
  });
}

export async function examinedSip({ members = 2, transport, isOneWay }: ExaminedWorld = {}): Promise<ExaminedRole> {
  const { world, caller, callees } = await usualWorld({ members, transport, isOneWay, webSocket: true });
  const packets: MemoryPacket[] = [];
  world.network.onPacket((packet) => {
    if (packet.to.port !== linkPort) packets.push(packet);
  });
  // A registration again: the primary has said something.
  caller.register();
  await world.clock.advanceAsync(100);
  const [callee] = callees;
  return erased({
    network: world.network,
    adapter: createSipAdapter(),
    primary: hosts.primary,
    backup: hosts.backup,
    third: members === 3 ? hosts.second : undefined,
    restart: (host) => world.member(host, members, { isOneWay, webSocket: true }),
    isSignOfLife: (text) => /CSeq: \d+ OPTIONS/i.test(text),
    peer: hosts.calleeEdge,
    packets,
    role: (host) => world.roleAt(host)?.role,
    run: async (ms) => void (await world.clock.advanceAsync(ms)),
    // RFC 5626 §3.5.1.
    keepAlive: '\r\n\r\n',
    // RFC 7118 §6.
    ping: { transport: 'ws', port: webSocketPort, ask: '\r\n\r\n', answer: '\r\n' },
    // A response that records no route of ours goes back by the Via values of others.
    hasNoPlace: (text) => text.startsWith('SIP/2.0') && !/^Record-Route: <sip:127\.0\.2\./m.test(text),
    async call(midway, late) {
      const callId = caller.call(`sip:bob@${domain}`);
      await world.clock.advanceAsync(100);
      midway?.();
      await world.clock.advanceAsync(12_000);
      const dialog = caller.dialog(callId);
      if (dialog?.state !== 'confirmed') return `the call is ${dialog?.state}: ${caller.finals.join()}`;
      await late?.();
      caller.bye(dialog);
      await world.clock.advanceAsync(4_000);
      if (caller.finals.at(-1) !== 'BYE 200') return caller.finals.join();
      return [...caller.complaints, ...(callee?.complaints ?? [])].join() || undefined;
    },
  });
}

/** The message type is the protocol's own business. */
const erased = <M>(examined: ExaminedRole<M>): ExaminedRole => ({
  ...examined,
  adapter: {
    decode: (bytes) => examined.adapter.decode(bytes),
    paths: (message) => examined.adapter.paths(message as M),
  },
});

export interface ExaminedWorld {
  readonly members?: 2 | 3;
  /** Between controllers and peers, where the protocol has both. */
  readonly transport?: 'udp' | 'tcp';
  /** Only the primary has a backup. Gateways' pairs are always so. */
  readonly isOneWay?: boolean;
}

export const examinedRoles: Readonly<Record<string, (world?: ExaminedWorld) => Promise<ExaminedRole>>> = {
  sip: examinedSip,
  mgcp: examinedMgcp,
  megaco: examinedMegaco,
};
