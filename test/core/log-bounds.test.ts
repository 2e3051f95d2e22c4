import { describe, expect, it } from 'vitest';
import { boundedError, boundedFields } from '../../src/log-bounds.ts';

describe('log bounds', () => {
  it('leaves a line as it is where nothing in it is long', () => {
    const fields = { from: '192.0.2.1:5060', offset: 3, why: undefined, gone: null };
    expect(boundedFields(fields)).toBe(fields);
    const nested = { to: { host: '192.0.2.1', port: 5060 }, tried: ['a', 'b'] };
    expect(boundedFields(nested)).toEqual(nested);
  });

  it('cuts what a peer wrote, at any depth, and says how long it was', () => {
    const long = 'x'.repeat(60_000);
    const text = JSON.stringify(
      boundedFields({ mId: long, from: { host: long }, tried: Array.from({ length: 10_000 }, () => long) }),
    );
    expect(text.length).toBeLessThan(32_000);
    expect(text).toContain('… (60000 characters)');
    expect(text).toContain('… 9900 more');
    let deep: Record<string, unknown> = {};
    for (let level = 0; level < 10_000; level += 1) deep = { deep };
    expect(JSON.stringify(boundedFields(deep)).length).toBeLessThan(200);
  });

  it('cuts the text of an error', () => {
    const error = Object.assign(new Error('y'.repeat(60_000)), { code: 'ERR_X', buffer: 'z'.repeat(60_000) });
    const shown = boundedError(error);
    expect(JSON.stringify(shown).length).toBeLessThan(6_000);
    expect(shown).toMatchObject({ type: 'Error', code: 'ERR_X' });
  });
});
