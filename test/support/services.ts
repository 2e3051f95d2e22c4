/** Services of one controller in a test, with a call control and an address resolver of its own as every process has one. */
import { AddressResolver, CallControl, type CoreServices, type DiallingPlan } from '../../src/internal.ts';

export function withCallControl(
  services: Omit<CoreServices, 'callControl' | 'resolver'>,
  plan?: DiallingPlan,
): CoreServices {
  const resolver = new AddressResolver({ ...services, plan });
  const callControl = new CallControl({
    ...services,
    locate: (number) => resolver.locate(number),
    dialling: resolver,
  });
  return { ...services, resolver, callControl };
}
