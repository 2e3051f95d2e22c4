import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const program = join(import.meta.dirname, '../../src/main.ts');

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const altpath = (...words: readonly string[]): Promise<Said> =>
  new Promise((resolve) => {
    execFile(process.execPath, [program, ...words], { timeout: 60_000 }, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, out, err });
    });
  });

const leftovers = (): number => readdirSync(tmpdir()).filter((name) => name.startsWith('altpath-demo-')).length;

describe('altpath demo', () => {
  it('kills the primary while a call rings: none is lost, and the primary gets its work back', async () => {
    const before = leftovers();
    const { code, out, err } = await altpath(
      ...['demo', '--protocol', 'sip', '--moment', 'ringing', '--calls', '20', '--json', '--no-control'],
    );
    expect(err).toBe('');
    const { sip } = JSON.parse(out);
    expect(sip).toMatchObject({ how: 'kill', moment: 'ringing', lost: 0 });
    expect(sip.watched).toMatchObject({ phase: 'ringing', lost: false, switched: true });
    expect(sip.placed).toBeGreaterThan(20);
    expect(sip.failbackMs).toBeGreaterThan(0);
    expect(code).toBe(0);
    expect(leftovers()).toBe(before);
  }, 60_000);

  it('says what it does not know', async () => {
    const { code, err } = await altpath('demo', '--protocol', 'sip', '--moment', 'lunch');
    expect(err).toContain('moment');
    expect(code).toBe(1);
  }, 20_000);
});
