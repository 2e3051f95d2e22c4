/** The door of the MGCP room. */
export { createMgcpAdapter } from './adapter.ts';
export { type MgcpConfig, mgcpConfigSchema } from './config.ts';
export { type MgcpDemoOptions, mgcpDemo, runMgcpDemo } from './demo.ts';
export { mgcpExamples, mgcpFlags } from './flags.ts';
export { mgcpGatewayCommand } from './gateway/command.ts';
export { createMgcpRole, mgcpReloads } from './role.ts';
