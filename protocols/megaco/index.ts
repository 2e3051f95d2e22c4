/** The door of the MEGACO room. */
export { createMegacoAdapter } from './adapter.ts';
export { type MegacoConfig, megacoConfigSchema } from './config.ts';
export { createMegacoRole } from './role.ts';
