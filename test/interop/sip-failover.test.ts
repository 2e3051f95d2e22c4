/**
 * Telephones that know nothing of AlternatePath (SIPp), each behind an edge, and a primary that dies between the edges with calls
 * being set up, ringing, talking and hung up: no call is lost.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../../protocols/sip/demo/failover-run.ts';
import { domain, type Members, members } from '../../protocols/sip/demo/members.ts';
import { formatSocketAddress } from '../../src/internal.ts';
import { stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { missing } from './support/programs.ts';
import { scratchDirectory } from './support/scratch.ts';
import { runSipp, Sipp, scenarioDirectory } from './support/sipp.ts';

const absent = missing('sipp');

describe.skipIf(absent)(`SIPp at both ends of a pair${absent === undefined ? '' : ` (${absent})`}`, () => {
  let cast: Members | undefined;
  afterEach(async () => {
    await stopAll();
    await cast?.close();
  });

  it.each(['kill', 'stop'] as const)('no call is lost to a %s of the primary', async (how) => {
    cast = members({ port: await freePort(), holdMs: 1500 });
    await cast.start();
    const calledHost = await freeHost(5060, 5070);
    const keys = { user: 'u', via: 'UDP', cip: calledHost, cport: '5060', cparams: '', contact_params: '' };
    const calleeEdge = formatSocketAddress(cast.calleeEdge);
    const scenarios = scratchDirectory('failover-scenarios');
    const calls = 300;

    const registered = await runSipp({
      ...{ scenario: ofDomain('register.xml', scenarios), host: calledHost, port: 5070, remote: calleeEdge },
      ...{ calls, rate: 500, keys },
    });
    expect(registered, registered.errors).toMatchObject({ successful: calls, failed: 0 });
    const called = await new Sipp({
      scenario: ringing('answer.xml', scenarios),
      host: calledHost,
      calls,
      keys,
    }).ready();
    const caller = new Sipp({
      ...{ scenario: ofDomain('call.xml', scenarios), host: await freeHost(), calls, rate: 50, keys },
      remote: formatSocketAddress(cast.callerEdge),
      // Each call talks for half a second.
      extra: ['-d', '500'],
    });
    await pause(3000);
    await cast.strike(how);

    const placed = await caller.finished(60_000);
    expect(placed, placed.errors).toMatchObject({ successful: calls, failed: 0 });
    const answered = await called.finished(10_000);

    expect(answered, answered.errors).toMatchObject({ successful: calls, failed: 0 });
  });
});

/** The scenario with the pair's domain in place of the address it is sent to. */
function ofDomain(scenario: string, directory: string): string {
  const text = readFileSync(resolve(scenarioDirectory, scenario), 'utf8');
  return written(scenario, directory, text.replaceAll('[remote_ip]:[remote_port]', domain));
}

/**
 * The scenario with a pause between its 180 and its 200. An ACK may come twice: it goes to the backup as well where nobody can tell
 * whether the primary still passed it on, and a telephone takes it as the answer to a 200 sent again (RFC 3261 §13.3.1.4).
 */
function ringing(scenario: string, directory: string): string {
  const text = readFileSync(resolve(scenarioDirectory, scenario), 'utf8');
  const ack = '<recv request="ACK"></recv>';
  return written(
    scenario,
    directory,
    text
      .replace('<send retrans', '<pause milliseconds="500"/>\n<send retrans')
      .replace(ack, `${ack}\n<recv request="ACK" optional="true"></recv>`),
  );
}

function written(name: string, directory: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}
