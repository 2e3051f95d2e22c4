/**
 * From a file and flags to what a process runs: the core's settings and one setup per role. The file may describe a whole cluster;
 * a node's own addresses and its backups follow from the list of nodes.
 */
import { z } from 'zod';
import { ConfigError } from '../errors.ts';
import {
  type ControllerAddress,
  formatAddress,
  isIpLiteral,
  readAddress,
  sameAddress,
} from '../signaling/controller-address.ts';
import { maxAlternates } from '../signaling/path-attribute.ts';
import { conflicts } from './conflicts.ts';
import { type CoreConfig, coreSchema, nodesSchema } from './core-schema.ts';
import { floatingIssues } from './floating.ts';
import { defaultLinkPort, type LinkAddresses, linkAddresses, nodeLink } from './link-addresses.ts';
import { type Override, type ProblemContext, plainIssues, problemLines, valueAt } from './problems.ts';
import type { RoleSection } from './role-section.ts';
import { type ConfigSource, emptySource, type Path, readSource } from './source.ts';

type Issue = z.core.$ZodIssue;

/** A protocol's section once read. `S` adds what the composition root needs to start the role. */
export interface SectionReader<S extends { readonly section: RoleSection }> {
  readonly name: string;
  readonly schema: z.ZodType<S>;
}

export interface LoadRequest<S extends { readonly section: RoleSection }> {
  readonly protocols: readonly SectionReader<S>[];
  readonly file?: string | undefined;
  readonly node?: string | undefined;
  /** What the node is chosen with, for complaints: `--node` where nothing else is said. */
  readonly nodeOption?: string | undefined;
  /** Flags and environment; they win over the file. */
  readonly overrides?: readonly Override[];
  /** Run this role alone, with or without a section in the file. */
  readonly only?: string | undefined;
  /** In place of reading `file`. */
  readonly source?: ConfigSource;
}

export interface LoadedConfig<S> {
  readonly file?: string | undefined;
  readonly source: ConfigSource;
  readonly core: CoreConfig;
  readonly node?: string | undefined;
  /** Every node of the file. */
  readonly nodes: readonly string[];
  /** By role: the first address of every node of the file that has it, in their order; empty where the file has no nodes. */
  readonly order: ReadonlyMap<string, readonly ControllerAddress[]>;
  /** By address of a role, the node that has it; empty where the file has no nodes. */
  readonly names: ReadonlyMap<string, string>;
  /** By node, its admin server as written for it. */
  readonly admins: ReadonlyMap<string, string>;
  /** The member link's addresses; undefined where there are no partners. */
  readonly link: LinkAddresses | undefined;
  /** What to run, by role name. */
  readonly roles: ReadonlyMap<string, S>;
}

/** @throws ConfigError with one line per problem, FileError where the file cannot be read. */
export function loadConfig<S extends { readonly section: RoleSection }>(request: LoadRequest<S>): LoadedConfig<S> {
  const source = request.source ?? (request.file === undefined ? emptySource : readSource(request.file));
  const names = request.protocols.map(({ name }) => name);
  const cluster = nodesSchema(names);
  const nodes = cluster.safeParse(section(source.value, 'nodes'));
  const members = readNodes(nodes);
  const node = nodes.success ? chooseNode(request, members, source) : undefined;
  const overrides = [
    ...nodeOverrides(members, node, names),
    ...adminOverrides(source.value, node),
    ...linkOverrides(source.value, members, node, names),
    ...(request.overrides ?? []),
  ];

  const attempt = judge(request, cluster, source, apply(source.value, overrides), overrides);
  if (!attempt.ok) throw new ConfigError(attempt.lines.join('\n'));
  const wanted = rolesToRun(request, attempt.value, members, node);
  const roles = new Map<string, S>();
  for (const protocol of request.protocols) {
    const setup = attempt.sections.get(protocol.name);
    if (wanted.has(protocol.name) && setup !== undefined) roles.set(protocol.name, setup);
  }
  const { port, link, partners } = attempt.core.cluster;
  const order = orders(members, node, roles);
  return {
    file: request.file,
    source,
    core: attempt.core,
    node,
    nodes: [...members.keys()],
    order,
    names: namesOf(members, order),
    admins: new Map([...members.keys()].flatMap((name) => nodeAdmin(source.value, name).map((text) => [name, text]))),
    link: linkAddresses({ port, link, partners, sections: [...roles.values()].map((setup) => setup.section) }),
    roles,
  };
}

