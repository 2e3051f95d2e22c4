/** What the composition root uses of SIP. */
export { createSipAdapter } from './adapter.ts';
export { type SipConfig, sipConfigSchema } from './config.ts';
export { sipDemo, sipParty } from './demo/index.ts';
export { createSipRole, sipReloads } from './role.ts';
export { phoneCommand } from './telephone/command.ts';
export { sipReader } from './trace-reader.ts';
export { sipDirectory } from './trunks/sip-directory.ts';
export { sipWarnings } from './warnings.ts';
