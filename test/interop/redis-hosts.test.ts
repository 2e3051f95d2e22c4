/**
 * Two controllers on two machines, a store with Sentinels on three others, telephones on a sixth: network namespaces, each with its address.
 * A telephone is called through the controller that it did not register with, in the moment of its 200; nothing else happens in between.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { type Child, stopAll } from './support/child.ts';
import { Lan, type LanHost, lanMissing } from './support/lan.ts';
import { missing } from './support/programs.ts';
import { SentinelTrio } from './support/redis.ts';
import { scratchDirectory } from './support/scratch.ts';

const absent = missing('redis-server', 'ip') ?? lanMissing();

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const phonesScript = fileURLToPath(new URL('./support/registering-phones.ts', import.meta.url));

class Machines {
  readonly #lan = new Lan('altpath-store');
  readonly #directories = [scratchDirectory('a'), scratchDirectory('b')];
  readonly controllers: (Child | undefined)[] = [];
  #hosts: LanHost[] = [];
  #trio: SentinelTrio | undefined;
  #phones: Child | undefined;

  async start(): Promise<this> {
    this.#hosts = [1, 2].map((n) => this.#lan.host(`c${n}`, `10.98.0.${n}/24`));
    const stores = [11, 12, 13].map((n) => this.#lan.host(`r${n}`, `10.98.0.${n}/24`));
    const phones = this.#lan.host('phones', '10.98.0.20/24');
    this.#trio = await SentinelTrio.start([], stores);
    for (const index of [0, 1]) await this.startController(index);
    const words = [phonesScript, phones.address, ...this.#hosts.map(({ address }) => address)];
    this.#phones = phones.start('phones', process.execPath, words);
    await this.said(/"event":"up"/);
    return this;
  }

  get trio(): SentinelTrio {
    if (this.#trio === undefined) throw new Error('no store');
    return this.#trio;
  }

  async startController(index: number): Promise<void> {
    const host = this.#hosts[index];
    const directory = this.#directories[index] ?? '';
    if (host === undefined) throw new Error('no such host');
    const file = join(directory, 'altpath.yaml');
    writeFileSync(
      file,
      JSON.stringify({
        location: this.trio.url,
        redis: { ack: 'store', journal: join(directory, 'waiting') },
        sip: { listen: [`udp:${host.address}:5060`], domains: ['example.com'] },
      }),
    );
    const controller = host.start('altpath', process.execPath, [main, 'run', '-c', file], { cwd: directory });
    this.controllers[index] = controller;
    await controller.waitForOutput(/"msg":"ready"/, 30_000);
  }

  tell(words: string): void {
    this.#phones?.write(`${words}\n`);
  }

  async said(pattern: RegExp, limitMs = 120_000): Promise<string> {
    const found = await this.#phones?.waitForOutput(pattern, limitMs);
    return found?.[0] ?? '';
  }

  async end(): Promise<void> {
    await stopAll();
    this.#lan.remove();
  }
}

let machines: Machines | undefined;

afterEach(async () => {
  await machines?.end();
  machines = undefined;
});

describe.skipIf(absent)(`two machines and a store${absent === undefined ? '' : ` (${absent})`}`, () => {
  it('a telephone is called through the other controller in the moment of its 200', async () => {
    machines = await new Machines().start();
    machines.tell('call-at-once 100');
    const { took } = JSON.parse(await machines.said(/\{"event":"called".*\}/));
    // The call is sent before anything else happens: whoever is refused was not known there. (How long it took is the machine's affair.)
    expect(took.filter((each: unknown) => typeof each !== 'number')).toEqual([]);
    expect(took).toHaveLength(100);
    const sorted = took.toSorted((a: number, b: number) => a - b);
    console.info(
      `from the 200 to the INVITE, through the other: median ${sorted[50].toFixed(1)} ms, 95 % ${sorted[94].toFixed(1)} ms`,
    );
  }, 180_000);
});