/** For each role the first address of every node that has it, in the order of the list, our own as we bind it. */
function orders<S extends { readonly section: RoleSection }>(
  members: Members,
  node: string | undefined,
  roles: ReadonlyMap<string, S>,
): ReadonlyMap<string, readonly ControllerAddress[]> {
  const found = new Map<string, readonly ControllerAddress[]>();
  for (const [role, { section: own }] of roles) {
    const names = [...members].filter(([, each]) => each.has(role)).map(([name]) => name);
    const at = node === undefined ? -1 : names.indexOf(node);
    if (at < 0 || names.length < 2) continue;
    const others = own.backupFor.slice(0, names.length - 1);
    found.set(role, [...others.slice(0, at), ...own.listen.slice(0, 1), ...others.slice(at)]);
  }
  return found;
}

function namesOf(
  members: Members,
  order: ReadonlyMap<string, readonly ControllerAddress[]>,
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const [role, addresses] of order) {
    const having = [...members].filter(([, each]) => each.has(role)).map(([name]) => name);
    for (const [index, address] of addresses.entries()) names.set(formatAddress(address), having[index] ?? '');
  }
  return names;
}

const nodeAdmin = (value: unknown, node: string): readonly string[] => {
  const said = valueAt(value, ['nodes', node, 'admin']);
  return typeof said === 'string' && said !== 'off' ? [said] : [];
};

function adminOverrides(value: unknown, node: string | undefined): readonly Override[] {
  const said = node === undefined ? undefined : valueAt(value, ['nodes', node, 'admin']);
  return typeof said === 'string'
    ? [{ path: ['admin'], value: said, origin: { paths: [['nodes', node ?? '', 'admin']] } }]
    : [];
}

type Members = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;

/** As the schema of the nodes gives them: addresses per role, and the link's. */
type Nodes = Record<string, Record<string, string[] | string | undefined>>;

function readNodes(parsed: z.ZodSafeParseResult<Nodes>): Members {
  const members = new Map<string, Map<string, readonly string[]>>();
  for (const [name, roles] of Object.entries(parsed.success ? parsed.data : {})) {
    const addresses = new Map<string, readonly string[]>();
    for (const [role, list] of Object.entries(roles)) if (typeof list === 'object') addresses.set(role, list);
    members.set(name, addresses);
  }
  return members;
}

/** The one node of a file with one needs no naming. */
function chooseNode<S extends { readonly section: RoleSection }>(
  { node, file, nodeOption = '--node' }: LoadRequest<S>,
  members: Members,
  source: ConfigSource,
): string | undefined {
  const names = [...members.keys()];
  if (node !== undefined) {
    if (members.has(node)) return node;
    const known = names.length === 0 ? 'the configuration has no nodes' : `it has ${names.join(', ')}`;
    throw new ConfigError(`${nodeOption}: no node "${node}" in ${file ?? 'the configuration'} (${known})`);
  }
  if (names.length < 2) return names[0];
  const place = source.placeOfKey([], 'nodes');
  const at = place === undefined ? '' : `${source.file}:${place.line}:${place.column}: `;
  throw new ConfigError(`${at}nodes: several nodes: say which one to run with ${nodeOption} ${names.join('|')}`);
}

/** Our addresses are this node's; our backups are the others': the first address of each, in the order of the list, then the second … */
function nodeOverrides(members: Members, node: string | undefined, roles: readonly string[]): readonly Override[] {
  const own = node === undefined ? undefined : members.get(node);
  if (node === undefined || own === undefined) return [];
  return roles.flatMap((role): readonly Override[] => {
    const listen = own.get(role);
    if (listen === undefined) return [];
    const others = [...members].filter(([name, each]) => name !== node && each.has(role));
    const rounds = Math.max(0, ...others.map(([, each]) => each.get(role)?.length ?? 0));
    const partners = Array.from({ length: rounds }, (_, index) => index).flatMap((index) =>
      others.flatMap(([name, each]) => {
        const address = each.get(role)?.[index];
        return address === undefined ? [] : [{ address, path: ['nodes', name, role, index] }];
      }),
    );
    const paths = listen.map((_, index): Path => ['nodes', node, role, index]);
    const listOf = (key: string, length = partners.length): Override => ({
      path: [role, key],
      value: partners.slice(0, length).map(({ address }) => address),
      origin: { paths: partners.map(({ path }) => path) },
    });
    return [
      { path: [role, 'listen'], value: listen, origin: { paths } },
      ...(partners.length === 0 ? [] : [listOf('backup', maxAlternates), listOf('backupFor')]),
    ];
  });
}

