/** A caller and a called side, both SIPp, around a proxy: each over its own transport, TLS through bridges. */
import type { Certificate } from './certificate.ts';
import { freeHost } from './hosts.ts';
import type { RunningProxy } from './proxy.ts';
import { runSipp, Sipp, type SippOptions, type SippResult } from './sipp.ts';
import { type Bridge, bridgeFromTls, bridgeToTls } from './tls-bridge.ts';

export type LoadTransport = 'udp' | 'tcp' | 'tls';

export interface CallLoad {
  readonly caller: string;
  /** Absent: nobody is registered and nobody answers. */
  readonly called?: string;
  readonly calls: number;
  readonly rate: number;
  readonly callerTransport?: LoadTransport;
  readonly calledTransport?: LoadTransport;
  /** Needed where one of them is `tls`: its hosts must include callerHost and calledHost. */
  readonly certificate?: Certificate;
  readonly callerHost?: string;
  readonly calledHost?: string;
  /** Users are called this and a number: unlike for every load on a proxy, or bindings of an earlier one ring too. */
  readonly users?: string;
  /** Do not register: the proxy knows the users from before. */
  readonly registeredBefore?: boolean;
}

export interface CallLoadResult {
  readonly registering: SippResult | undefined;
  readonly caller: SippResult;
  readonly called: SippResult | undefined;
}

/** Registers as many users as there are calls, places one call to each, waits for both sides to finish. */
export async function placeCalls(proxy: RunningProxy, load: CallLoad): Promise<CallLoadResult> {
  const callerHost = load.callerHost ?? (await freeHost());
  const calledHost = load.calledHost ?? (await freeHost());
  loads += 1;
  const users = load.users ?? `u${loads}-`;
  const callerEnd = end(callerHost, load.callerTransport ?? 'udp', users);
  const calledEnd = end(calledHost, load.calledTransport ?? 'udp', users);
  const bridges: Bridge[] = [];
  try {
    const toProxy = await roadTo(proxy, callerHost, callerEnd, load.certificate, bridges);
    const registrarRoad =
      load.called === undefined ? {} : await roadTo(proxy, calledHost, calledEnd, load.certificate, bridges);
    const limitMs = 60_000 + (load.calls / load.rate) * 1000;
    let registering: SippResult | undefined;
    let called: Sipp | undefined;
    if (load.called !== undefined) {
      if (load.registeredBefore !== true) {
        registering = await runSipp({
          scenario: 'register.xml',
          host: calledHost,
          port: 5070,
          remote: proxy.address,
          transport: calledEnd.sipp,
          calls: load.calls,
          rate: 1000,
          // A binding belongs to where it is reached, not to the socket that registers it.
          keys: calledEnd.keys,
          ...registrarRoad,
        });
        if (registering.successful < load.calls)
          throw new Error(
            `${registering.successful} of ${load.calls} registered:\n${registering.errors}\n${proxy.child.output.slice(-2000)}`,
          );
      }
      if (calledEnd.transport === 'tls' && load.certificate !== undefined) {
        bridges.push(
          await bridgeFromTls({ host: calledHost, port: 5061 }, { host: calledHost, port: 5060 }, load.certificate),
        );
      }
      called = await new Sipp({
        scenario: load.called,
        host: calledHost,
        transport: calledEnd.sipp,
        calls: load.calls,
        keys: calledEnd.keys,
      }).ready();
    }
    const caller = await runSipp(
      {
        scenario: load.caller,
        host: callerHost,
        remote: proxy.address,
        transport: callerEnd.sipp,
        calls: load.calls,
        rate: load.rate,
        keys: callerEnd.keys,
        ...toProxy,
      },
      limitMs,
    );
    return { registering, caller, called: await called?.finished(10_000) };
  } finally {
    await Promise.all(bridges.map((bridge) => bridge.close()));
  }
}

let loads = 0;

interface End {
  readonly transport: LoadTransport;
  readonly sipp: 'u1' | 't1';
  readonly keys: Readonly<Record<string, string>>;
}

const end = (host: string, transport: LoadTransport, user: string): End => ({
  transport,
  sipp: transport === 'udp' ? 'u1' : 't1',
  keys: {
    user,
    via: transport.toUpperCase(),
    cip: host,
    cport: transport === 'tls' ? '5061' : '5060',
    cparams: transport === 'udp' ? '' : `;transport=${transport}`,
    contact_params: '',
  },
});

/** With TLS, SIPp sends to a bridge instead, while its messages go on naming the proxy. */
async function roadTo(
  proxy: RunningProxy,
  host: string,
  { transport }: End,
  certificate: Certificate | undefined,
  bridges: Bridge[],
): Promise<Pick<SippOptions, 'extra'>> {
  if (transport !== 'tls') return {};
  if (certificate === undefined) throw new Error('TLS needs a certificate');
  bridges.push(await bridgeToTls({ host, port: bridgePort }, { host: proxy.host, port: proxy.tlsPort }, certificate));
  return { extra: ['-rsa', `${host}:${bridgePort}`] };
}

const bridgePort = 5090;
