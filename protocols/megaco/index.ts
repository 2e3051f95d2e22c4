/** The door of the MEGACO room. */
export { createMegacoAdapter } from './adapter.ts';
export { type MegacoConfig, megacoConfigSchema } from './config.ts';
export { type MegacoDemoOptions, megacoDemo, runMegacoDemo } from './demo.ts';
export { megacoExamples, megacoFlags } from './flags.ts';
export { megacoGatewayCommand } from './gateway/command.ts';
export { createMegacoRole, megacoReloads } from './role.ts';