/** Our link address and the others', where the file describes several nodes. */
function linkOverrides(
  value: unknown,
  members: Members,
  node: string | undefined,
  roles: readonly string[],
): readonly Override[] {
  if (node === undefined || members.size < 2) return [];
  const written = valueAt(value, ['cluster', 'port']);
  const port = typeof written === 'number' ? written : defaultLinkPort;
  const links = [...members].flatMap(([name, addresses]) => {
    const said = valueAt(value, ['nodes', name, 'link']);
    const role = roles.find((each) => addresses.has(each)) ?? '';
    const address = nodeLink(typeof said === 'string' ? said : undefined, addresses.get(role) ?? [], port);
    const path: Path = typeof said === 'string' ? ['nodes', name, 'link'] : ['nodes', name, role, 0];
    return address === undefined ? [] : [{ name, address, path }];
  });
  const own = links.find(({ name }) => name === node);
  const isLiteral = ({ address }: { address: string }): boolean =>
    isIpLiteral(readAddress(address, { port })?.host ?? '');
  const others = links.filter((each) => each.name !== node && isLiteral(each));
  return [
    ...(own === undefined || !isLiteral(own) || valueAt(value, ['cluster', 'link']) !== undefined
      ? []
      : [{ path: ['cluster', 'link'], value: own.address, origin: { paths: [own.path] } }]),
    ...(others.length === 0 || valueAt(value, ['cluster', 'partners']) !== undefined
      ? []
      : [
          {
            path: ['cluster', 'partners'],
            value: others.map(({ address }) => address),
            origin: { paths: others.map(({ path }) => path) },
          },
        ]),
  ];
}

type Judgement<S> =
  | { readonly ok: true; readonly core: CoreConfig; readonly sections: ReadonlyMap<string, S>; readonly value: unknown }
  | { readonly ok: false; readonly lines: readonly string[] };

/** Puts every section that is there before its schema and gathers all problems of all sections. */
function judge<S extends { readonly section: RoleSection }>(
  request: LoadRequest<S>,
  cluster: z.ZodType,
  source: ConfigSource,
  value: unknown,
  overrides: readonly Override[],
  mayRetry = true,
): Judgement<S> {
  const { protocols, only } = request;
  const issues: Issue[] = [];
  const names = new Set<string>([...protocols.map(({ name }) => name), 'nodes']);
  const core = coreSchema.safeParse(isMapping(value) ? without(value, names) : value);
  if (!core.success) issues.push(...core.error.issues);
  const sections = new Map<string, S>();
  if (isMapping(value)) {
    const nodes = cluster.safeParse(section(value, 'nodes'));
    if (!nodes.success) issues.push(...nodes.error.issues.map((issue) => under('nodes', issue)));
    for (const { name, schema } of protocols) {
      if (!Object.hasOwn(value, name) && name !== only) continue;
      const parsed = schema.safeParse(section(value, name));
      if (!parsed.success) {
        issues.push(...parsed.error.issues.map((issue) => under(name, issue)));
        continue;
      }
      sections.set(name, parsed.data);
      issues.push(...partnerIssues(name, parsed.data.section));
    }
    issues.push(...secretIssues(value));
    const parsed = [...sections].flatMap(([name, setup]) =>
      only === undefined || only === name ? [[name, setup.section] as const] : [],
    );
    issues.push(
      ...conflicts(
        new Map(parsed),
        core.success ? core.data.admin : 'off',
        core.success ? core.data.numbers.emergency : [],
      ),
    );
    if (core.success) issues.push(...floatingIssues(core.data, new Map(parsed)));
  }
  if (issues.length === 0 && core.success) return { ok: true, core: core.data, sections, value };
  const repaired = mayRetry ? numbersAsText(issues, source, value) : undefined;
  if (repaired !== undefined) return judge(request, cluster, source, repaired, overrides, false);
  const context: ProblemContext = { source, value, overrides, keys: keySchema(protocols, cluster) };
  return { ok: false, lines: problemLines(issues, context) };
}

const under = (name: string, issue: Issue): Issue => ({ ...issue, path: [name, ...issue.path] });

