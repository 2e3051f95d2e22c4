/**
 * The primary dies after every single message of every flow, between plain telephones behind two edges. No call is lost, none placed
 * twice, no telephone left ringing, and every transaction ends. `ALTPATH_FULL=1` runs every death at every message;
 * `ALTPATH_TABLE=1` writes docs/sip-failover-cases.md from what happened.
 */
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { writeTable } from '../support/sip-case-table.ts';
import { flows } from '../support/sip-flows.ts';
import { type CaseRow, isLostByNature, runAllMoments } from '../support/sip-kill.ts';

const isFull = process.env['ALTPATH_FULL'] !== undefined;
const rows: CaseRow[] = [];

describe('the primary is killed after every single message', () => {
  for (const flow of flows)
    for (const death of ['crash', 'silent'] as const)
      it(`${flow.name}: ${death}`, async () => {
        const row = await runAllMoments(flow, death, { stride: 1 });
        rows.push(row);
        expect(row.failures).toEqual([]);
        // One more call: at once where ICMP told, within a second and a half on a dead host.
        expect(row.nextCallMs).toBeLessThanOrEqual(death === 'crash' ? 50 : 1_500);
      }, 60_000);
});

describe('the primary returns, stalls, or is cut off from one edge', () => {
  for (const flow of flows)
    for (const death of ['restart', 'stall', 'cut', 'cut one way'] as const)
      it(`${flow.name}: ${death}`, async () => {
        const row = await runAllMoments(flow, death, { stride: isFull ? 1 : 7 });
        rows.push(row);
        const expected = isLostByNature(flow, death);
        if (expected === undefined) expect(row.failures).toEqual([]);
        // What is listed as lost is still no worse than with a plain proxy: the request fails, the call goes on.
        else expect(row.failures.filter((failure) => !expected.test(failure))).toEqual([]);
      }, 120_000);
});

describe('the primary is killed on a network that loses, doubles and reorders', () => {
  const seeds = isFull ? 20 : 2;
  for (const flow of flows)
    for (const death of ['crash', 'silent'] as const)
      it(`${flow.name}: ${death}, ${seeds} seeds`, async () => {
        for (let seed = 1; seed <= seeds; seed += 1) {
          const conditions = { loss: 0.05, duplication: 0.05, reordering: 0.1 };
          const row = await runAllMoments(flow, death, { stride: isFull ? 2 : 5, seed, conditions });
          rows.push(row);
          expect(row.failures).toEqual([]);
        }
      }, 240_000);
});

describe('between the edges and the pair there is TCP', () => {
  for (const flow of flows)
    for (const death of ['crash', 'silent'] as const)
      it(`${flow.name}: ${death}`, async () => {
        const row = await runAllMoments(flow, death, { stride: isFull ? 1 : 5, transport: 'tcp' });
        rows.push(row);
        expect(row.failures).toEqual([]);
      }, 60_000);
});

describe('telephones that keep only the URI of a Record-Route entry', () => {
  for (const flow of flows)
    it(`${flow.name}: crash`, async () => {
      const row = await runAllMoments(flow, 'crash', { stride: isFull ? 1 : 4, copiesParams: false });
      rows.push(row);
      expect(row.failures).toEqual([]);
    }, 60_000);
});

afterAll(() => {
  if (process.env['ALTPATH_TABLE'] !== undefined) writeFileSync('docs/sip-failover-cases.md', writeTable(rows));
});
