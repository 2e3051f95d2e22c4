import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Child, stopAll } from './support/child.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const gatewayScript = fileURLToPath(new URL('./erlang/gateway.escript', import.meta.url));
const hasErlang = existsSync('/usr/bin/escript') && existsSync('/usr/lib/erlang/lib');

afterEach(stopAll);

/** Loopback addresses of this file's own. */
const primary = '127.0.61.1';
const backup = '127.0.61.2';

async function controller(
  host: string,
  transport: string,
  port: number,
  partner: readonly string[],
  mid: readonly string[],
  gatewayPort = 2944,
): Promise<Child> {
  const child = new Child(`altpath megaco on ${host}`, process.execPath, [
    main,
    'megaco',
    '--listen',
    `${transport}:${host}:${port}`,
    ...partner,
    ...mid,
    '--gateway',
    `gw1=${transport}:127.0.0.1:${gatewayPort}`,
    '--line',
    '200=aaln/1@gw1',
    '--line',
    '201=aaln/2@gw1',
    '--line',
    '202=aaln/3@gw1',
    '--line',
    '203=aaln/4@gw1',
    '--log-format',
    'json',
    '--log-level',
    'debug',
    '--admin',
    'off',
  ]);
  await child.waitForOutput(/"ready/, 20_000);
  return child;
}

/** What the Erlang gateway says from here on. */
class Gateway {
  readonly child: Child;
  #from = 0;

  constructor(child: Child) {
    this.child = child;
  }

  does(text: string): void {
    this.#from = this.child.output.length;
    this.child.write(`${text}\n`);
  }

  /** What it has said since its last instruction. */
  get said(): string {
    return this.child.output.slice(this.#from);
  }

  async until(pattern: RegExp, limitMs = 10_000): Promise<void> {
    const from = this.#from;
    const rest = new RegExp(`^[^]{${from},}?${pattern.source}`, 'm');
    await this.child.waitForOutput(rest, limitMs);
  }
}

async function gateway(encoding: string, transport: string, port: number, own?: number): Promise<Gateway> {
  const child = new Child(
    `OTP gateway, ${encoding} over ${transport}`,
    'escript',
    [gatewayScript, encoding, transport, 'gw1', `${primary}:${port}`, `${backup}:${port}`],
    own === undefined ? {} : { env: { GATEWAY_PORT: String(own) } },
  );
  await child.waitForOutput(/registered Restart/, 20_000);
  return new Gateway(child);
}

let nextPort = 31_000 + (process.pid % 500) * 4;

describe.skipIf(!hasErlang).each([
  ['pretty', 'udp'],
  ['compact', 'udp'],
  ['ber', 'udp'],
  ['pretty', 'tcp'],
  ['compact', 'tcp'],
  ['ber', 'tcp'],
])("Erlang's megaco application as gateway: %s over %s", (encoding, transport) => {
  it('registers, two lines call each other, and the call outlives the primary', async () => {
    nextPort += 1;
    const port = nextPort;
    const first = await controller(primary, transport, port, ['--backup', `${transport}:${backup}:${port}`], []);
    await controller(backup, transport, port, ['--backup-for', `${transport}:${primary}:${port}`], []);
    const mg = await gateway(encoding, transport, port);

    mg.does('offhook 1');
    await mg.until(/line 1 hook=off signal=cg\/dt/);
    mg.does('dial 1 201');
    await mg.until(/line 2 hook=on signal=al\/ri context=\d+ mode=recvOnly/);
    mg.does('offhook 2');
    await mg.until(/line 1 hook=off signal= context=\d+ mode=sendRecv remote=4\d+/);
    await mg.until(/line 2 hook=off signal= context=\d+ mode=sendRecv remote=4\d+/);

    await first.stop('SIGKILL');
    mg.does('onhook 1');
    await mg.until(/registered Failover 127\.0\.61\.2/, 20_000);
    await mg.until(/line 2 hook=off signal=cg\/bt context=0/, 20_000);
    mg.does('onhook 2');
    await mg.until(/line 2 hook=on signal= context=0/);
    mg.does('offhook 2');
    await mg.until(/line 2 hook=off signal=cg\/dt/);
    mg.does('dial 2 200');
    await mg.until(/line 1 hook=on signal=al\/ri/);
    mg.does('onhook 2');
    await mg.until(/line 1 hook=on signal= context=0/);

    expect(mg.child.output.split('\n').filter((text) => /ERROR/.test(text))).toEqual([]);
  }, 90_000);
});

describe.skipIf(!hasErlang).each([
  ['pretty', 'its port is not known', false],
  ['compact', 'its port is not known', false],
  ['ber', 'its port is not known', false],
  ['pretty', 'the backup can call it', true],
  ['compact', 'the backup can call it', true],
  ['ber', 'the backup can call it', true],
])("Erlang's megaco application in %s, provisioned by flags alone; %s", (encoding, _how, isKnown) => {
  it('keeps every call and every dial tone through kill -9 while another of its lines is dialling', async () => {
    nextPort += 1;
    const port = nextPort;
    nextPort += 1;
    const own = isKnown ? nextPort : undefined;
    const first = await controller(primary, 'udp', port, ['--backup', `udp:${backup}:${port}`], [], own);
    const second = await controller(backup, 'udp', port, ['--backup-for', `udp:${primary}:${port}`], [], own);
    const mg = await gateway(encoding, 'udp', port, own);

    mg.does('offhook 1');
    await mg.until(/line 1 hook=off signal=cg\/dt/);
    mg.does('dial 1 201');
    await mg.until(/line 2 hook=on signal=al\/ri/);
    mg.does('offhook 2');
    await mg.until(/line 1 hook=off signal= context=\d+ mode=sendRecv remote=4\d+/);
    await mg.until(/line 2 hook=off signal= context=\d+ mode=sendRecv remote=4\d+/);
    mg.does('offhook 4');
    await mg.until(/line 4 hook=off signal=cg\/dt/);
    mg.does('offhook 3');
    await mg.until(/line 3 hook=off signal=cg\/dt/);

    await first.stop('SIGKILL');
    mg.does('dial 3 203');
    // Line 4 has dial tone: it is busy for line 3, and nothing happens to it, nor to the call of 1 and 2.
    await mg.until(/line 3 hook=off signal=cg\/bt/, 20_000);
    await second.waitForOutput(/taken over by audit/, 20_000);
    expect(mg.said.split('\n').filter((text) => /^line [124] /.test(text))).toEqual([]);
    mg.does('onhook 3');
    await mg.until(/line 3 hook=on signal= context=0/);

    // The dial tone that was kept leads somewhere.
    mg.does('dial 4 202');
    await mg.until(/line 3 hook=on signal=al\/ri/);
    mg.does('offhook 3');
    await mg.until(/line 4 hook=off signal= context=\d+ mode=sendRecv remote=4\d+/);
    mg.does('onhook 1');
    await mg.until(/line 2 hook=off signal=cg\/bt context=0/);
    mg.does('onhook 4');
    await mg.until(/line 3 hook=off signal=cg\/bt context=0/);
    expect(mg.child.output.split('\n').filter((text) => /MESSAGE ERROR/.test(text))).toEqual([]);
  }, 90_000);
});
