/** `altpath run` with several workers: the process above them, and one of them. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AdminServer, startAdmin } from '../admin.ts';
import { pageAddress } from '../admin-page.ts';
import { systemClock } from '../clock.ts';
import type { LoadedConfig } from '../config/load.ts';
import { RunningController } from '../controller/controller.ts';
import type { RoleSetup } from '../controller/protocol-entry.ts';
import { withoutCredentials } from '../location/redis/location-url.ts';
import { openLog } from '../log.ts';
import { LogControl } from '../log-control.ts';
import { logEvent } from '../log-events.ts';
import { Metrics } from '../metrics.ts';
import { probeListeners } from '../network/probe-listeners.ts';
import { formatAddress, formatSocketAddress } from '../signaling/controller-address.ts';
import { forkWorker } from '../workers/fork-worker.ts';
import { MergedAdmin } from '../workers/merged-admin.ts';
import type { WorkerSeat } from '../workers/seat.ts';
import { Supervisor } from '../workers/supervisor.ts';
import { checkWorkers } from '../workers/worker-count.ts';
import { WorkerGroup } from '../workers/worker-group.ts';
import { giveBackMemory } from './idle-memory.ts';
import { reload } from './reload.ts';
import type { ServeRequest } from './serve-request.ts';
import { tellServiceManager } from './service-manager.ts';
import { ProcessSignals } from './signals.ts';

/** @throws AltpathError (rejects) where a worker cannot start; nothing is left open then. */
export async function superviseWorkers(
  { version }: ServeRequest,
  started: LoadedConfig<RoleSetup>,
  count: number,
): Promise<void> {
  const { core, roles, node } = started;
  const sections = new Map([...roles].map(([name, { section }]) => [name, section]));
  checkWorkers(count, sections, started.file);
  process.title = `altpath ${count} workers${node === undefined ? '' : ` ${node}`}`;
  const metrics = new Metrics();
  const log = openLog(core.log, metrics);
  const signals = new ProcessSignals(log.logger);
  const directory = mkdtempSync(join(tmpdir(), 'altpath-'));
  const holdMs = Math.max(0, ...[...sections.values()].map(({ timers }) => timers?.holdMs ?? 0));
  const supervisor = new Supervisor({
    count,
    clock: systemClock,
    log: log.logger,
    metrics,
    directory,
    secret: randomBytes(32).toString('hex'),
    life: randomBytes(4).toString('hex'),
    holdMs,
    spawn: forkWorker,
  });
  let state: 'starting' | 'ready' | 'draining' | 'stopped' = 'starting';
  let admin: AdminServer | undefined;
  let stopGivingBack = (): void => undefined;
  try {
    // Who else has our ports is found out now: workers share theirs with anybody of this user.
    await probeListeners(
      [...sections.values()].flatMap(({ listen }) => listen),
      new Set(core.vip),
    );
    const merged = new MergedAdmin({
      supervisor,
      clock: systemClock,
      log: log.logger,
      metrics,
      version,
      token: core.adminToken,
      startedMs: systemClock.now(),
      state: () => state,
      drain: () => signals.end({ signal: 'drain', text: 'altpath drain' }),
    });
    if (core.admin !== 'off') admin = await startAdmin(core.admin, merged.view(), core.adminToken);
    const isReady = await Promise.race([supervisor.start().then(() => true), signals.ended.then(() => false)]);
    state = 'ready';
    if (isReady && admin !== undefined) log.logger.info(`dashboard on ${pageAddress(admin.address)}`);
    if (isReady)
      logEvent(log.logger, 'ready', {
        addresses: [...sections.values()].flatMap(({ listen }) => listen.map(formatAddress)),
        admin: admin === undefined ? 'off' : formatSocketAddress(admin.address),
        location: withoutCredentials(core.location),
        node,
        version,
        pid: process.pid,
      });
    if (isReady) tellServiceManager('ready', 'serving', log.logger);
    stopGivingBack = giveBackMemory();
    signals.onHangUp(() => supervisor.signal('SIGHUP'));
    const { text } = await signals.ended;
    state = 'draining';
    tellServiceManager('stopping', `${text}: waiting for what is open`, log.logger);
    log.logger.info(`${text}: the workers end`);
    // Whoever is started in our place needs its port now.
    await admin?.close();
    admin = undefined;
    await supervisor.end(core.shutdownSeconds * 1_000 + graceMs);
    logEvent(log.logger, 'stopped', {});
  } finally {
    state = 'stopped';
    stopGivingBack();
    supervisor.kill();
    await admin?.close();
    rmSync(directory, { recursive: true, force: true });
    await log.close();
    signals.dispose();
  }
}

/** Beyond what workers are given to end in order. */
const graceMs = 10_000;

/** One worker. */
export async function serveAsWorker({ version, load }: ServeRequest, seat: WorkerSeat): Promise<void> {
  const { index, directory, secret, life } = await seat.start;
  try {
    await runWorker({ version, load }, seat, { index, directory, secret, life });
  } catch (error) {
    // The supervisor says it, once.
    seat.failed(error);
    process.exitCode = 1;
  } finally {
    seat.leave();
  }
}

async function runWorker(
  { version, load }: ServeRequest,
  seat: WorkerSeat,
  { index, directory, secret, life }: { index: number; directory: string; secret: string; life: string },
): Promise<void> {
  const started = load();
  process.title = `altpath worker ${index} ${[...started.roles.keys()].join('+')}`;
  const metrics = new Metrics();
  const log = openLog(started.core.log, metrics, { worker: index });
  const signals = new ProcessSignals(log.logger);
  const logControl = new LogControl(log, systemClock);
  const path = join(directory, life);
  const group = new WorkerGroup({ self: { index, life, path }, clock: systemClock, log: log.logger, metrics });
  const isSilent = started.core.admin === 'off';
  const own: LoadedConfig<RoleSetup> = {
    ...started,
    core: { ...started.core, admin: isSilent ? 'off' : { host: '127.0.0.1', port: 0 } },
  };
  const controller = new RunningController({
    version,
    config: own,
    log: log.logger,
    logControl,
    metrics,
    workers: { group, secret },
    drain: () => signals.end({ signal: 'drain', text: 'altpath drain' }),
  });
  let current = started;
  let stopGivingBack = (): void => undefined;
  try {
    await group.start();
    seat.linked(path);
    await new Promise<void>((resolve) => {
      seat.onRoster(({ workers, lead, isSuccession }) => {
        group.setLead(lead, isSuccession);
        void group.meet(workers).then(resolve);
      });
    });
    await controller.start();
    seat.ready(controller.adminAddress);
    stopGivingBack = giveBackMemory();
    signals.onHangUp(() => {
      controller.reopenRecords();
      current = reload({ started, current, roles: controller.roles, log, load });
      controller.config = { ...current, core: { ...current.core, admin: own.core.admin } };
    });
    const { text } = await signals.ended;
    await controller.end(text);
  } finally {
    stopGivingBack();
    await controller.close();
    group.stop();
    logControl.stop();
    await log.close();
    signals.dispose();
  }
}
