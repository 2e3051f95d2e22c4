/** Services of one controller in a test, with a call control and an address resolver of its own as every process has one. */
import { AddressResolver, CallControl, type CoreServices } from '../../src/internal.ts';

export function withCallControl(services: Omit<CoreServices, 'callControl' | 'resolver'>): CoreServices {
  const resolver = new AddressResolver(services);
  const callControl = new CallControl({ ...services, locate: (number) => resolver.locate(number) });
  return { ...services, resolver, callControl };
}
