/** Loopback addresses of our own for each peer of a test, so that every one of them can have port 5060. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/** A 127.0.x.y nobody has bound the given ports on, UDP or TCP; never the same one twice in a process. */
export async function freeHost(...ports: readonly number[]): Promise<string> {
  for (let attempt = 0; attempt < 200; attempt++) {
    // 127.0.0.0/24 is left to people and to other tests.
    const host = `127.0.${1 + Math.floor(Math.random() * 9)}.${1 + Math.floor(Math.random() * 254)}`;
    if (given.has(host)) continue;
    const free = await Promise.all((ports.length === 0 ? [5060, 5061] : ports).map((port) => isFree(host, port)));
    if (!free.every(Boolean)) continue;
    given.add(host);
    return host;
  }
  throw new Error(
    'no free loopback address found in 127.0.1.0 to 127.0.9.255 (does this system route all of 127.0.0.0/8?)',
  );
}

const given = new Set<string>();

async function isFree(host: string, port: number): Promise<boolean> {
  const udp = createSocket('udp4');
  const tcp = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      udp.once('error', reject).bind(port, host, resolve);
    });
    await new Promise<void>((resolve, reject) => {
      tcp.once('error', reject).listen(port, host, resolve);
    });
    return true;
  } catch {
    return false;
  } finally {
    udp.close();
    tcp.close();
  }
}
