/** `altpath check`: would this file start? For a cluster's file: would it start on every node? */
import { floatingWarnings } from '../config/floating.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import type { Override } from '../config/problems.ts';
import { readSource } from '../config/source.ts';
import type { ProtocolEntry, RoleSetup } from '../controller/protocol-entry.ts';
import { ConfigError } from '../errors.ts';
import { withoutCredentials } from '../location/redis/location-url.ts';
import { bracketed, formatAddress } from '../signaling/controller-address.ts';
import { checkWorkers, workerCount } from '../workers/worker-count.ts';

/** The summary to print. @throws ConfigError with one line per problem, FileError. */
export function check(
  protocols: readonly ProtocolEntry[],
  file: string,
  node: string | undefined,
  overrides: readonly Override[],
): string {
  const source = readSource(file);
  const load = (which?: string): LoadedConfig<RoleSetup> => {
    const loaded = loadConfig({ protocols, file, source, node: which, overrides });
    checkWorkers(workerCount(loaded.core), sectionsOf(loaded), file);
    return loaded;
  };
  const names = node === undefined ? nodeNames(source.value) : [];
  if (names.length < 2) return [`${file}: OK`, ...describe(load(node))].join('\n');

  const lines: string[] = [];
  const problems = new Set<string>();
  for (const name of names) {
    try {
      lines.push(...describe(load(name)));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const problem of error.message.split('\n')) problems.add(problem);
    }
  }
  if (problems.size > 0) throw new ConfigError([...problems].join('\n'));
  return [`${file}: OK, ${names.length} nodes`, ...lines].join('\n');
}

function nodeNames(value: unknown): readonly string[] {
  const nodes = typeof value === 'object' && value !== null && 'nodes' in value ? value.nodes : undefined;
  return typeof nodes === 'object' && nodes !== null && !Array.isArray(nodes) ? Object.keys(nodes) : [];
}

const sectionsOf = ({ roles }: LoadedConfig<RoleSetup>) =>
  new Map([...roles].map(([name, { section }]) => [name, section]));

function describe(loaded: LoadedConfig<RoleSetup>): readonly string[] {
  const { node, roles, core } = loaded;
  const indent = node === undefined ? '  ' : '    ';
  const lines = [...roles.values()].map(({ name, section: { listen, backup } }) => {
    const backups = backup.length === 0 ? '' : `, backup ${backup.map(formatAddress).join(', ')}`;
    return `${indent}${name} on ${listen.map(formatAddress).join(', ')}${backups}`;
  });
  const trunks = [...roles.values()].flatMap(({ section: { trunks: all = [] } }) =>
    all.map(({ name, to, user, password, register }) => {
      const hops = to.map(({ host, port }) => (port === undefined ? host : `${bracketed(host)}:${port}`)).join(', ');
      // Never the password itself.
      const account =
        user === undefined ? '' : `, user ${user}, ${password === undefined ? 'no password' : 'password set'}`;
      return `${indent}trunk ${name} to ${hops}${account}${register ? ', registers' : ''}`;
    }),
  );
  const warnings = [...roles.values()].flatMap(({ name, warnings: texts }) =>
    texts.map((text) => `${indent}warning: ${name}: ${text}`),
  );
  const floating = floatingWarnings(core, sectionsOf(loaded));
  const count = workerCount(core);
  const admin = core.admin === 'off' ? 'off' : `${core.admin.host}:${core.admin.port}`;
  return [
    ...(node === undefined ? [] : [`  node ${node}`]),
    ...lines,
    ...trunks,
    ...(count === 1 ? [] : [`${indent}${count} workers${core.workers === 'auto' ? ' (one for each processor)' : ''}`]),
    `${indent}locations in ${withoutCredentials(core.location)}, admin ${admin}`,
    ...warnings,
    ...floating.map((text) => `${indent}warning: ${text}`),
  ];
}