/** A number or a truth value where text is wanted is the operator's text as it stands in the file: `user: 200`, `prefix: +49`. */
function numbersAsText(issues: readonly Issue[], source: ConfigSource, value: unknown): unknown {
  let repaired: unknown;
  for (const issue of plainIssues(issues)) {
    if (issue.code !== 'invalid_type' || issue.expected !== 'string') continue;
    const held = valueAt(value, issue.path);
    const text = typeof held === 'number' || typeof held === 'boolean' ? source.plainText(issue.path) : undefined;
    if (text !== undefined) repaired = withValue(repaired ?? value, issue.path, text);
  }
  return repaired;
}

/** A partner must be another address than ours, and one that can be reached. */
function partnerIssues(role: string, { listen, backup, backupFor }: RoleSection): readonly Issue[] {
  const problem = (address: ControllerAddress): string | undefined => {
    const text = formatAddress(address);
    if (listen.some((own) => sameAddress(own, address) && own.port !== 0))
      return `${text} is an address we listen on ourselves (name the other controller)`;
    if (/^(0\.0\.0\.0|::)$/.test(address.host)) return `nobody can send to ${text} (name the address that others use)`;
    if (address.port === 0) return `${text} needs a port`;
    return undefined;
  };
  const issues = (key: string, addresses: readonly ControllerAddress[]): readonly Issue[] =>
    addresses.flatMap((address, index) => {
      const message = problem(address);
      return message === undefined ? [] : [{ code: 'custom', path: [role, key, index], message, input: undefined }];
    });
  const ofBackup = issues('backup', backup);
  // Both lists come from the same nodes: one line is enough.
  return ofBackup.length > 0 ? ofBackup : issues('backupFor', backupFor);
}

/** Members of a file's cluster share the file: nothing keeps the secret from being in it, and without it they cannot take over. */
function secretIssues(value: unknown): readonly Issue[] {
  const nodes = section(value, 'nodes');
  if (!isMapping(nodes) || Object.keys(nodes).length < 2) return [];
  if (valueAt(value, ['cluster', 'secret']) !== undefined) return [];
  const message =
    'several nodes need cluster.secret, the same on all (write "cluster: { secret: … }" with the output of: openssl rand -hex 32)';
  return [{ code: 'custom', path: ['nodes'], message, input: undefined }];
}

/** All keys of the whole file, for "did you mean". */
function keySchema(
  protocols: readonly { readonly name: string; readonly schema: z.ZodType }[],
  cluster: z.ZodType,
): unknown {
  const describe = (schema: z.ZodType): unknown => z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  const core = describe(coreSchema);
  const sections = protocols.map(({ name, schema }) => [name, describe(schema)] as const);
  const known = isMapping(core) && isMapping(core['properties']) ? core['properties'] : {};
  return { properties: { ...known, nodes: describe(cluster), ...Object.fromEntries(sections) } };
}

function rolesToRun<S extends { readonly section: RoleSection }>(
  { only, protocols, file }: LoadRequest<S>,
  value: unknown,
  members: Members,
  node: string | undefined,
): ReadonlySet<string> {
  if (only !== undefined) return new Set([only]);
  const own = node === undefined ? undefined : members.get(node);
  const written = isMapping(value) ? Object.keys(value) : [];
  const roles = new Set(
    protocols.map(({ name }) => name).filter((name) => (own === undefined ? written.includes(name) : own.has(name))),
  );
  if (roles.size > 0) return roles;
  const examples = protocols.map(({ name }) => `"${name}:"`).join(', ');
  throw new ConfigError(`${file ?? 'the configuration'} names no role to run: add a section (${examples})`);
}

/** The overrides put into the file's values; nothing of the original changes. */
const apply = (value: unknown, overrides: readonly Override[]): unknown =>
  overrides.reduce((changed, override) => withValue(changed, override.path, override.value), value);

function withValue(value: unknown, path: Path, leaf: unknown): unknown {
  const [segment, ...rest] = path;
  if (segment === undefined) return leaf;
  if (Array.isArray(value) && typeof segment === 'number')
    return value.map((each, index) => (index === segment ? withValue(each, rest, leaf) : each));
  if (value !== undefined && !isMapping(value)) return value;
  return { ...value, [segment]: withValue(value?.[String(segment)], rest, leaf) };
}

/** A section that is absent, or present with nothing in it, is one of defaults. */
const section = (value: unknown, name: string): unknown => (isMapping(value) ? value[name] : undefined) ?? {};

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const without = (value: Readonly<Record<string, unknown>>, names: ReadonlySet<string>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([key]) => !names.has(key)));
