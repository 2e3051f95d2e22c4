/** `altpath run`, and `altpath sip` and its like, once their flags are read. */
import { loadConfig } from '../config/load.ts';
import type { ProtocolEntry } from '../controller/protocol-entry.ts';
import { type Flags, overridesOf, word } from './flags.ts';
import { packageInfo } from './package-info.ts';
import { serve } from './serve.ts';

/** Every role of this node. */
export function serveAll(protocols: readonly ProtocolEntry[], flags: Flags): Promise<void> {
  const { version, defaultConfig } = packageInfo();
  return serve({
    version,
    load: () =>
      loadConfig({
        protocols,
        file: word(flags, 'config') ?? defaultConfig,
        node: word(flags, 'node'),
        overrides: overridesOf(flags),
      }),
  });
}

/** One role. */
export const serveRole = (protocols: readonly ProtocolEntry[], protocol: ProtocolEntry, flags: Flags): Promise<void> =>
  serve({
    version: packageInfo().version,
    load: () =>
      loadConfig({
        protocols,
        file: word(flags, 'config'),
        node: word(flags, 'node'),
        overrides: overridesOf(flags, protocol),
        only: protocol.name,
      }),
  });
