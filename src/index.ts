/**
 * What programs import from `altpath`: a controller in this process, run from a configuration object.
 *
 * @example
 * ```ts
 * import { startController } from 'altpath';
 *
 * const controller = await startController({
 *   sip: { listen: ['udp:127.0.0.1:5060'], domains: ['example.com'], backup: ['127.0.0.2:5060'] },
 * });
 * controller.on('switch', ({ from, to, because }) => console.log(`${from} -> ${to}: ${because}`));
 * console.log(controller.addresses);
 * await controller.drain();
 * ```
 */
import type { z } from 'zod';
import type { megacoConfigSchema } from '../protocols/megaco/config.ts';
import type { mgcpConfigSchema } from '../protocols/mgcp/config.ts';
import type { sipConfigSchema } from '../protocols/sip/config.ts';
import { packageInfo } from './cli/package-info.ts';
import type { coreSchema } from './config/core-schema.ts';
import { loadConfig } from './config/load.ts';
import { objectSource } from './config/source.ts';
import { RunningController } from './controller/controller.ts';
import type { ControllerEvent, EventOf } from './controller/events.ts';
import { ConfigError } from './errors.ts';
import { type Logger, openLog, type ProcessLog, silentLog } from './log.ts';
import { Metrics } from './metrics.ts';
import { protocols } from './protocol-table.ts';
import { formatAddress, formatSocketAddress } from './signaling/controller-address.ts';
import { workerCount } from './workers/worker-count.ts';

export type { CallEvent, ControllerEvent, PeerEvent, SwitchEvent } from './controller/events.ts';
export { AltpathError, BindError, ConfigError, FileError } from './errors.ts';
export type { Logger } from './log.ts';

/**
 * The configuration, of the same shape as the YAML file (config/default.yaml lists every setting with its default). A role runs
 * where its section is there. Addresses are text: `[udp:|tcp:|tls:|ws:|wss:]host[:port]`, IPv6 in brackets. Settings whose names end
 * in `Ms` are milliseconds, in `Seconds` seconds, in `Bytes` octets.
 *
 * @example A call agent for one gateway with two lines, and a backup that travels in every message:
 * ```ts
 * import type { ControllerConfig } from 'altpath';
 *
 * const config: ControllerConfig = {
 *   cluster: { secret: 'the same on all members' },
 *   mgcp: {
 *     listen: ['127.0.0.1:2727'],
 *     backup: ['127.0.0.2:2727'],
 *     gateways: [{ name: 'rgw1', addresses: ['127.0.0.1:2427'] }],
 *     lines: [
 *       { number: '200', endpoint: 'aaln/1@rgw1' },
 *       { number: '201', endpoint: 'aaln/2@rgw1' },
 *     ],
 *   },
 * };
 * ```
 */
export type ControllerConfig = z.input<typeof coreSchema> & {
  /** Members of the cluster, for each its addresses per role: `{ a: { sip: ['192.0.2.1:5060'] }, b: … }`. */
  readonly nodes?: Readonly<Record<string, NodeAddresses>> | undefined;
  readonly sip?: z.input<typeof sipConfigSchema> | undefined;
  readonly mgcp?: z.input<typeof mgcpConfigSchema> | undefined;
  readonly megaco?: z.input<typeof megacoConfigSchema> | undefined;
};

export interface NodeAddresses {
  readonly sip?: readonly string[] | undefined;
  readonly mgcp?: readonly string[] | undefined;
  readonly megaco?: readonly string[] | undefined;
  /** Where the member link is, if not `cluster.port` on the host of the first address. */
  readonly link?: string | undefined;
}

export interface StartOptions {
  /** Which of the configuration's `nodes` this controller is. */
  readonly node?: string | undefined;
  /** A pino logger. Without it, and without `log` in the configuration, nothing is written. */
  readonly logger?: Logger | undefined;
}

/**
 * A running controller. It ends by `drain` or `stop`, or when somebody asks its admin server for it; it handles no signals and never
 * ends the process.
 *
 * @example
 * ```ts
 * import { startController } from 'altpath';
 *
 * const controller = await startController({ sip: { listen: ['127.0.0.1:0'] } });
 * const stopListening = controller.on('peer', ({ address, state }) => console.log(`${address} ${state}`));
 * setTimeout(() => void controller.stop(), 1_000);
 * for await (const event of controller.events()) if (event.kind === 'call') console.log(event.phase, event.callId);
 * stopListening();
 * ```
 */
