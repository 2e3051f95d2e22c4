/** What a serving command gives. */
import type { LoadedConfig } from '../config/load.ts';
import type { RoleSetup } from '../controller/protocol-entry.ts';

export interface ServeRequest {
  readonly version: string;
  /** Reads the configuration, at the start and on SIGHUP. */
  load(): LoadedConfig<RoleSetup>;
}
