import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type LoadRequest, loadConfig } from '../../src/config/load.ts';
import { nearest, type Override } from '../../src/config/problems.ts';
import type { RoleSection } from '../../src/config/role-section.ts';
import { parseSource } from '../../src/config/source.ts';
import { addressField, formatAddress, secretField, section } from '../../src/internal.ts';

const address = () => addressField(() => 7000);

/** A protocol that does not exist: the loader must serve any. */
const sampleSchema = section({
  listen: z.array(address()).min(1).prefault(['127.0.0.1']),
  backup: z.array(address()).default([]),
  backupFor: z.array(address()).default([]),
  places: z
    .array(
      z.union([
        z.string().regex(/^[a-z]+$/, 'must be letters'),
        section({ height: z.number(), mark: z.string().optional() }),
      ]),
    )
    .default([]),
  zones: z.array(section({ name: z.string(), password: secretField().optional() })).default([]),
  flight: section({ maxHeight: z.number().int().min(1).max(500).default(100) }).prefault({}),
  urgent: z.boolean().default(false),
  placement: z.enum(['leg', 'wing']).default('leg'),
});

type Sample = { readonly section: RoleSection; readonly config: z.output<typeof sampleSchema> };

const sample = { name: 'sample', schema: sampleSchema.transform((config): Sample => ({ section: config, config })) };
const protocols = [sample, { ...sample, name: 'other' }];

const load = (text: string, request: Partial<LoadRequest<Sample>> = {}) =>
  loadConfig({ protocols, file: 'c.yaml', source: parseSource('c.yaml', text), ...request });

/** The lines of the ConfigError that loading must end in. */
function problems(text: string, request: Partial<LoadRequest<Sample>> = {}): readonly string[] {
  try {
    load(text, request);
  } catch (error) {
    if (error instanceof Error && error.name === 'ConfigError') return error.message.split('\n');
    throw error;
  }
  throw new Error('the configuration was accepted');
}

const addresses = (list: readonly Parameters<typeof formatAddress>[0][] | undefined) => list?.map(formatAddress);

describe('configuration: what is read', () => {
  it('gives every setting its default', () => {
    const { core, roles } = load('sample:\n');
    expect(core).toEqual({
      log: { level: 'info', format: 'auto' },
      admin: 'off',
      vip: [],
      trace: { maxBytes: 16_777_216 },
      capture: { agentId: 2_001 },
      callRecords: {},
      location: 'memory',
      redis: { ack: 'store' },
      numbers: { nationalPrefix: '0', internationalPrefix: '00', emergency: [] },
      cluster: { port: 9061, partners: [] },
      overload: {
        shedding: true,
        delayMs: 250,
        keptPerSecond: 100,
        retryAfterSeconds: 10,
        announce: true,
        sources: { perSecond: 2_000, banSeconds: 60, exempt: [expect.anything(), expect.anything()] },
      },
      trust: [],
      allow: [],
      strip: 'none',
      shutdownSeconds: 10,
      workers: 1,
      dns: { servers: [] },
    });
    expect([...roles.keys()]).toEqual(['sample']);
    expect(addresses(roles.get('sample')?.section.listen)).toEqual(['udp:127.0.0.1:7000']);
  });

  it('takes a section whose lines are all commented out for one of defaults', () => {
    expect(load('log:\n  # level: debug\nsample:\n  flight:\n').core.log.level).toBe('info');
  });

  it('reads the lists of trust, alternates and DNS servers', () => {
    const { core } = load(
      'trust: [10.0.0.0/8, "*.example.com"]\nallow: [192.0.2.0/24:5060, example.org]\ndns: { servers: [127.0.0.53, "[::1]:5353"] }\nsample:\n',
    );
    expect(core.trust.map(({ kind }) => kind)).toEqual(['network', 'name']);
    expect(core.allow).toMatchObject([
      { kind: 'network', port: 5060 },
      { kind: 'domain', domain: 'example.org' },
    ]);
    expect(core.dns.servers).toEqual(['127.0.0.53:53', '[::1]:5353']);
  });

  it('takes a number for text where text is wanted, character by character', () => {
    const zones = load('sample:\n  zones:\n    - { name: +49, password: 0815 }\n    - name: 200\n').roles.get('sample');
    const { places } = load('sample: { places: [{ height: 1, mark: 007 }] }\n').roles.get('sample')?.config ?? {};
    expect(places).toEqual([{ height: 1, mark: '007' }]);
    expect(zones?.config.zones).toEqual([{ name: '+49', password: '0815' }, { name: '200' }]);
  });

  it('runs the one role asked for even if the file has no section for it', () => {
    expect([...load('sample:\n', { only: 'other' }).roles.keys()]).toEqual(['other']);
  });

  it('lets a flag win over the file', () => {
    const overrides: Override[] = [
      { path: ['sample', 'listen'], value: ['tcp:127.0.0.9:1'], origin: { flag: '--listen' } },
      { path: ['log', 'level'], value: 'debug', origin: { flag: '--log-level' } },
    ];
    const { core, roles } = load('sample: { listen: [udp:127.0.0.1:1] }\n', { overrides });
    expect(addresses(roles.get('sample')?.section.listen)).toEqual(['tcp:127.0.0.9:1']);
    expect(core.log.level).toBe('debug');
  });
});

