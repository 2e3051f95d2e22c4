/** The kernel's table of datagram sockets (Linux, proc(5): /proc/net/udp), as far as it tells how much waits to be read. */

/** Octets in the fullest receive queue of a socket bound to one of these ports; 0 where there is none. */
export function fullestQueue(table: string, ports: ReadonlySet<number>): number {
  let fullest = 0;
  // The first line names the columns: sl local_address rem_address st tx_queue:rx_queue …
  for (let at = table.indexOf('\n') + 1; at > 0 && at < table.length; ) {
    const end = table.indexOf('\n', at);
    const line = table.slice(at, end < 0 ? table.length : end);
    const [, local = '', , , queues = ''] = line.trim().split(/ +/, 5);
    const port = Number.parseInt(local.slice(local.indexOf(':') + 1), 16);
    if (ports.has(port)) {
      const octets = Number.parseInt(queues.slice(queues.indexOf(':') + 1), 16);
      if (octets > fullest) fullest = octets;
    }
    if (end < 0) break;
    at = end + 1;
  }
  return fullest;
}
