/** The composition root: the one file that knows which protocols there are. A protocol is added as one entry of the table. */
import * as megaco from '../protocols/megaco/index.ts';
import * as mgcp from '../protocols/mgcp/index.ts';
import * as sip from '../protocols/sip/index.ts';
import type { Demonstration } from './cli/demo.ts';
import { defineProtocol, type ProtocolEntry } from './controller/protocol-entry.ts';
import { gatewayDemo } from './gateways/demo.ts';
import { gatewayCommand } from './gateways/gateway-command.ts';
import { roamingWarnings } from './gateways/gateway-config.ts';
import { gatewayReloads } from './gateways/gateway-role.ts';

export const protocols: readonly ProtocolEntry[] = [
  defineProtocol({
    name: 'sip',
    title: 'SIP proxy and registrar',
    configSchema: sip.sipConfigSchema,
    reader: sip.sipReader,
    ping: (to, from) => {
      const adapter = sip.createSipAdapter();
      return adapter.encode(adapter.probe(to, from, 'doctor'), undefined);
    },
    sample: {
      listen: ['udp:HOST:5060', 'tcp:HOST:5060'],
      lines: [
        'domains: [DOMAIN]',
        '# auth: { register: true, invite: true, realm: DOMAIN, users: [{ user: alice, password: … }] }',
        '# routes: [{ prefix: "00", to: [udp:192.0.2.20:5060] }]',
      ],
    },
    createRole: sip.createSipRole,
    reloads: sip.sipReloads,
    warnings: sip.sipWarnings,
    directory: sip.sipDirectory,
    flags: [
      {
        name: 'domain',
        describe: 'domain it is registrar and proxy for',
        path: ['domains'],
        repeatable: true,
      },
    ],
    examples: [
      ['altpath sip', 'on 127.0.0.1:5060, over UDP and TCP'],
      ['altpath sip --listen udp:192.0.2.1:5060 --domain example.com', 'for one domain'],
      ['altpath sip --listen 127.0.0.1 --backup 127.0.0.2', 'with a backup, which every message names …'],
      ['altpath sip --listen 127.0.0.2 --backup-for 127.0.0.1', '… and the backup itself'],
    ],
    commands: [sip.phoneCommand],
    demo: sip.sipDemo,
  }),
  defineProtocol({
    name: 'mgcp',
    title: 'MGCP call agent',
    configSchema: mgcp.mgcpConfigSchema,
    reader: mgcp.mgcpReader,
    warnings: ({ gateways }) => roamingWarnings(gateways),
    sample: {
      listen: ['udp:HOST:2727'],
      lines: ['# gateways: [rgw1=192.0.2.11:2427]', '# lines: [200=aaln/1@rgw1, 201=aaln/2@rgw1]', 'gateways: []'],
    },
    createRole: mgcp.createMgcpRole,
    reloads: gatewayReloads,
    flags: mgcp.mgcpFlags,
    examples: mgcp.mgcpExamples,
    commands: [gatewayCommand([mgcp.mgcpSimulation, megaco.megacoSimulation])],
    demo: gatewayDemo(() => [[mgcp.mgcpSimulation, mgcp.mgcpSimulation]]),
  }),
  defineProtocol({
    name: 'megaco',
    title: 'MEGACO gateway controller',
    configSchema: megaco.megacoConfigSchema,
    reader: megaco.megacoReader,
    warnings: ({ gateways }) => roamingWarnings(gateways, ({ security }) => security !== undefined),
    ping: (to, from) => {
      const adapter = megaco.createMegacoAdapter({ mId: () => `[${from.host}]:${from.port}` });
      return adapter.encode(adapter.probe(to, from, '1'), undefined);
    },
    sample: {
      listen: ['udp:HOST:2944'],
      lines: ['# gateways: [gw1=192.0.2.12:2944]', '# lines: [300=aaln/1@gw1, 301=aaln/2@gw1]', 'gateways: []'],
    },
    createRole: megaco.createMegacoRole,
    reloads: gatewayReloads,
    flags: megaco.megacoFlags,
    examples: megaco.megacoExamples,
    demo: gatewayDemo(() => [[megaco.megacoSimulation, megaco.megacoSimulation]]),
  }),
];
const crossing: Demonstration = {
  name: 'crossing',
  title: 'calls between protocols',
  demo: gatewayDemo(async () => {
    const telephone = await sip.sipParty();
    const { mgcpSimulation } = mgcp;
    const { megacoSimulation } = megaco;
    return [
      [mgcpSimulation, megacoSimulation],
      [megacoSimulation, mgcpSimulation],
      [telephone, mgcpSimulation],
      [mgcpSimulation, telephone],
      [telephone, megacoSimulation],
      [megacoSimulation, telephone],
    ];
  }),
};

/** What `altpath demo` shows: each protocol, and calls between them. */
export const demonstrations: readonly Demonstration[] = [...protocols, crossing];