describe('configuration: what is refused', () => {
  it('shows file, line and column of every problem at once, in the order of the file', () => {
    const text = [
      'log: { level: verbose }',
      'sample:',
      '  listen:',
      '    - udp:127.0.0.1:7000',
      '    - udp:127.0.0.1:99999',
      '  flight:',
      '    maxHeight: 900',
      '  urgent: yes',
      'admin: nowhere',
      '',
    ].join('\n');
    expect(problems(text)).toEqual([
      'c.yaml:1:15: log.level: must be one of trace, debug, info, warn, error, fatal, silent',
      expect.stringMatching(/^c\.yaml:5:7: sample\.listen\[1\]: "udp:127\.0\.0\.1:99999" is not an address: write /),
      'c.yaml:7:16: sample.flight.maxHeight: must be at most 500',
      'c.yaml:8:11: sample.urgent: must be true or false, is text (write true or false)',
      expect.stringMatching(/^c\.yaml:9:8: admin: "nowhere" is no address for the admin server/),
    ]);
  });

  it.each([
    ['sample: { lisen: [a] }', 'c.yaml:1:11: sample: unknown key "lisen" (did you mean "listen"?)'],
    ['sample: { backup_for: [] }', 'c.yaml:1:11: sample: unknown key "backup_for" (did you mean "backupFor"?)'],
    ['sample:\n  maxHeight: 3', 'c.yaml:2:3: sample: unknown key "maxHeight" (it belongs in sample.flight)'],
    ['sampel: {}', 'c.yaml:1:1: unknown key "sampel" (did you mean "sample"?)'],
    ['sample: { flight: { xyzzy: 1 } }', 'c.yaml:1:21: sample.flight: unknown key "xyzzy" (known here: maxHeight)'],
    ['sample: { zones: [{ nmae: x }] }', 'unknown key "nmae" (did you mean "name"?)'],
    ['lisen:', 'unknown key "lisen"'],
  ])('%j: says which key was meant', (text, line) => {
    expect(problems(text).join('\n')).toContain(line);
  });

  it.each([
    ['sample: { listen: udp:127.0.0.1:1 }', 'must be a list, is text (write it as a list: [first, second])'],
    ['sample: { listen: [] }', 'needs at least 1 entry'],
    ['sample: { listen: [[1]] }', 'must be text, is a list'],
    ['sample: { flight: { maxHeight: 5s } }', 'must be a number, is text (write digits alone'],
    ['sample: { flight: { maxHeight: 1.5 } }', 'must be a whole number, is a number with a fraction'],
    ['sample: { placement: wng }', 'must be one of leg, wing (did you mean "wing"?)'],
    ['sample: { zones: [{}] }', 'sample.zones[0].name: is missing: must be text'],
    ['sample: { places: ["7"] }', 'sample.places[0]: must be letters'],
    ['sample: { places: [{ height: high }] }', 'sample.places[0].height: must be a number, is text'],
    ['sample: { places: [{ heigt: 1 }] }', 'sample.places[0]: unknown key "heigt" (did you mean "height"?)'],
    ['sample: { places: [[]] }', 'sample.places[0]: must be text, is a list'],
    ['sample: 7', 'must be a mapping (key: value), is a number'],
    ['- a', 'must be a mapping (key: value), is a list'],
    ['location: redis', 'is no location store'],
    ['trust: ["no hop"]', '"no hop" names no hop'],
    ['allow: ["10.0.0.0/33"]', 'allows nothing'],
  ])('%j: says what is wrong', (text, words) => {
    expect(problems(`${text}\n`).join('\n')).toContain(words);
  });

  it('names the flag that a bad value came from', () => {
    const overrides: Override[] = [{ path: ['sample', 'backup'], value: ['b@d@'], origin: { flag: '--backup' } }];
    expect(problems('sample:\n', { overrides })).toEqual([
      expect.stringMatching(/^--backup: "b@d@" is not an address/),
    ]);
  });

  it('refuses a backup that is ourselves or that nobody can reach', () => {
    const text = 'sample:\n  listen: [127.0.0.1]\n  backup: [127.0.0.1, 0.0.0.0, "127.0.0.2:0"]\n';
    expect(problems(text)).toEqual([
      'c.yaml:3:12: sample.backup[0]: udp:127.0.0.1:7000 is an address we listen on ourselves (name the other controller)',
      'c.yaml:3:23: sample.backup[1]: nobody can send to udp:0.0.0.0:7000 (name the address that others use)',
      'c.yaml:3:32: sample.backup[2]: udp:127.0.0.2:0 needs a port',
    ]);
  });

  it('shows where the YAML itself is broken', () => {
    expect(() => parseSource('c.yaml', 'a: 1\nb: [1, 2\nc: 3\n')).toThrow(/^c\.yaml:\d+:\d+: not YAML: /);
    expect(() => parseSource('c.yaml', 'a: 1\na: 2\n')).toThrow(/^c\.yaml:2:1: not YAML: map keys must be unique/);
  });

  it('never quotes a secret', () => {
    const texts = [
      'cluster: { secret: hunter2 }\nsample:\n',
      'cluster: { secret: [hunter2] }\nsample:\n',
      'sample: { zones: [{ password: { hunter2: 1 } }] }\n',
      'sample: { zones: [{ name: a, password: [hunter2hunter2] }] }\n',
      'cluster: { secret: "hunter2\nsample: }',
    ];
    for (const text of texts) expect(problems(text).join()).not.toContain('hunter2');
  });

  it('says that there is nothing to run', () => {
    expect(problems('log: { level: info }\n')).toEqual([
      'c.yaml names no role to run: add a section ("sample:", "other:")',
    ]);
  });
});

