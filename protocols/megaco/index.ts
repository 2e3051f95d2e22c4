/** What the composition root uses of MEGACO. */
export { createMegacoAdapter } from './adapter.ts';
export { type MegacoConfig, megacoConfigSchema } from './config.ts';
export { megacoExamples, megacoFlags } from './flags.ts';
export { megacoSimulation } from './gateway/simulation.ts';
export { createMegacoRole } from './role.ts';
export { megacoReader } from './trace-reader.ts';
