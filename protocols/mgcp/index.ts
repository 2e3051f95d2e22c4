/** What the composition root uses of MGCP. */
export { createMgcpAdapter } from './adapter.ts';
export { type MgcpConfig, mgcpConfigSchema } from './config.ts';
export { mgcpExamples, mgcpFlags } from './flags.ts';
export { mgcpSimulation } from './gateway/simulation.ts';
export { createMgcpRole } from './role.ts';
export { mgcpReader } from './trace-reader.ts';