describe('configuration: one file for the whole cluster', () => {
  const text = [
    'cluster: { secret: 0123456789abcdef }',
    'nodes:',
    '  a: { sample: [udp:127.0.0.1, tcp:127.0.0.1], other: [127.0.0.1:9000] }',
    '  b: { sample: [udp:127.0.0.2, tcp:127.0.0.2] }',
    '  c: { sample: [udp:127.0.0.3] }',
    'sample: { urgent: true }',
    '',
  ].join('\n');

  it("gives a node its addresses, and for backups the others' first addresses, then their second", () => {
    const { roles, node } = load(text, { node: 'a' });
    const role = roles.get('sample');
    expect(node).toBe('a');
    expect([...roles.keys()]).toEqual(['sample', 'other']);
    expect(addresses(role?.section.listen)).toEqual(['udp:127.0.0.1:7000', 'tcp:127.0.0.1:7000']);
    expect(addresses(role?.section.backup)).toEqual(['udp:127.0.0.2:7000', 'udp:127.0.0.3:7000', 'tcp:127.0.0.2:7000']);
    expect(addresses(role?.section.backupFor)).toEqual(addresses(role?.section.backup));
    expect(role?.config.urgent).toBe(true);
  });

  it('runs on each node the roles of that node alone', () => {
    expect([...load(text, { node: 'c' }).roles.keys()]).toEqual(['sample']);
    const { backup, backupFor } = load(text, { node: 'c' }).roles.get('sample')?.section ?? {};
    expect(addresses(backupFor)).toEqual([
      'udp:127.0.0.1:7000',
      'udp:127.0.0.2:7000',
      'tcp:127.0.0.1:7000',
      'tcp:127.0.0.2:7000',
    ]);
    // No attribute carries more than three.
    expect(addresses(backup)).toEqual(addresses(backupFor)?.slice(0, 3));
  });

  it('needs to be told which node, unless there is but one', () => {
    expect(problems(text)).toEqual(['c.yaml:2:1: nodes: several nodes: say which one to run with --node a|b|c']);
    expect(problems(text, { node: 'x' })).toEqual(['--node: no node "x" in c.yaml (it has a, b, c)']);
    expect(load('nodes: { only: { other: [127.0.0.1] } }\n').node).toBe('only');
  });

  it("points to the node's own line when an address is bad", () => {
    const bad = text.replace('udp:127.0.0.3', 'udp:127.0.0.300');
    expect(problems(bad, { node: 'a' })[0]).toMatch(/^c\.yaml:5:17: nodes\.c\.sample\[0\]: "udp:127\.0\.0\.300"/);
    expect(problems(bad, { node: 'c' })[0]).toMatch(/^c\.yaml:5:17: nodes\.c\.sample\[0\]: "udp:127\.0\.0\.300"/);
  });

  it('demands a secret of several nodes', () => {
    expect(problems(text.replace(/^cluster.*\n/, ''), { node: 'a' })).toEqual([
      expect.stringMatching(/^c\.yaml:2:3: nodes: several nodes need cluster\.secret, the same on all/),
    ]);
  });

  it('knows a role that no protocol plays for a slip', () => {
    expect(problems(text.replace('other:', 'othr:'), { node: 'b' })[0]).toContain(
      'unknown key "othr" (did you mean "other"?)',
    );
  });
});

