/** Two hosts with real keepalived and a proxy each, one floating address, and telephones (SIPp) on a third. */
import { chmodSync, copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Child } from './child.ts';
import { Lan, type LanHost } from './lan.ts';
import { program } from './programs.ts';
import { scratchDirectory } from './scratch.ts';
import { Sipp, type SippResult } from './sipp.ts';
import { until } from './until.ts';

export const floatingAddress = '10.99.0.10';

/** `altpath`: on the floating address itself. `wildcard`: on 0.0.0.0, showing the floating address. */
export type PairKind = 'altpath' | 'wildcard' | 'kamailio';

export interface Load {
  readonly placed: number;
  /** Calls that came to no good end. */
  readonly lost: number;
  readonly answered: SippResult;
  readonly cancelled: SippResult;
}

interface Member {
  readonly host: LanHost;
  readonly directory: string;
  readonly standby: string;
  proxy: Child;
  keepalived: Child;
}

/** Callers, and whom they call. */
const groups = [
  { caller: 'call.xml', called: 'ring-and-answer.xml', calls: 120, rate: 15, from: '10.99.0.20', to: '10.99.0.21' },
  { caller: 'ring-and-cancel.xml', called: 'cancelled.xml', calls: 40, rate: 5, from: '10.99.0.22', to: '10.99.0.23' },
] as const;

export class FloatingPair {
  readonly #kind: PairKind;
  readonly #lan = new Lan('altpath-vip');
  readonly #shared = scratchDirectory('pair');
  readonly #members: Member[] = [];
  readonly #phones: LanHost;
  #loads = 0;

  constructor(kind: PairKind) {
    this.#kind = kind;
    this.#phones = this.#lan.host('phones', '10.99.0.20/24');
    for (const n of [21, 22, 23]) this.#phones.alsoHas(`10.99.0.${n}/24`);
  }

