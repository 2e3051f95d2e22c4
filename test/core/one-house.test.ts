/** What is built once in the core is not built again in a protocol's role: resolver, path list, liveness of members, call control. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const protocols = join(import.meta.dirname, '../../protocols');

/** Of a role: telephones, simulated gateways and demos are other network entities, with parts of their own. */
const sources = readdirSync(protocols, { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.ts') && !/^\w+\/(?:telephone|gateway|demo)\//.test(name),
);

const found = (pattern: RegExp, except: readonly string[] = []): readonly string[] =>
  sources.flatMap((name) => {
    const lines = readFileSync(join(protocols, name), 'utf8').split('\n');
    return except.includes(name)
      ? []
      : lines.filter((line) => pattern.test(line)).map((line) => `${name}: ${line.trim()}`);
  });

it('sees what it looks for', () => {
  expect(sources.length).toBeGreaterThan(100);
  expect(found(/new (?:Assembler|ControllerNode)\b/).length).toBe(3);
  expect(found(/\bclass \w+/).length).toBeGreaterThan(30);
});

it('no role constructs its own resolver', () => {
  expect(found(/new (?:AddressResolver|AddressNames)\b|\bcreateDns\(|\bclass \w*Resolver\b/)).toEqual([]);
});

it('no role makes its own list of alternates: attributes are made of what was read, and of the way back to a stand-in', () => {
  const readers = ['sip/adapter.ts', 'mgcp/path.ts', 'megaco/path.ts'];
  expect(found(/\bpathAttribute\(/, readers).map((line) => line.split(':')[0])).toEqual(['sip/identity.ts']);
});

it('no role watches its partners by itself, or has a call control of its own', () => {
  expect(found(/new (?:CallControl|MemberLink)\b|\bclass \w*(?:Members|Switchboard|CallControl|Liveness)\b/)).toEqual(
    [],
  );
});
