import { describe, expect, it } from 'vitest';
import { runMegacoDemo } from '../../protocols/megaco/demo.ts';

describe('altpath megaco as processes: kill -9 of the primary in each phase', () => {
  it.each(['compact', 'binary'] as const)(
    'no lost call, no stuck line: %s',
    async (encoding) => {
      const said: string[] = [];
      expect(await runMegacoDemo({ encoding, json: true, print: (text) => said.push(text) }), said.join('\n')).toBe(0);
      const { outcomes } = JSON.parse(said.join(''));
      expect(outcomes.map(({ phase }: { phase: string }) => phase)).toEqual(['dialling', 'ringing', 'talking']);
    },
    90_000,
  );
});
