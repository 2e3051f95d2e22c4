/** `altpath run` and its like: one controller that lives until a signal or `altpath drain` ends it. */
import { systemClock } from '../clock.ts';
import { RunningController } from '../controller/controller.ts';
import { openLog } from '../log.ts';
import { LogControl } from '../log-control.ts';
import { Metrics } from '../metrics.ts';
import { workerCount, workerVariable } from '../workers/worker-count.ts';
import { giveBackMemory } from './idle-memory.ts';
import { reload } from './reload.ts';
import type { ServeRequest } from './serve-request.ts';
import { tellServiceManager } from './service-manager.ts';
import { ProcessSignals } from './signals.ts';

/** Runs until a signal or `altpath drain` ends it. @throws AltpathError (rejects) where it cannot start; nothing is left open then. */
export async function serve(request: ServeRequest): Promise<void> {
  const { version, load } = request;
  if (process.env[workerVariable] !== undefined) {
    const [{ serveAsWorker }, { workerSeat }] = await Promise.all([
      import('./serve-workers.ts'),
      import('../workers/seat.ts'),
    ]);
    const seat = workerSeat();
    if (seat !== undefined) return serveAsWorker(request, seat);
  }
  const started = load();
  const count = workerCount(started.core);
  if (count > 1) {
    const { superviseWorkers } = await import('./serve-workers.ts');
    return superviseWorkers(request, started, count);
  }
  process.title = `altpath ${[...started.roles.keys()].join('+')}${started.node === undefined ? '' : ` ${started.node}`}`;
  const metrics = new Metrics();
  const log = openLog(started.core.log, metrics);
  const signals = new ProcessSignals(log.logger);
  const logControl = new LogControl(log, systemClock);
  const controller = new RunningController({
    version,
    config: started,
    log: log.logger,
    logControl,
    metrics,
    drain: () => signals.end({ signal: 'drain', text: 'altpath drain' }),
  });
  let stopGivingBack = (): void => undefined;
  try {
    await controller.start();
    tellServiceManager('ready', 'serving', log.logger);
    stopGivingBack = giveBackMemory();
    signals.onHangUp(() => {
      controller.reopenRecords();
      controller.config = reload({ started, current: controller.config, roles: controller.roles, log, load });
    });
    const { text } = await signals.ended;
    tellServiceManager('stopping', `${text}: waiting for what is open`, log.logger);
    await controller.end(text);
  } finally {
    stopGivingBack();
    await controller.close();
    logControl.stop();
    await log.close();
    signals.dispose();
  }
}
