/** Starts a worker as a process of this very program, with the words that we were started with. */
import { fork } from 'node:child_process';
import { toSupervisor } from './messages.ts';
import type { WorkerEvents, WorkerProcess } from './supervisor.ts';
import { workerVariable } from './worker-count.ts';

export function forkWorker(index: number, events: WorkerEvents): WorkerProcess {
  const [, main = '', ...words] = process.argv;
  const { NOTIFY_SOCKET: _systemd, ALTPATH_STARTED_BY_OLD_NODE: _old, ...environment } = process.env;
  const child = fork(main, words, {
    env: { ...environment, [workerVariable]: String(index) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // What a terminal sends to all its processes is for us: we pass it on.
    detached: true,
  });
  let isGone = false;
  const gone = (how: string): void => {
    if (isGone) return;
    isGone = true;
    events.exited(how);
  };
  child.on('message', (message) => {
    const read = toSupervisor.safeParse(message);
    if (read.success) events.said(read.data);
  });
  child.on('error', (error) => {
    if (child.pid === undefined) gone(error.message);
  });
  child.on('exit', (code, signal) => gone(signal === null ? `exit code ${code ?? 0}` : signal));
  return {
    pid: child.pid,
    send(message) {
      // It may be gone already: then we hear of that.
      if (child.connected) child.send(message, () => undefined);
    },
    kill: (signal) => child.kill(signal),
  };
}
