/** examples/alternate-path-uac.py, a user agent in another language, beside a pair whose primary is killed. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Child, stopAll } from './support/child.ts';
import { freeHost } from './support/hosts.ts';
import { missing, program } from './support/programs.ts';
import { startProxy } from './support/proxy.ts';
import { scratchDirectory } from './support/scratch.ts';

const absent = missing('python3');
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const example = fileURLToPath(new URL('../../examples/alternate-path-uac.py', import.meta.url));

type Moment = 'ringing' | 'talking' | 'before the call';

describe.skipIf(absent)(`A user agent in Python${absent === undefined ? '' : ` (${absent})`}`, () => {
  afterEach(stopAll);

  it.each<[Moment, 'SIGKILL' | 'SIGSTOP', RegExp]>([
    ['ringing', 'SIGKILL', /^INVITE moves to \S+\nanswered\n200\n$/],
    ['ringing', 'SIGSTOP', /^INVITE moves to \S+\nanswered\n200\n$/],
    ['talking', 'SIGKILL', /^answered\nBYE moves to \S+\n200\n$/],
    ['before the call', 'SIGSTOP', /^INVITE moves to \S+\nanswered\n200\n$/],
  ])('keeps its call when the primary dies %s (%s)', async (moment, signal, said) => {
    const [primary, backup, own, phone] = await Promise.all([freeHost(), freeHost(), freeHost(), freeHost(5060, 5070)]);
    const location = `sqlite:${join(scratchDirectory('location'), 'locations.sqlite')}`;
    const env = { ALTPATH_CLUSTER_SECRET: '0123456789abcdef0123456789abcdef' };
    const member = (host: string, other: string) =>
      startProxy({
        ...{ kind: 'altpath', host, backups: [`${other}:5060`], location, env },
        settings: { backupFor: [`${other}:5060`] },
      });
    const first = await member(primary, backup);
    await member(backup, primary);
    const answering = ['phone', 'answer', '--user', `p1@${primary}`, '--server', primary, '--local', `${phone}:5060`];
    const called = new Child('telephone', process.execPath, [
      main,
      ...answering,
      '--ring',
      '2000',
      '--json',
      '--calls',
      '1',
    ]);
    await called.waitForOutput(/registered/, 10_000);
    if (moment === 'before the call') process.kill(first.child.pid, signal);
    const controllers = moment === 'before the call' ? `${primary},${backup}` : primary;
    const words = [example, own, controllers, 'p1', '3'];
    const caller = new Child('python', program('python3'), words);
    if (moment === 'ringing') await called.waitForOutput(/ringing|incoming/, 10_000);
    if (moment === 'talking') await caller.waitForOutput(/answered/, 10_000);
    if (moment !== 'before the call') process.kill(first.child.pid, signal);
    const { code } = await caller.waitForExit(40_000);
    expect(caller.output).toMatch(said);
    expect(code).toBe(0);
    expect(await called.waitForExit(10_000), called.output).toMatchObject({ code: 0 });
    if (signal === 'SIGSTOP') process.kill(first.child.pid, 'SIGKILL');
  });
});
