/** The door of the MGCP room. */
export { createMgcpAdapter } from './adapter.ts';
export { type MgcpConfig, mgcpConfigSchema } from './config.ts';
export { createMgcpRole } from './role.ts';
