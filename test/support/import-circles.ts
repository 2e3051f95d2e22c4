/** Circles among modules that import each other, type-only imports included, found from the text of the imports alone. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** By module, as a path from `root`: the modules of these folders that it imports or exports from. */
export function importGraph(root: string, folders: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const graph = new Map<string, readonly string[]>();
  for (const folder of folders)
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts')) continue;
      const path = join(folder, name);
      graph.set(path, importsOf(readFileSync(join(root, path), 'utf8'), dirname(path)));
    }
  return graph;
}

export function importsOf(text: string, directory: string): readonly string[] {
  const found = text.matchAll(
    /^(?:import|export)\b[^;'"]*?(?:\bfrom\s+)?['"](\.[^'"]+)['"]|\bimport\(\s*['"](\.[^'"]+)['"]/gm,
  );
  return [...new Set([...found].map(([, from, dynamic]) => relative('.', resolve(directory, from ?? dynamic ?? ''))))];
}

/** Each set of modules of which every one reaches every other (Tarjan 1972), sorted. */
export function circles(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const found: (readonly string[])[] = [];
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const visit = (module: string): void => {
    index.set(module, index.size);
    low.set(module, index.size - 1);
    stack.push(module);
    for (const next of graph.get(module) ?? []) {
      if (!graph.has(next)) continue;
      if (!index.has(next)) visit(next);
      if (stack.includes(next))
        low.set(module, Math.min(low.get(module) ?? 0, low.get(next) ?? 0, index.get(next) ?? 0));
    }
    if (low.get(module) !== index.get(module)) return;
    const members = stack.splice(stack.indexOf(module));
    if (members.length > 1 || graph.get(module)?.includes(module) === true) found.push(members.sort());
  };
  for (const module of graph.keys()) if (!index.has(module)) visit(module);
  return found;
}
