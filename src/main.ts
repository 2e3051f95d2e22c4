#!/usr/bin/env node
/** The composition root: the one file that names the protocols. A protocol is added as one entry of the table. */
import { continuesElsewhere } from './cli/modern-node.ts';

if (!continuesElsewhere()) {
  const [
    { runCommandLine },
    { defineProtocol },
    { gatewayCommand },
    { gatewayDemo },
    { gatewayReloads },
    sip,
    mgcp,
    megaco,
  ] = await Promise.all([
    import('./cli/command-line.ts'),
    import('./cli/protocol-entry.ts'),
    import('./gateways/gateway-command.ts'),
    import('./gateways/demo.ts'),
    import('./gateways/gateway-role.ts'),
    import('../protocols/sip/index.ts'),
    import('../protocols/mgcp/index.ts'),
    import('../protocols/megaco/index.ts'),
  ]);
  const protocols = [
    defineProtocol({
      name: 'sip',
      title: 'SIP proxy and registrar',
      configSchema: sip.sipConfigSchema,
      createRole: sip.createSipRole,
      reloads: sip.sipReloads,
      warnings: sip.sipWarnings,
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
      createRole: mgcp.createMgcpRole,
      reloads: gatewayReloads,
      usesLink: true,
      flags: mgcp.mgcpFlags,
      examples: mgcp.mgcpExamples,
      commands: [gatewayCommand([mgcp.mgcpSimulation, megaco.megacoSimulation])],
      demo: gatewayDemo([[mgcp.mgcpSimulation, mgcp.mgcpSimulation]]),
    }),
    defineProtocol({
      name: 'megaco',
      title: 'MEGACO gateway controller',
      configSchema: megaco.megacoConfigSchema,
      createRole: megaco.createMegacoRole,
      reloads: gatewayReloads,
      usesLink: true,
      flags: megaco.megacoFlags,
      examples: megaco.megacoExamples,
      demo: gatewayDemo([[megaco.megacoSimulation, megaco.megacoSimulation]]),
    }),
  ];
  const crossing = {
    name: 'crossing',
    title: 'calls between protocols',
    demo: gatewayDemo([
      [mgcp.mgcpSimulation, megaco.megacoSimulation],
      [megaco.megacoSimulation, mgcp.mgcpSimulation],
    ]),
  };
  process.exitCode = await runCommandLine(protocols, process.argv.slice(2), [...protocols, crossing]);
  // Everything is closed by now and the process ends by itself; what was forgotten must not keep it.
  setTimeout(() => process.exit(), 2_000).unref();
}
