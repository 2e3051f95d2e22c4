/**
 * The system's own sensor: how busy the event loop is, how full the kernel's receive queues of our datagram sockets are, and what else
 * is asked (the octets that transactions keep). The event loop alone does not tell: libuv reads at most 32 datagrams a turn, so that it
 * turns swiftly while the kernel throws away what finds no room.
 */
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { socketBufferBytes } from '../network/limits.ts';
import type { LoadSample, LoadSensor } from './overload-control.ts';
import { fullestQueue } from './receive-queues.ts';

export interface SensorParts {
  /** Ports of our datagram sockets. */
  ports(): readonly number[];
  /** Shares of other shares that are taken, 0 to 1. */
  readonly shares?: (() => readonly number[]) | undefined;
}

export function systemLoadSensor({ ports, shares }: SensorParts): LoadSensor {
  let before = performance.eventLoopUtilization();
  const queueOctets = grantedOctets();
  return {
    sample(): LoadSample {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, before);
      before = now;
      let queued = Math.max(0, ...(shares?.() ?? []));
      // Whoever has time to spare has read what was there: the tables are looked at by a busy process only.
      if (utilization >= busyUtilization && hasTables) {
        const own = new Set(ports());
        const fullest = Math.max(...tables.map((table) => fullestQueue(readText(table), own)));
        queued = Math.max(queued, fullest / queueOctets);
      }
      if (!hasTables && utilization >= fullUtilization) queued = Math.max(queued, 1);
      // The control measures by its own timer how late the loop is.
      return { delayMs: 0, utilization, queued };
    },
  };
}

const busyUtilization = 0.7;
const fullUtilization = 0.995;

/** Linux alone has these; elsewhere the event loop has to tell. */
const tables = ['/proc/self/net/udp', '/proc/self/net/udp6'] as const;
const hasTables = process.platform === 'linux' && readText(tables[0]) !== '';

/** The kernel grants at most rmem_max, and counts twice that for its own needs (socket(7), SO_RCVBUF). */
function grantedOctets(): number {
  const most = Number(readText('/proc/sys/net/core/rmem_max')) || socketBufferBytes;
  return 2 * Math.min(socketBufferBytes, most);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
