import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sipConfigSchema } from '../../protocols/sip/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { parseSource } from '../../src/config/source.ts';
import { defineProtocol, type ProtocolEntry } from '../../src/controller/protocol-entry.ts';
import { formatAddress } from '../../src/internal.ts';

const sip = defineProtocol({
  name: 'sip',
  title: 'proxy',
  configSchema: sipConfigSchema,
  createRole: () => {
    throw new Error('not here');
  },
});
const protocols: readonly ProtocolEntry[] = [sip];
const file = 'config/default.yaml';
const text = readFileSync(file, 'utf8');

describe('config/default.yaml', () => {
  it('serves loopback alone, with an admin server and registrations that survive', () => {
    const { core, roles } = loadConfig({ protocols, file });
    expect(core.admin).toEqual({ host: '127.0.0.1', port: 9060 });
    expect(core.location).toMatch(/^sqlite:/);
    expect([...roles.keys()]).toEqual(['sip']);
    expect(roles.get('sip')?.section.listen.map(formatAddress)).toEqual(['udp:127.0.0.1:5060', 'tcp:127.0.0.1:5060']);
  });

  it('shows in its comments nothing that would not work', () => {
    const alive = text
      .split('\n')
      .map((line) => line.replace(/^( *)# (?=( *(- [{a-z]|[a-zA-Z]+:( |$))))/, '$1'))
      .filter((line) => !/certFile|usersFile|- (tls|wss):/.test(line))
      .join('\n')
      .replace(/(secret|formerSecret): …/g, `$1: ${'0'.repeat(64)}`)
      // With `nodes`, both listen and backups come from there.
      .replace(/^ {2}backup(For)?: .*\n/gm, '');
    const source = parseSource(file, alive);
    const { core, roles } = loadConfig({ protocols, source, file, node: 'a' });
    const config = sipConfigSchema.parse(roles.get('sip')?.section);
    expect(core).toMatchObject({ trust: { length: 2 }, allow: { length: 2 }, dns: { servers: ['127.0.0.53:53'] } });
    expect(config.routes).toHaveLength(2);
    expect(config.auth).toMatchObject({
      register: true,
      invite: true,
      realm: 'example.com',
      users: [{ user: 'alice' }],
    });
    expect(config.backup.map(formatAddress)).toEqual(['udp:192.0.2.2:5060', 'tcp:192.0.2.2:5060']);
    expect(config).toMatchObject({ domains: ['example.com'], forking: 'parallel' });
  });
});