describe('configuration: files', () => {
  const directory = mkdtempSync(join(tmpdir(), 'altpath-config-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  it('reads a file by name', () => {
    const file = join(directory, 'good.yaml');
    writeFileSync(file, 'sample:\n');
    expect([...loadConfig({ protocols, file }).roles.keys()]).toEqual(['sample']);
  });

  it('says in words why a file cannot be read', () => {
    expect(() => loadConfig({ protocols, file: join(directory, 'none.yaml') })).toThrow(/none\.yaml": no such file/);
    expect(() => loadConfig({ protocols, file: directory })).toThrow(/it is a directory/);
  });
});

describe('did you mean', () => {
  it.each([
    ['listne', 'listen'],
    ['LISTEN', 'listen'],
    ['back-up', 'backup'],
    ['zzz', undefined],
  ])('%s → %s', (word, meant) => {
    expect(nearest(word, ['listen', 'backup', 'log'])).toBe(meant);
  });
});

const loadText = (text: string, node?: string) => load(text, { node });

describe('where the admin server of a node is (nodes.*.admin)', () => {
  const text =
    'cluster: { secret: 0123456789abcdef }\nadmin: 127.0.0.1:9060\nnodes:\n  a: { sample: [127.0.0.1], admin: "127.0.0.1:9071" }\n  b: { sample: [127.0.0.2], admin: "127.0.0.2:9072" }\n  c: { sample: [127.0.0.3] }\nsample: {}\n';

  it('is its own, or that of all; those of the others are known, and who has which address', () => {
    const a = load(text, { node: 'a' });
    expect(a.core.admin).toEqual({ host: '127.0.0.1', port: 9071 });
    expect([...a.admins]).toEqual([
      ['a', '127.0.0.1:9071'],
      ['b', '127.0.0.2:9072'],
    ]);
    expect([...a.names.values()]).toEqual(['a', 'b', 'c']);
    expect([...a.names.keys()].map((key) => /127\.0\.0\.\d/.exec(key)?.[0])).toEqual([
      '127.0.0.1',
      '127.0.0.2',
      '127.0.0.3',
    ]);
    expect(load(text, { node: 'c' }).core.admin).toEqual({ host: '127.0.0.1', port: 9060 });
    const flag: Override = { path: ['admin'], value: 'off', origin: { flag: '--admin' } };
    expect(load(text, { node: 'a', overrides: [flag] }).core.admin).toBe('off');
  });

  it('is complained of where it is none, for whichever node', () => {
    const bad = text.replace('127.0.0.2:9072', 'nowhere');
    expect(problems(bad, { node: 'a' })[0]).toMatch(/^c\.yaml:5:\d+: nodes\.b\.admin: must be ip:port/);
  });
});

describe('where the member link is (cluster.port, cluster.link, nodes.*.link)', () => {
  const nodes = (text: string, node: string) => loadText(`cluster: { secret: 0123456789abcdef }\n${text}`, node).link;

  it('is the port of the cluster on the host of the first address of each node', () => {
    const text =
      'nodes:\n  a: { sample: [127.0.0.1] }\n  b: { sample: [127.0.0.2] }\n  c: { sample: [127.0.0.3], link: "127.0.0.9:7000" }\n';
    expect(nodes(text, 'b')).toEqual({
      listen: { host: '127.0.0.2', port: 9061 },
      partners: [
        { host: '127.0.0.1', port: 9061 },
        { host: '127.0.0.9', port: 7000 },
      ],
      unreachable: [],
      isShared: false,
    });
    expect(nodes(text, 'c')?.listen).toEqual({ host: '127.0.0.9', port: 7000 });
  });

  it('follows from partners where there are no nodes', () => {
    const text =
      'sample: { listen: [127.0.0.1], backup: [127.0.0.2], backupFor: [127.0.0.2, "[::1]:7070"] }\ncluster: { port: 7001 }\n';
    expect(loadText(text).link).toMatchObject({
      listen: { host: '127.0.0.1', port: 7001 },
      partners: [
        { host: '127.0.0.2', port: 7001 },
        { host: '::1', port: 7001 },
      ],
    });
  });

  it('needs to be written for members of one host', () => {
    const text = 'sample: { listen: ["127.0.0.1:7070"], backup: ["127.0.0.1:7071"] }\n';
    expect(loadText(text).link).toMatchObject({ isShared: true });
    expect(loadText(`${text}cluster: { link: "127.0.0.1:7000", partners: ["127.0.0.1:7002"] }\n`).link).toEqual({
      listen: { host: '127.0.0.1', port: 7000 },
      partners: [{ host: '127.0.0.1', port: 7002 }],
      unreachable: [],
      isShared: false,
    });
    expect(() => loadText(`${text}cluster: { link: somewhere }\n`)).toThrow(/no address for the member link/);
  });

  it('is not there without partners', () => {
    expect(loadText('sample: { listen: [127.0.0.1] }\n').link).toBeUndefined();
  });

  it('the order of the nodes is the same on every one of them', () => {
    const text =
      'cluster: { secret: 0123456789abcdef }\nnodes:\n  a: { sample: ["127.0.0.1:1"] }\n  b: { sample: ["127.0.0.2:1", "127.0.0.2:2"] }\n  c: { sample: ["127.0.0.3:1"] }\n';
    for (const node of ['a', 'b', 'c'])
      expect(
        loadText(text, node)
          .order.get('sample')
          ?.map(({ host, port }) => `${host}:${port}`),
      ).toEqual(['127.0.0.1:1', '127.0.0.2:1', '127.0.0.3:1']);
  });
});
