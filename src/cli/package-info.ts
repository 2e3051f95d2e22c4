/** Where this package lies and what it is called, from the sources as well as from dist. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface PackageInfo {
  readonly version: string;
  /** Runs as it is, on loopback. */
  readonly defaultConfig: string;
}

export function packageInfo(): PackageInfo {
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, 'package.json')) && dirname(directory) !== directory)
    directory = dirname(directory);
  const manifest: unknown = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown';
  return { version, defaultConfig: join(directory, 'config', 'default.yaml') };
}
