/** Hosts on a bridge of their own, as network namespaces: each has its interface `eth0`, its addresses and its routes. Needs root. */
import { execFileSync } from 'node:child_process';
import { Child, type ChildOptions } from './child.ts';
import { findProgram, missing, program } from './programs.ts';

export class Lan {
  readonly #name: string;
  readonly #hosts = new Map<string, LanHost>();

  constructor(name: string) {
    this.#name = `${name}-${process.pid}`;
    ip('netns', 'add', this.#name);
    ip('-n', this.#name, 'link', 'add', 'name', 'bridge', 'type', 'bridge', 'mcast_snooping', '0');
    ip('-n', this.#name, 'link', 'set', 'bridge', 'up');
  }

  /** `address` with its prefix length: `10.99.0.1/24`. */
  host(name: string, address: string): LanHost {
    const namespace = `${this.#name}-${name}`;
    ip('netns', 'add', namespace);
    ip('-n', this.#name, 'link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    ip('-n', this.#name, 'link', 'set', 'dev', name, 'master', 'bridge', 'up');
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
    ip('-n', namespace, 'addr', 'add', address, 'dev', 'eth0');
    ip('-n', namespace, 'link', 'set', 'eth0', 'up');
    const host = new LanHost(namespace, address.replace(/\/.*/, ''));
    this.#hosts.set(name, host);
    return host;
  }

  /** Call when everything that runs in it has ended. */
  remove(): void {
    for (const { namespace } of this.#hosts.values()) ip('netns', 'del', namespace);
    ip('netns', 'del', this.#name);
  }
}

export class LanHost {
  readonly namespace: string;
  readonly address: string;

  constructor(namespace: string, address: string) {
    this.namespace = namespace;
    this.address = address;
  }

  /** What to put before a command that is to run on it. */
  get under(): readonly string[] {
    return [program('ip'), 'netns', 'exec', this.namespace];
  }

  start(name: string, command: string, words: readonly string[], options?: ChildOptions): Child {
    const [file = '', ...args] = [...this.under, command, ...words];
    return new Child(name, file, args, options);
  }

  /** @throws Error where it ends with another exit code than 0. */
  run(command: string, ...words: readonly string[]): string {
    const [file = '', ...args] = [...this.under, command, ...words];
    return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** A further address, with its prefix length. */
  alsoHas(address: string): void {
    ip('-n', this.namespace, 'addr', 'add', address, 'dev', 'eth0');
  }

  has(address: string): boolean {
    return ip('-n', this.namespace, '-o', 'addr', 'show').includes(` ${address}/`);
  }

  /** The host dies as far as others can see. */
  unplug(): void {
    ip('-n', this.namespace, 'link', 'set', 'eth0', 'down');
  }

  plug(): void {
    ip('-n', this.namespace, 'link', 'set', 'eth0', 'up');
  }
}

/** Why there can be no such hosts here, or undefined. */
export function lanMissing(): string | undefined {
  if (findProgram('ip') === undefined) return missing('ip');
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const probe = `altpath-probe-${process.pid}`;
  try {
    ip('netns', 'add', probe);
    ip('-n', probe, 'link', 'add', 'name', 'b', 'type', 'bridge');
    ip('-n', probe, 'link', 'add', 'name', 'v', 'type', 'veth', 'peer', 'name', 'w');
    return undefined;
  } catch {
    return 'this system makes no network namespaces, bridges or veth pairs';
  } finally {
    try {
      ip('netns', 'del', probe);
    } catch {
      // It was never made.
    }
  }
}

const ip = (...words: readonly string[]): string =>
  execFileSync(program('ip'), words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