export interface Controller {
  /** Every bound address, `udp:127.0.0.1:5060`: where a port 0 was configured, the one that the system chose. */
  readonly addresses: readonly string[];
  /** `127.0.0.1:9060`; undefined where the admin server is off, or closed. */
  readonly admin: string | undefined;
  /** Resolves when everything is closed, whoever asked for it. */
  readonly ended: Promise<void>;
  /** What `altpath status --json` shows: `state` (`ready`, `draining`, `stopped`), `uptimeSeconds`, and under `roles` each role's figures. */
  status(): Readonly<Record<string, unknown>>;
  /** What `altpath calls --json` shows, one object per call under way. */
  calls(): readonly Readonly<Record<string, unknown>>[];
  /** What `altpath peers --json` shows: controllers and gateways, and how they are. */
  peers(): readonly Readonly<Record<string, unknown>>[];
  /** Prometheus text. */
  metrics(): Promise<string>;
  /** Calls the handler at each event of this kind, in order; what it throws is logged. Returns what ends that. */
  on<K extends ControllerEvent['kind']>(kind: K, handler: (event: EventOf<K>) => void): () => void;
  /** All events from now on, until the controller has ended. Of those that are not read the last 10,000 are kept, or fewer. */
  events(): AsyncIterableIterator<ControllerEvent>;
  /** Hands new work to the backups, lets what is open finish for at most `shutdownSeconds`, then stops. Called again: the same end. */
  drain(): Promise<void>;
  /** Closes everything now: calls go on at the backups. Safe to call twice, and during a drain. */
  stop(): Promise<void>;
}

/**
 * Starts a controller in this process; any number may run side by side.
 *
 * @param config as the YAML file has it
 * @throws ConfigError (rejects) with one line per problem, `sip.listen[0]: "x y" is not an address: …`
 * @throws BindError (rejects) where an address cannot be had
 * @throws FileError (rejects) where a file that the configuration names cannot be used. Nothing is left open then.
 *
 * @example
 * ```ts
 * import { ConfigError, startController } from 'altpath';
 *
 * try {
 *   const controller = await startController({ sip: { listen: ['127.0.0.1:0'] } });
 *   await controller.stop();
 * } catch (error) {
 *   if (error instanceof ConfigError) console.error(error.message);
 *   else throw error;
 * }
 * ```
 */
export async function startController(config: ControllerConfig, options: StartOptions = {}): Promise<Controller> {
  // Whoever has no compiler may pass anything.
  const given: unknown = config;
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new ConfigError('the configuration must be an object, such as { sip: { listen: ["127.0.0.1:5060"] } }');
  const loaded = loadConfig({ protocols, source: objectSource(given), node: options.node, nodeOption: 'node' });
  if (workerCount(loaded.core) > 1)
    throw new ConfigError(
      'workers: several processes are for the command altpath run; a program starts one controller (leave workers out)',
    );
  const metrics = new Metrics();
  const log = logOf(options.logger, config.log === undefined ? undefined : openLog(loaded.core.log, metrics));
  const { version } = packageInfo();
  const drain = (): Promise<void> => (ending ??= finish('drain', () => running.end('drain')));
  const running = new RunningController({
    version,
    config: loaded,
    log: log.logger,
    metrics,
    drain: () => void drain(),
  });
  let ending: Promise<void> | undefined;
  let closing: Promise<void> | undefined;
  let isEnded: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    isEnded = resolve;
  });
  const close = (): Promise<void> =>
    (closing ??= running
      .close()
      .then(() => log.close())
      .finally(isEnded));
  const finish = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      log.logger.error({ err: error }, `${what} failed`);
    }
    await close();
  };
  try {
    await running.start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    addresses: [...running.listening.values()].flat().map(({ local }) => formatAddress(local)),
    get admin() {
      const address = running.adminAddress;
      return address && formatSocketAddress(address);
    },
    ended,
    status: () => running.status(),
    calls: () => running.calls(),
    peers: () => running.peers(),
    metrics: () => metrics.text(),
    on: (kind, handler) => running.events.on(kind, handler),
    events: () => running.events.stream(),
    drain,
    stop: close,
  };
}

/** The program's own logger is not ours to close. */
function logOf(given: Logger | undefined, own: ProcessLog | undefined): Pick<ProcessLog, 'logger' | 'close'> {
  if (given === undefined && own !== undefined) return own;
  return { logger: given ?? silentLog, close: () => Promise.resolve() };
}
