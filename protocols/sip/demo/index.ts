/** The demo as the table of protocols takes it; what it needs is loaded when somebody asks for it. */
import type { Demo, DemoParty } from '../../../src/internal.ts';

export const sipDemo: Demo = {
  moments: ['random', 'setup', 'ringing', 'answered', 'bye'],
  run: async (request) => (await import('./demo.ts')).demonstrate(request),
  watch: async (request) => (await import('./watch.ts')).watchPair(request),
};

/** A telephone at one end of calls that cross protocols. */
export const sipParty = async (): Promise<DemoParty> => (await import('./simulated-telephone.ts')).sipParty;
