/** Services of one controller in a test, with a call control of its own as every process has one. */
import { CallControl, type CoreServices } from '../../src/internal.ts';

export const withCallControl = (services: Omit<CoreServices, 'callControl'>): CoreServices => ({
  ...services,
  callControl: new CallControl({ ...services, locate: (number) => services.locations.lookup(number) }),
});
