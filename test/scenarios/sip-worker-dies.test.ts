/**
 * One of several workers is killed at every single message of every flow, between plain telephones that know nothing of workers: requests of
 * one come to another worker than the other's responses. No call is lost, none placed twice, no telephone left ringing, every transaction ends.
 */
import { describe, expect, it } from 'vitest';
import type { Flow } from '../support/sip-flows.ts';
import { flows } from '../support/sip-flows.ts';
import { runFlow, type Scene } from '../support/sip-kill.ts';
import { hosts } from '../support/sip-world.ts';
import { type WorkerWorld, workersAndTelephones } from '../support/worker-world.ts';

const isFull = process.env['ALTPATH_FULL'] !== undefined;

interface Strike {
  readonly victim: number;
  readonly count?: number;
  readonly hasEdges?: boolean;
  /** The supervisor starts it anew. */
  readonly isRestarted?: boolean;
}

function sceneOf({ victim, count = 2, hasEdges = false, isRestarted = false }: Strike): Scene {
  let workers: WorkerWorld | undefined;
  return {
    async make({ callees }) {
      const actors = await workersAndTelephones({ count, callees, hasEdges });
      workers = actors.workers;
      return actors;
    },
    strike() {
      const { sip } = workers ?? {};
      workers?.kill(victim);
      if (isRestarted)
        sip?.clock.after(300, () => {
          workers?.restart(victim).catch((error: unknown) => {
            throw error;
          });
        });
    },
    programs: () => [...(workers?.living ?? []), ...(hasEdges ? [hosts.callerEdge, hosts.calleeEdge] : [])],
  };
}

interface Failure {
  readonly moment: string;
  readonly complaints: readonly string[];
}

async function failuresOf(flow: Flow, strike: Strike, stride = 1): Promise<readonly Failure[]> {
  const base = await runFlow(flow, { scene: sceneOf(strike) });
  expect(base.complaints).toEqual([]);
  expect(base.messages).toBeGreaterThan(3);
  const death = strike.isRestarted === true ? 'restart' : 'crash';
  const failures: Failure[] = [];
  for (const moment of ['sent', 'arrived'] as const)
    for (let at = 1; at <= base.messages; at += stride) {
      const { complaints, killedAfter } = await runFlow(flow, { at, moment, death, scene: sceneOf(strike) });
      if (complaints.length > 0)
        failures.push({ moment: `worker ${strike.victim}, #${at} ${moment} (${killedAfter})`, complaints });
    }
  return failures;
}

/**
 * A plain telephone repeats nothing once it hears ringing, so nobody learns any more which other telephones ring with the one that
 * answers: they ring on, or are not rung at all, and a CANCEL ends all but has no 487 of its own. The call itself is never lost. So it is
 * with a proxy that is started anew. A CANCEL whose own answer was not sent yet is repeated to telephones that are done with it.
 */
const cancelled = /told: \["CANCEL 0","INVITE 487"\] instead of \["CANCEL 200","INVITE 487"\]$/;
const byNature =
  /still rings$|has 1 open transactions$|has a call left early$|callee 2 rang: [02] instead of 1$|instead of \["CANCEL 200","INVITE 487"\]$/;

const unexpected = (flow: Flow, failures: readonly Failure[]): readonly Failure[] =>
  failures.filter(({ complaints }) =>
    complaints.some((complaint) => !(flow.callees === undefined ? cancelled : byNature).test(complaint)),
  );

describe('a worker is killed at every single message, between plain telephones', () => {
  for (const flow of flows)
    it.each([1, 2])(`${flow.name}: worker %i of two`, async (victim) => {
      expect(unexpected(flow, await failuresOf(flow, { victim }, isFull ? 1 : 2))).toEqual([]);
    });
});

describe('a worker is killed at every single message, between edges that follow the attribute', () => {
  for (const flow of flows)
    it.each([1, 2])(`${flow.name}: worker %i of two`, async (victim) => {
      expect(await failuresOf(flow, { victim, hasEdges: true }, isFull ? 1 : 4)).toEqual([]);
    });
});

describe('a worker is killed and started anew: sources of the other move twice', () => {
  for (const flow of flows)
    it(`${flow.name}`, async () => {
      for (const victim of [1, 2])
        expect(unexpected(flow, await failuresOf(flow, { victim, isRestarted: true }, isFull ? 1 : 9))).toEqual([]);
    });
});

describe('one of three workers is killed: sources of those that live move as well', () => {
  for (const flow of flows)
    it(`${flow.name}`, async () => {
      for (const victim of [1, 2, 3])
        expect(unexpected(flow, await failuresOf(flow, { victim, count: 3 }, isFull ? 1 : 13))).toEqual([]);
    });
});
