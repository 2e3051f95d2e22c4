/** SIGHUP: what changed in the file is handed to the roles; a file that cannot be used changes nothing. */
import { isDeepStrictEqual } from 'node:util';
import type { LoadedConfig } from '../config/load.ts';
import { AltpathError } from '../errors.ts';
import type { ProcessLog } from '../log.ts';
import type { Role } from '../role.ts';
import type { RoleSetup } from './room.ts';

type Config = LoadedConfig<RoleSetup>;

/** Returns the configuration that now counts. One log line says what changed, or why nothing did. */
export function reload(
  current: Config,
  load: () => Config,
  roles: ReadonlyMap<string, Role>,
  processLog: ProcessLog,
): Config {
  const log = processLog.logger;
  if (current.file === undefined) {
    log.info('nothing to reload: started without a file');
    return current;
  }
  try {
    const fresh = load();
    const changed: string[] = [];
    const { level } = fresh.core.log;
    if (level !== current.core.log.level) {
      processLog.setLevel(level);
      changed.push(`log level ${current.core.log.level} -> ${level}`);
    }
    const asleep = [...coreChanges(current, fresh), ...roleChanges(current, fresh)];
    for (const [name, role] of roles) {
      const setup = fresh.roles.get(name);
      if (setup !== undefined) changed.push(...role.reload(setup.section).map((change) => `${name}: ${change}`));
    }
    const words = [
      changed.length === 0 ? 'nothing changed' : changed.join(', '),
      ...(asleep.length === 0 ? [] : [`needs a restart: ${asleep.join(', ')}`]),
    ];
    log.info({ file: current.file, changed, needsRestart: asleep }, `reloaded ${current.file}: ${words.join('; ')}`);
    return fresh;
  } catch (error) {
    if (!(error instanceof AltpathError)) throw error;
    log.error(
      { file: current.file },
      `not reloaded, the old configuration stays: ${error.message.replaceAll('\n', ' | ')}`,
    );
    return current;
  }
}

/** Sections by name alone: what is in them may be secret. */
function coreChanges(current: Config, fresh: Config): readonly string[] {
  const before = new Map(Object.entries(current.core));
  return Object.entries(fresh.core)
    .filter(([key, value]) => !isDeepStrictEqual(asFixed(key, value), asFixed(key, before.get(key))))
    .map(([key]) => key);
}

/** The level of the log is taken over, its format is not. */
const asFixed = (key: string, value: unknown): unknown =>
  key === 'log' && typeof value === 'object' && value !== null ? { ...value, level: undefined } : value;

function roleChanges(current: Config, fresh: Config): readonly string[] {
  const names = new Set([...current.roles.keys(), ...fresh.roles.keys()]);
  return [...names].flatMap((name) => {
    const before = current.roles.get(name)?.section;
    const after = fresh.roles.get(name)?.section;
    if (before === undefined || after === undefined) return [name];
    return (['listen', 'backup', 'backupFor'] as const)
      .filter((key) => !isDeepStrictEqual(before[key], after[key]))
      .map((key) => `${name}.${key}`);
  });
}
