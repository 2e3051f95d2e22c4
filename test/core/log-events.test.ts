/** The table of events: the document is made of it, nothing else writes such lines, and every event is written by something. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { logEvents, logEventsDocument } from '../../src/log-events.ts';

const root = join(import.meta.dirname, '../..');

const sources = ['src', 'protocols'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/^log-events(?:\.ts|\/)/.test(name))
    .map((name) => readFileSync(join(root, folder, name), 'utf8')),
);

const tests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('log-events.test.ts'))
  .map((name) => readFileSync(join(root, 'test', name), 'utf8'))
  .join('\n');

describe('the table of log events', () => {
  it('is what docs/log-events.md says (node scripts/log-events.ts)', () => {
    expect(readFileSync(join(root, 'docs/log-events.md'), 'utf8')).toBe(logEventsDocument());
  });

  it.each(Object.keys(logEvents))('%s is written somewhere', (name) => {
    expect(sources.some((text) => text.includes(`'${name}'`))).toBe(true);
  });

  it.each(Object.keys(logEvents))('%s is seen by a test', (name) => {
    expect(tests).toContain(`'${name}'`);
  });

  it('nobody writes the words of an event by himself', () => {
    // A single word may mean anything.
    for (const { text } of Object.values(logEvents).filter(({ text: words }) => words.includes(' ')))
      for (const source of sources) expect(source).not.toContain(`'${text}'`);
  });
});
