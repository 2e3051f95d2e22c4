/** osmo-mgw as a peer: a media gateway of RTP endpoints. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { Child } from './child.ts';

/** Why tests with it are skipped; undefined where it is there. */
export const osmoMgwAbsent =
  spawnSync('osmo-mgw', ['--version']).error === undefined
    ? undefined
    : 'osmo-mgw not found: apt-get install --no-install-recommends osmo-mgw';

/** Its domain is `mgw`, its VTY on port 4243 of the same host. */
export async function startOsmoMgw(host: string, scratch: string): Promise<{ connections(): Promise<number> }> {
  const config = join(scratch, 'osmo-mgw.cfg');
  writeFileSync(
    config,
    [
      'line vty',
      ' no login',
      ` bind ${host}`,
      'ctrl',
      ` bind ${host}`,
      'mgcp',
      ' domain mgw',
      ` bind ip ${host}`,
      ' bind port 2427',
      ' rtp port-range 41002 41999',
      ` rtp bind-ip ${host}`,
      ' number endpoints 31',
      ' no rtp keep-alive',
      '',
    ].join('\n'),
  );
  const mgw = new Child('osmo-mgw', 'osmo-mgw', ['-c', config]);
  await mgw.waitForOutput(/Configured for MGCP/, 10_000);
  return { connections: () => countConnections(host) };
}

/** osmo-mgw's own word, on its VTY. */
function countConnections(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(4243, host);
    let text = '';
    socket.once('error', reject);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (!text.includes('rtpbridge/1f@mgw') && !text.includes('rtpbridge/1e@mgw')) return;
      socket.destroy();
      resolve(text.match(/CONN:/g)?.length ?? 0);
    });
    socket.setTimeout(3_000, () => {
      socket.destroy();
      resolve(text.match(/CONN:/g)?.length ?? 0);
    });
    socket.write('terminal length 0\r\nshow mgcp\r\n');
  });
}
