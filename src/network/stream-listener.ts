/** What the connection-oriented transports have in common as listeners. */
import type { Listener, TlsOptions } from '../network.ts';
import type { Acceptor } from './acceptor.ts';
import type { Admission } from './admission.ts';
import type { ConnectionTable } from './connection-table.ts';

export function streamListener(
  table: ConnectionTable,
  acceptor: Acceptor,
  admission: Admission,
  renewTls: (tls: TlsOptions | undefined) => void,
): Listener {
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const noMore = acceptor.close();
    await table.close();
    // Those that were still in a handshake, or refused to end.
    admission.close();
    await noMore;
  };
  return {
    local: table.local,
    get connections() {
      return table.size;
    },
    flowTo: (remote, options) => table.flowTo(remote, options),
    renewTls,
    flowById: (id) => table.flowById(id),
    close() {
      closing ??= close();
      return closing;
    },
  };
}
