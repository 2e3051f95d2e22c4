/** Plain telephones (SIPp) behind a stock Kamailio that follows AlternatePath by ops/kamailio-aware.cfg; the primary is killed in their midst. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Child, stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { answersOptions } from './support/ping.ts';
import { missing, program } from './support/programs.ts';
import { startProxy } from './support/proxy.ts';
import { scratchDirectory } from './support/scratch.ts';
import { runSipp, Sipp, type SippResult } from './support/sipp.ts';

const absent = missing('sipp', 'kamailio');
const file = fileURLToPath(new URL('../../ops/kamailio-aware.cfg', import.meta.url));
const calls = 60;

/** The file that we ship, with the test's addresses in it. */
async function startEdge(self: string, members: readonly [string, string], follows: boolean): Promise<Child> {
  const directory = scratchDirectory('kamailio-aware');
  const config = join(directory, 'kamailio.cfg');
  const pattern = members.map((host) => host.replaceAll('.', '[.]')).join('|');
  const text = readFileSync(file, 'utf8')
    .replace('!OWN_ADDRESS!192.0.2.20!', `!OWN_ADDRESS!${self}!`)
    .replace('!ONE_MEMBER!192.0.2.1!', `!ONE_MEMBER!${members[0]}!`)
    .replace(/!ALL_MEMBERS!.*!g/, `!ALL_MEMBERS!(${pattern})!g`);
  writeFileSync(config, text);
  const words = ['-DD', '-E', '-f', config, '-m', '128', '-M', '8', '-P', join(directory, 'pid'), '-Y', directory];
  const child = new Child('kamailio edge', program('kamailio'), [
    ...words,
    ...(follows ? [] : ['-A', 'IGNORE_ALTERNATES']),
  ]);
  await pause(1_500);
  if (child.exited !== undefined) throw new Error(child.output.slice(-3_000));
  return child;
}

/** Calls at 20 a second, each rings for 2 s and is hung up 2 s later; the primary dies after 2.5 s. */
async function killedMidway(follows: boolean): Promise<{ caller: SippResult; edge: Child }> {
  const [self, primary, backup, callerHost, calledHost] = await Promise.all([
    freeHost(),
    freeHost(),
    freeHost(),
    freeHost(),
    freeHost(5060, 5070),
  ]);
  const location = `sqlite:${join(scratchDirectory('location'), 'locations.sqlite')}`;
  const env = { ALTPATH_CLUSTER_SECRET: '0123456789abcdef0123456789abcdef' };
  const member = (host: string, other: string) =>
    startProxy({
      ...{ kind: 'altpath', host, backups: [`${other}:5060`], location, env },
      settings: { backupFor: [`${other}:5060`], serviceRoute: true },
    });
  const first = await member(primary, backup);
  await member(backup, primary);
  const edge = await startEdge(self, [primary, backup], follows);
  // Its messages name the primary, whose users these are, and go to the edge.
  const remote = `${primary}:5060`;
  const edgeFirst = ['-rsa', `${self}:5060`];
  const keys = { user: 'k', via: 'UDP', cport: '5060', cparams: '', contact_params: '' };
  const registered = await runSipp({
    ...{ scenario: 'register.xml', host: calledHost, port: 5070, remote, calls, rate: 100 },
    keys: { ...keys, cip: calledHost },
    extra: edgeFirst,
  });
  expect(registered, `${registered.errors}\n${edge.output.slice(-2_000)}`).toMatchObject({ successful: calls });
  const called = await new Sipp({
    ...{ scenario: 'ring-and-answer.xml', host: calledHost, calls, keys: { ...keys, cip: calledHost } },
  }).ready();
  const caller = new Sipp({
    ...{ scenario: 'call.xml', host: callerHost, remote, calls, rate: 20 },
    keys: { ...keys, cip: callerHost },
    extra: ['-d', '2000', '-recv_timeout', '15000', ...edgeFirst],
  });
  await pause(2_500);
  await first.child.stop('SIGKILL');
  const result = await caller.finished(90_000);
  await called.stop();
  expect(await answersOptions(backup, 5060, 2_000)).toBe(true);
  return { caller: result, edge };
}

describe.skipIf(absent)(
  `A stock Kamailio that follows AlternatePath${absent === undefined ? '' : ` (${absent})`}`,
  () => {
    afterEach(stopAll);

    it('moves the calls of plain telephones to the backup: none is lost but what was being asked for at that moment', async () => {
      const { caller, edge } = await killedMidway(true);
      // An INVITE that the primary had passed on and not yet answered comes to the telephone with another branch (tm makes its own).
      expect(caller.failed, `${caller.errors}\n${edge.output.slice(-2_000)}`).toBeLessThanOrEqual(3);
      expect(caller.successful).toBe(calls - caller.failed);
      expect(edge.output).toMatch(/moves from 127\.0\.\S+ to sip:127\.0\./);
    });

    it('control: with the alternates ignored by the same file, whatever needs the primary after its death is lost', async () => {
      const { caller } = await killedMidway(false);
      console.info(`Kamailio without the attribute: ${calls - caller.successful} of ${calls} calls lost`);
      // A call lasts four seconds at least: none had ended when the primary died.
      expect(caller.successful, caller.errors).toBe(0);
    });
  },
);
