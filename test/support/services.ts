/** Services of one controller in a test, with a call control, a journal and an address resolver of its own as every process has one. */
import {
  AddressResolver,
  CallControl,
  CallJournal,
  CallRecords,
  type Clock,
  type CoreServices,
  type DiallingPlan,
  type Network,
  type Screen,
  SourceLimits,
} from '../../src/internal.ts';
import { gated } from '../../src/overload/source-gate.ts';

const journals = new WeakMap<Clock, CallJournal>();

export function withCallControl(
  services: Omit<CoreServices, 'callControl' | 'resolver'>,
  plan?: DiallingPlan,
): CoreServices {
  const resolver = new AddressResolver({ ...services, plan });
  const journal = new CallJournal(services.clock);
  journals.set(services.clock, journal);
  const records = new CallRecords({ ...services, secret: services.cluster.secret });
  records.connect(services.link);
  const callControl = new CallControl({
    ...services,
    journal,
    records,
    locate: (number) => resolver.locate(number),
    dialling: resolver,
  });
  return { ...services, resolver, callControl, journal };
}

/** The sockets as a role has them in a process: what is refused under overload before anybody reads it does not get there. */
export function guarded(
  parts: Pick<CoreServices, 'clock' | 'log' | 'metrics' | 'network' | 'overload'>,
  screen: () => Screen | undefined,
): Network {
  if (parts.overload === undefined) return parts.network;
  const limits = new SourceLimits({ ...parts, settings: { perSecond: 0, banSeconds: 60, exempt: [] } });
  return gated(parts.network, limits, screen);
}

/** Of the program that began last with this clock. */
export function journalOf(clock: Clock): CallJournal {
  const journal = journals.get(clock);
  if (journal === undefined) throw new Error('no program has this clock');
  return journal;
}
