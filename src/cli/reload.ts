/** SIGHUP: what changed in the file is handed to the roles; a file that cannot be used changes nothing. */
import { changedSettings } from '../config/changed-settings.ts';
import type { LoadedConfig } from '../config/load.ts';
import { truncation } from '../config/truncation.ts';
import type { RoleSetup } from '../controller/protocol-entry.ts';
import { AltpathError, ConfigError } from '../errors.ts';
import type { LogLevel, ProcessLog } from '../log.ts';
import type { Role } from '../role.ts';

type Config = LoadedConfig<RoleSetup>;

export interface Reloading {
  /** What this process was started with: what needs a restart is told by it. */
  readonly started: Config;
  /** What was read last. */
  readonly current: Config;
  readonly roles: ReadonlyMap<string, Role>;
  readonly log: ProcessLog;
  load(): Config;
}

/** Returns the configuration that now counts. One log line says what changed, or why nothing did. */
export function reload({ started, current, roles, log, load }: Reloading): Config {
  const { logger } = log;
  if (current.file === undefined) {
    logger.info('nothing to reload: started without a file');
    return current;
  }
  try {
    const fresh = load();
    const problem = truncation(current.source, fresh.source, roles.keys());
    if (problem !== undefined) throw new ConfigError(`${current.file}: ${problem} (a restart would use it)`);
    const changed: string[] = [];
    for (const [name, role] of roles) {
      const setup = fresh.roles.get(name);
      if (setup !== undefined) changed.push(...role.reload(setup.section).map((change) => `${name}: ${change}`));
    }
    const [from, to] = [current.core.log.level, fresh.core.log.level];
    if (from !== to) changed.push(`log level ${from} -> ${to}`);
    const { shutdownSeconds } = fresh.core;
    if (shutdownSeconds !== current.core.shutdownSeconds) changed.push(`shutdownSeconds ${shutdownSeconds}`);
    const needsRestart = sleeping(started, fresh);
    const words = [
      changed.length === 0 ? 'nothing changed' : listed(changed),
      ...(needsRestart.length === 0 ? [] : [`needs a restart: ${listed(needsRestart)}`]),
    ];
    // The line about it passes the level that lets more pass.
    if (isMore(to, from)) log.configure(to);
    logger.info({ file: current.file, changed, needsRestart }, `reloaded ${current.file}: ${words.join('; ')}`);
    if (isMore(from, to)) log.configure(to);
    return fresh;
  } catch (error) {
    if (!(error instanceof AltpathError)) throw error;
    logger.error(
      { file: current.file },
      `not reloaded, the old configuration stays: ${error.message.replaceAll('\n', ' | ')}`,
    );
    return current;
  }
}

/** Settings that differ from what this process was started with, and are taken over at a start alone. */
function sleeping(started: Config, fresh: Config): readonly string[] {
  const names = new Set([...started.roles.keys(), ...fresh.roles.keys()]);
  return [
    ...changedSettings(started.core, fresh.core, new Set(['log.level', 'shutdownSeconds'])),
    ...[...names].flatMap((name) => {
      const before = started.roles.get(name);
      const after = fresh.roles.get(name);
      if (before === undefined || after === undefined) return [name];
      return changedSettings(before.section, after.section, new Set(after.reloads)).map((key) => `${name}.${key}`);
    }),
  ];
}

const listed = (words: readonly string[]): string =>
  words.length <= maxWords
    ? words.join(', ')
    : `${words.slice(0, maxWords).join(', ')} and ${words.length - maxWords} more`;

const maxWords = 20;

const isMore = (one: LogLevel, other: LogLevel): boolean => levels.indexOf(one) < levels.indexOf(other);

/** From most to least. */
const levels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];
