/**
 * What systemd is told of a service with Type=notify (sd_notify(3)). Node has no Unix datagram sockets: the system's own program sends for us,
 * and waits until it was heard, so the unit needs NotifyAccess=all.
 */
import { spawn } from 'node:child_process';
import type { Logger } from '../log.ts';

/** `ready`: every socket is bound. `stopping`: no new work is taken. Does nothing where no service manager waits. */
export function tellServiceManager(what: 'ready' | 'stopping', status: string, log: Logger): void {
  const { NOTIFY_SOCKET } = process.env;
  if (NOTIFY_SOCKET === undefined || NOTIFY_SOCKET === '') return;
  const words = what === 'ready' ? ['--ready'] : ['STOPPING=1'];
  const child = spawn('systemd-notify', [`--status=${status}`, ...words], { stdio: 'ignore' });
  child.on('error', (error) => log.warn({ err: error }, `systemd cannot be told "${what}"`));
  child.unref();
}
