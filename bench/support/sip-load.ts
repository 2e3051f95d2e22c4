/** The load of the SIP benchmark: SIPp as caller and called side around a proxy, on loopback addresses of their own. */
import { freeHost } from '../../test/interop/support/hosts.ts';
import { type ProxyKind, type RunningProxy, startProxy } from '../../test/interop/support/proxy.ts';
import { runSipp, Sipp, type SippOptions, type SippResult } from '../../test/interop/support/sipp.ts';

export interface Load {
  readonly proxy: RunningProxy;
  readonly callerHost: string;
  readonly calledHost: string;
  stop(): Promise<void>;
}

/** A proxy with every user u1…un registered at the called side's address, and that side waiting (`answer` its scenario). */
export async function startLoad(options: {
  readonly kind: ProxyKind;
  readonly users: number;
  readonly answer?: string;
  readonly nodeFlags?: readonly string[];
  /** Sections beside `sip`; altpath only. */
  readonly core?: Readonly<Record<string, unknown>>;
}): Promise<Load> {
  const callerHost = await freeHost();
  const calledHost = await freeHost();
  const proxy = await startProxy({
    kind: options.kind,
    host: await freeHost(),
    // The figures are with the path attribute on every message, as it runs in production.
    backups: ['127.0.0.2:5060'],
    env: { NODE_ENV: 'production' },
    nodeFlags: options.nodeFlags ?? [],
    ...(options.core === undefined ? {} : { core: options.core }),
  });
  const load = { proxy, callerHost, calledHost };
  let called: Sipp | undefined;
  try {
    if (options.users > 0) {
      const registered = await callThrough(load, {
        scenario: 'register.xml',
        calls: options.users,
        rate: 2000,
        contact: calledHost,
      });
      if (registered.successful < options.users) {
        throw new Error(
          `${options.kind}: only ${registered.successful} of ${options.users} registered\n${registered.errors}`,
        );
      }
    }
    if (options.answer !== undefined) {
      called = await new Sipp({
        scenario: options.answer,
        host: calledHost,
        calls: 1_000_000_000,
        keys: sippKeys(calledHost),
      }).ready();
    }
  } catch (error) {
    await proxy.child.stop();
    throw error;
  }
  return {
    ...load,
    async stop() {
      await called?.stop();
      await proxy.child.stop();
    },
  };
}

/** Runs a calling scenario through the proxy to its end. */
export function callThrough(
  load: Pick<Load, 'proxy' | 'callerHost'>,
  options: Pick<SippOptions, 'scenario' | 'calls'> & { rate: number; atOnce?: number; contact?: string },
): Promise<SippResult> {
  const { contact, ...rest } = options;
  return runSipp(
    {
      ...rest,
      host: load.callerHost,
      remote: load.proxy.address,
      keys: sippKeys(contact ?? load.callerHost),
    },
    60_000 + (options.calls / Math.min(options.rate, 100)) * 1000,
  );
}

/** Keys of every scenario, for a Contact at this host. */
export const sippKeys = (contactHost: string): Record<string, string> => ({
  user: 'u',
  via: 'UDP',
  cip: contactHost,
  cport: '5060',
  cparams: '',
  contact_params: '',
});

/** What a reader of a figure must know went wrong in these runs, in words; empty is good. */
export function faultsOf(...results: readonly SippResult[]): string[] {
  const sum = (count: (result: SippResult) => number): number =>
    results.reduce((total, result) => total + count(result), 0);
  const failed = sum((result) => result.failed);
  const sentAgain = sum((result) => result.sentAgain);
  const receivedAgain = sum((result) => result.receivedAgain);
  return [
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(sentAgain > 0 ? [`${sentAgain} sent again`] : []),
    ...(receivedAgain > 0 ? [`${receivedAgain} received again`] : []),
    ...(results.some((result) => result.successful === 0) ? ['a run without success'] : []),
  ];
}

/** The first unexpected message of a run that had failures: SIPp quotes it whole. */
export const firstError = (result: SippResult): string | undefined =>
  result.failed > 0 ? result.errors.slice(0, 800) : undefined;
