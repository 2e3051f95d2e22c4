import { describe, expect, it } from 'vitest';
import { changedSettings } from '../../src/config/changed-settings.ts';
import { parseSource } from '../../src/config/source.ts';
import { truncation } from '../../src/config/truncation.ts';

const file = `log: { level: info }
sip:
  listen: [127.0.0.1]
  auth:
    register: true
    users:
      - { user: alice, password: secret }
      - { user: bob, password: secret }
  routes:
    - { prefix: "00", to: [192.0.2.1] }
    - { prefix: "01", to: [192.0.2.2] }
`;

const problem = (before: string, after: string): string | undefined =>
  truncation(parseSource('f', before), parseSource('f', after), ['sip']);

describe('a file that is read again', () => {
  it.each(['', '\n', '# nothing\n', '{}\n', '---\n'])('is refused when it is empty: %j', (text) => {
    expect(problem(file, text)).toBe('it is empty');
  });

  it('is refused wherever it is cut off, unless what goes are items at the end of a list', () => {
    const accepted: string[] = [];
    for (let length = 0; length < file.length; length += 1) {
      const text = file.slice(0, length);
      try {
        if (problem(file, text) === undefined) accepted.push(text);
      } catch {
        // No YAML: refused before.
      }
    }
    expect(accepted).toEqual([file.slice(0, file.indexOf('    - { prefix: "01"'))]);
  });

  it('is taken where it was edited: shorter, longer, without an end that it never had', () => {
    expect(problem(file, file)).toBeUndefined();
    expect(problem(file, file.replace('  auth:\n    register: true\n', '  auth:\n'))).toBeUndefined();
    expect(problem(file, `${file}strip: untrusted\n`)).toBeUndefined();
    expect(problem(file.trimEnd(), `${file}x: 1`)).toBeUndefined();
    expect(problem(`${file}strip: untrusted\n`, `# edited\n${file}`)).toBeUndefined();
  });

  it('is refused without a section that runs here', () => {
    expect(problem(file, 'log: { level: debug }\n')).toBe('its section "sip:" is gone, and runs here');
  });
});

describe('changed settings', () => {
  it('are told by name, down to where a value is none of names', () => {
    const before = { listen: [1], auth: { register: true, users: ['a'], realm: 'x' }, timers: { a: 1, b: { c: 2 } } };
    const after = { listen: [2], auth: { register: false, users: ['b'] }, timers: { a: 1, b: { c: 3 } }, more: 1 };
    expect(changedSettings(before, after, new Set(['auth.users']))).toEqual([
      'listen',
      'auth.register',
      'auth.realm',
      'timers.b.c',
      'more',
    ]);
    expect(changedSettings(before, structuredClone(before), new Set())).toEqual([]);
  });
});
