/** Adds a processor profile up by function: time in the function itself, and with all it calls. */
import type { CpuProfile } from './inspector.ts';

export interface FunctionTime {
  /** `name file:line`, or V8's word for time outside of functions: `(garbage collector)`, `(program)`, `(idle)`. */
  readonly where: string;
  readonly selfMs: number;
  readonly totalMs: number;
}

/** Greatest self time first. */
export function functionTimes(profile: CpuProfile): FunctionTime[] {
  const selfUs = new Map<number, number>();
  profile.samples.forEach((id, index) => {
    selfUs.set(id, (selfUs.get(id) ?? 0) + (profile.timeDeltas[index] ?? 0));
  });
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const sums = new Map<string, { self: number; total: number }>();
  /** Walks down, adding a node's time to every distinct function above it: recursion counts once. */
  const visit = (id: number, above: readonly string[]): void => {
    const node = nodes.get(id);
    if (node === undefined) return;
    const where = nameOf(node.callFrame);
    const stack = above.includes(where) ? above : [...above, where];
    const self = selfUs.get(id) ?? 0;
    for (const name of stack) {
      const sum = sums.get(name) ?? { self: 0, total: 0 };
      sum.total += self;
      if (name === where) sum.self += self;
      sums.set(name, sum);
    }
    for (const child of node.children ?? []) visit(child, stack);
  };
  const root = profile.nodes[0];
  if (root !== undefined) visit(root.id, []);
  return [...sums]
    .map(([where, { self, total }]) => ({ where, selfMs: self / 1000, totalMs: total / 1000 }))
    .filter(({ where }) => where !== '(root)')
    .sort((a, b) => b.selfMs - a.selfMs);
}

function nameOf(frame: { functionName: string; url: string; lineNumber: number }): string {
  const name = frame.functionName === '' ? '(anonymous)' : frame.functionName;
  if (frame.url === '') return name;
  const file = frame.url.replace(/^file:\/\//, '').replace(`${process.cwd()}/`, '');
  return `${name} ${file}:${frame.lineNumber + 1}`;
}
