/**
 * The primary is killed after a message of what a SIP telephone and a line do beyond the ordinary call, in both directions, with an edge that
 * follows the path attribute and without, whatever the gateways keep (docs/crossing-failover-cases.md). Here a few messages of each cell and
 * one kind of gateway, another for each; `node test/scenarios/whole-matrix.ts` plays every message of every cell with every kind.
 */
import { describe, expect, it } from 'vitest';
import { furtherPlays, variants } from './crossing-cells.ts';
import { everyMessage, lines } from './crossing-scene.ts';

const share = 13;
let cell = 0;

for (const edge of [true, false])
  describe(`a telephone ${edge ? 'behind an edge' : 'alone with the pair'}`, () => {
    for (const { name, script, phone = {}, last = 400 } of furtherPlays)
      for (const [kind, line] of lines) {
        cell += 1;
        const at = cell;
        for (const [how, records] of variants.slice(at % variants.length).slice(0, 1))
          it(`${name}, ${kind}: ${how}, gateway ${records}`, async () => {
            const choice = { phone, last, every: share, first: 1 + ((at * 5) % share) };
            expect(await everyMessage(script, line, how, { edge, records }, choice)).toBeGreaterThan(0);
          }, 120_000);
      }
  });