  async start(): Promise<this> {
    for (const [index, name] of ['a', 'b'].entries()) {
      const host = this.#lan.host(name, `10.99.0.${index + 1}/24`);
      host.run('sysctl', '-q', '-w', 'net.ipv4.ip_nonlocal_bind=1');
      const directory = scratchDirectory(`host-${name}`);
      const standby = join(directory, 'standby');
      const proxy = await this.#startProxy(host, directory);
      this.#members.push({
        host,
        directory,
        standby,
        proxy,
        keepalived: this.#startKeepalived(host, index, directory),
      });
    }
    await until('a host that has the address', 15_000, () => this.active !== undefined);
    return this;
  }

  get active(): LanHost | undefined {
    return this.#members.find(({ host }) => host.has(floatingAddress))?.host;
  }

  /** Whom `altpath status` asks, on that host. */
  status(host: LanHost): string {
    return host.run(process.execPath, main, 'status');
  }

  log(host: LanHost): string {
    return this.#of(host).proxy.output;
  }

  /** Places calls, lets `happen` come to pass in their midst, and counts. Three of four ring for 2 s and last 4 s; one is given up after 2.5 s. */
  async underLoad(happen: () => Promise<void>): Promise<Load> {
    this.#loads += 1;
    const remote = `${floatingAddress}:5060`;
    const under = this.#phones.under;
    const loads = groups.map((group, index) => ({
      ...group,
      keys: { user: `l${this.#loads}g${index}-`, via: 'UDP', cport: '5060', cparams: '', contact_params: '' },
    }));
    await this.#onEach(async () => {
      for (const { to, calls, keys } of loads) {
        const registering = { scenario: 'register.xml', host: to, port: 5070, remote, calls, rate: 200, under };
        const result = await new Sipp({ ...registering, keys: { ...keys, cip: to } }).finished(30_000);
        if (result.successful < calls) throw new Error(`${result.successful} registered: ${result.errors}`);
      }
    });
    const running = [];
    for (const { caller, called, calls, rate, from, to, keys } of loads) {
      const answering = { scenario: called, host: to, calls, under };
      const phones = await new Sipp({ ...answering, keys: { ...keys, cip: to } }).ready();
      const calling = { scenario: caller, host: from, remote, calls, rate, under };
      // With a good end or without: a call is over after 15 s of silence.
      const extra = ['-d', '4000', '-recv_timeout', '15000'];
      running.push({ phones, callers: new Sipp({ ...calling, keys: { ...keys, cip: from }, extra }) });
    }
    // By then calls are at every stage: asked for, ringing, talking, ending.
    await pause(4_000);
    await happen();
    const [answered, cancelled] = await Promise.all(running.map(({ callers }) => callers.finished(90_000)));
    await Promise.all(running.map(({ phones }) => phones.stop()));
    if (answered === undefined || cancelled === undefined) throw new Error('nobody called');
    const placed = groups.reduce((sum, { calls }) => sum + calls, 0);
    return { answered, cancelled, placed, lost: placed - answered.successful - cancelled.successful };
  }

  /** kill -9 of the proxy on the active host. */
  async kill(): Promise<void> {
    const member = this.#of(this.active);
    await member.proxy.stop('SIGKILL');
  }

  /** The host dies: its cable is pulled. */
  async unplug(): Promise<LanHost> {
    const { host } = this.#of(this.active);
    host.unplug();
    return host;
  }

  /** Moves the address in an orderly way and waits until the other host has it. */
  async move(): Promise<LanHost> {
    const from = this.#of(this.active);
    writeFileSync(from.standby, '');
    const to = await until('the address on the other host', 10_000, () =>
      this.#members.map(({ host }) => host).find((host) => host !== from.host && host.has(floatingAddress)),
    );
    rmSync(from.standby);
    return to;
  }

  async restart(host: LanHost): Promise<void> {
    const member = this.#of(host);
    member.proxy = await this.#startProxy(host, member.directory);
  }

  async end(): Promise<void> {
    for (const { keepalived, proxy } of this.#members) await Promise.all([keepalived.stop(), proxy.stop('SIGKILL')]);
    this.#lan.remove();
  }

  #of(host: LanHost | undefined): Member {
    const member = this.#members.find((each) => each.host === host);
    if (member === undefined) throw new Error('no host has the floating address');
    return member;
  }

  /** Kamailio's registrations are each its own: they are made on both. */
  async #onEach(run: () => Promise<void>): Promise<void> {
    await run();
    if (this.#kind !== 'kamailio') return;
    await this.move();
    await run();
  }

  async #startProxy(host: LanHost, directory: string): Promise<Child> {
    if (this.#kind === 'kamailio') return this.#startKamailio(host, directory);
    const own = { listen: [`udp:${floatingAddress}:5060`, `tcp:${floatingAddress}:5060`] };
    const file = join(directory, 'altpath.yaml');
    writeFileSync(
      file,
      JSON.stringify({
        admin: '127.0.0.1:9060',
        location: `sqlite:${join(this.#shared, 'locations.sqlite')}`,
        cluster: { secret: '0123456789abcdef0123456789abcdef' },
        ...(this.#kind === 'altpath' ? { vip: [floatingAddress] } : {}),
        sip: this.#kind === 'altpath' ? own : { listen: ['udp:0.0.0.0:5060'], advertise: floatingAddress },
      }),
    );
    const proxy = host.start('altpath', process.execPath, [main, 'run', '-c', file], { cwd: directory });
    await proxy.waitForOutput(/"msg":"ready"/, 20_000);
    return proxy;
  }

  async #startKamailio(host: LanHost, directory: string): Promise<Child> {
    const words = [
      ...['-DD', '-E', '-f', fileURLToPath(new URL('../../../bench/sip/kamailio.cfg', import.meta.url))],
      ...['-n', '1', '-m', '256', '-M', '8', '-P', join(directory, 'pid'), '-Y', directory],
      ...['-A', `CTLSOCK="unix:${join(directory, 'ctl')}"`, '-l', `udp:${floatingAddress}:5060`],
    ];
    const proxy = host.start('kamailio', program('kamailio'), words, { cwd: directory });
    await until('kamailio', 10_000, () =>
      host.run('cat', '/proc/net/udp').includes('0A00630A:13C4') ? true : undefined,
    );
    return proxy;
  }

  /** By the file that we ship, with this host's names in it. */
  #startKeepalived(host: LanHost, index: number, directory: string): Child {
    const check = join(directory, 'check-altpath');
    copyFileSync(join(ops, 'check-altpath'), check);
    chmodSync(check, 0o755);
    const script = join(directory, 'check');
    const standby = join(directory, 'standby');
    const asks =
      this.#kind === 'kamailio'
        ? `[ ! -e ${standby} ] && kill -0 $(cat ${join(directory, 'pid')})`
        : `ALTPATH_STANDBY=${standby} exec ${check}`;
    writeFileSync(script, `#!/bin/bash\n${asks}\n`, { mode: 0o755 });
    const text = readFileSync(join(ops, 'keepalived.conf'), 'utf8')
      .replaceAll('192.0.2.10/24', `${floatingAddress}/24`)
      .replaceAll(/192\.0\.2\.([12])\b/g, (_, n) => (index === 0 ? `10.99.0.${n}` : `10.99.0.${3 - Number(n)}`))
      .replace('priority 100', `priority ${100 - 10 * index}`)
      // The files of a test lie where others may write, and its hosts have no user but root.
      .replace('enable_script_security', '')
      .replace('script_user nobody', 'script_user root')
      .replace(/script "[^"]*"/, `script "${script}"`);
    const file = join(directory, 'keepalived.conf');
    writeFileSync(file, text);
    const words = ['-n', '-l', '-D', '-P', '-f', file];
    const pids = ['-p', join(directory, 'keepalived.pid'), '-r', join(directory, 'vrrp.pid')];
    return host.start('keepalived', program('keepalived'), [...words, ...pids]);
  }
}

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const ops = fileURLToPath(new URL('../../../ops/keepalived/', import.meta.url));
